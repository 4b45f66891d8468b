"""What a fitted shape makes of the slices that it was fitted to: where a bone is not, and where it is all the same.

Beyond the paper. A slice shows edges well and hides what lies beside it: a muscle between two planes of fat looks like
a shaft. The shape of the bone knows better, but follows an edge only to about half a millimetre. Near its surface
it changes nothing; further away the odds of the bone fall, and within the bone they rise, by a factor of e for every
``softness_mm``, up to a limit: slices that are surer than that keep their labels. Shapes as published, which were not
optimised, change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]: compiled; KDTree orders otherwise

from KneeSegLib.anatomy import Side
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.mesh import directed_edges, point_normals
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.settings import PRIOR, PRIOR_NEAR_MM, PRIOR_NEIGHBOURS, ShapePrior
from KneeSegLib.mr.shape_fit import FittedShape
from KneeSegLib.mr.slices import KneeProbabilities


def apply_shape_prior(
    slices: KneeProbabilities, shapes: Mapping[str, FittedShape], side: Side, prior: ShapePrior = PRIOR
) -> KneeProbabilities:
    """Return the slices' probabilities with the odds of each bone that has a shape changed by it.

    Args:
        shapes: fitted to bones, by bone.
        side: of the knee that they were fitted to.
    """
    values = slices.values.clone()
    for bone, fit in shapes.items():
        if not (fit.optimised and fit.mean_residual_mm < prior.residual_mm):  # nor where nothing of it was in view
            continue
        distance_mm, counts, grid = measure_signed_distance(fit, side, prior)
        beyond = np.sign(distance_mm) * (np.abs(distance_mm) - prior.free_mm).clip(min=0.0)
        log_odds = counts * (-beyond / prior.softness_mm).clip(-prior.most, prior.most)
        place = slices.grid.slices_within(Box.of_grid(grid))
        change = resample_to(torch.from_numpy(log_odds.astype(np.float32)), grid, slices.grid.part(place))
        probability = values[(slice(None), *place)].float()
        probability[slices.classes.index(bone)] *= change.exp()
        values[(slice(None), *place)] = (probability / probability.sum(dim=0).clamp(min=1e-6)).half()
    return KneeProbabilities(slices.grid, values, slices.classes)


def measure_signed_distance(
    fit: FittedShape, side: Side, prior: ShapePrior = PRIOR
) -> tuple[np.ndarray, np.ndarray, Grid]:
    """Signed distance to a shape's surface, negative inside, and where it counts.

    The distance is that to the tangent planes of the nearest points, so that the surface need not be closed.

    Returns:
        ``(D, H, W)`` mm and ``(D, H, W)`` bool on the grid that comes third, which reaches ``prior.reach_mm`` around.
    """
    points, triangles = fit.points_mm, fit.model.triangles.astype(np.int64)
    normals = point_normals(points, triangles) * (1.0 if side == "right" else -1.0)  # a mirror turns triangles over
    low, high = points.min(axis=0) - prior.reach_mm, points.max(axis=0) + prior.reach_mm
    grid = Grid(*(Axis.covering(low[k], high[k], prior.grid_mm) for k in (2, 1, 0)))
    z, y, x = np.meshgrid(*(axis.positions_mm for axis in grid), indexing="ij")
    places = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    away_mm, nearest = cKDTree(points).query(places, k=PRIOR_NEIGHBOURS)
    to_plane = np.einsum("nkc,nkc->nk", places[:, None] - points[nearest], normals[nearest])
    weight = 1.0 / (away_mm + PRIOR_NEAR_MM)
    distance_mm = (to_plane * weight).sum(axis=1) / weight.sum(axis=1)
    rim = _find_rim(triangles)
    to_rim_mm = cKDTree(points[rim]).query(points)[0] if len(rim) else np.full(len(points), np.inf)
    counts = (to_rim_mm[nearest[:, 0]] > prior.rim_mm) & (away_mm[:, 0] < prior.reach_mm)
    return distance_mm.reshape(grid.shape), counts.reshape(grid.shape), grid


def _find_rim(triangles: np.ndarray) -> np.ndarray:
    """Points on the open edge of a surface: those of edges that only one triangle has."""
    single, count = np.unique(np.sort(directed_edges(triangles), axis=1), axis=0, return_counts=True)
    return np.unique(single[count == 1])
