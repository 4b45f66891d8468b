"""The mean and the modes of a shape model as surfaces to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData

from KneeSegLib.anatomy import structure
from KneeSegLib.geometry.mesh import polydata_with
from KneeSegLib.shape.model import ShapeModel
from KneeSegLib.surfaces import write_surface

DEVIATION = 2.0
"""Standard deviations to either side of the mean."""


def mode_surfaces(model: ShapeModel, modes: int) -> dict[str, vtkPolyData]:
    """Surfaces by name: ``mean``, and ``mode1_minus``, ``mode1_plus``, ... at two standard deviations.

    Each carries as point data the share of cases with cartilage at a point, and each mode how far it moved the point.
    """
    surfaces = {"mean": _surface(model, model.mean)}
    for mode in range(min(modes, len(model.variances))):
        weights = np.zeros(mode + 1)
        for name, sign in (("minus", -1.0), ("plus", 1.0)):
            weights[mode] = sign * DEVIATION
            surfaces[f"mode{mode + 1}_{name}"] = _surface(model, model.shape(weights))
    return surfaces


def write_modes(model: ShapeModel, folder: Path, modes: int, extension: str) -> list[Path]:
    """Write :func:`mode_surfaces` into ``folder``, named ``femur_mode1_plus.vtp``; ``extension`` chooses the format."""
    paths = []
    for name, surface in mode_surfaces(model, modes).items():
        path = folder / f"{model.bone}_{name}.{extension}"
        write_surface(surface, path, structure(model.bone, "right"))
        paths.append(path)
    return paths


def _surface(model: ShapeModel, points: np.ndarray) -> vtkPolyData:
    moved_mm = np.linalg.norm(points - model.mean, axis=1)
    return polydata_with(points, model.triangles, {"CartilageShare": model.cartilage, "MovedMm": moved_mm})
