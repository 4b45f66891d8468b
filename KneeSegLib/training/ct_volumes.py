"""Sample source for networks of whole femora: rendered CT of a leg, and crops of it on the network's grid."""

from __future__ import annotations

import math

import torch

from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.inference.volume_input import make_volume_input, sample_linearly, stretch_grid
from KneeSegLib.training.ct_sources import CtSource
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.settings import VOLUME_AROUND_MM, VOLUME_SHORTEST_MM
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.ct import SyntheticCt, render_ct
from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.subjects import PreparedSubject


class FemurVolumeSource(CtSource):
    """Femora as far as a CT shows them, each in its box on the network's grid; left ones in a mirror."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return several crops of one rendered CT, the first as long as the CT, the others cut short."""
        recipe = self.recipe
        subject = self._draw_subject(generator)
        left = chance(0.5, generator) and CLASSES.index("femur_left") in subject.heights_mm
        index = CLASSES.index("femur_left" if left else "femur_right")
        spacing = uniform((recipe.volume.finest_spacing_mm, recipe.spacing_mm), generator)
        image = self._render_around(subject, index, spacing, generator)
        femur = image.occupancy * (image.nearest == index)
        grid = Grid.of_scan((femur.shape[0], femur.shape[1], femur.shape[2]), (spacing, spacing, spacing))
        inputs, filled = [], []
        for number in range(recipe.volume.per_render):
            rows = self._draw_rows(femur, spacing, generator) if number else slice(None)
            whole = (rows, slice(None), slice(None))
            part = grid.part(whole)
            box = Box.of_mask((femur[rows] > 0.5).numpy(), part)
            margins = [[uniform(recipe.volume.margin_mm, generator) for _ in range(2)] for _ in range(3)]
            box = Box(*((low - below, high + above) for (low, high), (below, above) in zip(box, margins)))
            depth, height, width = shape
            target = stretch_grid(box.within(Box.of_grid(part)), (depth, height, width))
            target = target.mirrored() if left else target
            inputs.append(make_volume_input(image.hu[rows].numpy(), part, target, recipe.volume.input))
            filled.append(sample_linearly(femur[rows], part, target))
        occupancy = torch.stack(filled)
        classes = torch.ones_like(occupancy, dtype=torch.uint8)
        labels = SoftLabels(classes, occupancy, torch.ones_like(occupancy), torch.zeros_like(classes))
        return Samples(torch.stack(inputs), labels)

    def _render_around(
        self, subject: PreparedSubject, index: int, spacing_mm: float, generator: torch.Generator
    ) -> SyntheticCt:
        """Render the femur with room for its turns and its surroundings."""
        synthesis = self.recipe.ct_synthesis
        box = subject.measure_box_mm(index)
        extent = (box[:, 1] - box[:, 0]) * synthesis.warp.scale[1]
        tilt = math.sin(math.radians(max(map(abs, synthesis.warp.tilt_degrees))))
        extent = extent + 2.0 * VOLUME_AROUND_MM + torch.tensor([0.0, 1.0, 1.0]) * tilt * extent[0]
        shape = [math.ceil(float(size) / spacing_mm) for size in extent]
        return render_ct(subject, shape, spacing_mm, box.mean(1), synthesis, generator)

    def _draw_rows(self, femur: torch.Tensor, spacing_mm: float, generator: torch.Generator) -> slice:
        """Draw a field of view that ends in the femur: the slices from one end of the CT to somewhere within."""
        seen = torch.nonzero((femur > 0.5).flatten(1).any(1))[:, 0]
        first, last = int(seen[0]), int(seen[-1])
        shortest = min(math.ceil(VOLUME_SHORTEST_MM / spacing_mm), last - first)
        kept = int(uniform((float(shortest), float(last - first)), generator))
        return slice(None, first + kept) if chance(0.5, generator) else slice(last - kept, None)
