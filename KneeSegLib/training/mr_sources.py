"""Sample sources for knee MR: sagittal slices with neighbours, and local patches where cartilage is."""

from __future__ import annotations

from pathlib import Path

import torch

from KneeSegLib.networks.mr_channels import intensity_percentile, mr_patch_channels, mr_slice_channels, scale_signal
from KneeSegLib.training.losses import boundary_weight
from KneeSegLib.training.mr_priors import imperfect_shares
from KneeSegLib.training.patches import scanned_in_slices
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Samples
from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.render import SyntheticMr, render_mr
from KneeSegLib.training.synthesis.mr.structures import CARTILAGES, CLASSES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees

KNEE_HALF_WIDTH_MM = 58.0
BOX_PATCHES = 2
"""Edge of a rendered box within slices, in patches."""


class MrSource:
    """Base of both: knows the people. Knees are mirrored at random: no class has a side."""

    def __init__(self, recipe: Recipe, people: list[PreparedKnee]) -> None:
        self.recipe = recipe
        self.people = people

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> MrSource:
        """A source of the people of a group who are prepared in a folder."""
        return cls(recipe, read_knees(folder, group))

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Render one batch of samples from one random person."""
        raise NotImplementedError

    def _person(self, generator: torch.Generator) -> PreparedKnee:
        return self.people[int(torch.randint(len(self.people), (), generator=generator))]

    def _scaled(self, image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The image as a network sees it; the level of a slab is not quite that of the volume it stands for."""
        return scale_signal(image, intensity_percentile(image) / uniform(self.recipe.mr.brightness, generator))

    def _weight(self, boundary_mm: torch.Tensor) -> torch.Tensor:
        return boundary_weight(boundary_mm, self.recipe.mr.boundary_gain, self.recipe.mr.boundary_mm)


class MrSliceSource(MrSource):
    """Sagittal slices with their neighbours as channels, several from each rendered slab, thin or thick ones."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        recipe, sampling = self.recipe, self.recipe.mr
        person = self._person(generator)
        thick = chance(sampling.thick_probability, generator)
        averaged = sampling.averaged if thick else 1
        apart_mm = uniform(sampling.thick_mm if thick else sampling.thin_mm, generator)
        depth = recipe.slab_slices - recipe.slab_slices % averaged
        slab = render_mr(
            person,
            (depth, *shape),
            (apart_mm / averaged, recipe.spacing_mm, recipe.spacing_mm),
            self._centre(person, generator),
            recipe.synthesis,
            generator,
            averaged,
        )
        volume, shares, boundary_mm = self._scaled(slab.image, generator), slab.fractions, slab.boundary_mm
        if chance(0.5, generator):
            volume, shares, boundary_mm = volume.flip(0), shares.flip(1), boundary_mm.flip(0)
        # Thin neighbours say nearly the same: every second one is used.
        positions = torch.arange(0 if thick else int(chance(0.5, generator)), len(volume), 1 if thick else 2)
        inputs = mr_slice_channels(volume, apart_mm, positions, recipe.neighbour_offsets_mm)
        classes, filled, rest = largest_two(shares[:, positions])
        return Samples(inputs, classes, filled, self._weight(boundary_mm[positions]), rest)

    def _centre(self, person: PreparedKnee, generator: torch.Generator) -> torch.Tensor:
        sampling = self.recipe.mr
        off = sampling.off_centre_mm
        centre = torch.tensor([0.0, uniform((-off, 0.5 * off), generator), uniform((-off, off), generator)])
        where = uniform((0.0, 1.0), generator)
        if where < sampling.patella_focus:
            centre[0] = person.draw_bone_point("patella", generator)[0]
        elif where < sampling.patella_focus + sampling.cartilage_focus:
            centre[0] = person.draw_cartilage_point(generator)[0]
        else:
            centre[0] = uniform((-KNEE_HALF_WIDTH_MM, KNEE_HALF_WIDTH_MM), generator)
        return centre


class MrPatchSource(MrSource):
    """Small volumes centred near cartilage, and what slices may say of them; several from each rendered box."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        recipe = self.recipe
        box = self._box(shape, generator)
        apart_mm = uniform((recipe.spacing_mm, recipe.mr.thick_mm[1]), generator)
        thick = chance(recipe.mr.thick_probability, generator)
        image = scanned_in_slices(box.image, recipe.spacing_mm, apart_mm) if thick else box.image
        volume = self._scaled(image, generator)
        classes, filled, rest = largest_two(box.fractions)
        weight = self._weight(box.boundary_mm)
        cartilage = box.fractions[CLASSES.index(CARTILAGES[0]) :].sum(dim=0)
        places = torch.nonzero(cartilage > 0.1)
        if len(places) == 0:
            places = torch.tensor([[size // 2 for size in volume.shape]])
        likely = imperfect_shares(
            box.fractions, recipe.spacing_mm, apart_mm if thick else recipe.spacing_mm, recipe.mr.errors, generator
        )
        columns: list[list[torch.Tensor]] = []
        for _ in range(recipe.mr.per_box):
            middle = places[int(torch.randint(len(places), (), generator=generator))].tolist()
            part = tuple(_centred(m, size, whole) for m, size, whole in zip(middle, shape, volume.shape))
            mirrored = [0] if chance(0.5, generator) else []
            fields = (volume, classes, filled, weight, rest, likely)
            columns.append([field[(..., *part)].flip([a - 3 for a in mirrored]) for field in fields])
        patches, classes, filled, weight, rest, likely = (torch.stack(column) for column in zip(*columns))
        return Samples(mr_patch_channels(patches, likely), classes, filled, weight, rest)

    def _box(self, shape: tuple[int, ...], generator: torch.Generator) -> SyntheticMr:
        person = self._person(generator)
        box = (shape[0] * 3 // 2, *(BOX_PATCHES * size for size in shape[1:]))
        spacing_mm = (self.recipe.spacing_mm,) * 3
        centre = person.draw_cartilage_point(generator)
        return render_mr(person, box, spacing_mm, centre, self.recipe.synthesis, generator)


def largest_two(shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each voxel's truth as two classes: the largest (uint8), its share of the two (float), and the second (uint8).

    Args:
        shares: ``(C, ...)``. Where three meet, the smallest is left out.
    """
    values, classes = shares.topk(2, dim=0)
    first, second = classes.to(torch.uint8)
    return first, values[0] / values.sum(dim=0).clamp(min=1e-6), second


def _centred(middle: int, size: int, whole: int) -> slice:
    """The piece of ``size`` around a place that still lies within ``whole``."""
    start = min(max(middle - size // 2, 0), whole - size)
    return slice(start, start + size)
