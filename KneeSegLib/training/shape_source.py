"""Crops of bones with the landmarks of a shape model: what a shape network learns from.

The network sees how likely each voxel is bone, as a slice network might have said it, and no grey values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from KneeSegLib.mr.crops import crop_centre
from KneeSegLib.mr.settings import SPACING_MM
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.synthesis.fields import blur, chance, uniform
from KneeSegLib.training.synthesis.mr.landmarks_file import Landmarks
from KneeSegLib.training.synthesis.mr.lattice import locate_points
from KneeSegLib.training.synthesis.mr.noise import compute_fraction_within, draw_stretched_noise
from KneeSegLib.training.synthesis.mr.render import draw_bent_lattice
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees

SPARE_VOXELS = 12
"""Rendered around the crop: where it has to hang is known only after the warp."""

_HALF_WIDTHS_TO_SIGMA = 0.3
"""Standard deviation of the blur of slices so thick, as a share of their thickness."""


@dataclass
class ShapeSamples:
    """Crops ``(N, 2, 88, 88, 88)`` along z, y, x and landmarks ``(N, P, 3)``: x, y, z in mm from the crop's centre."""

    inputs: torch.Tensor
    landmarks_mm: torch.Tensor

    def separated(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """One by one, small enough to be kept."""
        yield from zip(self.inputs.half(), self.landmarks_mm)

    @classmethod
    def together(cls, separated: Sequence[tuple[torch.Tensor, ...]]) -> ShapeSamples:
        """Samples that :meth:`separated` took apart."""
        inputs, landmarks = (torch.stack(column) for column in zip(*separated))
        return cls(inputs.float(), landmarks)


class ShapeSource:
    """Right knees of random people, warped as for images, with the errors that a segmentation of them may have."""

    def __init__(self, recipe: Recipe, people: list[PreparedKnee], landmarks: Landmarks) -> None:
        self.recipe = recipe
        self.people = people
        points = landmarks.points[recipe.shape.bone]
        self._own = [person.carry_points(torch.from_numpy(points[person.template.name])) for person in people]

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> ShapeSource:
        """A source of the people of a group who are prepared in a folder."""
        return cls(recipe, read_knees(folder, group), Landmarks.load(folder))

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> ShapeSamples:
        """One crop of one random person."""
        fit, synthesis = self.recipe.shape, self.recipe.synthesis
        number = int(torch.randint(len(self.people), (), generator=generator))
        person, own = self.people[number], self._own[number]
        size = [edge + 2 * SPARE_VOXELS for edge in shape]
        spacing = (SPACING_MM,) * 3
        middle = crop_centre(own, fit.bone)
        lattice = draw_bent_lattice(size, spacing, middle, synthesis, generator)
        landmarks = locate_points(own, lattice, size, spacing)
        wanted = crop_centre(landmarks, fit.bone) + torch.tensor(
            [uniform((-fit.off_centre_mm, fit.off_centre_mm), generator) for _ in range(3)]
        )
        shift = (wanted / SPACING_MM).round().clamp(-SPARE_VOXELS, SPARE_VOXELS)
        x, y, z = (SPARE_VOXELS + int(voxels) for voxels in shift)
        scene = person.sample(lattice, size, spacing)
        error_mm = uniform(fit.surface_mm, generator) * draw_stretched_noise(
            size, spacing, fit.surface_scale_mm, generator
        )
        likely = compute_fraction_within(scene.bone_mm + error_mm, spacing)
        own_bone = likely * (scene.owner == BONES.index(fit.bone) + 1)
        crop = torch.stack([own_bone, likely - own_bone])
        crop = crop[:, x : x + shape[2], z : z + shape[0], y : y + shape[1]].permute(0, 2, 3, 1)
        return ShapeSamples(self._spoilt(crop, generator)[None], (landmarks - shift * SPACING_MM)[None])

    def _spoilt(self, crop: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The crop ``(2, D, H, W)`` of thick slices, with a hole, or cut off by a field of view."""
        fit = self.recipe.shape
        crop = crop.clone()
        if chance(fit.thick_probability, generator):
            sigma = _HALF_WIDTHS_TO_SIGMA * uniform(fit.thick_mm, generator) / SPACING_MM
            crop = torch.stack([blur(channel, (0.0, 0.0, sigma)) for channel in crop])
        if chance(fit.hole_probability, generator):
            inside = torch.nonzero(crop[0] > 0.5)
            if len(inside):
                centre = inside[int(torch.randint(len(inside), (), generator=generator))]
                away = [(torch.arange(size) - int(c)) ** 2 for size, c in zip(crop.shape[1:], centre)]
                squared = away[0][:, None, None] + away[1][:, None] + away[2]
                crop[0][squared < (uniform(fit.hole_mm, generator) / SPACING_MM) ** 2] = 0.0
        for axis, nearest in enumerate((0.5, 0.75, 0.75)):
            if chance(fit.cut_probability, generator):
                size = crop.shape[1 + axis]
                kept = round(uniform((nearest, 1.0), generator) * size)
                far = self._far_end(axis, generator)
                crop.narrow(1 + axis, kept if far else 0, size - kept).zero_()
        return crop

    def _far_end(self, axis: int, generator: torch.Generator) -> bool:
        """Whether the last layers are cut off; lengthwise always those of the shaft."""
        if axis == 0:
            return self.recipe.shape.bone == "femur"
        return chance(0.5, generator)
