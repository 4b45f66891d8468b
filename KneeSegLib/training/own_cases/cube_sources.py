"""Samples of own cases for the networks in 3D: overlapping cubes of the labelled part of a knee MR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from KneeSegLib.anatomy import CARTILAGES, JOINT_BONES, STRUCTURES
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.networks.mr_channels import mr_patch_channels, order_axes, scale_signal
from KneeSegLib.training.losses import weigh_boundary
from KneeSegLib.training.mr_priors import simulate_probabilities
from KneeSegLib.training.own_cases import augmentation
from KneeSegLib.training.own_cases.parts import Part
from KneeSegLib.training.own_cases.slice_sources import OwnSource, make_channel_table, measure_boundary_distance
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.settings import PATCH_CARTILAGE_FRACTION
from KneeSegLib.training.synthesis.fields import chance, uniform


class OwnCubeSource(OwnSource):
    """Base of the sources in 3D: cubes from an overlapping lattice over what is labelled, turned and bent."""

    def _read_cube(self, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Part, torch.Tensor, torch.Tensor]:
        """Return a part, and in one of its cubes the scaled signal ``(D, H, W)`` and the fractions of the classes.

        Axes are x, z and y: sagittal slices, rows upward, columns backward.
        """
        part = self._draw_part(generator)
        spacing_mm = self.recipe.spacing_mm * self._draw_scale(generator)
        box = self._find_box(part)
        z, y, x = (Axis.covering(low, high, spacing_mm) for low, high in box)
        size = (shape[1], shape[2], shape[0])
        cubes = augmentation.list_cubes((z.count, y.count, x.count), size)
        wanted = self._list_wanted(part, Grid(z, y, x), cubes)
        cube = wanted[int(torch.randint(len(wanted), (), generator=generator))]
        grid = Grid(*(_window(axis, cut, count) for axis, cut, count in zip((z, y, x), cube, size)))
        level = part.level / (uniform(self.recipe.mr.brightness, generator) if self.varied else 1.0)
        volume = scale_signal(part.read_image(grid), level).permute(2, 0, 1)
        table, channels = self._make_table(part)
        return part, volume, part.read_fractions(grid, table, channels).permute(0, 3, 1, 2)

    def _find_box(self, part: Part) -> Box:
        """Where cubes lie."""
        return part.labelled_box

    def _make_table(self, part: Part) -> tuple[np.ndarray, int]:
        """The channel of each label value, and how many channels of fractions there are."""
        return make_channel_table(self.recipe, part.side), len(self.recipe.classes)

    def _list_wanted(self, part: Part, grid: Grid, cubes: list[tuple[slice, ...]]) -> list[tuple[slice, ...]]:
        """Those of the cubes that samples are taken from."""
        return cubes

    def _vary_volume(
        self, volume: torch.Tensor, fractions: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.varied:
            return volume, fractions
        changed = augmentation.apply(augmentation.vary_volumes(), generator, image=volume[None], fractions=fractions)
        signal = augmentation.apply(augmentation.vary_mr(), generator, image=changed["image"])["image"][0]
        return signal.clamp(0.0, 2.0), changed["fractions"]


class OwnPatchSource(OwnCubeSource):
    """Cubes near cartilage, and there the probabilities that slice networks would give."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return one cube."""
        recipe = self.recipe
        part, volume, fractions = self._read_cube(shape, generator)
        volume, fractions = self._vary_volume(volume, fractions, generator)
        if self.varied and chance(0.5, generator):
            volume, fractions = volume.flip(0), fractions.flip(1)
        apart_mm = max(part.grid.x.spacing_mm, recipe.spacing_mm)
        fractions = fractions.contiguous()
        probabilities = simulate_probabilities(fractions, recipe.spacing_mm, apart_mm, recipe.mr.errors, generator)
        boundary_mm = measure_boundary_distance(fractions, (recipe.spacing_mm, recipe.spacing_mm, recipe.spacing_mm))
        weight = weigh_boundary(boundary_mm, recipe.mr.boundary_gain, recipe.mr.boundary_mm)
        labels = self._soften(fractions[:, None], weight[None])
        alone = recipe.mr.input == "signal"
        return Samples(volume[None, None] if alone else mr_patch_channels(volume[None], probabilities[None]), labels)

    def _list_wanted(self, part: Part, grid: Grid, cubes: list[tuple[slice, ...]]) -> list[tuple[slice, ...]]:
        """Cubes with cartilage in them."""
        table = make_channel_table(self.recipe, part.side)
        thin = [self.recipe.classes.index(name) for name in CARTILAGES.values()]
        there = np.isin(table[np.asarray(part.labels)], thin)
        wanted = []
        for cube in cubes:
            box = grid.part((cube[0], cube[1], cube[2]))
            inside = there[part.voxels_near(box)]
            if inside.mean() > PATCH_CARTILAGE_FRACTION * 0.1:
                wanted.append(cube)
        if not wanted:
            raise InputError(
                f"The case {part.case} has no cartilage labelled, which {self.recipe.name} learns to refine; take it "
                "out, or train the slice network."
            )
        return wanted


class OwnBoneSource(OwnCubeSource):
    """Cubes of the whole knee in one of the recipe's views: bone or not, up to the edge that the labels have."""

    def __init__(self, recipe: Recipe, parts: Sequence[Part], known: set[str], varied: bool) -> None:
        super().__init__(recipe, parts, known, varied)
        self.labelled = torch.tensor([edge == recipe.mr.labelled_edge for edge in recipe.mr.edges])

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return one cube."""
        sampling, spacing_mm = self.recipe.mr, self.recipe.spacing_mm
        _, volume, fractions = self._read_cube(shape, generator)
        volume, fractions = self._vary_volume(volume, fractions, generator)
        view = sampling.views[int(torch.randint(len(sampling.views), (), generator=generator))]
        mirrored = [-3] if self.varied and chance(0.5, generator) else []
        boundary_mm = measure_boundary_distance(fractions.contiguous(), (spacing_mm, spacing_mm, spacing_mm))
        weight = weigh_boundary(boundary_mm, sampling.boundary_gain, sampling.boundary_mm)
        volume, bone, weight = (
            order_axes(field.flip(mirrored), "sagittal", view).contiguous() for field in (volume, fractions[1], weight)
        )
        told = self.labelled[:, None, None, None]
        unused = torch.zeros_like(weight, dtype=torch.uint8)[None]
        labels = SoftLabels(unused, torch.where(told, bone, 0.0)[None], weight[None], unused, self.labelled[None])
        return Samples(volume[None, None], labels)

    def _find_box(self, part: Part) -> Box:
        """The whole crop: what lies beyond bone is learned too."""
        return Box.of_grid(part.grid)

    def _make_table(self, part: Part) -> tuple[np.ndarray, int]:
        """Any bone of the knee is channel 1."""
        table = np.zeros(256, np.uint8)
        for entry in STRUCTURES:
            table[entry.label_value] = entry.tissue.key in JOINT_BONES["knee"]
        return table, 2


def _window(axis: Axis, cut: slice, count: int) -> Axis:
    """The piece of an axis, made longer to ``count`` samples about its middle where the axis is shorter."""
    middle = axis.first_mm + axis.step_mm * 0.5 * (cut.start + cut.stop - 1)
    return Axis(middle - 0.5 * (count - 1) * axis.step_mm, axis.step_mm, count)
