"""Surfaces of a segmentation into files, for printing, planning and simulation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import slicer
import vtk

from KneeSegLib.anatomy import STRUCTURES
from KneeSegLib.errors import InputError, KneeSegError
from KneeSegModule.choices import SurfaceFormat
from KneeSegModule.scene import LPS_FROM_RAS

_STRUCTURES = {structure.key: structure for structure in STRUCTURES}


@dataclass(frozen=True)
class OtherSegment:
    """A segment that the user added, with what a surface file names of a structure."""

    key: str
    name: str


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and the names of the segments that it skipped because nothing is in them."""

    files: list[Path]
    emptySegments: list[str]


def findExportProblem(segmentationNode) -> str:
    """Return in a sentence why there is nothing to export; empty if there is."""
    if segmentationNode is None:
        return "Choose a segmentation."
    if segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        return f"{segmentationNode.GetName()} has no segments."
    return ""


def listSurfaceFiles(segmentationNode, folder: str | Path, surfaceFormat: str) -> dict[str, Path]:
    """Return by segment ID the files that :func:`exportSurfaces` writes.

    Raises:
        InputError: unknown format.
    """
    if surfaceFormat not in SurfaceFormat.__members__:
        known = ", ".join(SurfaceFormat.__members__)
        raise InputError(f"There is no surface format called {surfaceFormat!r}; choose one of {known}.")
    files: dict[str, Path] = {}
    for segmentId in segmentationNode.GetSegmentation().GetSegmentIDs():
        key = _describeSegment(segmentationNode, segmentId).key
        while any(path.stem == key for path in files.values()):
            key += "_2"
        files[segmentId] = Path(folder) / f"{key}.{surfaceFormat}"
    return files


def exportSurfaces(segmentationNode, folder: str | Path, surfaceFormat: str = "stl") -> Exported:
    """Write one file per segment: mm, LPS, where the segment stands in the scene (parent transforms applied).

    Existing files of the same names are replaced. Empty segments are skipped. The segmentation is not changed.

    Raises:
        InputError: nothing to export, or an unknown format.
        OutputError: a file cannot be written.
    """
    from KneeSegLib.surfaces import write_surface

    problem = findExportProblem(segmentationNode)
    if problem:
        raise InputError(problem)
    written, empty = [], []
    for segmentId, path in listSurfaceFiles(segmentationNode, folder, surfaceFormat).items():
        surface = _makeSurfaceInWorld(segmentationNode, segmentId)
        if surface.GetNumberOfPolys() == 0:
            empty.append(segmentationNode.GetSegmentation().GetSegment(segmentId).GetName())
            continue
        write_surface(surface, path, _describeSegment(segmentationNode, segmentId))
        written.append(path)
    if not written:
        raise InputError(f"Every segment of {segmentationNode.GetName()} is empty; draw something or choose another.")
    return Exported(written, empty)


def _describeSegment(segmentationNode, segmentId: str):
    """Return the structure that the segment is, or a stand-in made from the segment's name."""
    if segmentId in _STRUCTURES:
        return _STRUCTURES[segmentId]
    name = segmentationNode.GetSegmentation().GetSegment(segmentId).GetName()
    return OtherSegment(re.sub(r"[^\w-]+", "_", name).strip("_").lower() or "segment", name)


def _makeSurfaceInWorld(segmentationNode, segmentId: str) -> vtk.vtkPolyData:
    """Return the segment's surface in LPS as triangles that face outwards, also under a transform that mirrors.

    It has none where the segment is empty.
    """
    from KneeSegLib.geometry.mesh import enclosed_volume, points_of, polydata_from, triangles_of

    surface = vtk.vtkPolyData()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.GetSegmentClosedSurfaceRepresentation(segmentationNode, segmentId, surface):
        raise KneeSegError(f"Slicer could not make a surface of {segmentId}; its error log says why.")
    triangulated = vtk.vtkTriangleFilter()
    triangulated.SetInputData(surface)
    triangulated.PassVertsOff()
    triangulated.PassLinesOff()
    triangulated.Update()
    if triangulated.GetOutput().GetNumberOfPolys() == 0:
        return triangulated.GetOutput()
    points = points_of(triangulated.GetOutput()) * LPS_FROM_RAS
    triangles = triangles_of(triangulated.GetOutput())
    if enclosed_volume(points, triangles) < 0:
        triangles = triangles[:, ::-1]
    return polydata_from(points, triangles)
