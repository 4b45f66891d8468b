"""Sample sources for knee MR: sagittal slices with neighbours, and local patches where cartilage is."""

from __future__ import annotations

from pathlib import Path

import torch

from KneeSegLib.networks.mr_channels import intensity_percentile, mr_patch_channels, mr_slice_channels, scale_signal
from KneeSegLib.training.losses import weigh_boundary
from KneeSegLib.training.mr_priors import simulate_probabilities
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.settings import BOX_PATCHES, KNEE_HALF_WIDTH_MM, PATCH_CARTILAGE_FRACTION
from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.render import SyntheticMr, render_mr
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.structures import CARTILAGES, CLASSES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees
from KneeSegLib.training.thick_slices import simulate_slices


class MrSource:
    """Base of both: knows the subjects. Knees are mirrored at random: no class has a side."""

    def __init__(self, recipe: Recipe, subjects: list[PreparedKnee]) -> None:
        self.recipe = recipe
        self.subjects = subjects

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> MrSource:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.of_folder`."""
        return cls(recipe, read_knees(folder, group))

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.render`."""
        raise NotImplementedError

    def _draw_subject(self, generator: torch.Generator) -> PreparedKnee:
        return self.subjects[int(torch.randint(len(self.subjects), (), generator=generator))]

    def _scale(self, image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The image as a network sees it; the level of a slab is not quite that of the volume it stands for."""
        return scale_signal(image, intensity_percentile(image) / uniform(self.recipe.mr.brightness, generator))

    def _weigh(self, boundary_mm: torch.Tensor) -> torch.Tensor:
        return weigh_boundary(boundary_mm, self.recipe.mr.boundary_gain, self.recipe.mr.boundary_mm)


class MrSliceSource(MrSource):
    """Sagittal slices with their neighbours as channels, several from each rendered slab, thin or thick ones."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return the slices of one slab."""
        recipe, sampling = self.recipe, self.recipe.mr
        subject = self._draw_subject(generator)
        thick = chance(sampling.thick_probability, generator)
        averaged = sampling.averaged if thick else 1
        apart_mm = uniform(sampling.thick_mm if thick else sampling.thin_mm, generator)
        depth = recipe.slab_slices - recipe.slab_slices % averaged
        slab = render_mr(
            subject,
            Slab.around(
                self._draw_centre(subject, generator),
                (depth, *shape),
                (apart_mm / averaged, recipe.spacing_mm, recipe.spacing_mm),
            ),
            recipe.mr_synthesis,
            generator,
            averaged,
        )
        volume, fractions, boundary_mm = self._scale(slab.image, generator), slab.fractions, slab.boundary_mm
        if chance(0.5, generator):
            volume, fractions, boundary_mm = volume.flip(0), fractions.flip(1), boundary_mm.flip(0)
        # Thin neighbours tell nearly the same: every second one is used.
        positions = torch.arange(0 if thick else int(chance(0.5, generator)), len(volume), 1 if thick else 2)
        inputs = mr_slice_channels(volume, apart_mm, positions, recipe.neighbour_offsets_mm)
        classes, filled, rest = find_largest_two(fractions[:, positions])
        return Samples(inputs, SoftLabels(classes, filled, self._weigh(boundary_mm[positions]), rest))

    def _draw_centre(self, subject: PreparedKnee, generator: torch.Generator) -> torch.Tensor:
        sampling = self.recipe.mr
        off = sampling.off_centre_mm
        centre = torch.tensor([0.0, uniform((-off, 0.5 * off), generator), uniform((-off, off), generator)])
        where = uniform((0.0, 1.0), generator)
        if where < sampling.patella_focus:
            centre[0] = subject.draw_bone_point("patella", generator)[0]
        elif where < sampling.patella_focus + sampling.cartilage_focus:
            centre[0] = subject.draw_cartilage_point(generator)[0]
        else:
            centre[0] = uniform((-KNEE_HALF_WIDTH_MM, KNEE_HALF_WIDTH_MM), generator)
        return centre


class MrPatchSource(MrSource):
    """Small volumes centred near cartilage, and the slices' probabilities there; several from each rendered box."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return the patches of one box."""
        recipe = self.recipe
        box = self._render_box(shape, generator)
        apart_mm = uniform((recipe.spacing_mm, recipe.mr.thick_mm[1]), generator)
        thick = chance(recipe.mr.thick_probability, generator)
        image = simulate_slices(box.image, recipe.spacing_mm, apart_mm) if thick else box.image
        volume = self._scale(image, generator)
        classes, filled, rest = find_largest_two(box.fractions)
        weight = self._weigh(box.boundary_mm)
        cartilage = box.fractions[CLASSES.index(CARTILAGES[0]) :].sum(dim=0)
        places = torch.nonzero(cartilage > PATCH_CARTILAGE_FRACTION)
        if len(places) == 0:
            places = torch.tensor([[size // 2 for size in volume.shape]])
        probabilities = simulate_probabilities(
            box.fractions, recipe.spacing_mm, apart_mm if thick else recipe.spacing_mm, recipe.mr.errors, generator
        )
        columns: list[list[torch.Tensor]] = []
        for _ in range(recipe.mr.per_box):
            middle = places[int(torch.randint(len(places), (), generator=generator))].tolist()
            part = tuple(_place(m, size, whole) for m, size, whole in zip(middle, shape, volume.shape))
            mirrored = [0] if chance(0.5, generator) else []
            fields = (volume, classes, filled, weight, rest, probabilities)
            columns.append([field[(..., *part)].flip([a - 3 for a in mirrored]) for field in fields])
        patches, classes, filled, weight, rest, probabilities = (torch.stack(column) for column in zip(*columns))
        alone = recipe.mr.input == "signal"
        inputs = patches.unsqueeze(1) if alone else mr_patch_channels(patches, probabilities)
        return Samples(inputs, SoftLabels(classes, filled, weight, rest))

    def _render_box(self, shape: tuple[int, ...], generator: torch.Generator) -> SyntheticMr:
        subject = self._draw_subject(generator)
        box = (shape[0] * 3 // 2, *(BOX_PATCHES * size for size in shape[1:]))
        slab = Slab.around(subject.draw_cartilage_point(generator), box, (self.recipe.spacing_mm,) * 3)
        return render_mr(subject, slab, self.recipe.mr_synthesis, generator)


def find_largest_two(fractions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return each voxel's truth as two classes: the largest (uint8), its part of the two (float), the second (uint8).

    Args:
        fractions: ``(C, ...)``. Where three meet, the smallest is left out.
    """
    values, classes = fractions.topk(2, dim=0)
    first, second = classes.to(torch.uint8)
    return first, values[0] / values.sum(dim=0).clamp(min=1e-6), second


def _place(middle: int, size: int, whole: int) -> slice:
    """The piece of ``size`` around a place that still lies within ``whole``."""
    start = min(max(middle - size // 2, 0), whole - size)
    return slice(start, start + size)
