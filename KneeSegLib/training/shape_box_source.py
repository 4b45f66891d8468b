"""Knee MR with the landmarks of shape models: what a shape network as published learns from.

It sees grey values in a bone's box, or both bones in the whole MR, see :mod:`KneeSegLib.mr.shape_boxes`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from KneeSegLib.bundles.kinds import BOTH_BONES
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.shape_boxes import NominalBox, box_grid
from KneeSegLib.networks.mr_channels import intensity_percentile, scale_signal
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.shape_source import ShapeSamples
from KneeSegLib.training.synthesis.fields import uniform
from KneeSegLib.training.synthesis.mr.landmarks_file import Landmarks
from KneeSegLib.training.synthesis.mr.lattice import locate_points
from KneeSegLib.training.synthesis.mr.render import draw_bent_lattice, render_on_lattice
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees


class ShapeBoxSource:
    """Right knees of random subjects, warped and scanned, each in a field of view of its own."""

    def __init__(self, recipe: Recipe, subjects: list[PreparedKnee], landmarks: Landmarks) -> None:
        self.recipe = recipe
        self.subjects = subjects
        self.bones = recipe.shape.bones
        self._own = [
            torch.cat(
                [each.carry_points(torch.from_numpy(landmarks.points[bone][each.template.name])) for bone in self.bones]
            )
            for each in subjects
        ]
        self._nominal = NominalBox.of_whole_mr()
        if recipe.shape.bone != BOTH_BONES:
            self._nominal = NominalBox.of_shape(landmarks.modes[recipe.shape.bone][0])

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> ShapeBoxSource:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.of_folder`."""
        return cls(recipe, read_knees(folder, group), Landmarks.load(folder))

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> ShapeSamples:
        """Return one box of one random subject; it has the one ``shape`` that the network takes."""
        recipe = self.recipe
        number = int(torch.randint(len(self.subjects), (), generator=generator))
        slab = self._draw_view(generator)
        lattice = draw_bent_lattice(slab, recipe.mr_synthesis, generator)
        scanned = render_on_lattice(self.subjects[number], slab, lattice, recipe.mr_synthesis, generator)
        x, z, y = (
            Axis(-(size - 1) / 2.0 * step, step, size) for size, step in zip(scanned.image.shape, slab.spacing_mm)
        )
        view = Grid(z, y, x)
        box = Box.of_grid(view)
        if recipe.shape.bone != BOTH_BONES:
            bone = scanned.fractions[1 + BONES.index(recipe.shape.bone)].permute(1, 2, 0) > 0.5
            around = Box.around(bone.numpy(), view) or box
            box = self._draw_margins(around, generator).within(box)
        signal = scale_signal(scanned.image, intensity_percentile(scanned.image)).permute(1, 2, 0)
        inputs = resample_to(signal, view, box_grid(box))
        origin, scale = (torch.from_numpy(of(box)).float() for of in (self._nominal.origin_in, self._nominal.scale_in))
        landmarks = locate_points(self._own[number], lattice, slab) - origin
        return ShapeSamples(inputs[None, None], landmarks[None], scale[None])

    def _draw_view(self, generator: torch.Generator) -> Slab:
        """A field of view around the joint, as large as the recipe says."""
        fit, spacing = self.recipe.shape, self.recipe.spacing_mm
        across, up, back = (round(uniform(bounds, generator) / spacing) for bounds in fit.view_mm)
        off = [uniform((-fit.off_centre_mm, fit.off_centre_mm), generator) for _ in range(3)]
        return Slab.around(torch.tensor(off), (across, up, back), (spacing,) * 3)

    def _draw_margins(self, box: Box, generator: torch.Generator) -> Box:
        """The box as inference finds it, each face by itself."""
        margin = self.recipe.shape.box_margin_mm
        return Box(*((low - uniform(margin, generator), high + uniform(margin, generator)) for low, high in box))
