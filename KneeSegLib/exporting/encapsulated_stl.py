"""Encapsulated STL: the surface of one structure as a DICOM object, in the coordinates of its source (mm, LPS)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from KneeSegLib.anatomy import Code
from KneeSegLib.exporting.codes import encode, encode_region
from KneeSegLib.exporting.headers import SURFACE, begin_object, reference, require_frame_of_reference, tracking_uid
from KneeSegLib.exporting.source import SourceSeries

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from KneeSegLib.anatomy import Structure

_MILLIMETRE = Code("mm", "mm", "UCUM")
_TITLES = {"CT": Code("85040-4", "CT 3D CAM model", "LN"), "MR": Code("85041-2", "MR 3D CAM model", "LN")}
"""Document titles of models by the modality they were made from (DICOM CID 7061)."""


def build_encapsulated_stl(
    structure: Structure, surface: vtkPolyData, source: SourceSeries, series_uid: str, number: int
) -> Dataset:
    """Return the surface of a structure as a DICOM object.

    Args:
        surface: closed, LPS, mm.
        series_uid: of the series that holds the surfaces of one scan.
        number: of the object in it.
    """
    made = begin_object(source, SURFACE, series_uid, number)
    made.ContentDate, made.ContentTime = made.InstanceCreationDate, made.InstanceCreationTime
    made.AcquisitionDateTime = ""
    made.FrameOfReferenceUID = require_frame_of_reference(source)
    made.PositionReferenceIndicator = ""
    made.BurnedInAnnotation = "NO"
    made.RecognizableVisualFeatures = "NO"
    made.DocumentTitle = structure.name
    made.ConceptNameCodeSequence = [encode(_TITLES[source.series.modality])]
    made.MIMETypeOfEncapsulatedDocument = "model/stl"
    made.SourceInstanceSequence = [reference(header) for header in source.headers]
    made.MeasurementUnitsCodeSequence = [encode(_MILLIMETRE)]
    made.ModelModification = made.ModelMirroring = "NO"
    made.ContentDescription = f"Surface of the {structure.name.lower()}, mm, LPS"
    made.AnatomicRegionSequence = [encode_region(structure)]
    made.ModelGroupUID = tracking_uid(source, "surfaces")
    stl = _stl_bytes(structure, surface)
    made.EncapsulatedDocumentLength = len(stl)
    made.EncapsulatedDocument = stl + b"\0" * (len(stl) % 2)
    return made


def _stl_bytes(structure: Structure, surface: vtkPolyData) -> bytes:
    from KneeSegLib.surfaces import write_surface

    with tempfile.TemporaryDirectory(prefix="kneeseg-") as folder:
        path = Path(folder, "surface.stl")
        write_surface(surface, path, structure)
        return path.read_bytes()
