"""Second stage: one look of a network at each bone fits a shape model to it.

After "deep shape fitting": the network names the weights of the model and the pose, the shape layer turns them into
landmarks. Beyond the paper the same parameters are then settled on the surface that the slices found: the layer is
differentiable, so that the distance of the landmarks from the surface can be made small in a fraction of a second.
Fitted to a knee and to its mirror image, the shapes also tell which side it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import nn

from KneeSegLib.anatomy import SIDES, Side
from KneeSegLib.inference.axes import Axis, Grid
from KneeSegLib.inference.mr.bones import KneeBones
from KneeSegLib.inference.mr.crops import SPACING_MM, crop_centre
from KneeSegLib.inference.resample import resampled
from KneeSegLib.networks import ShapeLayer
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.shape.model import ShapeModel

FARTHEST_MM = 10.0
"""Residuals are clipped here."""


@dataclass(frozen=True)
class Settling:
    """How parameters are settled on a surface. All of its numbers stand here.

    Attributes:
        rounds: of L-BFGS.
        tolerated_mm: farther landmarks pull no harder than this: they may belong to a piece that is missing.
        unlikely: penalty of one squared standard deviation of a weight, in mm² of mean squared distance.
        growth: a shape whose scale along an axis came to more than this, or less than its inverse, is taken back to
            what the network said.
        border_mm: landmarks nearer to the border of the scan do not count: the bone may be cut there.
    """

    rounds: int = 60
    tolerated_mm: float = 3.0
    unlikely: float = 0.01
    growth: float = 1.5
    border_mm: float = 3.0


SETTLING = Settling()


@dataclass(frozen=True)
class ShapeNetwork:
    """A network and the model whose parameters it names."""

    network: nn.Module
    model: ShapeModel

    def layer(self) -> ShapeLayer:
        """The shape layer of as many modes as the network has weights for."""
        modes = self.network.modes
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
    centre = crop_centre(bones.places_mm(bone), bone).double().numpy()
    half = (INPUT_SIZE - 1) / 2.0 * SPACING_MM
    crop = Grid(*(Axis(float(middle) - half, SPACING_MM, INPUT_SIZE) for middle in centre[::-1]))
    crop = crop.mirrored() if side == "left" else crop
    own = resampled(bones.likely[bone], bones.grid, crop)
    rest = [resampled(likely, bones.grid, crop) for name, likely in bones.likely.items() if name != bone]
    others = torch.stack(rest).sum(dim=0) if rest else torch.zeros_like(own)
    seen = shape.network(torch.stack([own, others])[None].to(device)).float().cpu().numpy()[0]

    distance = surface_distance_mm((own > 0.5).numpy())
    mirror = np.array([-1.0 if side == "left" else 1.0, 1.0, 1.0])
    low, high = np.array(bones.scan.grown(-SETTLING.border_mm))[::-1].T - centre
    within = (low, high) if side == "right" else (np.array([-high[0], *low[1:]]), np.array([-low[0], *high[1:]]))
    layer = shape.layer()
    parameters = settled(layer, seen, distance, within)
    last = layer(torch.from_numpy(parameters)[None])[0].double().numpy()
    in_view = ((last > within[0]) & (last < within[1])).all(axis=1)
    residual = np.where(
        in_view, distance_at(torch.from_numpy(distance), torch.from_numpy(last).float()).numpy(), np.nan
    )
    return FittedShape(last * mirror + centre, parameters[: shape.network.modes], residual, shape.model)


def surface_distance_mm(inside: np.ndarray) -> np.ndarray:
    """Signed distance in mm, float32, to the border of what is inside a crop, terraces smoothed; negative inside."""
    outward, inward = (distance_transform_edt(mask, sampling=SPACING_MM) for mask in (~inside, inside))
    # Each counts from the middle of the nearest voxel on the other side.
    distance = outward - inward - 0.5 * SPACING_MM * np.where(inside, -1.0, 1.0)
    return gaussian_filter(distance, 0.7).clip(-FARTHEST_MM, FARTHEST_MM).astype(np.float32)


def settled(
    layer: ShapeLayer,
    parameters: np.ndarray,
    distance_mm: np.ndarray,
    within_mm: tuple[np.ndarray, np.ndarray],
    settling: Settling = SETTLING,
) -> np.ndarray:
    """Return parameters near to the given ones whose landmarks lie nearer to a surface.

    Args:
        parameters: (K + 9,) see :class:`~KneeSegLib.networks.ShapeLayer`.
        distance_mm: ``(D, H, W)`` along z, y, x, see :func:`surface_distance_mm`.
        within_mm: lowest and highest x, y, z, from the crop's centre, of landmarks that count, as they lie at first.
    """
    modes = layer.parameters_per_shape - 9
    # Inference mode leaves no gradients, and its tensors cannot have any: everything here is made outside of it.
    with torch.inference_mode(False), torch.enable_grad():
        layer = ShapeLayer(*(array.detach().cpu().numpy() for array in (layer.mean, *_components(layer))))
        distance = torch.from_numpy(distance_mm)
        low, high = (torch.from_numpy(np.asarray(bound)).float() for bound in within_mm)
        wanted = torch.from_numpy(parameters.copy())
        first = layer(wanted[None])[0]
        # Settled once: a landmark that could leave the view would be well out of it.
        counts = ((first > low) & (first < high)).all(dim=1)
        wanted.requires_grad_(True)

        def loss() -> torch.Tensor:
            points = layer(wanted[None])[0]
            away = distance_at(distance, points)
            pull = nn.functional.huber_loss(away, torch.zeros_like(away), reduction="none", delta=settling.tolerated_mm)
            mean = 2.0 * (pull * counts).sum() / counts.sum().clamp(min=1)
            return mean + settling.unlikely * wanted[:modes].square().sum()

        optimizer = torch.optim.LBFGS([wanted], max_iter=settling.rounds, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        optimizer.step(closure)
        found = wanted.detach().numpy()
    scales = found[-3:] / layer.radius_mm
    sound = np.isfinite(found).all() and np.abs(scales).max() < np.log(settling.growth)
    return found if sound else parameters


def distance_at(distance_mm: torch.Tensor, points_mm: torch.Tensor) -> torch.Tensor:
    """A crop's distances ``(D, H, W)`` at points (N, 3): x, y, z in mm from its centre; beyond the crop those at its
    border."""
    half = (INPUT_SIZE - 1) / 2.0 * SPACING_MM
    grid = (points_mm / half)[None, None, None]
    return nn.functional.grid_sample(distance_mm[None, None], grid, padding_mode="border", align_corners=True)[
        0, 0, 0, 0
    ]


def _components(layer: ShapeLayer) -> tuple[torch.Tensor, torch.Tensor]:
    """Components and variances that make a layer of the same modes."""
    modes = layer.modes.unflatten(1, layer.mean.shape)
    return modes, torch.ones(len(modes))


@dataclass(frozen=True)
class SideFound:
    """Which side a knee is of.

    Attributes:
        side: that which was known, else that whose shapes fit better.
        known: whether it was known.
        residual_mm: mean residual of the shapes of either side.
        certainty: how much better this side's shapes fit than the other's, as a share of the other's residual;
            negative where they fit worse.
    """

    side: Side
    known: bool
    residual_mm: dict[Side, float]
    certainty: float


def side_by_shape(
    networks: Mapping[str, ShapeNetwork], bones: KneeBones, known: Side | None = None, device: str = "cpu"
) -> tuple[SideFound, dict[str, FittedShape]]:
    """Fit the knee as a right and as a left one; return the side, if it is not known that which fits better, and its
    shapes."""
    fits = {side: fit_shapes(networks, bones, side, device) for side in SIDES}
    residual = {side: _mean_residual_mm(fits[side]) for side in SIDES}
    side = known or min(SIDES, key=residual.__getitem__)
    other = residual["left" if side == "right" else "right"]
    certainty = 1.0 - residual[side] / other if other > 0 else 0.0
    return SideFound(side, known is not None, residual, certainty), fits[side]


def _mean_residual_mm(fits: Mapping[str, FittedShape]) -> float:
    """Over the bones; a shape that is out of view altogether is as far away as can be."""
    found = [fit.mean_residual_mm for fit in fits.values()]
    return float(np.mean([FARTHEST_MM if np.isnan(mm) else mm for mm in found])) if found else FARTHEST_MM
