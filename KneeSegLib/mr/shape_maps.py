"""Fitted shapes as surfaces to look at: where they lie, and how far from the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Side, structure
from KneeSegLib.geometry.mesh import polydata_with
from KneeSegLib.inference.scan import Scan
from KneeSegLib.measurements.surface_map import SurfaceMap

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from KneeSegLib.mr.shape_fit import FittedShape

RESIDUAL = "ResidualMm"
CARTILAGE = "CartilageShare"


def map_shapes(shapes: Mapping[str, FittedShape], side: Side, scan: Scan) -> list[SurfaceMap]:
    """The fitted shapes of a knee, to be saved beside its labels."""
    return [SurfaceMap(structure(bone, side), "shape", shape_map(fit, scan.image)) for bone, fit in shapes.items()]


def shape_map(fit: FittedShape, scan: sitk.Image) -> vtkPolyData:
    """The surface of a fitted shape, LPS mm, with its distance to the labels (:data:`RESIDUAL`) on its points.

    Args:
        scan: the image, turned to the patient's axes, that the fit's mm count from.
    """
    direction = np.array(scan.GetDirection()).reshape(3, 3)
    points = fit.points_mm @ direction.T + np.array(scan.GetOrigin())
    return polydata_with(points, fit.model.triangles, {RESIDUAL: fit.residual_mm, CARTILAGE: fit.model.cartilage})
