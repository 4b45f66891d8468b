"""Which subjects a training learns from and which it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monai.data.utils import partition_dataset

from KneeSegLib.errors import InputError
from KneeSegLib.training.own_cases.files import CaseFiles
from KneeSegLib.training.own_cases.settings import VALIDATION_FRACTION


@dataclass(frozen=True)
class Folds:
    """Cross-validation: of ``count`` equal parts of the subjects, the one numbered ``own`` (from 1) is validated on.

    Raises:
        InputError: fewer than two folds, or no such one.
    """

    count: int
    own: int = 1

    def __post_init__(self) -> None:
        if self.count < 2 or not 1 <= self.own <= self.count:
            raise InputError(
                f"Fold {self.own} of {self.count} was asked for; choose at least two folds and one between 1 and their "
                "number."
            )


def split_cases(cases: Sequence[CaseFiles], folds: Folds | None, seed: int) -> dict[str, str]:
    """Return the group (``train``, ``validation``, ``test``) of each case, by its name.

    All cases of a subject are in one group. What the folder says counts; where it says nothing, subjects are drawn
    with ``seed``: the same ones each time.

    Raises:
        InputError: too few subjects to learn from some and validate on others.
    """
    open_cases = [case for case in cases if case.group != "test"]
    said = {case.group for case in open_cases}
    if folds is None and "validation" in said:
        groups = {case.name: case.group or "train" for case in cases}
        if "train" not in groups.values():
            raise InputError("All cases are for validation, expected some to train on; see docs/own_cases.md.")
        return groups
    subjects = sorted({case.subject for case in open_cases})
    count = folds.count if folds is not None else round(1.0 / VALIDATION_FRACTION)
    if len(subjects) < 2 or (folds is not None and len(subjects) < count):
        raise InputError(
            f"There are cases of {len(subjects)} subject{'s' if len(subjects) != 1 else ''} to train on, expected at "
            f"least {max(2, folds.count if folds is not None else 2)}: a network is validated on subjects that it did "
            "not learn from; add cases."
        )
    parts = partition_dataset(subjects, num_partitions=min(count, len(subjects)), shuffle=True, seed=seed)
    validated = set(parts[(folds.own if folds is not None else 1) - 1])
    return {
        case.name: "test" if case.group == "test" else "validation" if case.subject in validated else "train"
        for case in cases
    }
