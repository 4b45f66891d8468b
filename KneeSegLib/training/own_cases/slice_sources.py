"""Samples of own cases for the slice networks: transverse slices of CT, sagittal slices of knee MR."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from KneeSegLib.anatomy import MENISCI, MENISCUS_OF_COMPARTMENT, OTHER, STRUCTURES, Side
from KneeSegLib.ct.settings import HU_RANGE, OUTSIDE_HU
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.mr.settings import THINNEST_SLICE_MM
from KneeSegLib.networks.ct_channels import slice_channels
from KneeSegLib.networks.mr_channels import mr_slice_channels, scale_signal
from KneeSegLib.training.losses import weigh_boundary
from KneeSegLib.training.mr_sources import find_largest_two
from KneeSegLib.training.own_cases import augmentation, settings
from KneeSegLib.training.own_cases.parts import Part, name_labels
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.synthesis.fields import chance, uniform


class OwnSource:
    """Base of the sources of own cases.

    Args:
        parts: what samples are taken from.
        known: tissues that the cases label; classes of others are not told from background.
        varied: whether samples are augmented; those for validation are not.
    """

    def __init__(self, recipe: Recipe, parts: Sequence[Part], known: set[str], varied: bool) -> None:
        self.recipe = recipe
        self.parts = list(parts)
        self.varied = varied
        self.labelled = torch.tensor([is_labelled(name, known) for name in recipe.classes])

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.render`."""
        raise NotImplementedError

    def _draw_part(self, generator: torch.Generator) -> Part:
        return self.parts[int(torch.randint(len(self.parts), (), generator=generator))]

    def _draw_scale(self, generator: torch.Generator) -> float:
        return uniform(settings.SCALE, generator) if self.varied else 1.0

    def _soften(self, fractions: torch.Tensor, weight: torch.Tensor) -> SoftLabels:
        """Labels of the fractions ``(C, N, ...)``."""
        classes, filled, rest = find_largest_two(fractions)
        labelled = self.labelled.expand(len(classes), -1).clone()
        return SoftLabels(classes, filled, weight, rest, labelled)

    def _vary_planes(
        self, image: torch.Tensor, fractions: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn and bend slices ``(D, H, W)`` and the fractions ``(C, N, H, W)`` of some of them alike."""
        changed = augmentation.apply(
            augmentation.vary_planes(), generator, image=image, fractions=fractions.flatten(0, 1)
        )
        return changed["image"], changed["fractions"].reshape(fractions.shape)


class OwnSliceSource(OwnSource):
    """Transverse CT slices of a joint; left legs are seen in a mirror."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return every second slice of a slab, every one where slices are thick."""
        recipe = self.recipe
        part = self._draw_part(generator)
        thick = part.grid.z.spacing_mm >= 0.99 * recipe.spacing_mm
        step_mm = part.grid.z.spacing_mm if thick else recipe.spacing_mm
        every = 1 if step_mm > 2.0 * recipe.spacing_mm else 2
        offsets = recipe.neighbour_offsets_mm
        reach = ceil(max((abs(offset) for offset in offsets), default=0.0) / step_mm)
        depth = every * recipe.slab_slices + 2 * reach
        grid = self._place(part, (depth, *shape), step_mm, generator)
        hu = part.read_image(grid, OUTSIDE_HU, HU_RANGE)
        positions = torch.arange(reach, reach + every * recipe.slab_slices, every)
        table = make_channel_table(recipe, part.side)
        wanted = grid._replace(z=grid.z.part(reach, depth - reach).thinned(every))
        fractions = part.read_fractions(wanted, table, len(recipe.classes))
        if self.varied:
            hu, fractions = self._vary_planes(hu, fractions, generator)
            above_air = augmentation.apply(augmentation.vary_ct(), generator, image=hu[None] - OUTSIDE_HU)["image"]
            hu = (above_air[0] + OUTSIDE_HU).clamp(*HU_RANGE)
        inputs = slice_channels(hu, step_mm, positions, offsets)
        return Samples(inputs, self._soften(fractions, torch.ones(inputs.shape[0], *shape)))

    def _place(self, part: Part, shape: tuple[int, ...], step_mm: float, generator: torch.Generator) -> Grid:
        pixel_mm = self.recipe.spacing_mm * self._draw_scale(generator)
        z_mm = _draw_place(part, 0, chance(self.recipe.bone_focus, generator), generator)
        z = Axis(z_mm - 0.5 * (shape[0] - 1) * step_mm, step_mm, shape[0])
        y, x = (
            _draw_window(bounds, size, pixel_mm, generator) for bounds, size in zip(part.labelled_box[1:], shape[1:])
        )
        grid = Grid(z, y, x)
        return grid.mirrored() if part.side == "left" else grid


class OwnSagittalSource(OwnSource):
    """Sagittal slices of knee MR with their neighbours; knees are mirrored at random."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return the slices of one slab."""
        recipe, sampling = self.recipe, self.recipe.mr
        part = self._draw_part(generator)
        step_mm = max(part.grid.x.spacing_mm, THINNEST_SLICE_MM)
        every = 1 if step_mm > sampling.thin_mm[1] else 2
        pixel_mm = recipe.spacing_mm * self._draw_scale(generator)
        depth = recipe.slab_slices
        middle_mm = _draw_place(part, 1, chance(sampling.cartilage_focus, generator), generator)
        x = Axis(middle_mm - 0.5 * (depth - 1) * step_mm, step_mm, depth)
        z, y = (_draw_window(bounds, size, pixel_mm, generator) for bounds, size in zip(part.labelled_box[:2], shape))
        grid = Grid(z, y, x)
        level = part.level / (uniform(sampling.brightness, generator) if self.varied else 1.0)
        volume = scale_signal(part.read_image(grid), level).permute(2, 0, 1)
        fractions = part.read_fractions(grid, make_channel_table(recipe, part.side), len(recipe.classes))
        fractions = fractions.permute(0, 3, 1, 2)
        if self.varied:
            volume, fractions = self._vary_planes(volume, fractions, generator)
            volume = augmentation.apply(augmentation.vary_mr(), generator, image=volume[None])["image"][0]
            volume = volume.clamp(0.0, 2.0)
            if chance(0.5, generator):
                volume, fractions = volume.flip(0), fractions.flip(1)
        positions = torch.arange(0, depth, every)
        inputs = mr_slice_channels(volume.contiguous(), step_mm, positions, recipe.neighbour_offsets_mm)
        chosen = fractions[:, positions].contiguous()
        boundary_mm = measure_boundary_distance(chosen, (every * step_mm, pixel_mm, pixel_mm))
        weight = weigh_boundary(boundary_mm, sampling.boundary_gain, sampling.boundary_mm)
        return Samples(inputs, self._soften(chosen, weight))


def make_channel_table(recipe: Recipe, side: Side) -> np.ndarray:
    """Return the output channel of each label value ``(256,)``: of MR whatever its side, of CT of one leg.

    Bones that the joint does not have, and those of the other leg, are "other" ones where the recipe has that class.
    """
    classes = recipe.classes
    other = classes.index(OTHER) if OTHER in classes else 0
    table = np.zeros(256, np.uint8)
    for entry in STRUCTURES:
        name = MENISCI if entry.tissue.key in MENISCUS_OF_COMPARTMENT.values() else entry.tissue.key
        own = name in classes and (entry.side == side or recipe.kind.startswith("mr-"))
        table[entry.label_value] = classes.index(name) if own else other
    return table


def measure_boundary_distance(fractions: torch.Tensor, spacing_mm: tuple[float, float, float]) -> torch.Tensor:
    """Return the distance in mm of each voxel ``(D, H, W)`` to the nearest boundary between classes, up to a limit.

    Args:
        fractions: ``(C, D, H, W)``.
    """
    classes = fractions.argmax(dim=0).numpy()
    inside = np.ones(classes.shape, bool)
    # Within slices: between thick ones there is no telling.
    rows, columns = classes[:, 1:] == classes[:, :-1], classes[:, :, 1:] == classes[:, :, :-1]
    inside[:, 1:] &= rows
    inside[:, :-1] &= rows
    inside[:, :, 1:] &= columns
    inside[:, :, :-1] &= columns
    if inside.all():
        return torch.full(classes.shape, settings.BOUNDARY_REACH_MM)
    distance = np.asarray(distance_transform_edt(inside, sampling=spacing_mm))
    return torch.from_numpy(np.minimum(distance, settings.BOUNDARY_REACH_MM).astype(np.float32))


def is_labelled(name: str, known: set[str]) -> bool:
    """Return whether cases that label the tissues ``known`` tell a class from background."""
    if name == MENISCI:
        return set(MENISCUS_OF_COMPARTMENT.values()) <= known
    return name == "background" or name in known


def _draw_place(part: Part, axis: int, focused: bool, generator: torch.Generator) -> float:
    """A slice's position along z (``axis`` 0) or x (1): where a random structure is, or anywhere in the labels."""
    grid_axis = (part.grid.z, part.grid.x)[axis]
    if not focused:
        return uniform(part.labelled_box[(0, 2)[axis]], generator)
    values = part.own_values
    slices = part.slices_of[values[int(torch.randint(len(values), (), generator=generator))]][axis]
    index = int(slices[int(torch.randint(len(slices), (), generator=generator))])
    return float(grid_axis.positions_mm[index])


def _draw_window(bounds: tuple[float, float], size: int, pixel_mm: float, generator: torch.Generator) -> Axis:
    """A window along one axis: anywhere that it covers the labels, or within them where they are longer."""
    low, high = bounds
    half = 0.5 * size * pixel_mm
    ends = sorted((low + half, high - half))
    middle = uniform((ends[0], ends[1]), generator)
    return Axis(middle - half + 0.5 * pixel_mm, pixel_mm, size)


def tissues_of(parts: Sequence[Part]) -> set[str]:
    """Return the tissues that any of the parts has labelled."""
    return set().union(*(name_labels(part.counts) for part in parts))
