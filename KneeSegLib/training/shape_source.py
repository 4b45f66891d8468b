"""Crops of bones with the landmarks of a shape model: what a shape network learns from.

The network sees the probability of bone, as a slice network might predict it, and no grey values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from KneeSegLib.mr.crops import crop_centre
from KneeSegLib.mr.settings import SPACING_MM
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.settings import SHAPE_SPARE_VOXELS, SHAPE_VIEW_FROM, SLICE_BLUR_SIGMA
from KneeSegLib.training.synthesis.fields import blur, chance, uniform
from KneeSegLib.training.synthesis.mr.landmarks_file import Landmarks
from KneeSegLib.training.synthesis.mr.lattice import locate_points
from KneeSegLib.training.synthesis.mr.noise import compute_fraction_within, draw_stretched_noise
from KneeSegLib.training.synthesis.mr.render import draw_bent_lattice
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees


@dataclass
class ShapeSamples:
    """Crops ``(N, C, 88, 88, 88)`` along z, y, x and landmarks ``(N, P, 3)``: x, y, z in mm from the shape's origin.

    That is the crop's centre, and ``scale`` ``(N, 3)`` is 1, but for boxes of any size: there it says how many mm one
    predicted mm is along x, y, z.
    """

    inputs: torch.Tensor
    landmarks_mm: torch.Tensor
    scale: torch.Tensor

    def split(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield the samples one by one, small enough to be kept."""
        yield from zip(self.inputs.half(), self.landmarks_mm, self.scale)

    @classmethod
    def join(cls, parts: Sequence[tuple[torch.Tensor, ...]]) -> ShapeSamples:
        """Return the samples that :meth:`split` took apart."""
        inputs, landmarks, scale = (torch.stack(column) for column in zip(*parts))
        return cls(inputs.float(), landmarks, scale)


class ShapeSource:
    """Right knees of random subjects, warped as for images, with the errors that a segmentation may have."""

    def __init__(self, recipe: Recipe, subjects: list[PreparedKnee], landmarks: Landmarks) -> None:
        self.recipe = recipe
        self.subjects = subjects
        points = landmarks.points[recipe.shape.bone]
        self._own = [each.carry_points(torch.from_numpy(points[each.template.name])) for each in subjects]

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> ShapeSource:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.of_folder`."""
        return cls(recipe, read_knees(folder, group), Landmarks.load(folder))

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> ShapeSamples:
        """Return one crop of one random subject."""
        fit, synthesis = self.recipe.shape, self.recipe.mr_synthesis
        number = int(torch.randint(len(self.subjects), (), generator=generator))
        subject, own = self.subjects[number], self._own[number]
        size = [edge + 2 * SHAPE_SPARE_VOXELS for edge in shape]
        spacing = (SPACING_MM,) * 3
        middle = crop_centre(own, fit.bone)
        slab = Slab.around(middle, size, spacing)
        lattice = draw_bent_lattice(slab, synthesis, generator)
        landmarks = locate_points(own, lattice, slab)
        wanted = crop_centre(landmarks, fit.bone) + torch.tensor(
            [uniform((-fit.off_centre_mm, fit.off_centre_mm), generator) for _ in range(3)]
        )
        shift = (wanted / SPACING_MM).round().clamp(-SHAPE_SPARE_VOXELS, SHAPE_SPARE_VOXELS)
        x, y, z = (SHAPE_SPARE_VOXELS + int(voxels) for voxels in shift)
        scene = subject.sample(lattice, slab)
        error_mm = uniform(fit.surface_mm, generator) * draw_stretched_noise(
            size, spacing, fit.surface_scale_mm, generator
        )
        bone = compute_fraction_within(scene.bone_mm + error_mm, spacing)
        own_bone = bone * (scene.owner == BONES.index(fit.bone) + 1)
        crop = torch.stack([own_bone, bone - own_bone])
        crop = crop[:, x : x + shape[2], z : z + shape[0], y : y + shape[1]].permute(0, 2, 3, 1)
        lying_mm = landmarks - shift * SPACING_MM
        return ShapeSamples(self._degrade(crop, generator)[None], lying_mm[None], torch.ones(1, 3))

    def _degrade(self, crop: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the crop ``(2, D, H, W)`` of thick slices, with a hole, or cut off by a field of view."""
        fit = self.recipe.shape
        crop = crop.clone()
        if chance(fit.thick_probability, generator):
            sigma = SLICE_BLUR_SIGMA * uniform(fit.thick_mm, generator) / SPACING_MM
            crop = torch.stack([blur(channel, (0.0, 0.0, sigma)) for channel in crop])
        if chance(fit.hole_probability, generator):
            inside = torch.nonzero(crop[0] > 0.5)
            if len(inside):
                centre = inside[int(torch.randint(len(inside), (), generator=generator))]
                away = [(torch.arange(size) - int(c)) ** 2 for size, c in zip(crop.shape[1:], centre)]
                squared = away[0][:, None, None] + away[1][:, None] + away[2]
                crop[0][squared < (uniform(fit.hole_mm, generator) / SPACING_MM) ** 2] = 0.0
        for axis, least in enumerate(SHAPE_VIEW_FROM):
            if chance(fit.cut_probability, generator):
                size = crop.shape[1 + axis]
                kept = round(uniform((least, 1.0), generator) * size)
                far = self._cuts_far_end(axis, generator)
                crop.narrow(1 + axis, kept if far else 0, size - kept).zero_()
        return crop

    def _cuts_far_end(self, axis: int, generator: torch.Generator) -> bool:
        """Whether the last layers are cut off; lengthwise always those of the shaft."""
        if axis == 0:
            return self.recipe.shape.bone == "femur"
        return chance(0.5, generator)
