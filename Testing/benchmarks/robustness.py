"""How accuracy holds up as one thing at a time gets worse: renders people of the test group, prints and saves a table.

    python Testing/benchmarks/robustness.py --prepared work/people --output work/robustness.json
    python Testing/benchmarks/robustness.py --joint knee --data DATA_PACK      # also flexion from 0 to 60 degrees

Every row is an ordinary scan of a joint (0.7 mm, moderate kernel, 15 HU of noise) with one thing changed. The images
come from the renderer that the networks were trained with: the table says what they can take, not how well they do on
real scans. A figure with an exclamation mark was flagged, by the result or, where the bone is missing, by a warning.
Femurs and tibias below a Dice of 0.95 that were not flagged are named at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

from damage import Scan
from flags import MAIN_BONES, MAIN_DICE
from subjects import list_prepared_subjects

import KneeSegLib as ks
from KneeSegLib.anatomy import JOINT_BONES, structure
from KneeSegLib.errors import KneeSegError
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.pipelines.table import QUALITIES
from KneeSegLib.training.synthesis import knee_cases
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.cases import SyntheticCase, synthesize_case
from KneeSegLib.training.synthesis.osteoarthritis.settings import Osteoarthritis
from KneeSegLib.training.synthesis.prepare import seed_random
from KneeSegLib.training.synthesis.settings import BoneTissue, CtSynthesis, Scanner, SoftTissue, Warp
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.synthesis.voxels import CaseName

SPACING_MM = 0.7


def fixed(value: float) -> tuple[float, float]:
    """Bounds that leave nothing to chance."""
    return (value, value)


STILL = Warp(fixed(0.0), fixed(0.0), fixed(1.0), fixed(1.0), fixed(0.0), fixed(0.0))
ORDINARY_SCANNER = Scanner(
    blur_mm=fixed(0.4), slice_blur_mm=fixed(0.4), overshoot_probability=0.0, noise_hu=fixed(15.0),
    noise_grain=fixed(0.6), shading_hu=fixed(10.0), cupping_probability=0.0, calibration_probability=0.0,
    metal_probability=0.0, low_ceiling_probability=0.0, wrap_probability=0.0, round_field_probability=0.0,
    table_probability=1.0,
)  # fmt: skip
ORDINARY_BONE = BoneTissue(
    cortex_hu=fixed(1500.0), cortex_factor=fixed(1.0), trabecular_hu=fixed(220.0), cyst_probability=0.0,
    scar_probability=0.0,
)  # fmt: skip
ORDINARY = CtSynthesis(
    warp=STILL, bone=ORDINARY_BONE, soft=SoftTissue(vessel_probability=0.0, calcification_probability=0.0),
    scanner=ORDINARY_SCANNER, other_leg_probability=0.0, ossicle_probability=0.0, osteophyte_probability=0.0,
    torso_probability=0.0, arms_probability=0.0,
)  # fmt: skip
POROTIC_BONE = replace(
    ORDINARY_BONE,
    cortex_hu=fixed(1000.0),
    cortex_factor=fixed(0.5),
    trabecular_hu=fixed(10.0),
    patchiness_hu=fixed(40.0),
)


@dataclass(frozen=True)
class Figures:
    """Of one structure of one person: None where it was missed, and whether the user was told to check it."""

    metrics: dict[str, float] | None
    flagged: bool

    @property
    def dice(self) -> float:
        return self.metrics["dice"] if self.metrics is not None else 0.0


@dataclass(frozen=True)
class Condition:
    """One row: how the scan is made, and what happens to it afterwards."""

    synthesis: CtSynthesis = ORDINARY
    slice_mm: float = SPACING_MM
    side: str = "right"
    flexion: float | None = None
    afterwards: Callable[[sitk.Image], sitk.Image] = field(default=lambda image: image)


def scanner(**changes: object) -> Condition:
    return Condition(replace(ORDINARY, scanner=replace(ORDINARY_SCANNER, **changes)))


def turned(**changes: object) -> Condition:
    return Condition(replace(ORDINARY, warp=replace(STILL, **changes)))


def worn(deviation: float, valgus: float) -> Condition:
    """Severe osteoarthritis with so many degrees of varus, or of valgus; of knees, other joints stay healthy."""
    disease = Osteoarthritis(probability=1.0, valgus_probability=valgus, deviation_degrees=fixed(deviation))
    return Condition(replace(ORDINARY, osteoarthritis=disease))


def without(axis: int, share: float) -> Callable[[sitk.Image], sitk.Image]:
    """Cut a share of the field of view away at the high end of an axis (x, y, z)."""

    def cut(image: sitk.Image) -> sitk.Image:
        size = list(image.GetSize())
        size[axis] = int(size[axis] * (1.0 - share))
        return sitk.RegionOfInterest(image, size, [0, 0, 0])

    return cut


def stored(order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Callable[[sitk.Image], sitk.Image]:
    """The same patient with the voxels stored along other axes, as another position on the table gives."""
    return lambda image: sitk.Flip(sitk.PermuteAxes(image, order), flips)


CONDITIONS: dict[str, Condition] = {
    "ordinary": Condition(),
    "left leg": Condition(side="left"),
    "noise 40 HU": scanner(noise_hu=fixed(40.0)),
    "noise 80 HU": scanner(noise_hu=fixed(80.0)),
    "noise 160 HU": scanner(noise_hu=fixed(160.0)),
    "slices 1.4 mm": Condition(slice_mm=1.4),
    "slices 2.1 mm": Condition(slice_mm=2.1),
    "slices 2.8 mm": Condition(slice_mm=2.8),
    "kernel smooth (0.9 mm)": scanner(blur_mm=fixed(0.9)),
    "kernel sharp (overshoot 0.9)": scanner(blur_mm=fixed(0.2), overshoot_probability=1.0, overshoot=fixed(0.9)),
    "turned +30 degrees": turned(turn_degrees=fixed(30.0)),
    "turned -30 degrees": turned(turn_degrees=fixed(-30.0)),
    "tilted +30 degrees": turned(tilt_degrees=fixed(30.0)),
    "tilted -30 degrees": turned(tilt_degrees=fixed(-30.0)),
    "metal with streaks": scanner(metal_probability=1.0),
    "implants in the bone": scanner(implant_probability=1.0),
    "values end at 1023 HU": scanner(low_ceiling_probability=1.0),
    "12-bit wrap, metal": scanner(metal_probability=1.0, wrap_probability=1.0),
    "cupping 180 HU": scanner(cupping_probability=1.0, cupping_hu=fixed(180.0)),
    "a quarter of the front cut off": Condition(afterwards=without(1, 0.25)),
    "a quarter of the top cut off": Condition(afterwards=without(2, 0.25)),
    "osteoporosis": Condition(replace(ORDINARY, bone=POROTIC_BONE)),
    "contrast in the arteries": Condition(replace(ORDINARY, soft=replace(ORDINARY.soft, angiography_probability=1.0))),
    "contrast in arteries on the bone": Condition(
        replace(ORDINARY, soft=replace(ORDINARY.soft, angiography_probability=1.0, artery_depth_mm=(0.3, 2.0)))
    ),
    "osteoarthritis, varus 5 degrees": worn(deviation=5.0, valgus=0.0),
    "osteoarthritis, varus 20 degrees": worn(deviation=20.0, valgus=0.0),
    "osteoarthritis, valgus 20 degrees": worn(deviation=20.0, valgus=1.0),
    "osteophytes": Condition(replace(ORDINARY, osteophyte_probability=1.0)),
    "other leg beside it": Condition(replace(ORDINARY, other_leg_probability=1.0)),
    "sagittal, feet first": Condition(afterwards=stored((1, 2, 0), (True, False, True))),
    "prone": Condition(afterwards=stored((0, 1, 2), (True, True, False))),
}
FLEXIONS = {f"flexion {angle:.0f} degrees": Condition(flexion=angle) for angle in (0.0, 20.0, 40.0, 60.0)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    arguments.add_argument("--data", type=Path, help="data pack; adds rows of knee flexion")
    arguments.add_argument("--output", type=Path, default=Path("work/robustness.json"))
    arguments.add_argument("--joint", choices=("hip", "knee", "ankle"), action="append")
    arguments.add_argument("--people", type=int, default=2, help="so many test people per row")
    arguments.add_argument("--quality", choices=tuple(QUALITIES), default="standard")
    arguments.add_argument("--only", help="rows whose name holds this")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    results = {}
    for joint in options.joint or ("hip", "knee", "ankle"):
        conditions = CONDITIONS | (FLEXIONS if options.data and joint == "knee" else {})
        bones = [structure(bone, "right").key for bone in JOINT_BONES[joint]]
        print(f"\n| {joint}: Dice, ASSD mm, HD95 mm | {' | '.join(key.removesuffix('_right') for key in bones)} |")
        print(f"| --- |{' --- |' * len(bones)}", flush=True)
        results[joint] = {}
        for name, condition in conditions.items():
            if options.only and options.only not in name:
                continue
            rendered = cases(joint, condition, options)
            figures = [measured(case, joint, condition.side, options.quality) for case in rendered]
            results[joint][name] = figures
            cells = [_cell([one[key] for one in figures if key in one]) for key in bones]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
    options.output.write_text(json.dumps(as_strict_json(results), indent=1), encoding="utf-8")
    silent = list(unflagged(results))
    print(f"\nFemurs and tibias below {MAIN_DICE} that were not flagged: {', '.join(silent) or 'none'}.")
    print(f"Full figures: {options.output}")


def cases(joint: str, condition: Condition, options: argparse.Namespace) -> Iterator[SyntheticCase]:
    """The first few test people under a condition."""
    paths = list_prepared_subjects(options.prepared, joint, "test")[: options.people]
    for number, path in enumerate(paths):
        anatomy = Anatomy.load(path)
        if condition.flexion is not None:
            name = CaseName("knee", "test", anatomy.name)
            anatomy = knee_cases.build_case(name, options.data, seed_random(name, seed=1), condition.flexion)
        case = synthesize_case(
            PreparedSubject(anatomy), SPACING_MM, condition.slice_mm, condition.side, 9000 + number, condition.synthesis
        )
        image, labels = map(condition.afterwards, Scan.of(case.image, case.labels).around_the_joint().images())
        yield replace(case, image=image, labels=labels)


def measured(case: SyntheticCase, joint: str, side: str, quality: str) -> dict[str, Figures]:
    """Figures by structure of the leg in question, under the right one's key."""
    try:
        found = ks.segment(case.image, pipeline=f"ct-{joint}", quality=quality, device="cpu", edge="cortex")
    except KneeSegError as error:  # refused in a sentence: nothing is claimed that could be believed
        print(f"    {case.subject}: {error}", file=sys.stderr)
        return {structure(bone, "right").key: Figures(None, True) for bone in JOINT_BONES[joint]}
    levels = {one.structure.key: one.quality.level for one in found.structures}
    figures = {}
    for key, agreement in evaluate(case.labels, found.labels).items():
        named = structure(key)
        pooled = structure(named.tissue.key, "right").key
        if named.side != side:
            continue
        if agreement.presence == "both":
            figures[pooled] = Figures(dict(agreement.metrics), levels[key] == "check")
        elif agreement.presence == "reference only":
            told = any(named.name.lower() in warning.lower() for warning in found.warnings)
            figures[pooled] = Figures(None, told)
    return figures


def unflagged(results: Mapping[str, Mapping[str, list[dict[str, Figures]]]]) -> Iterator[str]:
    """Name the main bones that came out badly without a word."""
    for joint, rows in results.items():
        for row, people in rows.items():
            for figures in people:
                for bone in set(MAIN_BONES) & set(JOINT_BONES[joint]):
                    one = figures.get(structure(bone, "right").key)
                    if one is not None and not one.flagged and one.dice < MAIN_DICE:
                        yield f"{bone} ({joint}, {row}, {one.dice:.3f})"


def _cell(people: list[Figures]) -> str:
    found = [one.metrics for one in people if one.metrics is not None]
    mark = "!" * any(one.flagged for one in people)
    if not found:
        return f"missed{mark}"
    means = [np.mean([one[name] for one in found]) for name in ("dice", "assd_mm", "hd95_mm")]
    missed = f" ({len(people) - len(found)} missed)" if len(found) < len(people) else ""
    return f"{means[0]:.3f}{mark} {means[1]:.2f} {means[2]:.1f}{missed}"


if __name__ == "__main__":
    main()
