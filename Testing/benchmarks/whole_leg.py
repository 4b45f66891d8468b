"""Whole legs in any pose: which bones of both legs are found, named and delineated, in several fields of view.

    python Testing/benchmarks/whole_leg.py --prepared work/subjects --output work/whole_leg.json
    python Testing/benchmarks/whole_leg.py --prepared work/subjects --localiser    # found and named alone

The ``posed`` test subjects (``kneeseg synthesize DATA_PACK -o work/subjects --prepare --joint body --group test``) have
feet turned and pointing down, bent knees, legs that touch or are crossed, and of some a part of a leg is lost. Each is
rendered once; of that scan the whole, its mirror image and parts are segmented, sides swapped back for the mirror
image. A bone is expected where so much of it is in view that the pipeline has to find it. *Named right* is a bone whose
label has a Dice of at least one half with it, *not there* one of which the scan shows nothing. What exists in
``--output`` is kept, and what is missing there is added.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

from damage import Scan as RenderedScan
from kept_cases import kept
from subjects import list_prepared_subjects

import KneeSegLib as ks
from KneeSegLib.anatomy import STRUCTURES, Side, structure
from KneeSegLib.bundles import load_model
from KneeSegLib.ct.legs import find_legs
from KneeSegLib.ct.localise import localise_bones
from KneeSegLib.ct.settings import LEAST_VOLUME_CM3
from KneeSegLib.errors import KneeSegError
from KneeSegLib.inference.device import use_device
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.networks.device import find_device
from KneeSegLib.pipelines.table import LOCALISER_BUNDLE, QUALITIES
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.body_cases import POSED, find_arrangement
from KneeSegLib.training.synthesis.cases import SyntheticCase, synthesize_case
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.synthesis.voxels import CaseName

_SWAPPED = np.arange(256, dtype=np.uint8)
for _one in STRUCTURES:
    _SWAPPED[_one.label_value] = structure(_one.tissue.key, "left" if _one.side == "right" else "right").label_value


def mirrored(scan: RenderedScan) -> RenderedScan:
    """The mirror image: right bones become left ones."""
    return replace(scan, hu=scan.hu[:, :, ::-1].copy(), labels=_SWAPPED[scan.labels[:, :, ::-1]])


def between(low: float, high: float) -> Callable[[RenderedScan], RenderedScan]:
    """The part of the height between two fractions, from the soles."""
    return lambda scan: scan.part(0, round(low * len(scan.hu)), round(high * len(scan.hu)))


def right_half(scan: RenderedScan) -> RenderedScan:
    return scan.part(2, 0, round(0.5 * scan.hu.shape[2]))


VIEWS: dict[str, Callable[[RenderedScan], RenderedScan]] = {
    "whole": lambda scan: scan,
    "mirrored": mirrored,
    "feet": between(0.0, 0.17),
    "toes to knees": between(0.0, 0.52),
    "knees": between(0.36, 0.62),
    "pelvis to knees": between(0.42, 1.0),
    "hips": between(0.66, 1.0),
    "right half": right_half,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/subjects"))
    arguments.add_argument("--output", type=Path, default=Path("work/whole_leg.json"))
    arguments.add_argument("--views", nargs="+", choices=tuple(VIEWS), default=list(VIEWS))
    arguments.add_argument("--subjects", type=int, help="no more than so many, the first ones")
    arguments.add_argument("--localiser", action="store_true", help="the localiser alone, without delineation")
    arguments.add_argument("--models", type=Path, help="folder of bundles that go before those that ship")
    arguments.add_argument("--quality", choices=tuple(QUALITIES), default="standard")
    arguments.add_argument("--spacing", type=float, default=1.5, help="mm, in-plane and between slices")
    arguments.add_argument("--seed", type=int, default=8100)
    arguments.add_argument("--keep", type=Path, metavar="FOLDER", help="rendered images are kept there, and used again")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    runs = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else []
    for run in measured(options, {(run["subject"], run["view"], run["localiser"]) for run in runs}):
        runs.append(as_strict_json(run))
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(runs, indent=1), encoding="utf-8")
    for only in (True, False):
        show([run for run in runs if run["localiser"] == only], "localiser" if only else "result")


def measured(options: argparse.Namespace, done: set[tuple[str, str, bool]]) -> Iterator[dict[str, Any]]:
    """Yield one record for each subject and view that is not done."""
    paths = [path for path in list_prepared_subjects(options.prepared, "body", "test") if f"_{POSED}" in path.name]
    if not paths:
        raise SystemExit(f"{options.prepared} holds no {POSED} test subjects; prepare them again.")
    for number, path in enumerate(paths[: options.subjects]):
        subject = path.stem.split("_")[-1]
        wanted = [view for view in options.views if (subject, view, options.localiser) not in done]
        if not wanted:
            continue
        case = rendered(path, options.seed + number, options)
        scan = RenderedScan.of(case.image, case.labels)
        arrangement = find_arrangement(CaseName("body", "test", subject))
        for view in wanted:
            found = (localised if options.localiser else segmented)(VIEWS[view](scan), options)
            if view == "mirrored":
                found = {swap_side(key): figures for key, figures in found.items()}
            run = {"subject": subject, "legs": arrangement.legs, "lost": arrangement.lost, "view": view}
            print(f"{subject} {view}: {_summary(found)}", flush=True)
            yield {**run, "localiser": options.localiser, "bones": found}


def rendered(path: Path, seed: int, options: argparse.Namespace) -> SyntheticCase:
    """The whole scan of a prepared subject."""

    def make() -> SyntheticCase:
        return synthesize_case(PreparedSubject(Anatomy.load(path)), options.spacing, seed=seed)

    return kept(options.keep, f"{path.stem}_{options.spacing:g}mm_{seed}", path.stem, "test", make)


def list_expected(scan: RenderedScan) -> tuple[set[str], set[str]]:
    """Keys of the structures of which enough is in view to be found, and of those of which anything is."""
    voxel_cm3 = float(np.prod(scan.spacing_mm)) / 1000.0
    volumes = np.bincount(scan.labels.ravel(), minlength=256) * voxel_cm3
    in_view = {one.key: float(volumes[one.label_value]) for one in STRUCTURES if volumes[one.label_value]}
    enough = {key for key, cm3 in in_view.items() if cm3 >= LEAST_VOLUME_CM3[structure(key).tissue.key]}
    return enough, set(in_view)


def localised(scan: RenderedScan, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Whether the localiser finds each expected bone on its side, or one that is not there."""
    image, _ = scan.images()
    seen = Scan.of_volume(Volume(image, "CT", "rendered"))
    with use_device(device := find_device("cpu")):
        coarse = localise_bones(load_model(LOCALISER_BUNDLE, device, options.models), seen)
    found = {structure(bone, leg.side).key for leg in find_legs(coarse, seen.grid) for bone in leg.bones}
    expected, in_view = list_expected(scan)
    return {
        key: {"expected": key in expected, "found": key in found, "named": key in found}
        for key in sorted(expected | (found - in_view))
    }


def segmented(scan: RenderedScan, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Found, named, Dice, ASSD and mark of each expected or labelled structure."""
    image, truth = scan.images()
    expected, in_view = list_expected(scan)
    try:
        case = ks.segment(
            image, pipeline="ct-leg", quality=options.quality, device="cpu", edge="cortex", models=options.models
        )
    except KneeSegError as error:
        print(f"    {error}", file=sys.stderr)
        return {key: {"expected": True, "found": False, "named": False, "told": True} for key in sorted(expected)}
    levels = {one.structure.key: one.quality.level for one in case.structures}
    told = " ".join(case.warnings).lower()
    agreements = evaluate(truth, case.labels)
    figures: dict[str, dict[str, Any]] = {}
    for key in sorted(expected | (set(levels) - in_view)):
        agreement = agreements[key]
        dice = agreement.metrics["dice"] if agreement.presence == "both" else 0.0
        figures[key] = {
            "expected": key in expected,
            "found": key in levels,
            "named": key in expected and dice >= 0.5,
            "dice": dice,
            "assd_mm": agreement.metrics["assd_mm"] if agreement.presence == "both" else None,
            "level": levels.get(key),
            "told": structure(key).name.lower() in told,
        }
    return figures


def swap_side(key: str) -> str:
    """Key of the same structure of the other leg."""
    named = structure(key)
    other: Side = "left" if named.side == "right" else "right"
    return structure(named.tissue.key, other).key


def show(runs: list[dict[str, Any]], what: str) -> None:
    """Print the tables: by view, by bone, and each bone that is wrong."""
    if not runs:
        return
    print(f"\n| {what}, view | scans | bones in view | found | named right | not there |\n|{' --- |' * 6}")
    for view in dict.fromkeys(run["view"] for run in runs):
        of_view = [figures for run in runs if run["view"] == view for figures in run["bones"].values()]
        count = sum(run["view"] == view for run in runs)
        expected = [one for one in of_view if one["expected"]]
        cells = [sum(one[name] for one in expected) for name in ("found", "named")]
        extra = sum(one["found"] and not one["expected"] for one in of_view)
        print(f"| {view} | {count} | {len(expected)} | {cells[0]} | {cells[1]} | {extra} |")
    bones = [(structure(key).tissue.key, one) for run in runs for key, one in run["bones"].items() if one["expected"]]
    if what == "result":
        print(f"\n| bone | in view | named right | Dice, mean | Dice, least | ASSD, mm |\n|{' --- |' * 6}")
        for bone in dict.fromkeys(name for name, _ in bones):
            ones = [one for name, one in bones if name == bone]
            right = [one for one in ones if one["named"]]
            dice = [one["dice"] for one in right] or [float("nan")]
            distance = [one["assd_mm"] for one in right] or [float("nan")]
            print(
                f"| {bone} | {len(ones)} | {len(right)} | {np.mean(dice):.3f} | {np.min(dice):.3f} "
                f"| {np.mean(distance):.2f} |"
            )
    for run in runs:
        wrong = [
            f"{key} {'not named' if one['expected'] else 'not there'}"
            for key, one in run["bones"].items()
            if one["expected"] != one["named"]
        ]
        if wrong:
            print(f"{run['subject']} ({run['legs']}, lost: {run['lost']}), {run['view']}: {', '.join(wrong)}")


def _summary(found: dict[str, dict[str, Any]]) -> str:
    right = sum(one["expected"] and one["named"] for one in found.values())
    return f"{right} of {sum(one['expected'] for one in found.values())} bones"


if __name__ == "__main__":
    main()
