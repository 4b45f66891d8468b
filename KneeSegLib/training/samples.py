"""Sample sources: what a training step sees. Each renders a few samples from random people when asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from KneeSegLib.anatomy import OTHER
from KneeSegLib.errors import InputError
from KneeSegLib.networks.ct_channels import localiser_channels, slice_channels
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy
from KneeSegLib.training.synthesis.ct import draw_centre, draw_scene, render_ct
from KneeSegLib.training.synthesis.distractors import mirror_classes
from KneeSegLib.training.synthesis.fields import chance, compute_occupancy, draw_smooth_noise, uniform
from KneeSegLib.training.synthesis.subjects import PreparedSubject


@dataclass
class Samples:
    """A few samples of one shape.

    Attributes:
        inputs: ``(N, C, ...)`` float32.
        classes: ``(N, ...)`` uint8, output channel of the structure that is nearest, 0 where there is none.
        occupancy: ``(N, ...)`` float32, how much of the voxel that structure fills.
        weight: ``(N, ...)`` float32, how much the voxel counts.
        rest: ``(N, ...)`` uint8, output channel of what else is in the voxel: 0 all over, unless structures touch.
    """

    inputs: torch.Tensor
    classes: torch.Tensor
    occupancy: torch.Tensor
    weight: torch.Tensor
    rest: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if self.rest is None:
            self.rest = torch.zeros_like(self.classes)

    def separated(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """One by one, small enough to be kept."""
        yield from zip(self.inputs.half(), self.classes, self.occupancy.half(), self.weight.half(), self.rest)

    @classmethod
    def together(cls, separated: Sequence[tuple[torch.Tensor, ...]]) -> Samples:
        """Samples that :meth:`separated` took apart."""
        inputs, classes, filled, weight, rest = (torch.stack(column) for column in zip(*separated))
        return cls(inputs.float(), classes, filled.float(), weight.float(), rest)


class SampleSource:
    """Base of all sources: knows the people; subclasses know what is made of them."""

    def __init__(self, recipe: Recipe, people: list[PreparedSubject]) -> None:
        self.recipe = recipe
        self.people = people
        self.channel_of_class = self._channel_table()

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> SampleSource:
        """A source of the people of a group who are prepared in a folder."""
        return cls(recipe, read_people(folder, recipe.joints, group))

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Render one batch of samples from one random person."""
        raise NotImplementedError

    def _channel_table(self) -> torch.Tensor:
        names = self.recipe.classes
        return torch.tensor(
            [names.index(n) if n in names else 0 for n in map(self._class_name, CLASSES)], dtype=torch.uint8
        )

    def _class_name(self, name: str) -> str:
        """The recipe's name for a class of prepared anatomy: specialists and naming see right legs alone."""
        return name.removesuffix("_right")

    def _person(self, generator: torch.Generator) -> PreparedSubject:
        return self.people[int(torch.randint(len(self.people), (), generator=generator))]

    def _height_of_some_bone(self, person: PreparedSubject, generator: torch.Generator) -> float:
        """A height at which a randomly chosen bone is, so that short bones are seen as often as long ones."""
        wanted = [heights for index, heights in person.heights_mm.items() if self.channel_of_class[index] > 0]
        return uniform(wanted[int(torch.randint(len(wanted), (), generator=generator))], generator)


class SliceSource(SampleSource):
    """Transverse slices with their channels, several from each rendered slab."""

    def _class_name(self, name: str) -> str:
        """Bones that this joint does not have, and all of the other leg, are "other" ones."""
        right = name.removesuffix("_right")
        return right if right in self.recipe.classes or name == CLASSES[0] else OTHER

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        recipe = self.recipe
        reach = max((abs(offset) for offset in recipe.neighbour_offsets_mm), default=0.0)
        # Every second slice is used: neighbours say nearly the same.
        depth = 2 * recipe.slab_slices + 2 * int(round(0.5 * reach / recipe.spacing_mm))
        person = self._person(generator)
        slab = (depth, *shape)
        centre = draw_centre(person, slab, recipe.spacing_mm, generator)
        if chance(recipe.bone_focus, generator):
            centre[0] = self._height_of_some_bone(person, generator)
        image = render_ct(person, slab, recipe.spacing_mm, centre, recipe.synthesis, generator)
        first = (depth - 2 * recipe.slab_slices) // 2
        positions = torch.arange(first, first + 2 * recipe.slab_slices, 2)
        inputs = slice_channels(image.hu, recipe.spacing_mm, positions, recipe.neighbour_offsets_mm)
        classes = self.channel_of_class[image.nearest[positions].long()]
        filled = image.occupancy[positions] * (classes > 0)
        return Samples(inputs, classes, filled, torch.ones_like(filled))


class LocaliserSource(SampleSource):
    """Coarse volumes of one joint or of both legs, from either side of the body."""

    def _class_name(self, name: str) -> str:
        return name

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        recipe = self.recipe
        wide = shape[2] * recipe.spacing_mm > 300.0
        people = [p for p in self.people if (p.joint == "body") or not wide]
        person = people[int(torch.randint(len(people), (), generator=generator))]
        centre = draw_centre(person, shape, recipe.spacing_mm, generator)
        if person.joint == "body" and chance(0.35, generator):
            centre[0] = uniform((0.7, 0.95), generator) * person.extent_mm[0]  # the pelvis is hardest and would be rare
        image = render_ct(person, shape, recipe.spacing_mm, centre, recipe.synthesis, generator)
        classes, filled, hu = self.channel_of_class[image.nearest.long()], image.occupancy, image.hu
        if chance(0.5, generator):
            classes, filled, hu = mirror_classes(classes.flip(-1)), filled.flip(-1), hu.flip(-1)
        if chance(0.5, generator):
            outside = ~_random_box(hu.shape, generator)
            hu = hu.masked_fill(outside, -1000.0)
            filled = filled.masked_fill(outside, 0.0)
        # Most of a scan is far from any bone; what is near one decides.
        weight = torch.where(classes > 0, 1.0, 0.1)
        if person.joint == "hip":
            # There the other hip bone is prepared as an "other" bone, which it is to the hip's specialist alone.
            weight = torch.where(classes == self.recipe.classes.index(OTHER), 0.0, weight)
        filled = filled * (classes > 0)
        return Samples(localiser_channels(hu)[None], classes[None], filled[None], weight[None])


class NamingSource(SampleSource):
    """Imperfect bone masks of right legs; only voxels of the mask count."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        recipe = self.recipe
        person = self._person(generator)
        spacing = recipe.spacing_mm
        centre = draw_centre(person, shape, spacing, generator)
        if chance(recipe.bone_focus, generator):
            centre[0] = self._height_of_some_bone(person, generator)
        scene = draw_scene(person, shape, spacing, centre, recipe.synthesis, generator)
        classes = self.channel_of_class[scene.nearest.long()]
        distance = scene.distance_mm + uniform((0.0, 0.8), generator) * draw_smooth_noise(
            shape, spacing, 8.0, generator
        )
        mask = compute_occupancy(distance, spacing)
        # Slice networks leave some of the other bones out, and miss or invent a piece now and then.
        kept = draw_smooth_noise(shape, spacing, 25.0, generator) + uniform((-0.5, 3.0), generator) > 0.0
        mask = torch.where((classes == 0) & ~kept, torch.zeros_like(mask), mask)
        if chance(0.3, generator):
            mask = mask * (draw_smooth_noise(shape, spacing, 14.0, generator) < uniform((1.8, 2.8), generator))
        if chance(0.3, generator):
            invented = (draw_smooth_noise(shape, spacing, 12.0, generator) > 2.4) & (scene.distance_mm > 3.0)
            mask = torch.where(invented, torch.ones_like(mask), mask)
            classes = torch.where(invented, torch.zeros_like(classes), classes)
        mask = mask * scene.known
        if chance(0.4, generator):
            mask = mask * _random_box(shape, generator)
        return Samples(mask[None, None], classes[None], torch.ones_like(mask)[None], mask[None])


def read_people(folder: str | Path, joints: tuple[str, ...], group: str) -> list[PreparedSubject]:
    """Read the prepared people of some joints and one group (``train``, ``validation``, ``test``) from a folder.

    Raises:
        InputError: the folder holds none of them.
    """
    people = []
    for path in sorted(Path(folder).rglob("*.npz")):
        anatomy = Anatomy.load(path)
        if anatomy.joint in joints and anatomy.group == group:
            people.append(PreparedSubject(anatomy))
    if not people:
        raise InputError(
            f"{folder} holds no prepared {group} people for {', '.join(joints)}; "
            "prepare them with `kneeseg synthesize --prepare`."
        )
    return people


def _random_box(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    inside = torch.ones(shape, dtype=torch.bool)
    for axis, size in enumerate(shape):
        if chance(0.4, generator):
            cut = int(uniform((0.0, 0.4), generator) * size)
            if cut:
                inside.narrow(axis, 0 if chance(0.5, generator) else size - cut, cut).fill_(False)
    return inside
