"""The mean and the modes of a shape model as surfaces to inspect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData

from KneeSegLib.anatomy import structure
from KneeSegLib.geometry.mesh import polydata_with
from KneeSegLib.shape.model import ShapeModel
from KneeSegLib.surfaces import write_surface
from KneeSegLib.training.shape_models.settings import MODE_DEVIATION


def make_mode_surfaces(model: ShapeModel, modes: int) -> dict[str, vtkPolyData]:
    """Return surfaces by name: ``mean``, and ``mode1_minus``, ``mode1_plus``, ... at two standard deviations.

    Each carries as point data the fraction of cases with cartilage at a point and how far the mode moved the point.
    """
    surfaces = {"mean": _make_surface(model, model.mean)}
    for mode in range(min(modes, len(model.variances))):
        weights = np.zeros(mode + 1)
        for name, sign in (("minus", -1.0), ("plus", 1.0)):
            weights[mode] = sign * MODE_DEVIATION
            surfaces[f"mode{mode + 1}_{name}"] = _make_surface(model, model.shape(weights))
    return surfaces


def write_modes(model: ShapeModel, folder: Path, modes: int, extension: str) -> list[Path]:
    """Write the mean and the modes into ``folder``, as ``femur_mode1_plus.vtp``; ``extension`` chooses the format."""
    paths = []
    for name, surface in make_mode_surfaces(model, modes).items():
        path = folder / f"{model.bone}_{name}.{extension}"
        write_surface(surface, path, structure(model.bone, "right"))
        paths.append(path)
    return paths


def _make_surface(model: ShapeModel, points: np.ndarray) -> vtkPolyData:
    moved_mm = np.linalg.norm(points - model.mean, axis=1)
    return polydata_with(points, model.triangles, {"CartilageShare": model.cartilage, "MovedMm": moved_mm})
