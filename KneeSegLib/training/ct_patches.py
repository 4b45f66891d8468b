"""Patches for the refinement in CT: the image around a bone's surface, and a nearly right probability of that bone."""

from __future__ import annotations

import torch

from KneeSegLib.anatomy import OTHER
from KneeSegLib.networks.ct_channels import patch_channels
from KneeSegLib.training.ct_priors import simulate_prior
from KneeSegLib.training.ct_sources import CtSource
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.settings import BONES_APART_MM, BOX_PATCHES, PATCH_JITTER_VOXELS
from KneeSegLib.training.synthesis.ct import SyntheticCt, render_ct
from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.thick_slices import simulate_slices


class PatchSource(CtSource):
    """Patches on the surface of one bone each, several from each rendered box.

    Any bone may be the one that is refined, of either side and mirrored along any axis: the network learns edges, not
    labels.
    """

    def _name_class(self, name: str) -> str:
        return name if name in ("none", OTHER) else "bone"

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return the patches of one box."""
        recipe = self.recipe
        spacing_mm = uniform((recipe.patches.finest_spacing_mm, recipe.spacing_mm), generator)
        image, surfaces = self._render_box(shape, spacing_mm, generator)
        apart_mm = uniform(recipe.patches.slices_apart_mm, generator)
        hu = simulate_slices(image.hu, spacing_mm, apart_mm)
        inputs, occupied = [], []
        for _ in range(recipe.patches.per_box):
            index = list(surfaces)[int(torch.randint(len(surfaces), (), generator=generator))]
            part = _place_patch(surfaces[index], hu.shape, shape, generator)
            own = image.nearest[part] == index
            distance = image.distance_mm[part]
            prior = simulate_prior(
                torch.where(own, distance, distance.abs().clamp(min=BONES_APART_MM)),
                torch.where(own, distance.abs().clamp(min=BONES_APART_MM), distance),
                spacing_mm,
                apart_mm,
                recipe.patches.errors,
                generator,
            )
            mirrored = [axis for axis in range(3) if chance(0.5, generator)]
            inputs.append(patch_channels(hu[part], prior).flip([1 + axis for axis in mirrored]))
            occupied.append((image.occupancy[part] * own).flip(mirrored))
        filled = torch.stack(occupied)
        bone = torch.ones_like(filled, dtype=torch.uint8)
        return Samples(torch.stack(inputs), SoftLabels(bone, filled, torch.ones_like(filled), torch.zeros_like(bone)))

    def _render_box(
        self, shape: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> tuple[SyntheticCt, dict[int, torch.Tensor]]:
        """Render around a bone's surface; return the image and the voxels ``(N, 3)`` on each bone's surface in it.

        Those near the sides of the box are left out: patches around them would have to be moved far from them.
        """
        while True:
            subject = self._draw_subject(generator)
            bones = [index for index in subject.heights_mm if self.channel_of_class[index] == 1]
            bone = bones[int(torch.randint(len(bones), (), generator=generator))]
            centre = subject.draw_surface_point(bone, generator)
            box = [BOX_PATCHES * size for size in shape]
            image = render_ct(subject, box, spacing_mm, centre, self.recipe.ct_synthesis, generator)
            inner = tuple(slice(size // 4, -(size // 4)) for size in shape)
            on_surface = torch.zeros(box, dtype=torch.bool)
            on_surface[inner] = ((image.occupancy > 0.0) & (image.occupancy < 1.0))[inner]
            in_view = torch.unique(image.nearest[on_surface]).tolist()
            surfaces = {
                index: torch.nonzero(on_surface & (image.nearest == index))
                for index in in_view
                if self.channel_of_class[index] == 1
            }
            if surfaces:  # a warp may carry the surface out of the box
                return image, surfaces


def _place_patch(
    surface: torch.Tensor, box: torch.Size, shape: tuple[int, ...], generator: torch.Generator
) -> tuple[slice, ...]:
    """A patch near a random voxel of a surface, within the box."""
    place = surface[int(torch.randint(len(surface), (), generator=generator))]
    place = place + torch.randint(-PATCH_JITTER_VOXELS, PATCH_JITTER_VOXELS + 1, (3,), generator=generator)
    starts = [min(max(int(middle) - size // 2, 0), whole - size) for middle, size, whole in zip(place, shape, box)]
    return tuple(slice(start, start + size) for start, size in zip(starts, shape))
