"""Whether bone that a result lacks is said: takes bones and joints away from right results and counts what is silent.

    python Testing/benchmarks/lost.py --prepared work/subjects --output work/lost.json

Every prepared test subject is rendered and segmented once. Then each bone's label is taken away, as if it had not been
labelled, and each joint's labels; once with what the localiser said (it saw the bone, the other networks lost it) and
once with a localiser that takes the bones for others than those of legs. The search for bone without a label has to
report something in the place of what is lost. What it reports where nothing was taken away is listed too: on a right
result that should be nothing. ``--truth`` takes the anatomy that was rendered for the result, which is right.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

from kept_cases import kept
from subjects import list_prepared_subjects

import KneeSegLib as ks
from KneeSegLib.anatomy import BONES, JOINT_BONES, SIDES, structure, structure_of_label
from KneeSegLib.bundles import load_model
from KneeSegLib.ct.localise import CoarseProbabilities, localise_bones
from KneeSegLib.ct.settings import LEAST_VOLUME_CM3
from KneeSegLib.ct.unlabelled.bone_map import BoneMap, map_bones
from KneeSegLib.ct.unlabelled.search import UnlabelledBone, find_unlabelled_bone
from KneeSegLib.errors import KneeSegError
from KneeSegLib.geometry.boxes import find_mask_box
from KneeSegLib.inference.device import use_device
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.io.volume import Volume
from KneeSegLib.networks.device import find_device
from KneeSegLib.pipelines.table import LOCALISER_BUNDLE
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.cases import synthesize_case
from KneeSegLib.training.synthesis.subjects import PreparedSubject

JOINTS = ("ankle", "knee", "hip", "body")
IN_PLACE_MM = 15.0
"""A report is of what is lost where it begins no farther than this from it."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    arguments.add_argument("--output", type=Path, default=Path("work/lost.json"))
    arguments.add_argument("--joint", choices=JOINTS, action="append")
    arguments.add_argument("--subjects", type=int, help="no more than so many of each joint")
    arguments.add_argument("--truth", action="store_true", help="the rendered anatomy stands for the result")
    arguments.add_argument("--spacing", type=float, default=1.5, help="mm; whole bodies at 2 mm")
    arguments.add_argument("--seed", type=int, default=8200)
    arguments.add_argument("--keep", type=Path, metavar="FOLDER", help="rendered images are kept there, and used again")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    records = []
    for joint in options.joint or JOINTS:
        for number, path in enumerate(list_prepared_subjects(options.prepared, joint, "test")[: options.subjects]):
            records.append(as_strict_json(measured(path, joint, ("right", "left")[number % 2], options)))
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(records, indent=1), encoding="utf-8")
            print(_summary(records[-1]), flush=True)
    deletions = [one for record in records for one in record["deletions"]]
    silent = sum(not one["said"] for one in deletions)
    alarms = sum(len(record["reported"]) for record in records)
    print(f"\n{len(records)} scans, {len(deletions)} deletions, {silent} silent; {alarms} reports without a deletion")


def measured(path: Path, joint: str, side: str, options: argparse.Namespace) -> dict[str, Any]:
    """What is reported of one subject's scan as it is, and after each deletion."""
    spacing = 2.0 if joint == "body" else options.spacing

    def make() -> Any:
        return synthesize_case(PreparedSubject(Anatomy.load(path)), spacing, side=side, seed=options.seed)

    case = kept(options.keep, f"{path.stem}_{side}_{spacing:g}mm_{options.seed}", path.stem, "test", make)
    scan = Scan.of_volume(Volume(case.image, "CT", path.stem))
    labels = sitk.GetArrayFromImage(case.labels)
    if not options.truth:
        try:
            result = ks.segment(case.image, pipeline="ct-leg", device="cpu", edge="cortex")
        except KneeSegError as error:
            return {"subject": path.stem, "reported": [str(error)], "deletions": []}
        labels = sitk.GetArrayFromImage(result.labels)
    with use_device(device := find_device("cpu")):
        coarse = localise_bones(load_model(LOCALISER_BUNDLE, device), scan)
    assert coarse is not None
    whole = map_bones(scan, list_legs(labels), coarse)
    before = find_unlabelled_bone(whole)
    deletions = []
    for lost, unseen in list_deletions(labels, float(np.prod(scan.grid.spacing_mm)) / 1000.0):
        left = np.where(np.isin(labels, [structure(key).label_value for key in lost]), 0, labels)
        found = find_unlabelled_bone(map_bones(scan, list_legs(left), hide(coarse, lost) if unseen else coarse))
        said = any(is_new(one, before) and is_in_place(one, lost, whole) for one in found)
        deletions.append({"lost": lost, "localiser": "calls them others" if unseen else "saw them", "said": said})
    return {"subject": path.stem, "reported": [describe(one) for one in before], "deletions": deletions}


def list_deletions(labels: np.ndarray, voxel_cm3: float) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield keys of what is taken away, and whether the localiser is to lose it too.

    These are bones of which enough is in view to be found, and joints that are not all there is.
    """
    volumes = np.bincount(labels.ravel(), minlength=256) * voxel_cm3
    present = [structure_of_label(int(value)) for value in np.flatnonzero(volumes) if value]
    enough = [one for one in present if volumes[one.label_value] >= LEAST_VOLUME_CM3[one.tissue.key]]
    for one in enough:
        yield (one.key,), False
        yield (one.key,), True
    for side in SIDES:
        for bones in JOINT_BONES.values():
            lost = tuple(one.key for one in enough if one.side == side and one.tissue.key in bones)
            if 1 < len(lost) < len(present):
                yield lost, True


def list_legs(labels: np.ndarray) -> list[LegLabels]:
    """The labels of a whole scan, leg by leg."""
    legs = []
    for side in SIDES:
        own = np.where(np.isin(labels, [structure(bone, side).label_value for bone in BONES]), labels, 0)
        if (box := find_mask_box(own > 0)) is not None:
            legs.append(LegLabels(side, own[box].astype(np.uint8), box, {}))
    return legs


def hide(coarse: CoarseProbabilities, lost: tuple[str, ...]) -> CoarseProbabilities:
    """A prediction in which some bones are taken for others than those of legs."""
    bones, other = {side: array.copy() for side, array in coarse.bones.items()}, coarse.other.copy()
    for one in map(structure, lost):
        assert one.side is not None
        index = BONES.index(one.tissue.key)
        other += bones[one.side][index]
        bones[one.side][index] = 0.0
    return replace(coarse, bones=bones, other=other)


def is_new(one: UnlabelledBone, before: list[UnlabelledBone]) -> bool:
    return all(np.linalg.norm(np.subtract(one.center_mm, other.center_mm)) > 1.0 for other in before)


def is_in_place(one: UnlabelledBone, lost: tuple[str, ...], whole: BoneMap) -> bool:
    """Whether what is reported lies where something was taken away."""
    for key in lost:
        low, high = whole.labelled[key].min(axis=0) - IN_PLACE_MM, whole.labelled[key].max(axis=0) + IN_PLACE_MM
        if all(a <= high[axis] and b >= low[axis] for axis, (a, b) in enumerate(one.box)):
            return True
    return False


def describe(one: UnlabelledBone) -> str:
    return f"{one.volume_cm3:.1f} cm3 near {one.nearest}, expected {one.expected}"


def _summary(record: dict[str, Any]) -> str:
    silent = [f"{'+'.join(one['lost'])} ({one['localiser']})" for one in record["deletions"] if not one["said"]]
    return (
        f"{record['subject']}: {len(record['deletions'])} deletions, silent: {', '.join(silent) or 'none'}; "
        f"reported without a deletion: {'; '.join(record['reported']) or 'nothing'}"
    )


if __name__ == "__main__":
    main()
