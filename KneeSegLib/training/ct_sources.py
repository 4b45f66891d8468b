"""Sample sources for CT: transverse slices, coarse volumes for the localiser, and bone masks for the naming network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from KneeSegLib.anatomy import OTHER
from KneeSegLib.errors import InputError
from KneeSegLib.networks.ct_channels import localiser_channels, slice_channels
from KneeSegLib.training import settings
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy
from KneeSegLib.training.synthesis.ct import draw_centre, draw_scene, render_ct
from KneeSegLib.training.synthesis.distractors import mirror_classes
from KneeSegLib.training.synthesis.feet import NOT_TRAINED_ON
from KneeSegLib.training.synthesis.fields import chance, compute_occupancy, draw_smooth_noise, uniform
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.window_centres import draw_centre_near, draw_place


class CtSource:
    """Base of the sources for CT: knows the subjects; derived classes know what is made of them."""

    def __init__(self, recipe: Recipe, subjects: list[PreparedSubject]) -> None:
        self.recipe = recipe
        self.subjects = subjects
        self.channel_of_class = self._make_channel_table()

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> CtSource:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.of_folder`."""
        return cls(recipe, read_subjects(folder, recipe.joints, group))

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.render`."""
        raise NotImplementedError

    def _make_channel_table(self) -> torch.Tensor:
        names = self.recipe.classes
        return torch.tensor(
            [names.index(n) if n in names else 0 for n in map(self._name_class, CLASSES)], dtype=torch.uint8
        )

    def _name_class(self, name: str) -> str:
        """The recipe's name for a class of prepared anatomy: joint models and naming see right legs alone."""
        return name.removesuffix("_right")

    def _draw_subject(self, generator: torch.Generator) -> PreparedSubject:
        return self.subjects[int(torch.randint(len(self.subjects), (), generator=generator))]

    def _draw_centre(self, subject: PreparedSubject, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Draw a window's centre where the recipe wants it, of slices its height alone."""
        recipe = self.recipe
        place = draw_place(recipe.centres, subject, generator)
        if place is not None:
            centre = draw_centre_near(place, subject, shape, recipe.spacing_mm, generator)
            if not recipe.planar:
                return centre
            return torch.cat([centre[:1], draw_centre(subject, shape, recipe.spacing_mm, generator)[1:]])
        centre = draw_centre(subject, shape, recipe.spacing_mm, generator)
        if chance(recipe.bone_focus, generator):
            centre[0] = self._draw_height_of_bone(subject, generator)
        return centre

    def _draw_height_of_bone(self, subject: PreparedSubject, generator: torch.Generator) -> float:
        """A height at which a randomly chosen bone is, so that short bones are seen as often as long ones."""
        wanted = [heights for index, heights in subject.heights_mm.items() if self.channel_of_class[index] > 0]
        return uniform(wanted[int(torch.randint(len(wanted), (), generator=generator))], generator)


class SliceSource(CtSource):
    """Transverse slices with their channels, several from each rendered slab."""

    def _name_class(self, name: str) -> str:
        """Bones that this joint does not have, and all of the other leg, are "other" ones."""
        right = name.removesuffix("_right")
        return right if right in self.recipe.classes or name == CLASSES[0] else OTHER

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return every second slice of a slab: neighbours tell nearly the same."""
        recipe = self.recipe
        reach = max((abs(offset) for offset in recipe.neighbour_offsets_mm), default=0.0)
        depth = 2 * recipe.slab_slices + 2 * int(round(0.5 * reach / recipe.spacing_mm))
        subject = self._draw_subject(generator)
        slab = (depth, *shape)
        centre = self._draw_centre(subject, slab, generator)
        image = render_ct(subject, slab, recipe.spacing_mm, centre, recipe.ct_synthesis, generator)
        first = (depth - 2 * recipe.slab_slices) // 2
        positions = torch.arange(first, first + 2 * recipe.slab_slices, 2)
        inputs = slice_channels(image.hu, recipe.spacing_mm, positions, recipe.neighbour_offsets_mm)
        classes = self.channel_of_class[image.nearest[positions].long()]
        filled = image.occupancy[positions] * (classes > 0)
        return Samples(inputs, SoftLabels(classes, filled, torch.ones_like(filled), torch.zeros_like(classes)))


class LocaliserSource(CtSource):
    """Coarse volumes of one joint or of both legs, from either side of the body."""

    def _name_class(self, name: str) -> str:
        return name

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return one volume."""
        recipe = self.recipe
        wide = shape[2] * recipe.spacing_mm > settings.LOCALISER_WIDE_MM
        subjects = [subject for subject in self.subjects if subject.joint == "body" or not wide]
        subject = subjects[int(torch.randint(len(subjects), (), generator=generator))]
        centre = self._draw_centre(subject, shape, generator)
        image = render_ct(subject, shape, recipe.spacing_mm, centre, recipe.ct_synthesis, generator)
        classes, filled, hu = self.channel_of_class[image.nearest.long()], image.occupancy, image.hu
        if chance(0.5, generator):
            classes, filled, hu = mirror_classes(classes.flip(-1)), filled.flip(-1), hu.flip(-1)
        if chance(settings.LOCALISER_CUT_PROBABILITY, generator):
            outside = ~_draw_field_of_view(hu.shape, generator)
            hu = hu.masked_fill(outside, -1000.0)
            filled = filled.masked_fill(outside, 0.0)
        weight = torch.where(classes > 0, 1.0, settings.LOCALISER_FAR_WEIGHT)
        if subject.joint == "hip":
            # There the other hip bone is prepared as an "other" bone, which it is to the hip's joint model alone.
            weight = torch.where(classes == recipe.classes.index(OTHER), 0.0, weight)
        classes, filled, weight = classes[None], (filled * (classes > 0))[None], weight[None]
        return Samples(localiser_channels(hu)[None], SoftLabels(classes, filled, weight, torch.zeros_like(classes)))


class NamingSource(CtSource):
    """Imperfect bone masks of right legs; only voxels of the mask count."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """Return one mask."""
        recipe = self.recipe
        subject = self._draw_subject(generator)
        spacing = recipe.spacing_mm
        centre = self._draw_centre(subject, shape, generator)
        scene = draw_scene(subject, shape, spacing, centre, recipe.ct_synthesis, generator)
        classes = self.channel_of_class[scene.nearest.long()]

        def noise(scale_mm: float) -> torch.Tensor:
            return draw_smooth_noise(shape, spacing, scale_mm, generator)

        offset_mm = uniform(settings.NAMING_OFFSET_MM, generator) * noise(settings.NAMING_OFFSET_SCALE_MM)
        mask = compute_occupancy(scene.distance_mm + offset_mm, spacing)
        # Slice networks leave some of the other bones out, and miss or invent a piece now and then.
        kept = noise(settings.NAMING_OTHERS_SCALE_MM) + uniform(settings.NAMING_OTHERS_KEPT, generator) > 0.0
        mask = torch.where((classes == 0) & ~kept, torch.zeros_like(mask), mask)
        if chance(settings.NAMING_PIECE_PROBABILITY, generator):
            mask = mask * (noise(settings.NAMING_MISSING_SCALE_MM) < uniform(settings.NAMING_MISSING, generator))
        if chance(settings.NAMING_PIECE_PROBABILITY, generator):
            piece = noise(settings.NAMING_INVENTED_SCALE_MM) > settings.NAMING_INVENTED
            invented = piece & (scene.distance_mm > settings.NAMING_INVENTED_AWAY_MM)
            mask = torch.where(invented, torch.ones_like(mask), mask)
            classes = torch.where(invented, torch.zeros_like(classes), classes)
        mask = mask * scene.known
        if chance(settings.NAMING_CUT_PROBABILITY, generator):
            mask = mask * _draw_field_of_view(shape, generator)
        mask, classes = mask[None], classes[None]
        return Samples(mask[None], SoftLabels(classes, torch.ones_like(mask), mask, torch.zeros_like(classes)))


def read_subjects(folder: str | Path, joints: tuple[str, ...], group: str) -> list[PreparedSubject]:
    """Read the prepared subjects of some joints and one group (``train``, ``validation``, ``test``) from a folder.

    Raises:
        InputError: the folder holds none of them, or one with bones of a subject who is kept for tests.
    """
    subjects = []
    for path in sorted(Path(folder).rglob("*.npz")):
        anatomy = Anatomy.load(path)
        if anatomy.joint in joints and anatomy.group == group:
            _require_training_source(anatomy, path)
            subjects.append(PreparedSubject(anatomy))
    if not subjects:
        raise InputError(
            f"{folder} holds no prepared {group} subjects for {', '.join(joints)}; "
            "prepare them with `kneeseg synthesize --prepare`."
        )
    return subjects


def _require_training_source(anatomy: Anatomy, path: Path) -> None:
    """Raise where a subject that is not for tests shows bones of one who is kept for them."""
    kept = [source for source in anatomy.sources if source.startswith(NOT_TRAINED_ON)]
    if kept and anatomy.group != "test":
        raise InputError(
            f"{path} is made from {kept[0]}: it may show the Visible Human Female, who is kept for tests; prepare "
            "training anatomy again in a new folder with `kneeseg synthesize --prepare`."
        )


def _draw_field_of_view(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Boolean, True in view: cut off along some axes."""
    inside = torch.ones(shape, dtype=torch.bool)
    for axis, size in enumerate(shape):
        if chance(settings.CUT_AXIS_PROBABILITY, generator):
            cut = int(uniform((0.0, settings.CUT_FRACTION), generator) * size)
            if cut:
                inside.narrow(axis, 0 if chance(0.5, generator) else size - cut, cut).fill_(False)
    return inside
