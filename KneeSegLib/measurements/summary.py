"""Several cases in a few numbers: mean, standard deviation, median and quartiles of every metric and structure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from KneeSegLib.anatomy import STRUCTURES
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.measurements.comparison import Agreement
from KneeSegLib.measurements.metrics import METRICS

Cases = Mapping[str, Mapping[str, Agreement]]
"""Agreements by case name and structure key."""


@dataclass(frozen=True)
class Spread:
    """A metric over the cases where it is defined: how many, mean, sample standard deviation, median, quartiles, ends.

    Records that were written before ``minimum`` and ``maximum`` were measured lack them.
    """

    count: int
    mean: float
    sd: float
    median: float
    lower_quartile: float
    upper_quartile: float
    minimum: float = math.nan
    maximum: float = math.nan


@dataclass(frozen=True)
class StructureSummary:
    """One structure over all cases: in how many both or only one of reference and prediction has it; its metrics."""

    both: int
    reference_only: int
    prediction_only: int
    metrics: Mapping[str, Spread]


def summarize(cases: Cases) -> dict[str, StructureSummary]:
    """Return the summary of each structure that occurs, by structure key, in the order of the anatomy table."""
    keys = [entry.key for entry in STRUCTURES if any(entry.key in agreements for agreements in cases.values())]
    return {key: _summary([agreements[key] for agreements in cases.values() if key in agreements]) for key in keys}


def summarize_values(values: Sequence[float]) -> Spread:
    """Return the spread of those values that are defined (not NaN); all of it is NaN where none is."""
    defined = np.array([value for value in values if not math.isnan(value)])
    if not len(defined):
        return Spread(0, *[math.nan] * 5)
    lower, median, upper = (float(quartile) for quartile in np.percentile(defined, (25, 50, 75)))
    sd = float(defined.std(ddof=1)) if len(defined) > 1 else math.nan
    ends = float(defined.min()), float(defined.max())
    return Spread(len(defined), float(defined.mean()), sd, median, lower, upper, *ends)


def _summary(agreements: list[Agreement]) -> StructureSummary:
    presences = [agreement.presence for agreement in agreements]
    return StructureSummary(
        both=presences.count("both"),
        reference_only=presences.count("reference only"),
        prediction_only=presences.count("prediction only"),
        metrics={
            metric.key: summarize_values([agreement.metrics[metric.key] for agreement in agreements])
            for metric in METRICS
        },
    )


def as_json(cases: Cases) -> dict[str, Any]:
    """Return everything as plain data; undefined values become null, since JSON knows no NaN."""
    return {
        "definitions": {metric.key: metric.definition for metric in METRICS},
        "cases": [
            {"case": case, "structures": [_agreement_as_json(agreement) for agreement in agreements.values()]}
            for case, agreements in cases.items()
        ],
        "summary": {key: as_strict_json(summary) for key, summary in summarize(cases).items()},
    }


def _agreement_as_json(agreement: Agreement) -> dict[str, Any]:
    return {
        "key": agreement.structure.key,
        "name": agreement.structure.name,
        "presence": agreement.presence,
        "reference_mm3": round(agreement.reference_mm3, 3),
        "prediction_mm3": round(agreement.prediction_mm3, 3),
        "metrics": as_strict_json(agreement.metrics),
    }
