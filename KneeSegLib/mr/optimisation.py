"""Parameters of a shape model optimised on a surface, by gradient descent through the shape layer.

Landmarks are drawn to the surface, and then the shape is made to face the way that the bone does everywhere. A relief
that lies a few millimetres beside its place is near to the surface all the same, but faces another way. Where slices
fade out instead of showing an edge, what they take for the surface has little weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude
from torch.nn import functional

from KneeSegLib.geometry.masks import measure_distance_mm
from KneeSegLib.mr.settings import FARTHEST_MM, OPTIMISATION, SPACING_MM, TERRACE_VOXELS, ShapeOptimisation
from KneeSegLib.networks import ShapeLayer
from KneeSegLib.networks.shape_regressor import INPUT_SIZE


@dataclass(frozen=True)
class TargetSurface:
    """The surface of a bone in its crop.

    Attributes:
        distance_mm: ``(D, H, W)`` along z, y, x, see :func:`measure_surface_distance`.
        weight: ``(D, H, W)``, how much the surface nearest to a place counts, see :func:`weigh_edges`.
        within_mm: lowest and highest x, y, z, from the crop's centre, of landmarks that count, as they lie at first.
    """

    distance_mm: np.ndarray
    weight: np.ndarray
    within_mm: tuple[np.ndarray, np.ndarray]


def measure_surface_distance(inside: np.ndarray) -> np.ndarray:
    """Signed distance in mm, float32, to the border of what is inside a crop, terraces smoothed; negative inside."""
    outward, inward = (measure_distance_mm(mask, [SPACING_MM] * 3) for mask in (inside, ~inside))
    # Each counts from the middle of the nearest voxel on the other side.
    distance = outward - inward - 0.5 * SPACING_MM * np.where(inside, -1.0, 1.0)
    return gaussian_filter(distance, TERRACE_VOXELS).clip(-FARTHEST_MM, FARTHEST_MM).astype(np.float32)


def weigh_edges(probability: np.ndarray, settings: ShapeOptimisation = OPTIMISATION) -> np.ndarray:
    """How much the nearest piece of a bone's surface weighs, 0 to 1, float32, everywhere in a crop.

    Args:
        probability: of the bone ``(D, H, W)``.
    """
    inside = probability > 0.5
    border = inside & np.logical_not(binary_erosion(inside))
    if not border.any():
        return np.ones(probability.shape, np.float32)
    steepness = gaussian_gradient_magnitude(probability.astype(np.float32), 1.0) / SPACING_MM
    nearest = cast("np.ndarray", distance_transform_edt(~border, return_distances=False, return_indices=True))
    weight = (steepness[tuple(nearest)] / settings.sharp_per_mm) ** 2
    return weight.clip(settings.least_weight, 1.0).astype(np.float32)


def optimise_shape(
    layer: ShapeLayer,
    triangles: np.ndarray,
    parameters: np.ndarray,
    target: TargetSurface,
    settings: ShapeOptimisation = OPTIMISATION,
) -> np.ndarray:
    """Return parameters near to the given ones whose landmarks lie nearer to a surface, and face its way.

    Args:
        triangles: (T, 3) of the landmarks.
        parameters: (K + 9,) see :class:`~KneeSegLib.networks.ShapeLayer`.
        target: the surface.
    """
    # Inference mode leaves no gradients, and its tensors cannot have any: everything here is made outside of it.
    with torch.inference_mode(False), torch.enable_grad():
        layer = ShapeLayer(*(array.detach().cpu().numpy() for array in (layer.mean, *_components(layer))))
        corners = torch.from_numpy(np.asarray(triangles, np.int64))
        field, weights = torch.from_numpy(target.distance_mm), torch.from_numpy(target.weight)
        outward = torch.stack(torch.gradient(field, spacing=SPACING_MM)[::-1])
        low, high = (torch.from_numpy(np.asarray(bound)).float() for bound in target.within_mm)
        wanted, tolerated_mm = torch.from_numpy(parameters.copy()), settings.tolerated_mm
        for facing in (0.0, settings.facing):
            # Weighed once each time: a landmark that could leave the view would be well out of it.
            first = layer(wanted[None])[0]
            counts = ((first > low) & (first < high)).all(dim=1) * distance_at(weights, first)

            def loss(parameters: torch.Tensor, facing: float = facing, counts: torch.Tensor = counts) -> torch.Tensor:
                points = layer(parameters[None])[0]
                away = distance_at(field, points)
                pull = functional.huber_loss(away, torch.zeros_like(away), reduction="none", delta=tolerated_mm)
                total = 2.0 * _mean(pull, counts) + settings.deviation * parameters[: len(layer.modes)].square().sum()
                if facing:
                    directions = functional.normalize(read_fields(outward, points).T, dim=1)
                    turned = 1.0 - (_normals(points, corners) * directions).sum(dim=1)
                    total = total + facing * _mean(turned, counts * (away.detach().abs() < settings.near_mm))
                return total

            wanted = _minimise(loss, wanted, settings.rounds)
        found = wanted.numpy()
    scales = found[-3:] / layer.radius_mm
    sound = np.isfinite(found).all() and np.abs(scales).max() < np.log(settings.growth)
    return found if sound else parameters


def distance_at(distance_mm: torch.Tensor, points_mm: torch.Tensor) -> torch.Tensor:
    """A crop's distances ``(D, H, W)`` at points (N, 3): x, y, z in mm from its centre; beyond the crop those at its
    border."""
    return read_fields(distance_mm[None], points_mm)[0]


def read_fields(fields: torch.Tensor, points_mm: torch.Tensor) -> torch.Tensor:
    """A crop's fields ``(C, D, H, W)`` at points (N, 3), see :func:`distance_at`: ``(C, N)``."""
    half = (INPUT_SIZE - 1) / 2.0 * SPACING_MM
    grid = (points_mm / half)[None, None, None]
    return functional.grid_sample(fields[None], grid, padding_mode="border", align_corners=True)[0, :, 0, 0]


def _minimise(loss: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, rounds: int) -> torch.Tensor:
    """Parameters that make a loss small, by L-BFGS."""
    wanted = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([wanted], max_iter=rounds, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(wanted)
        value.backward()
        return value

    optimizer.step(closure)
    return wanted.detach()


def _normals(points: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """Area-weighted unit normals (N, 3) at the points of a surface."""
    first, second, third = points[corners].unbind(dim=1)
    faces = torch.linalg.cross(second - first, third - first)
    sums = torch.zeros_like(points).index_add(0, corners.flatten(), faces.repeat_interleave(3, dim=0))
    return functional.normalize(sums, dim=1)


def _mean(values: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean of values that count so much each."""
    return (values * counts).sum() / counts.sum().clamp(min=1)


def _components(layer: ShapeLayer) -> tuple[torch.Tensor, torch.Tensor]:
    """Components and variances that make a layer of the same modes."""
    modes = layer.modes.unflatten(1, layer.mean.shape)
    return modes, torch.ones(len(modes))
