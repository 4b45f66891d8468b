"""Second stage: one look of a network at each bone fits a shape model to it.

After "deep shape fitting": the network names the weights of the model and the pose, the shape layer turns them into
landmarks. Fitted to a knee and to its mirror image, the shapes also tell which side it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, map_coordinates
from torch import nn

from KneeSegLib.anatomy import SIDES, Side
from KneeSegLib.inference.axes import Axis, Box, Grid
from KneeSegLib.inference.mr.bones import KneeBones
from KneeSegLib.inference.mr.crops import SPACING_MM, crop_centre
from KneeSegLib.inference.resample import resampled
from KneeSegLib.networks import ShapeLayer
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.shape.model import ShapeModel

FARTHEST_MM = 10.0
"""Residuals are clipped here."""

_BORDER_MM = 3.0


@dataclass(frozen=True)
class ShapeNetwork:
    """A network and the model whose parameters it names."""

    network: nn.Module
    model: ShapeModel

    def layer(self, device: str) -> ShapeLayer:
        """The shape layer of as many modes as the network has weights for."""
        modes = self.network.modes
        model = self.model
        layer = ShapeLayer(model.mean, model.components[:modes], model.variances[:modes])
        return layer.to(device)


@dataclass(frozen=True)
class FittedShape:
    """A shape model fitted to one bone.

    Attributes:
        points_mm: (P, 3) x, y, z in mm of the scan.
        weights: of the modes, in standard deviations.
        residual_mm: (P,) distance of each point from the surface of the bone in the labels, negative within the bone;
            NaN beyond the field of view.
        model: what was fitted.
    """

    points_mm: np.ndarray
    weights: np.ndarray
    residual_mm: np.ndarray
    model: ShapeModel

    @property
    def mean_residual_mm(self) -> float:
        """Mean distance of the points in view from the bone's surface; NaN where none is in view."""
        seen = self.residual_mm[np.isfinite(self.residual_mm)]
        return float(np.abs(seen).mean()) if seen.size else float("nan")


def fit_shapes(
    networks: Mapping[str, ShapeNetwork], bones: KneeBones, side: Side, device: str = "cpu"
) -> dict[str, FittedShape]:
    """Fit the shape of every bone that there is a network for, taking the knee for one of ``side``."""
    return {
        bone: fit_shape(network, bones, bone, side, device)
        for bone, network in networks.items()
        if bone in bones.likely
    }


def fit_shape(shape: ShapeNetwork, bones: KneeBones, bone: str, side: Side, device: str = "cpu") -> FittedShape:
    """Fit one bone; a left one is looked at in a mirror."""
    places = bones.places_mm(bone)
    x, y, z = (float(value) for value in crop_centre(places, bone))
    half = (INPUT_SIZE - 1) / 2.0 * SPACING_MM
    crop = Grid(*(Axis(middle - half, SPACING_MM, INPUT_SIZE) for middle in (z, y, x)))
    crop = crop.mirrored() if side == "left" else crop
    own = resampled(bones.likely[bone], bones.grid, crop)
    rest = [resampled(likely, bones.grid, crop) for name, likely in bones.likely.items() if name != bone]
    others = torch.stack(rest).sum(dim=0) if rest else torch.zeros_like(own)
    parameters = shape.network(torch.stack([own, others])[None].to(device)).float()
    points = shape.layer(device)(parameters)[0].cpu().double().numpy()
    if side == "left":
        points = points * (-1.0, 1.0, 1.0)
    points = points + (x, y, z)
    weights = parameters[0, : shape.network.modes].cpu().numpy()
    return FittedShape(points, weights, residuals_mm(points, bones, bone), shape.model)


def residuals_mm(points_mm: np.ndarray, bones: KneeBones, bone: str) -> np.ndarray:
    """Signed distance (P,) of points (P, 3) from the bone's main piece, NaN at and beyond the scan's border."""
    inside = bones.inside[bone]
    outward = distance_transform_edt(~inside, sampling=SPACING_MM)
    inward = distance_transform_edt(inside, sampling=SPACING_MM)
    distance = np.clip(outward - inward, -FARTHEST_MM, FARTHEST_MM)
    index = [(points_mm[:, 2 - k] - axis.first_mm) / axis.step_mm for k, axis in enumerate(bones.grid)]
    found = map_coordinates(distance, index, order=1, mode="nearest")
    # Half a voxel lies between the middles of voxels on either side of a surface.
    found = found - 0.5 * SPACING_MM * np.sign(found) * (np.abs(found) > 0.5 * SPACING_MM)
    box = Box.of_grid(bones.grid).grown(-_BORDER_MM)
    seen = np.all([(points_mm[:, 2 - k] > low) & (points_mm[:, 2 - k] < high) for k, (low, high) in enumerate(box)], 0)
    return np.where(seen, found, np.nan)


@dataclass(frozen=True)
class SideFound:
    """Which side a knee is of, by the shapes: mean residuals in mm of either, and how clearly they differ (0..1)."""

    side: Side
    residual_mm: dict[Side, float]
    certainty: float


def side_by_shape(
    networks: Mapping[str, ShapeNetwork], bones: KneeBones, device: str = "cpu"
) -> tuple[SideFound, dict[str, FittedShape]]:
    """Fit the knee as a right and as a left one; return the side that fits better, and its shapes."""
    fits = {side: fit_shapes(networks, bones, side, device) for side in SIDES}
    residual = {side: float(np.nanmean([fit.mean_residual_mm for fit in fits[side].values()])) for side in SIDES}
    best = min(SIDES, key=residual.__getitem__)
    worst = max(residual.values())
    certainty = 1.0 - residual[best] / worst if worst > 0 else 0.0
    return SideFound(best, residual, certainty), fits[best]
