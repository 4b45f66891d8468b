"""Fine-tuning on one's own scans, from end to end: what 5 cases of another kind teach the shipped knee network.

    python Testing/benchmarks/fine_tuning.py --prepared work/people --output work/fine_tuning

"Own" cases are rendered with thicker cortex and another contrast than any recipe has, so that the shipped weights do
worse on them: 5 to learn from and 3 others to measure on. The subjects are of the groups ``validation`` and ``test``;
synthetic samples of the recipe, of subjects of the group ``train``, are mixed in. Each step is done as a user does it,
by ``kneeseg train --cases`` and ``kneeseg segment --models``. What is there already is used again: a stopped run goes
on. Prints and saves mean Dice before and after, on own cases and on cases as the networks know them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

import SimpleITK as sitk
from subjects import list_prepared_subjects

from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.cases import synthesize_case
from KneeSegLib.training.synthesis.settings import BoneTissue, CtSynthesis, Scanner, SoftTissue
from KneeSegLib.training.synthesis.subjects import PreparedSubject

RECIPE = "ct-knee"
LEARNED_FROM = 5
MEASURED_ON = 3
SEED = 9100

OWN = CtSynthesis(
    bone=BoneTissue(
        cortex_hu=(430.0, 520.0),
        cortex_factor=(2.2, 2.8),
        trabecular_hu=(-70.0, -30.0),
        marrow_hu=(-130.0, -100.0),
        texture_hu=(10.0, 30.0),
    ),
    soft=SoftTissue(muscle_hu=(130.0, 170.0), vessel_hu=(420.0, 600.0), vessel_probability=1.0),
    scanner=Scanner(calibration_probability=0.0, low_ceiling_probability=0.0, wrap_probability=0.0),
)
"""Outside of what the recipe draws from: a cortex twice as thick and half as dense, fatty spongy bone, and soft tissue
as after contrast agent. Of these the recipe has cortex_factor 0.55 to 1.5, cortex_hu 950 to 2000, trabecular_hu 20 to
480, marrow_hu -110 to 40, muscle_hu 20 to 85 and vessel_hu 30 to 450."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    arguments.add_argument("--output", type=Path, default=Path("work/fine_tuning"))
    arguments.add_argument("--steps", type=int, default=600)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--synthetic", type=float, default=0.5, help="fraction of synthetic samples")
    arguments.add_argument("--spacing", type=float, default=0.8, help="of the cases, mm")
    arguments.add_argument("--shape", type=int, nargs=2, default=(192, 160), help="rows and columns of a sample")
    arguments.add_argument("--measured", type=int, default=MEASURED_ON, help="cases of each kind to measure on")
    arguments.add_argument("--only-before", action="store_true", help="measure the shipped weights and stop")
    options = arguments.parse_args()
    make_cases(options)
    results = {"before": measure(options, None)}
    if not options.only_before:
        fine_tune(options)
        results["after"] = measure(options, options.output / "models")
    report(results, options)


def make_cases(options: argparse.Namespace) -> None:
    """Render the cases to learn from, and those to measure on of both kinds; subjects of neither are shared."""
    validation = list_prepared_subjects(options.prepared, "knee", "validation")
    test = list_prepared_subjects(options.prepared, "knee", "test")
    subjects = [*validation, *test]
    if len(subjects) < LEARNED_FROM + MEASURED_ON:
        raise SystemExit(
            f"{options.prepared} holds {len(subjects)} knees of the groups validation and test, expected "
            f"{LEARNED_FROM + MEASURED_ON}; prepare them with `kneeseg synthesize --prepare --joint knee`."
        )
    learned, measured = subjects[:LEARNED_FROM], subjects[-MEASURED_ON:][: options.measured]
    usual = read_recipe(RECIPE).ct_synthesis
    for folder, some, synthesis in (("own", learned, OWN), ("new", measured, OWN), ("old", measured, usual)):
        for number, path in enumerate(some):
            images, labels = (options.output / folder / what / f"{path.stem}.nrrd" for what in ("images", "labels"))
            if labels.is_file():
                continue
            for target in (images, labels):
                target.parent.mkdir(parents=True, exist_ok=True)
            side = ("right", "left")[number % 2]
            subject = PreparedSubject(Anatomy.load(path))
            case = synthesize_case(subject, options.spacing, None, side, SEED + number, synthesis)
            sitk.WriteImage(case.image, images, True)
            sitk.WriteImage(case.labels, labels, True)  # last: where it is, both are whole
            print(f"rendered {folder}/{path.stem} ({side})", flush=True)


def fine_tune(options: argparse.Namespace) -> None:
    """Train as a user does; a training that was stopped goes on, and one that is done is not repeated."""
    if (options.output / "models" / RECIPE).is_dir():
        return
    recipe = options.output / f"{RECIPE}.yaml"
    shipped = read_recipe(RECIPE)
    content = {**shipped.as_dict(), "batch": options.batch, "shapes": [list(options.shape)], "pool": 96}
    recipe.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    kneeseg(
        *("train", recipe, "--cases", options.output / "own", "--prepared", options.prepared, "--from", RECIPE),
        *("--synthetic", options.synthetic, "--steps", options.steps, "-o", options.output / "training"),
        *("--bundles", options.output / "models", "--device", "cpu"),
    )


def measure(options: argparse.Namespace, models: Path | None) -> dict[str, dict[str, float]]:
    """Segment the cases to measure on and return Dice of each structure by ``kind/case``; results are kept."""
    dice: dict[str, dict[str, float]] = {}
    for kind in ("new", "old"):
        for labels in sorted((options.output / kind / "labels").glob("*.nrrd")):
            result = options.output / ("before" if models is None else "after") / kind / labels.stem
            if not (result / "case.json").is_file():
                image = options.output / kind / "images" / labels.name
                own = () if models is None else ("--models", models)
                kneeseg("segment", image, "-o", result, "--pipeline", RECIPE, "--edge", "cortex", *own)
            agreements = evaluate(read_label_map(labels), read_label_map(result))
            dice[f"{kind}/{labels.stem}"] = {key: value.metrics["dice"] for key, value in agreements.items()}
    return dice


def report(results: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> None:
    """Print the means and save everything."""
    means = {when: {kind: mean_of(dice, kind) for kind in ("new", "old")} for when, dice in results.items()}
    for when, of_kind in means.items():
        print(f"{when}: own cases {of_kind['new']:.4f}, usual cases {of_kind['old']:.4f} (mean Dice, synthetic)")
    if "after" in means:
        missing = [1.0 - means[when]["new"] for when in ("before", "after")]
        print(f"missing to 1 on own cases: {missing[0]:.4f} -> {missing[1]:.4f}, {missing[1] / missing[0]:.2f} of it")
        print(f"cost on usual cases: {means['before']['old'] - means['after']['old']:+.4f}")
    names = ("steps", "batch", "shape", "synthetic", "spacing", "measured")
    record = {"recipe": RECIPE, **{name: getattr(options, name) for name in names}}
    content = {**record, "means": means, "dice": results}
    (options.output / "fine_tuning.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def mean_of(dice: dict[str, dict[str, float]], kind: str) -> float:
    """The mean over structures of the means over cases; a structure that was not found counts 0."""
    values: dict[str, list[float]] = {}
    for case, structures in dice.items():
        if case.startswith(f"{kind}/"):
            for key, value in structures.items():
                values.setdefault(key.rsplit("_", 1)[0], []).append(value if value == value else 0.0)
    return sum(sum(some) / len(some) for some in values.values()) / len(values)


def kneeseg(*arguments: object) -> None:
    """Run a command of this checkout and end with it if it fails."""
    command = [sys.executable, "-m", "KneeSegLib", *map(str, arguments), "--progress", "none"]
    root = Path(__file__).resolve().parents[2]
    if subprocess.run(command, cwd=root, check=False).returncode:
        raise SystemExit(f"kneeseg {arguments[0]} failed; see above.")


if __name__ == "__main__":
    main()
