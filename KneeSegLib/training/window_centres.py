"""Where a CT recipe's windows are centred: at places of the anatomy that would be rare in windows set anywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from KneeSegLib.training.settings import CENTRE_JITTER, SHAFT_END_FRACTIONS
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.fields import uniform
from KneeSegLib.training.synthesis.settings import SIDE_SLACK_MM
from KneeSegLib.training.synthesis.subjects import PreparedSubject


@dataclass(frozen=True)
class Centres:
    """Fractions of a recipe's windows that are centred near a place; the others lie anywhere.

    Attributes:
        feet: talus or calcaneus. pelvis: hip bone. eminence: upper end of the tibia. condyle: lower end of the femur.
        patella: its middle. shafts: anywhere along the middle of a shaft, which a stump or the border may cut.
    """

    feet: float = 0.0
    pelvis: float = 0.0
    eminence: float = 0.0
    condyle: float = 0.0
    patella: float = 0.0
    shafts: float = 0.0


_BONES = {
    "feet": ("talus", "calcaneus"),
    "pelvis": ("hip_bone",),
    "eminence": ("tibia",),
    "condyle": ("femur",),
    "patella": ("patella",),
    "shafts": ("femur", "tibia", "fibula"),
}


def draw_place(centres: Centres, subject: PreparedSubject, generator: torch.Generator) -> torch.Tensor | None:
    """Draw a place ``(z, y, x)`` in mm of a prepared subject; None for anywhere, and where it has no such place."""
    drawn = float(torch.rand((), generator=generator))
    for place, fraction in dataclasses.asdict(centres).items():
        if drawn < fraction:
            return _draw_place_of_bone(place, subject, generator)
        drawn -= fraction
    return None


def draw_centre_near(
    place: torch.Tensor,
    subject: PreparedSubject,
    shape: Sequence[int],
    spacing_mm: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw the centre of a window that shows a place somewhere about its middle.

    Windows on whole bodies may reach beyond the body; those on a joint stay within its prepared box, as
    :func:`~KneeSegLib.training.synthesis.ct.draw_centre` keeps them.
    """
    centre = []
    for axis, size in enumerate(shape):
        window = size * spacing_mm
        wanted = float(place[axis]) + uniform(CENTRE_JITTER, generator) * window
        if subject.joint != "body":
            extent, slack = subject.extent_mm[axis], SIDE_SLACK_MM if axis else 0.0
            low, high = min(window / 2, extent / 2) - slack, max(extent - window / 2, extent / 2) + slack
            wanted = min(max(wanted, low), high)
        centre.append(wanted)
    return torch.tensor(centre)


def _draw_place_of_bone(place: str, subject: PreparedSubject, generator: torch.Generator) -> torch.Tensor | None:
    wanted = [i for i in subject.heights_mm if CLASSES[i].rsplit("_", 1)[0] in _BONES[place]]
    if not wanted:
        return None
    index = wanted[int(torch.randint(len(wanted), (), generator=generator))]
    if place == "eminence":
        return subject.find_level_mm(index, 1.0)
    if place == "condyle":
        return subject.find_level_mm(index, 0.0)
    return subject.find_level_mm(index, uniform(SHAFT_END_FRACTIONS, generator) if place == "shafts" else 0.5)
