"""Recipes in YAML files and in the metadata of bundles: read, and every entry checked."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.bundles.kinds import BOTH_BONES
from KneeSegLib.errors import InputError
from KneeSegLib.io.documents import UnreadableDocument, read_document
from KneeSegLib.networks.resnet_unet import LEVELS
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.networks.vnet import are_vnet_widths
from KneeSegLib.plain_text import shorten
from KneeSegLib.training.recipe import MR_PREFIX, Recipe
from KneeSegLib.training.recipe_values import check_values
from KneeSegLib.training.settings import MOST_RECIPE_BYTES, VIEW_MM
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT as MR_JOINT
from KneeSegLib.training.synthesis.mr.settings import MrSynthesis
from KneeSegLib.training.synthesis.settings import CtSynthesis

RECIPES_FOLDER = Path(__file__).parent / "recipes"

CENTRED_KINDS = ("slices", "localiser", "naming")
"""Kinds of network whose windows a recipe may centre at places of the anatomy."""
FORMER_KEYS = {"lump_mm": "component_mm", "lump_probability": "component_probability"}
"""Entries that had other names in recipes and bundles written earlier, and their present names."""


def read_recipe(name_or_path: str | Path, assignments: Sequence[str] = (), **changes: Any) -> Recipe:
    """Read a recipe by name (one that ships) or by path; ``changes`` replace single top-level entries.

    Args:
        assignments: entries to replace at any depth, each as ``losses.dice=0.5``, the value in YAML.

    Raises:
        InputError: no such recipe, or an entry that is unknown or of the wrong kind; the sentence names it.
    """
    path = Path(name_or_path)
    if not path.exists():
        path = RECIPES_FOLDER / f"{name_or_path}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in RECIPES_FOLDER.glob("*.yaml")))
        raise InputError(f"No recipe {str(name_or_path)!r} was found; give a YAML file or one of: {known}.")
    content = _read_table(path)
    for assignment in assignments:
        _assign(content, assignment, path.name)
    content.update({key: value for key, value in changes.items() if value is not None})
    recipe = _build(Recipe, content, path.name)
    _check(recipe, path.name)
    return recipe


def _read_table(path: Path) -> dict[str, Any]:
    """Return the entries of a file in YAML, of which JSON is a part."""
    import yaml

    try:
        text = read_document(path, MOST_RECIPE_BYTES)
    except UnreadableDocument as error:
        raise InputError(f"Recipe {path.name} {error}, expected a file in YAML; write it anew.") from None
    try:
        # An anchor can stand for lists of lists of itself, which are too much to show, and no recipe needs any.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise InputError(f"Recipe {path.name} has an alias (*name), expected values alone; write them out.")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else type(error).__name__
        raise InputError(f"Recipe {path.name} is no YAML that can be read ({where}); correct it.") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"Recipe {path.name} holds no table of entries; see the recipes that ship for the form.")
    return content


def _assign(content: dict[str, Any], assignment: str, where: str) -> None:
    """Replace the entry of a recipe that ``assignment`` names."""
    import yaml

    entry, equals, text = assignment.partition("=")
    *tables, last = entry.split(".")
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise InputError(f"Recipe {where}: {entry!r} was to be set, but {table!r} is no table of entries.")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = None
    if not (equals and last) or value is None:
        raise InputError(
            f"{assignment!r} sets no entry of a recipe; write ENTRY=VALUE, for example losses.dice=0.5 or "
            "volume.input=image."
        )
    content[last] = value


def parse_recipe(content: Mapping[str, Any], where: str) -> Recipe:
    """Return the recipe in a bundle's metadata; what they say beside it (how it was trained) is left out.

    Raises:
        InputError: as :func:`read_recipe`.
    """
    entries = {entry.name for entry in dataclasses.fields(Recipe)}
    recipe = _build(Recipe, {key: value for key, value in content.items() if key in entries}, where)
    _check(recipe, where)
    return recipe


def _check(recipe: Recipe, where: str) -> None:
    check_values(recipe, where)
    dimensions = 2 if recipe.planar else 3
    stride = INPUT_SIZE if recipe.kind == "mr-shape" else 2 ** (len(recipe.widths) - 1)
    for shape in recipe.shapes:
        if len(shape) != dimensions or any(size % stride for size in shape):
            raise InputError(
                f"Recipe {where}: sample shape {list(shape)} was found, "
                f"expected {dimensions} sizes that are multiples of {stride}."
            )
    if recipe.encoder == "plain" and recipe.encoder_weights:
        raise InputError(
            f"Recipe {where}: encoder_weights were found beside encoder: plain; they belong to encoder: resnet50v2."
        )
    if recipe.encoder != "plain" and not (recipe.planar and len(recipe.widths) == LEVELS):
        raise InputError(
            f"Recipe {where}: encoder {recipe.encoder} with kind {recipe.kind} and {len(recipe.widths)} widths was "
            f"found; it belongs to networks of slices with {LEVELS} widths."
        )
    if recipe.kind == "ct-volume" and (len(recipe.shapes) != 1 or not are_vnet_widths(recipe.widths)):
        raise InputError(
            f"Recipe {where}: {len(recipe.shapes)} sample shapes and widths {list(recipe.widths)} were found; "
            "a network of whole femora has one shape and two to five widths, each twice the one before."
        )
    if recipe.kind.startswith(MR_PREFIX) != (recipe.joints == (MR_JOINT,)):
        raise InputError(
            f"Recipe {where}: kind {recipe.kind} with joints {list(recipe.joints)} was found; MR kinds are trained on "
            f"[{MR_JOINT}], and they alone."
        )
    fractions = dataclasses.asdict(recipe.centres)
    if min(fractions.values()) < 0 or sum(fractions.values()) > 1 + 1e-9:
        raise InputError(
            f"Recipe {where}: centres {fractions} were found; each is a fraction of the windows, and together they are "
            "at most 1."
        )
    if any(fractions.values()) and recipe.kind not in CENTRED_KINDS:
        raise InputError(
            f"Recipe {where}: centres were found with kind {recipe.kind}; they belong to {', '.join(CENTRED_KINDS)}."
        )
    if recipe.kind == "mr-shape" and recipe.shape.bone == BOTH_BONES and recipe.shape.input != "signal":
        raise InputError(
            f"Recipe {where}: shape.bone {BOTH_BONES} with shape.input {recipe.shape.input} was found; a network of "
            "both bones sees the signal of the whole MR: set shape.input to signal, or choose one bone."
        )
    least, most = VIEW_MM
    views = recipe.shape.view_mm
    if len(views) != 3 or not all(len(view) == 2 and least <= view[0] <= view[1] <= most for view in views):
        raise InputError(
            f"Recipe {where}: shape.view_mm is {[list(view) for view in views]}, expected three pairs of bounds from "
            f"{least:g} to {most:g} mm, the lower one first."
        )
    if not recipe.planar and recipe.neighbour_offsets_mm:
        raise InputError(f"Recipe {where}: neighbour_offsets_mm were found; a 3D network has no neighbouring slices.")
    if recipe.kind == "slices" and (len(recipe.joints) != 1 or recipe.joints[0] not in JOINT_BONES):
        raise InputError(
            f"Recipe {where}: a slice network serves one joint of {', '.join(JOINT_BONES)}, not {recipe.joints}."
        )


def _build(kind: type, content: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if not all(isinstance(key, str) for key in content):
        raise InputError(f"Recipe {where} has entries whose names are no text; correct them.")
    content = {FORMER_KEYS.get(key, key): value for key, value in content.items()}
    if kind is Recipe:
        hints["synthesis"] = MrSynthesis if str(content.get("kind")).startswith(MR_PREFIX) else CtSynthesis
        content = {"synthesis": {}, **content}
    unknown = sorted(set(content) - set(hints))
    if unknown:
        raise InputError(f"Recipe {where}: entry {unknown[0]!r} is unknown; known are {', '.join(hints)}.")
    missing = [
        entry.name
        for entry in dataclasses.fields(kind)
        if entry.name not in content
        and entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"Recipe {where}: entry {missing[0]!r} is missing; add it.")
    return kind(**{key: _parse(hints[key], value, f"{where}: {key}") for key, value in content.items()})


def _parse(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"Recipe {where} is {_shorten(value)}, expected a table of entries.")
        return _build(hint, value, where)
    if origin is tuple:
        inner, *others = typing.get_args(hint)
        if not isinstance(value, (list, tuple)):
            raise InputError(f"Recipe {where} is {_shorten(value)}, expected a list.")
        if others != [...] and len(value) != 1 + len(others):
            raise InputError(f"Recipe {where} is {_shorten(value)}, expected a list of {1 + len(others)} values.")
        return tuple(_parse(inner, item, where) for item in value)
    if origin is Literal:
        if value not in typing.get_args(hint):
            known = ", ".join(typing.get_args(hint))
            raise InputError(f"Recipe {where} is {_shorten(value)}, expected one of {known}.")
        return value
    if origin is types.UnionType:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**63 else math.inf
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"Recipe {where} is {_shorten(value)}, expected a value of type {hint.__name__}.")
    return value


def _shorten(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)) and len(value) > 8:
        return f"{'a table' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return shorten(value)
