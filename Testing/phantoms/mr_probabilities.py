"""What slices might say of a knee of boxes, and bones whose shape is a shape model's own, made without any network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.spatial import KDTree

from KneeSegLib.anatomy import KNEE_MR_CLASSES
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.mesh import point_normals
from KneeSegLib.mr.bones import KneeBones
from KneeSegLib.mr.settings import SPACING_MM
from KneeSegLib.mr.slices import KneeProbabilities
from KneeSegLib.shape.model import ShapeModel

KNEE_BOXES_MM = {
    "femur": Box((62.0, 110.0), (20.0, 70.0), (15.0, 75.0)),
    "tibia": Box((0.0, 54.0), (20.0, 70.0), (15.0, 75.0)),
    "patella": Box((70.0, 95.0), (4.0, 14.0), (30.0, 60.0)),
    "patellar_cartilage": Box((72.0, 93.0), (14.0, 17.0), (32.0, 58.0)),
    "femoral_cartilage": Box((60.0, 62.0), (20.0, 70.0), (15.0, 75.0)),
    "tibial_cartilage": Box((54.0, 56.0), (20.0, 70.0), (15.0, 75.0)),
    "menisci": Box((56.0, 60.0), (20.0, 70.0), (15.0, 75.0)),
}
"""(low, high) along z, y, x; the middle of the tibia is at x = 45."""


def box_grid(spacing_mm: float = 1.0) -> Grid:
    """A grid that holds all of :data:`KNEE_BOXES_MM`."""
    return Grid(*(Axis.covering(0.0, extent, spacing_mm) for extent in (110.0, 80.0, 90.0)))


def probabilities_of(boxes: Mapping[str, Box], grid: Grid, probability: float = 1.0) -> KneeProbabilities:
    """Boxes in which their class has this probability, and the background the rest."""
    values = torch.zeros((len(KNEE_MR_CLASSES), *grid.shape), dtype=torch.float16)
    for name, box in boxes.items():
        inside = np.ix_(
            *((axis.positions_mm > low) & (axis.positions_mm < high) for axis, (low, high) in zip(grid, box))
        )
        where = np.zeros(grid.shape, bool)
        where[inside] = True
        values[KNEE_MR_CLASSES.index(name)][torch.from_numpy(where)] = probability
    values[0] = 1.0 - values[1:].sum(dim=0)
    return KneeProbabilities(grid, values, KNEE_MR_CLASSES)


def inside_shape(points: np.ndarray, triangles: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bool (N,): places within a surface that may be open at a shaft, which is taken to end there."""
    normals = point_normals(points, triangles)
    within = ((places > points.min(axis=0) - 0.5) & (places < points.max(axis=0) + 0.5)).all(axis=1)
    _, nearest = KDTree(points).query(places[within], k=4)
    behind = np.einsum("nkx,nkx->nk", places[within][:, None] - points[nearest], normals[nearest])
    inside = np.zeros(len(places), bool)
    inside[within] = behind.mean(axis=1) < 0.0
    return inside


def modelled_knee(
    models: Mapping[str, ShapeModel], mirrored: bool = False, weights: Mapping[str, list[float]] | None = None
) -> KneeBones:
    """Femur and tibia of the models' mean shapes (or of ``weights``), the joint line at z = 60; mirrored: left."""
    ends = ((-25.0, 145.0), (0.0, 90.0), (0.0, 110.0))
    grid = Grid(*(Axis.covering(low, high, SPACING_MM) for low, high in ends))
    z, y, x = np.meshgrid(*(axis.positions_mm for axis in grid), indexing="ij")
    places = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    probability, where = {}, {}
    for bone, upward in (("femur", 1), ("tibia", -1)):
        model = models[bone]
        points = model.shape(np.asarray((weights or {}).get(bone, [])))
        end = (upward * points[:, 2]).min()
        points = points + np.array([55.0, 45.0, 60.0 + upward * (3.0 - end)])
        inside = inside_shape(points, model.triangles, places).reshape(grid.shape)
        inside = inside[:, :, ::-1].copy() if mirrored else inside
        probability[bone], where[bone] = torch.from_numpy(inside.astype(np.float32)), inside
    return KneeBones(grid, Box.of_grid(grid), probability, where)
