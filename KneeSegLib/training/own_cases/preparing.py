"""From a folder of cases to the sets on disk that are trained on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from KneeSegLib.anatomy import KNEE_MR_CLASSES, MENISCUS_OF_COMPARTMENT, SIDES
from KneeSegLib.errors import InputError
from KneeSegLib.io.intensities import Modality
from KneeSegLib.io.screening import list_image_files
from KneeSegLib.mr.slices import scan_percentile
from KneeSegLib.progress import Progress
from KneeSegLib.training.own_cases.checks import fingerprint, require_different
from KneeSegLib.training.own_cases.files import CaseFiles, CaseFolder
from KneeSegLib.training.own_cases.joint_sets import box_of_side, cut_joint
from KneeSegLib.training.own_cases.parts import Part, count_labels, name_labels, read_index, write_index, write_part
from KneeSegLib.training.own_cases.reading import Labelling, OwnCase, read_case
from KneeSegLib.training.recipe import MR_PREFIX, Recipe

_KNEE_TISSUES = (*KNEE_MR_CLASSES[1:-1], *MENISCUS_OF_COMPARTMENT.values())


def prepare_parts(
    found: CaseFolder, labelling: Labelling, recipe: Recipe, store: Path, progress: Progress
) -> tuple[list[Part], list[str]]:
    """Read and check all cases, cut them into the recipe's sets and write these into ``store``.

    What lies there already is used if it was made from the same files for the same joints.

    Returns:
        The sets, and notes on what was left out.

    Raises:
        InputError: a case cannot be used, two show the same image, or none shows what the recipe is for.
    """
    made_from = _describe(found, labelling, recipe)
    stored = read_index(store, made_from)
    if stored is not None:
        return stored
    store.mkdir(parents=True, exist_ok=True)
    modality: Modality = "MR" if recipe.kind.startswith(MR_PREFIX) else "CT"
    seen: dict[str, str] = {}
    parts: list[Part] = []
    without: list[str] = []
    for number, files in enumerate(found.cases):
        progress(number / len(found.cases), f"Reading case {number + 1} of {len(found.cases)}")
        case = read_case(files, found, labelling, modality)
        require_different(seen, fingerprint(case.scan.values), case.name)
        own = _cut(case, recipe, store, len(parts))
        if not own:
            without.append(case.name)
        parts += own
    if not parts:
        raise InputError(_explain_nothing(recipe, found))
    notes = list(found.notes)
    if without:
        notes.append(f"Cases that do not show what {recipe.name} is for were left out: {', '.join(without)}.")
    notes += _describe_missing(parts, recipe)
    write_index(store, parts, made_from, notes)
    logging.getLogger(__name__).info("%d sets of %d cases in %s", len(parts), len(found.cases), store)
    return parts, notes


def _cut(case: OwnCase, recipe: Recipe, store: Path, first: int) -> list[Part]:
    """Write the sets of a case, one for each leg that shows the joint."""
    grid = case.scan.grid
    parts: list[Part] = []
    for side in SIDES:
        if recipe.kind.startswith(MR_PREFIX):
            box = box_of_side(case.labels, grid, side, _KNEE_TISSUES)
        else:
            box = cut_joint(case.labels, grid, side, recipe.joints[0])
        if box is None:
            continue
        voxels = grid.slices_within(box)
        labels = case.labels[voxels]
        part = Part(
            store,
            f"{first + len(parts):04d}",
            case.name,
            case.subject,
            side,
            grid.part(voxels),
            scan_percentile(case.scan.values),
            count_labels(labels),
        )
        write_part(store, part, case.scan.values[voxels], labels)
        parts.append(part)
    return parts


def _describe(found: CaseFolder, labelling: Labelling, recipe: Recipe) -> dict[str, Any]:
    """What the sets depend on: files by size and time, how labels are understood, and what is cut."""
    return {
        "cases": [_stamp_case(case) for case in found.cases],
        "mappings": {name: repr(mapping) for name, mapping in labelling.mappings.items()},
        "side": labelling.side,
        "kind": recipe.kind.startswith(MR_PREFIX),
        "joints": list(recipe.joints),
    }


def _stamp_case(case: CaseFiles) -> list[str]:
    paths = [case.image, *(file.path for file in case.labels)]
    return [case.name, case.subject, *map(_stamp_image, paths)]


def _stamp_image(path: Path) -> str:
    found = [file.stat() for file in list_image_files(path)]
    size, changed_ns = sum(stat.st_size for stat in found), max((stat.st_mtime_ns for stat in found), default=0)
    return f"{path} {size} {changed_ns}"


def _describe_missing(parts: Sequence[Part], recipe: Recipe) -> list[str]:
    """Notes on structures that some cases have labelled and others have not."""
    wanted = [name for name in recipe.classes if name in _KNEE_TISSUES or recipe.kind == "slices"]
    notes = []
    for name in wanted:
        having = {part.name for part in parts if name in name_labels(part.own_values)}
        if having and len(having) < len(parts):
            notes.append(
                f"{name.replace('_', ' ').capitalize()} is labelled in {len(having)} of {len(parts)} sets; in the "
                "others it counts as absent."
            )
    return notes


def _explain_nothing(recipe: Recipe, found: CaseFolder) -> str:
    if recipe.kind.startswith(MR_PREFIX):
        return f"None of the {len(found.cases)} cases has a structure of the knee labelled; check the label mapping."
    joint = recipe.joints[0]
    needed = {"hip": "femur and hip bone", "knee": "femur and tibia", "ankle": "tibia and talus"}[joint]
    return (
        f"None of the {len(found.cases)} cases shows the {joint} of a leg with {needed} labelled, where they meet; "
        "choose another recipe or check the label mapping."
    )
