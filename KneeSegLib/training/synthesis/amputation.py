"""Legs of which a part was taken off: bones end in a stump, closed by its cortex, and nothing is left below it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from KneeSegLib.training.synthesis.bones import Bone, Stump
from KneeSegLib.training.synthesis.settings import FIBULA_SHORTER_MM, STUMP_OF_SHANK, STUMP_OF_THIGH

Level = Literal["leg", "thigh", "shank", "ankle", "midfoot"]
"""What is gone: the whole leg, or all from the thigh, the shank, the ankle or the midfoot on."""


def amputate(leg: dict[str, Bone], level: Level, random: np.random.Generator) -> dict[str, Bone]:
    """Return what an amputation leaves of a leg.

    Args:
        leg: ``femur``, ``patella``, ``tibia``, ``fibula``, ``talus``, ``calcaneus`` and bones in front of them.
    """
    if level == "leg":
        return {}
    if level == "midfoot":
        return {name: leg[name] for name in ("femur", "patella", "tibia", "fibula", "talus", "calcaneus")}
    if level == "ankle":
        return {name: leg[name] for name in ("femur", "patella", "tibia", "fibula")}
    name, bounds = ("femur", STUMP_OF_THIGH) if level == "thigh" else ("tibia", STUMP_OF_SHANK)
    upper, lower = leg[name].axis_ends
    along = (lower - upper) / np.linalg.norm(lower - upper)
    point = upper + random.uniform(*bounds) * (lower - upper)
    cut = replace(leg[name], stump=Stump(point, along))
    if level == "thigh":
        return {"femur": cut}
    fibula = replace(leg["fibula"], stump=Stump(point - FIBULA_SHORTER_MM * along, along))
    return {"femur": leg["femur"], "patella": leg["patella"], "tibia": cut, "fibula": fibula}
