"""Whether the values of a recipe can be trained with: each is of its type already, and here within its bounds."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.errors import InputError
from KneeSegLib.plain_text import shorten
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT as MR_JOINT

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_JOINTS = (*JOINT_BONES, "body", MR_JOINT)
_FRACTIONS = ("probability", "focus", "share", "metal_in_bone")
"""Names, or their ends, of what lies between 0 and 1."""

_LARGEST = 1e7
"""No length, value, weight or number of a recipe is larger. Not measured."""

_COUNTS = {
    "batch": 4096,
    "steps": 10**9,
    "pool": 10**6,
    "slab_slices": 1024,
    "validate_every": 10**9,
    "per_box": 10**4,
    "per_render": 10**3,
    "averaged": 64,
    "modes": 500,
    "encoder_width": 1024,
}
"""Whole numbers that are at least 1, and the most that they can be: more than anyone trains with. Not measured."""

_MOST_LEVELS, _MOST_CHANNELS = 9, 4096
_MOST_SHAPES, _LARGEST_SIDE, _MOST_VOXELS = 64, 4096, 2**28
_POSITIVE = ("spacing_mm", "finest_spacing_mm", "learning_rate", "reuse")


def check_values(recipe: Recipe, where: str) -> None:
    """Raise unless every value of a recipe lies where training can use it.

    Raises:
        InputError: names the first entry that does not, what it is and what was expected.
    """
    for entry, value in _values_of(recipe):
        expected = _find_fault(entry.rpartition(".")[2], value)
        if expected:
            raise _unfit(where, entry, value, expected)
    if not _NAME.fullmatch(recipe.name):
        raise _unfit(where, "name", recipe.name, "letters, digits, dots and hyphens, as it becomes a folder's name")
    if not recipe.joints or not set(recipe.joints) <= set(_JOINTS):
        raise _unfit(where, "joints", list(recipe.joints), f"one joint of {', '.join(_JOINTS)}, or several")
    if not 1 <= len(recipe.widths) <= _MOST_LEVELS or not all(1 <= width <= _MOST_CHANNELS for width in recipe.widths):
        raise _unfit(where, "widths", list(recipe.widths), f"1 to {_MOST_LEVELS} numbers of channels")
    if not 1 <= len(recipe.shapes) <= _MOST_SHAPES or not all(map(_is_shape, recipe.shapes)):
        raise _unfit(where, "shapes", list(map(list, recipe.shapes)), "sizes of samples, each from 1 voxel on")
    if not 0.0 <= recipe.ema < 1.0:
        raise _unfit(where, "ema", recipe.ema, "a decay from 0 to below 1")
    if not 0 <= recipe.seed < 2**63:
        raise _unfit(where, "seed", recipe.seed, "a whole number from 0 to 2^63")
    if len(recipe.neighbour_offsets_mm) > _MOST_CHANNELS:
        raise _unfit(where, "neighbour_offsets_mm", f"{len(recipe.neighbour_offsets_mm)} distances", "fewer of them")
    _check_choices(recipe, where)


def _check_choices(recipe: Recipe, where: str) -> None:
    from KneeSegLib.training.synthesis.mr.contrast import PRESETS

    if not recipe.mr.edges or not recipe.mr.views:
        raise InputError(f"Recipe {where}: mr.edges and mr.views were found empty, expected one of each at least.")
    contrast = getattr(recipe.synthesis, "contrast", None)
    if contrast is not None and not (contrast.presets and set(contrast.presets) <= set(PRESETS)):
        raise _unfit(where, "synthesis.contrast.presets", list(contrast.presets), f"some of {', '.join(PRESETS)}")


def _values_of(table: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        if dataclasses.is_dataclass(value):
            yield from _values_of(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def _find_fault(name: str, value: Any) -> str:
    """Return what was expected of an entry; nothing where it is fit."""
    numbers = value if isinstance(value, tuple) else (value,)
    floats = [number for number in numbers if isinstance(number, float)]
    if not all(math.isfinite(number) and abs(number) <= _LARGEST for number in floats):
        return f"numbers of {_LARGEST:g} at most"
    if name in _COUNTS:
        fit = isinstance(value, int) and 1 <= value <= _COUNTS[name]
        return "" if fit else f"a whole number from 1 to {_COUNTS[name]}"
    if name.endswith(_FRACTIONS) and not all(0.0 <= number <= 1.0 for number in floats):
        return "a number from 0 to 1"
    if name in _POSITIVE and not all(number > 0.0 for number in floats):
        return "a number above 0"
    if isinstance(value, tuple) and len(floats) == 2 and name != "neighbour_offsets_mm" and floats[0] > floats[1]:
        return "two bounds, the lower one first"
    return ""


def _is_shape(shape: tuple[int, ...]) -> bool:
    return all(1 <= size <= _LARGEST_SIDE for size in shape) and math.prod(shape) <= _MOST_VOXELS


def _unfit(where: str, entry: str, value: Any, expected: str) -> InputError:
    return InputError(f"Recipe {where}: {entry} is {shorten(value)}, expected {expected}; correct it.")
