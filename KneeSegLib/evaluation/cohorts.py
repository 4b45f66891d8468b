"""What a benchmark measured over a cohort, as it stands in the benchmark's JSON file.

The file holds ``{"cohorts": [...]}``, each entry with the fields of :class:`Cohort`; further entries beside them are
the benchmark's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from KneeSegLib.bundles.own import find_own_or_shipped
from KneeSegLib.errors import InputError
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.io.writing import write_whole
from KneeSegLib.measurements.summary import Spread, StructureSummary

Images = Literal["real", "synthetic"]


@dataclass(frozen=True)
class Cohort:
    """Agreement of predictions with the truth (synthetic images) or with reference labels (real ones).

    Attributes:
        name: what tables call it, for example ``knee``.
        images: whether they are real or synthetic.
        description: which images, of whom, and how they were segmented, in a sentence.
        unit: what is counted, for example ``subjects``.
        count: how many of them.
        weights: SHA-256 of the weights of each network, by bundle name.
        summary: the figures by structure key, every leg called a right one.
    """

    name: str
    images: Images
    description: str
    unit: str
    count: int
    weights: Mapping[str, str]
    summary: Mapping[str, StructureSummary]


def checksums_of(bundles: Iterable[str], models: str | Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of the weights of bundles, by bundle name.

    Args:
        models: a folder of a user's own, whose bundles go before those that are installed.

    Raises:
        ModelError: one of them is in neither place.
    """
    return {name: find_own_or_shipped(name, models)[0].sha256 for name in bundles}


def write_cohorts(cohorts: Iterable[Cohort], path: Path, further: Mapping[str, Any] | None = None) -> None:
    """Write cohorts, and what else a benchmark measured, as strict JSON (undefined figures are null)."""
    record = {"cohorts": list(cohorts), **(further or {})}
    with write_whole(path) as unfinished:
        unfinished.write_text(json.dumps(as_strict_json(record), indent=1) + "\n", encoding="utf-8")


def read_cohorts(path: Path) -> list[Cohort]:
    """Read the cohorts of a benchmark's JSON file.

    Raises:
        InputError: there is no such file, or it is not one of :func:`write_cohorts`; the sentence names the entry.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; run the benchmark that writes it first.") from None
    except ValueError as error:
        raise InputError(f"{path.name} is not a JSON file ({error}); give what a benchmark has written.") from error
    if not isinstance(record, dict) or not isinstance(record.get("cohorts"), list):
        raise InputError(f"{path.name} holds no list of cohorts; run the benchmark again, this version writes one.")
    return [_cohort(entry, f"{path.name}, cohort {number}") for number, entry in enumerate(record["cohorts"], start=1)]


def _cohort(entry: Mapping[str, Any], where: str) -> Cohort:
    missing = [field.name for field in fields(Cohort) if field.name not in entry]
    if missing:
        raise InputError(f"{where} has no entry {missing[0]!r}; run the benchmark again.")
    if entry["images"] not in get_args(Images):
        raise InputError(f"{where} has images {entry['images']!r}, expected {' or '.join(get_args(Images))}.")
    summary = {key: _summary(figures) for key, figures in entry["summary"].items()}
    content: dict[str, Any] = {field.name: entry[field.name] for field in fields(Cohort)}
    return Cohort(**{**content, "summary": summary})


def _summary(figures: Mapping[str, Any]) -> StructureSummary:
    metrics = {key: Spread(**_undefined_as_nan(spread)) for key, spread in figures["metrics"].items()}
    return StructureSummary(**{**figures, "metrics": metrics})


def _undefined_as_nan(spread: Mapping[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in spread.items()}
