"""Second stage: one pass of a network over each bone fits a shape model to it.

After "deep shape fitting": the network predicts the weights of the model and the pose, the shape layer turns them into
landmarks. Beyond the paper the same parameters are then optimised on the surface that the slices found
(:mod:`KneeSegLib.mr.optimisation`): the layer is differentiable, so that takes a fraction of a second.
Fitted to a knee and to its mirror image, the shapes also tell which side it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from KneeSegLib.anatomy import SIDES, Side
from KneeSegLib.bundles.model import Model
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.bones import KneeBones
from KneeSegLib.mr.crops import crop_centre
from KneeSegLib.mr.optimisation import (
    TargetSurface,
    distance_at,
    measure_surface_distance,
    optimise_shape,
    weigh_edges,
)
from KneeSegLib.mr.settings import FARTHEST_MM, OPTIMISATION, SPACING_MM
from KneeSegLib.networks import ShapeLayer
from KneeSegLib.networks.shape_regressor import INPUT_SIZE, ShapeRegressor
from KneeSegLib.shape.model import ShapeModel


@dataclass(frozen=True)
class ShapeNetwork:
    """A network and the shape model whose parameters it predicts.

    Raises:
        ModelError: the network was trained with another shape model.
    """

    network: Model
    model: ShapeModel

    def __post_init__(self) -> None:
        expected = self.network.spec.shape_variances_mm2 or ()
        if not np.allclose(self.model.variances[: len(expected)], expected, rtol=1e-3):
            raise ModelError(
                f"The bundle {self.network.spec.name} was trained with another shape model than the one that is "
                "installed; install the files that belong to this version."
            )

    @property
    def modes(self) -> int:
        """How many modes of the model the network has weights for."""
        return cast("ShapeRegressor", self.network.network).modes

    def layer(self) -> ShapeLayer:
        """The shape layer of as many modes as the network has weights for."""
        modes = self.modes
        return ShapeLayer(self.model.mean, self.model.components[:modes], self.model.variances[:modes])


@dataclass(frozen=True)
class FittedShape:
    """A shape model fitted to one bone.

    Attributes:
        points_mm: (P, 3) x, y, z in mm of the scan.
        weights: of the modes, in standard deviations.
        residual_mm: (P,) distance of each point from the surface of the bone in the labels, negative within the bone;
            NaN at and beyond the border of the scan.
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


def fit_shapes(networks: Mapping[str, ShapeNetwork], bones: KneeBones, side: Side) -> dict[str, FittedShape]:
    """Fit the shape of every bone that there is a network for, taking the knee for one of ``side``."""
    return {
        bone: fit_shape(network, bones, bone, side) for bone, network in networks.items() if bone in bones.probability
    }


def fit_shape(shape: ShapeNetwork, bones: KneeBones, bone: str, side: Side) -> FittedShape:
    """Fit one bone; a left one is shown in a mirror."""
    centre = crop_centre(bones.places_mm(bone), bone).double().numpy()
    half = (INPUT_SIZE - 1) / 2.0 * SPACING_MM
    crop = Grid(*(Axis(float(middle) - half, SPACING_MM, INPUT_SIZE) for middle in centre[::-1]))
    crop = crop.mirrored() if side == "left" else crop
    own = resample_to(bones.probability[bone], bones.grid, crop)
    rest = [resample_to(other, bones.grid, crop) for name, other in bones.probability.items() if name != bone]
    others = torch.stack(rest).sum(dim=0) if rest else torch.zeros_like(own)
    channels = torch.stack([own, others])[None].to(shape.network.device.torch_name)
    predicted = shape.network.network(channels).float().cpu().numpy()[0]
    distance = measure_surface_distance((own > 0.5).numpy())
    mirror = np.array([-1.0 if side == "left" else 1.0, 1.0, 1.0])
    low, high = np.array(bones.scan.grown(-OPTIMISATION.border_mm))[::-1].T - centre
    within = (low, high) if side == "right" else (np.array([-high[0], *low[1:]]), np.array([-low[0], *high[1:]]))
    target = TargetSurface(distance, weigh_edges(own.numpy()), within)
    layer = shape.layer()
    parameters = optimise_shape(layer, shape.model.triangles, predicted, target)
    last = layer(torch.from_numpy(parameters)[None])[0].double().numpy()
    in_view = ((last > within[0]) & (last < within[1])).all(axis=1)
    residual = np.where(
        in_view, distance_at(torch.from_numpy(distance), torch.from_numpy(last).float()).numpy(), np.nan
    )
    return FittedShape(last * mirror + centre, parameters[: shape.modes], residual, shape.model)


@dataclass(frozen=True)
class SideFound:
    """Which side a knee is of.

    Attributes:
        side: that which was known, else that whose shapes fit better.
        known: whether it was known.
        residual_mm: mean residual of the shapes of either side.
        certainty: how much better this side's shapes fit than the other's, as a fraction of the other's residual;
            negative where they fit worse.
    """

    side: Side
    known: bool
    residual_mm: dict[Side, float]
    certainty: float


def fit_side(
    networks: Mapping[str, ShapeNetwork], bones: KneeBones, known: Side | None = None
) -> tuple[SideFound, dict[str, FittedShape]]:
    """Fit the knee as a right and as a left one; return the side, if it is not known that which fits better, and its
    shapes."""
    fits = {side: fit_shapes(networks, bones, side) for side in SIDES}
    residual: dict[Side, float] = {side: _mean_residual_mm(fits[side]) for side in SIDES}
    side = known or min(SIDES, key=residual.__getitem__)
    other = residual["left" if side == "right" else "right"]
    certainty = 1.0 - residual[side] / other if other > 0 else 0.0
    return SideFound(side, known is not None, residual, certainty), fits[side]


def _mean_residual_mm(fits: Mapping[str, FittedShape]) -> float:
    """Over the bones; a shape that is out of view altogether is as far away as can be."""
    found = [fit.mean_residual_mm for fit in fits.values()]
    return float(np.mean([FARTHEST_MM if np.isnan(mm) else mm for mm in found])) if found else FARTHEST_MM
