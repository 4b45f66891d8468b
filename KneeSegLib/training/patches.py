"""Patches for the refinement: the image around a bone's surface, and a nearly right probability of that bone."""

from __future__ import annotations

import torch

from KneeSegLib.anatomy import OTHER
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.networks.ct_channels import patch_channels
from KneeSegLib.training.priors import imperfect_prior
from KneeSegLib.training.samples import Samples, SampleSource
from KneeSegLib.training.synthesis.ct import SyntheticCt, render_ct
from KneeSegLib.training.synthesis.fields import chance, uniform

BOX_PATCHES = 2
"""Edge of a rendered box, in patches: many patches see different things, and most of the box is in one."""

JITTER_VOXELS = 5
"""How far a patch's centre may lie from the surface: inference places it by a surface that is wrong."""

APART_MM = 2.0
"""In another bone, this bone is taken to be at least this far away: distances are known to the nearest one only."""


class PatchSource(SampleSource):
    """Patches on the surface of one bone each, several from each rendered box.

    Any bone may be the one that is refined, of either side and seen in any mirror: the network learns edges, not names.
    """

    def _class_name(self, name: str) -> str:
        return name if name in ("none", OTHER) else "bone"

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        recipe = self.recipe
        spacing_mm = uniform((recipe.patches.finest_spacing_mm, recipe.spacing_mm), generator)
        image, surfaces = self._box(shape, spacing_mm, generator)
        apart_mm = uniform(recipe.patches.slices_apart_mm, generator)
        hu = scanned_in_slices(image.hu, spacing_mm, apart_mm)
        inputs, occupied = [], []
        for _ in range(recipe.patches.per_box):
            index = list(surfaces)[int(torch.randint(len(surfaces), (), generator=generator))]
            part = _patch_at(surfaces[index], hu.shape, shape, generator)
            own = image.nearest[part] == index
            distance = image.distance_mm[part]
            prior = imperfect_prior(
                torch.where(own, distance, distance.abs().clamp(min=APART_MM)),
                torch.where(own, distance.abs().clamp(min=APART_MM), distance),
                spacing_mm,
                apart_mm,
                recipe.patches.errors,
                generator,
            )
            mirrored = [axis for axis in range(3) if chance(0.5, generator)]
            inputs.append(patch_channels(hu[part], prior).flip([1 + axis for axis in mirrored]))
            occupied.append((image.occupancy[part] * own).flip(mirrored))
        filled = torch.stack(occupied)
        return Samples(torch.stack(inputs), torch.ones_like(filled, dtype=torch.uint8), filled, torch.ones_like(filled))

    def _box(
        self, shape: tuple[int, ...], spacing_mm: float, generator: torch.Generator
    ) -> tuple[SyntheticCt, dict[int, torch.Tensor]]:
        """Render around a bone's surface; returns the image and the voxels ``(N, 3)`` on each bone's surface in it.

        Those near the sides of the box are left out: patches around them would have to be moved far from them.
        """
        surfaces: dict[int, torch.Tensor] = {}
        while not surfaces:  # a warp may carry the surface out of the box
            person = self._person(generator)
            bones = [index for index in person.heights_mm if self.channel_of_class[index] == 1]
            bone = bones[int(torch.randint(len(bones), (), generator=generator))]
            centre = person.draw_surface_point(bone, generator)
            box = [BOX_PATCHES * size for size in shape]
            image = render_ct(person, box, spacing_mm, centre, self.recipe.synthesis, generator)
            inner = tuple(slice(size // 4, -(size // 4)) for size in shape)
            on_surface = torch.zeros(box, dtype=torch.bool)
            on_surface[inner] = ((image.occupancy > 0.0) & (image.occupancy < 1.0))[inner]
            for index in torch.unique(image.nearest[on_surface]).tolist():
                if self.channel_of_class[index] == 1:
                    surfaces[index] = torch.nonzero(on_surface & (image.nearest == index))
        return image, surfaces


def scanned_in_slices(hu: torch.Tensor, spacing_mm: float, apart_mm: float) -> torch.Tensor:
    """Return an image as it is between slices that lie ``apart_mm``: averaged over them, interpolated between them."""
    if apart_mm <= spacing_mm:
        return hu
    fine = Grid.of_scan(tuple(hu.shape), (spacing_mm,) * 3)
    thick = fine._replace(z=Axis.covering(*Box.of_grid(fine).z, apart_mm))
    return resample_to(resample_to(hu, fine, thick), thick, fine)


def _patch_at(
    surface: torch.Tensor, box: torch.Size, shape: tuple[int, ...], generator: torch.Generator
) -> tuple[slice, ...]:
    """A patch near a random voxel of a surface, within the box."""
    place = surface[int(torch.randint(len(surface), (), generator=generator))]
    place = place + torch.randint(-JITTER_VOXELS, JITTER_VOXELS + 1, (3,), generator=generator)
    starts = [min(max(int(middle) - size // 2, 0), whole - size) for middle, size, whole in zip(place, shape, box)]
    return tuple(slice(start, start + size) for start, size in zip(starts, shape))
