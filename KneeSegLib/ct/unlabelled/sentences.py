"""Bone without a label, in words and for the record of a case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from KneeSegLib.anatomy import structure
from KneeSegLib.ct.unlabelled.bone_map import BoneMap
from KneeSegLib.ct.unlabelled.search import UnlabelledBone
from KneeSegLib.inference.scan import Scan

_LPS_LETTERS = (("L", "R"), ("P", "A"), ("S", "I"))
"""The letters that Slicer shows beside a position, for a positive and a negative value of x, y and z in LPS."""


def describe_unlabelled(found: Sequence[UnlabelledBone], bones: BoneMap, scan: Scan) -> list[str]:
    """Return a sentence for each component: how much, where, and what should be there."""
    sentences = []
    for one in found:
        position = ", ".join(
            f"{abs(value):.0f} mm {letters[value < 0.0]}"
            for value, letters in zip(locate_lps_mm(one, scan), _LPS_LETTERS)
        )
        where = "in view" if one.nearest is None else _describe_place(one, bones)
        sentence = f"{one.volume_cm3:.0f} cm3 of bone {where} have no label (around {position})"
        if one.expected is not None:
            sentence += f": the {structure(*one.expected).name.lower()} should be there"
        sentences.append(f"{sentence}. Check this place.")
    return sentences


def record_unlabelled(found: Sequence[UnlabelledBone], scan: Scan) -> list[dict[str, Any]]:
    """Return JSON-able facts of each component."""
    return [
        {
            "volume_cm3": round(one.volume_cm3, 1),
            "center_lps_mm": [round(value, 1) for value in locate_lps_mm(one, scan)],
            "nearest": one.nearest,
            "distance_mm": round(one.distance_mm, 1) if one.nearest else None,
            "expected": structure(*one.expected).key if one.expected else None,
        }
        for one in found
    ]


def locate_lps_mm(one: UnlabelledBone, scan: Scan) -> tuple[float, float, float]:
    """Return the centre of a component in the patient's frame, LPS."""
    index = [place / axis.spacing_mm for place, axis in zip(one.center_mm, scan.grid)]
    x, y, z = scan.image.TransformContinuousIndexToPhysicalPoint(index[::-1])
    return x, y, z


def _describe_place(one: UnlabelledBone, bones: BoneMap) -> str:
    """Where a component lies of the nearest labelled bone: ``above the left tibia``."""
    nearest = structure(one.nearest or "")
    own = bones.labelled[nearest.key]
    low, high = own.min(axis=0), own.max(axis=0)
    z, y, x = one.center_mm
    if z > high[0]:
        word = "above"
    elif z < low[0]:
        word = "below"
    elif y < low[1]:
        word = "in front of"
    elif y > high[1]:
        word = "behind"
    elif x < low[2] or x > high[2]:
        outer = (x > high[2]) == (nearest.side == "left")
        word = "to the outer side of" if outer else "to the inner side of"
    else:
        word = "beside"
    return f"{word} the {nearest.name.lower()}"
