"""Which fold of a trained nnU-Net did best on its own validation cases, as the second paper chose the one it compared.

    python Testing/benchmarks/papers/folds.py nnUNet_results/Dataset042_Knee/nnUNetTrainer__nnUNetPlans__2d

Reads what ``nnUNetv2_train DATASET CONFIGURATION FOLD`` leaves in ``fold_*/validation/summary.json`` (with ``--npz`` or
without), prints the mean Dice over the labels of each fold, best first, and the commands that run the best one and
that put it beside all folds averaged, which is what nnU-Net itself recommends.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout, whatever is installed

from KneeSegLib.errors import InputError, KneeSegError

SUMMARY = "validation/summary.json"


@dataclass(frozen=True)
class Fold:
    """A fold and its mean Dice over labels and validation cases."""

    path: Path
    dice: float
    cases: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model", type=Path, help="folder of a trained configuration, with fold_0, fold_1 ...")
    model = arguments.parse_args().model
    try:
        folds = rank_folds(model)
    except KneeSegError as error:
        sys.exit(str(error))
    print("fold | mean Dice on its validation cases | cases")
    for fold in folds:
        print(f"{fold.path.name} | {fold.dice:.4f} | {fold.cases}")
    print(f"\nBest of {len(folds)}: kneeseg segment SCAN -o OUT --nnunet {folds[0].path}")
    print(
        f"Beside all of them: kneeseg compare CASES -o OUT --system best=nnunet,nnunet={folds[0].path} "
        f"--system all=nnunet,nnunet={model}"
    )


def rank_folds(model: Path) -> list[Fold]:
    """Return the folds of a trained configuration that were validated, the best first.

    Raises:
        InputError: there are none, or a summary is damaged.
    """
    folds = [_read_fold(path.parent.parent) for path in sorted(model.glob(f"fold_*/{SUMMARY}"))]
    if not folds:
        raise InputError(
            f"{model} holds no fold_*/{SUMMARY}, expected one for each fold; nnUNetv2_train writes it when a fold is "
            "trained to its end, and nnUNetv2_train ... --val afterwards."
        )
    return sorted(folds, key=lambda fold: -fold.dice)


def _read_fold(path: Path) -> Fold:
    try:
        content = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
        return Fold(path, float(content["foreground_mean"]["Dice"]), len(content["metric_per_case"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path / SUMMARY} is no summary of nnU-Net v2 ({type(error).__name__}: {error}), expected foreground_mean "
            "and metric_per_case; validate the fold again."
        ) from error


if __name__ == "__main__":
    main()
