"""Sample source for the binary network of low-field knee MR: cubes of isotropic images, bone or not.

Its truth is a fraction of each voxel for each channel: the ``occupancy`` of its labels is ``(N, C, D, H, W)``, and
their classes tell nothing.
"""

from __future__ import annotations

import torch

from KneeSegLib.networks.mr_channels import order_axes
from KneeSegLib.training.mr_sources import MrSource
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.settings import BOX_GROWTH, KNEE_HALF_EXTENT_MM
from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.render import SyntheticMr, render_mr
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee


class BoneSource(MrSource):
    """Overlapping cubes of rendered boxes, each seen in one of the views, and mirrored at random."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return the cubes of one box."""
        recipe = self.recipe
        box = self._render_box(shape, generator)
        image = self._scale(box.image, generator)
        ends = {"marrow": box.marrow, "cortex": box.fractions[1 : 1 + len(BONES)].sum(dim=0)}
        bone = torch.stack([ends[edge] for edge in recipe.mr.edges])
        weight = self._weigh(box.boundary_mm)
        columns: list[list[torch.Tensor]] = []
        for _ in range(recipe.mr.per_box):
            place = tuple(
                slice(start, start + size)
                for size, whole in zip(shape, image.shape)
                for start in [int(torch.randint(whole - size + 1, (), generator=generator))]
            )
            view = recipe.mr.views[int(torch.randint(len(recipe.mr.views), (), generator=generator))]
            mirrored = [-3] if chance(0.5, generator) else []
            columns.append(
                [order_axes(field[(..., *place)].flip(mirrored), "sagittal", view) for field in (image, bone, weight)]
            )
        images, bones, weights = (torch.stack(column) for column in zip(*columns))
        unused = torch.zeros_like(weights, dtype=torch.uint8)
        return Samples(images.unsqueeze(1), SoftLabels(unused, bones, weights, unused))

    def _render_box(self, shape: tuple[int, ...], generator: torch.Generator) -> SyntheticMr:
        subject = self.subjects[int(torch.randint(len(self.subjects), (), generator=generator))]
        box = tuple(round(BOX_GROWTH * size) for size in shape)
        slab = Slab.around(self._draw_centre(subject, generator), box, (self.recipe.spacing_mm,) * 3)
        return render_mr(subject, slab, self.recipe.mr_synthesis, generator)

    def _draw_centre(self, subject: PreparedKnee, generator: torch.Generator) -> torch.Tensor:
        """On a joint surface or the patella as often as the recipe says, else anywhere in the knee."""
        if chance(self.recipe.mr.surface_focus, generator):
            if chance(0.5, generator):
                return subject.draw_bone_point("patella", generator)
            return subject.draw_cartilage_point(generator)
        return torch.tensor([uniform((-extent, extent), generator) for extent in KNEE_HALF_EXTENT_MM])
