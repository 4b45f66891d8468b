"""What a shape network sees that knows grey values alone, as "deep shape fitting" was published.

A bone's box, or with both bones at once the whole MR, is brought to 88 x 88 x 88 voxels, whatever spacings that takes.
So the network cannot know how large the box is: landmarks are predicted in the box stretched to a nominal size, and
come back to mm with the box. Training and inference call the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import Side
from KneeSegLib.bundles.kinds import BOTH_BONES
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.scan import Scan
from KneeSegLib.mr.bone_crop import BoneCrop
from KneeSegLib.mr.bones import KneeBones
from KneeSegLib.mr.settings import SHAPE_BOX_MARGIN_MM, SPACING_MM
from KneeSegLib.mr.shape_fit import FittedShape, ShapeNetwork
from KneeSegLib.mr.slices import scan_percentile
from KneeSegLib.networks.mr_channels import scale_signal
from KneeSegLib.networks.shape_regressor import INPUT_SIZE


@dataclass(frozen=True)
class NominalBox:
    """The box that landmarks are predicted in: lowest and highest x, y, z in mm from a shape's own origin."""

    low_mm: np.ndarray
    high_mm: np.ndarray

    @classmethod
    def of_shape(cls, mean: np.ndarray) -> NominalBox:
        """The box that a mean shape (P, 3) fills: so does the shape that a network of zeros predicts."""
        return cls(mean.min(axis=0), mean.max(axis=0))

    @classmethod
    def of_whole_mr(cls) -> NominalBox:
        """About that of a knee's MR, in whose middle both shapes have their origin."""
        half = np.full(3, INPUT_SIZE * SPACING_MM / 2.0)
        return cls(-half, half)

    def scale_in(self, box: Box) -> np.ndarray:
        """Return how many mm one predicted mm is in a box, along x, y, z."""
        return np.array([high - low for low, high in reversed(box)]) / (self.high_mm - self.low_mm)

    def origin_in(self, box: Box) -> np.ndarray:
        """Return where in a box the shape's own origin lies, x, y, z in mm."""
        return np.array([low for low, _ in reversed(box)]) - self.low_mm * self.scale_in(box)

    def mirrored(self) -> NominalBox:
        """The box seen in a mirror: x runs the other way."""
        low, high = self.low_mm.copy(), self.high_mm.copy()
        low[0], high[0] = -self.high_mm[0], -self.low_mm[0]
        return NominalBox(low, high)


def box_grid(box: Box) -> Grid:
    """Return the grid of 88 x 88 x 88 voxels that fills a box."""
    steps = [(high - low) / INPUT_SIZE for low, high in box]
    return Grid(*(Axis(low + step / 2.0, step, INPUT_SIZE) for (low, _), step in zip(box, steps)))


@dataclass(frozen=True)
class SignalShapeNetwork(ShapeNetwork):
    """The same as published: it sees the grey values of ``scan`` in the bone's box, or with both bones in all of it."""

    scan: Scan

    def fit(self, bones: KneeBones, bone: str, side: Side) -> FittedShape:
        """As :meth:`ShapeFitter.fit`; a left knee is shown in a mirror, and nothing is optimised."""
        whole = self.network.spec.bone == BOTH_BONES
        box = bones.scan
        if not whole:
            box = Box.of_mask(bones.inside[bone], bones.grid).grown(SHAPE_BOX_MARGIN_MM).within(bones.scan)
        grid = box_grid(box)
        grid = grid.mirrored() if side == "left" else grid
        device = self.network.device.torch_name
        image = resample_to(self.scan.values, self.scan.grid, grid, device=device)
        signal = scale_signal(image, scan_percentile(self.scan.values))
        predicted = self.network.network(signal[None, None]).float().cpu()
        layer = self.layer()
        start = self.place * layer.parameters_per_shape
        parameters = predicted[:, start : start + layer.parameters_per_shape]
        nominal = NominalBox.of_whole_mr() if whole else NominalBox.of_shape(self.model.mean)
        crop = BoneCrop.of_bone(bones, bone, side)
        nominal = nominal.mirrored() if side == "left" else nominal
        points_mm = layer(parameters)[0].double().numpy() * crop.mirror * nominal.scale_in(box) + nominal.origin_in(box)
        residual = crop.measure_residual((points_mm - crop.centre_mm) * crop.mirror)
        return FittedShape(points_mm, parameters[0, : self.modes].numpy(), residual, self.model, optimised=False)
