"""Pairs of ways to train, each on the same subjects, for the same time and side by side, then compared on others.

    python Testing/benchmarks/equal_terms/equal_terms.py --prepared work/train --prepared-mr work/people_mr \
        --test work/people --output work/equal_terms --seconds 1200

``nnunet``    the slice networks of ct-knee against nnU-Net 2D with small plans, both on the same exported cases
``encoder``   the knee's network as printed, with its plain encoder and with a ResNet50V2, both from random weights
``gradient``  the V-Net on the gradient of the image and on the image
``views``     the low-field network trained and run in three views, and in one

The two of a pair run at the same time, one thread each, so that whatever else the machine does slows both. Their
networks then stand beside each other, and beside the shipped ones, in one ``kneeseg compare`` over knees of the group
``test``. What is there already is used again: a stopped run goes on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
KNEESEG = (sys.executable, "-m", "KneeSegLib")
DATASET = "Dataset042_Knee"
TRAINED_ON = 20
"""Cases that the pairs ``nnunet`` and ``encoder`` learn from, one of each subject."""


@dataclass(frozen=True)
class Way:
    """A network to train by a recipe.

    Attributes:
        system: of ``kneeseg compare``: pipeline and its options.
        options: of ``kneeseg train``.
    """

    recipe: str
    system: str
    options: tuple[str, ...] = ()


KNEES_ONLY = ("--set", "joints=[knee]", "--set", "pool=64")
"""Of the V-Net: whole legs take most of the time to render, and knees are what is compared."""

PAIRS = {
    "nnunet": {"custom": Way("ct-knee", "ct-knee"), "nnU-Net": None},
    "encoder": {
        "as printed": Way("as-published-ct-knee", "ct-knee"),
        "ResNet50V2": Way("as-published-ct-knee-resnet", "ct-knee"),
    },
    "gradient": {
        "V-Net": Way("ct-femur-vnet", "ct-femur-vnet", KNEES_ONLY),
        "V-Net plain": Way("ct-femur-vnet-plain", "ct-femur-vnet", KNEES_ONLY),
    },
    "views": {
        "three views": Way("mr-low-field", "mr-low-field"),
        "one view": Way("mr-low-field", "mr-low-field,quality=fast", ("--set", "mr.views=[sagittal]")),
    },
}
SHIPPED = {"ct": ("ct-knee", "ct-femur-vnet"), "mr": ("mr-knee", "mr-low-field")}


@dataclass(frozen=True)
class Series:
    """A rendering of each test subject."""

    modality: str
    side: str
    seed: int
    count: int
    options: tuple[str, ...] = ()


MR = ("--joint", "mr-knee", "--spacing", "0.7")
CT = ("--joint", "knee", "--spacing", "0.8")
SERIES = (
    Series("ct", "right", 2900, 4, (*CT, "--slice-spacing", "1.6")),
    Series("ct", "left", 2901, 4, (*CT, "--slice-spacing", "1.6")),
    Series("ct", "right", 2902, 2, (*CT, "--slice-spacing", "1.6")),
    Series("mr", "right", 2910, 6, (*MR, "--recipe", "mr-knee-slices", "--slice-spacing", "1.4")),
    Series("mr", "left", 2911, 4, (*MR, "--recipe", "mr-low-field", "--slice-spacing", "0.7")),
)
CT_OF_SIDE = {"right": "ct_290[02]_*", "left": "ct_2901_*"}
"""Cases of the series by side: nnU-Net's labels tell none, and one that lacks the fibula does not show it either."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, required=True, help="anatomy of CT, group train")
    arguments.add_argument("--prepared-mr", type=Path, required=True, help="anatomy of knee MR")
    arguments.add_argument("--test", type=Path, required=True, help="anatomy of CT, group test")
    arguments.add_argument("--output", type=Path, default=Path("work/equal_terms"))
    arguments.add_argument("--seconds", type=float, default=1200.0, help="of each training")
    arguments.add_argument("--pairs", choices=tuple(PAIRS), nargs="*", default=list(PAIRS))
    options = arguments.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
    make_training_cases(options)
    for pair in options.pairs:
        train_pair(pair, options)
    compare(options, make_test_cases(options))


def make_training_cases(options: argparse.Namespace) -> None:
    """Render the cases that nnU-Net and the slice networks learn from, and export them."""
    cases = options.output / "cases"
    if not cases.is_dir():
        run("synthesize", options.prepared, "-o", cases, *CT, "--group", "train", "--count", TRAINED_ON,
            "--seed", "1700")  # fmt: skip
    exported = options.output / "nnUNet_raw" / DATASET
    if not exported.is_dir():
        run("export", "nnunet", cases, "-o", exported)


def make_test_cases(options: argparse.Namespace) -> Path:
    """Render the cases to compare on, and return the folder of all of them."""
    together = options.output / "test"
    for series in SERIES:
        folder = options.output / f"{series.modality}_{series.seed}"
        if not folder.is_dir():
            source = options.test if series.modality == "ct" else options.prepared_mr
            run("synthesize", source, "-o", folder, "--group", "test", "--side", series.side, "--seed", series.seed,
                "--count", series.count, *series.options)  # fmt: skip
        for kind in ("images", "labels"):
            (together / kind).mkdir(parents=True, exist_ok=True)
            for file in (folder / kind).iterdir():
                target = together / kind / f"{folder.name}_{file.name}"
                if not target.exists():
                    shutil.copyfile(file, target)
    return together


def train_pair(pair: str, options: argparse.Namespace) -> None:
    """Train both networks of a pair at the same time."""
    commands = [
        command_of(name, way, options) for name, way in PAIRS[pair].items() if not models_of(name, options).is_dir()
    ]
    running = [subprocess.Popen([str(word) for word in command]) for command in commands]
    statuses = [process.wait() for process in running]
    if any(statuses):
        raise SystemExit(f"A training of the pair {pair} ended with a failure; run the same command to go on.")


def command_of(name: str, way: Way | None, options: argparse.Namespace) -> list[object]:
    """Return the command that trains a network of a pair."""
    output = options.output
    if way is None:
        program = HERE / "nnunet_training.py"
        raw = output / "nnUNet_raw" / DATASET
        return [sys.executable, program, raw, output / "nnunet", "--seconds", options.seconds]
    if way.recipe.startswith("mr"):
        source = ("--prepared", options.prepared_mr)
    elif "vnet" in way.recipe:
        source = ("--prepared", options.prepared)
    else:
        source = ("--cases", output / "cases")
    return [*KNEESEG, "train", way.recipe, *source, *way.options, "--time-limit", options.seconds,
            "-o", output / "training" / name, "--bundles", models_of(name, options), "--progress", "json"]  # fmt: skip


def models_of(name: str, options: argparse.Namespace) -> Path:
    """Return the folder of a trained network."""
    if name == "nnU-Net":
        return options.output / "nnunet" / "results" / DATASET
    return options.output / "models" / name


def compare(options: argparse.Namespace, cases: Path) -> None:
    """Run every system on every case of its modality, and write the page."""
    systems = []
    for modality, pipelines in SHIPPED.items():
        systems += [f"{name},{setting(name, modality)}" for name in pipelines]
    for pair in options.pairs:
        for name, way in PAIRS[pair].items():
            if way is None:
                model = models_of(name, options)
                systems += [f"{name} {side}=nnunet,nnunet={model},side={side},edge=cortex,cases={cases_of_side}"
                            for side, cases_of_side in CT_OF_SIDE.items()]  # fmt: skip
            else:
                modality = way.recipe.removeprefix("as-published-")[:2]
                models = models_of(name, options)
                systems.append(f"{name}={way.system},models={models},{setting(way.recipe, modality)}")
    chosen = [word for system in systems for word in ("--system", system)]
    run("compare", cases, "-o", options.output / "comparison", "--edge", "cortex", *chosen)


def setting(name: str, modality: str) -> str:
    """Return options that hold for all systems of a modality."""
    known = ["modality=MR"] if modality == "mr" else []
    edge = [] if name == "mr-knee" else ["edge=cortex"]
    return ",".join([*known, *edge, f"cases={modality}_*"])


def run(*words: object) -> None:
    """Run a command of KneeSeg."""
    subprocess.run([*KNEESEG, *(str(word) for word in words), "--progress", "none"], check=True)


if __name__ == "__main__":
    main()
