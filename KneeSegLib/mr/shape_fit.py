"""Second stage: one pass of a network over each bone fits a shape model to it.

After "deep shape fitting": the network predicts the weights of the model and the pose, the shape layer turns them into
landmarks. Beyond the paper the same parameters are then optimised on the surface that the slices found
(:mod:`KneeSegLib.mr.optimisation`): the layer is differentiable, so that takes a fraction of a second. Networks that
see grey values are taken as published: what they predict is the shape.
Fitted to a knee and to its mirror image, the shapes also tell which side it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch

from KneeSegLib.anatomy import SIDES, Side
from KneeSegLib.bundles.kinds import BOTH_BONES, SHAPE_BONES
from KneeSegLib.bundles.model import Model
from KneeSegLib.errors import ModelError
from KneeSegLib.mr.bone_crop import BoneCrop
from KneeSegLib.mr.bones import KneeBones
from KneeSegLib.mr.optimisation import TargetSurface, optimise_shape, weigh_edges
from KneeSegLib.mr.settings import FARTHEST_MM
from KneeSegLib.networks import ShapeLayer
from KneeSegLib.networks.shape_regressor import ShapeRegressor
from KneeSegLib.shape.model import ShapeModel


class ShapeFitter(Protocol):
    """Fits the shape of a bone."""

    def fit(self, bones: KneeBones, bone: str, side: Side) -> FittedShape:
        """Fit one bone, taking the knee for one of ``side``."""
        ...


@dataclass(frozen=True)
class ShapeNetwork:
    """A network and the shape model whose parameters it predicts.

    Raises:
        ModelError: the network was trained with another shape model.
    """

    network: Model
    model: ShapeModel

    def __post_init__(self) -> None:
        spec = self.network.spec
        expected = (spec.shape_variances_mm2 or ())[self.first_mode :][: self.modes]
        if spec.bone == BOTH_BONES and (spec.input != "signal" or len(expected) != self.modes):
            raise ModelError(
                f"The bundle {spec.name} says that it fits both bones and does not hold both; train it by the recipe "
                "as-published-mr-shape-both."
            )
        if not np.allclose(self.model.variances[: len(expected)], expected, rtol=1e-3):
            raise ModelError(
                f"The bundle {spec.name} was trained with another shape model than the one that is "
                "installed; install the files that belong to this version."
            )

    @property
    def place(self) -> int:
        """Which of the network's shapes is this bone's."""
        return SHAPE_BONES.index(self.model.bone) if self.network.spec.bone == BOTH_BONES else 0

    @property
    def first_mode(self) -> int:
        """Where the variances of this bone's modes begin in the network's description."""
        return self.place * self.modes

    @property
    def modes(self) -> int:
        """How many modes of the model the network has weights for."""
        return cast("ShapeRegressor", self.network.network).modes

    def layer(self) -> ShapeLayer:
        """The shape layer of as many modes as the network has weights for."""
        modes = self.modes
        return ShapeLayer(self.model.mean, self.model.components[:modes], self.model.variances[:modes])

    def fit(self, bones: KneeBones, bone: str, side: Side) -> FittedShape:
        """As :meth:`ShapeFitter.fit`; a left bone is shown in a mirror."""
        crop = BoneCrop.of_bone(bones, bone, side)
        rest = [crop.read(other, bones) for name, other in bones.probability.items() if name != bone]
        others = torch.stack(rest).sum(dim=0) if rest else torch.zeros_like(crop.probability)
        channels = torch.stack([crop.probability, others])[None].to(self.network.device.torch_name)
        predicted = self.network.network(channels).float().cpu().numpy()[0]
        target = TargetSurface(crop.distance_mm, weigh_edges(crop.probability.numpy()), crop.within_mm)
        layer = self.layer()
        parameters = optimise_shape(layer, self.model.triangles, predicted, target)
        points = layer(torch.from_numpy(parameters)[None])[0].double().numpy()
        return FittedShape(
            crop.to_scan(points), parameters[: self.modes], crop.measure_residual(points), self.model, optimised=True
        )


@dataclass(frozen=True)
class FittedShape:
    """A shape model fitted to one bone.

    Attributes:
        points_mm: (P, 3) x, y, z in mm of the scan.
        weights: of the modes, in standard deviations.
        residual_mm: (P,) distance of each point from the surface of the bone in the labels, negative within the bone;
            NaN at and beyond the border of the scan.
        model: what was fitted.
        optimised: whether it was drawn to that surface; else it is what a network predicted.
    """

    points_mm: np.ndarray
    weights: np.ndarray
    residual_mm: np.ndarray
    model: ShapeModel
    optimised: bool = True

    @property
    def mean_residual_mm(self) -> float:
        """Mean distance of the points in view from the bone's surface; NaN where none is in view."""
        seen = self.residual_mm[np.isfinite(self.residual_mm)]
        return float(np.abs(seen).mean()) if seen.size else float("nan")


def fit_shapes(networks: Mapping[str, ShapeFitter], bones: KneeBones, side: Side) -> dict[str, FittedShape]:
    """Fit the shape of every bone that there is a network for, taking the knee for one of ``side``."""
    return {bone: network.fit(bones, bone, side) for bone, network in networks.items() if bone in bones.probability}


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
    networks: Mapping[str, ShapeFitter], bones: KneeBones, known: Side | None = None
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
