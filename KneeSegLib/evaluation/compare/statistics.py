"""Figures over the cases: spreads of each system, and paired tests between systems.

Every leg counts once in a spread. In a test every case counts once, with the mean of its legs: two legs of one patient
are no two independent observations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES, TISSUES, Side, Tissue
from KneeSegLib.evaluation.compare.agreement import WHOLE
from KneeSegLib.evaluation.compare.running import Run
from KneeSegLib.measurements.comparison import Agreement
from KneeSegLib.measurements.metrics import METRICS
from KneeSegLib.measurements.summary import Spread, summarize_values

PARTS = (WHOLE, *JOINT_BONES)


@dataclass(frozen=True)
class Observation:
    """One structure of one leg of one case, as one system labelled it."""

    system: str
    case: str
    agreement: Agreement

    @property
    def side(self) -> Side:
        return self.agreement.structure.side


@dataclass(frozen=True)
class SystemFigures:
    """One structure by one system.

    Attributes:
        expected: legs in whose reference the structure is, of the cases that the system is for; 0 where it is for none
            of them or its pipeline does not look for the structure.
        found: of those in which the system has it as well, which its figures are over.
        failed: of those of which its run came to no result.
        added: legs in which it has the structure and the reference does not.
    """

    system: str
    expected: int
    found: int
    failed: int
    added: int
    spreads: dict[str, Spread]
    observations: list[Observation]


@dataclass(frozen=True)
class StructureFigures:
    """One structure, whole or at one joint, by all systems; ``is_own_part``: at the joint lies less than all of it."""

    part: str
    tissue: Tissue
    is_own_part: bool
    systems: list[SystemFigures]


@dataclass(frozen=True)
class PairedTest:
    """Wilcoxon's signed-rank test between two systems.

    Attributes:
        cases: pairs that the test is over: cases in which the value of both is defined.
        mean_difference, median_difference: first minus second.
        p: two-sided; 1 where no case differs, NaN without a pair.
        p_holm: corrected for all tests of the metric.
    """

    part: str
    tissue: str
    metric: str
    first: str
    second: str
    cases: int
    mean_difference: float
    median_difference: float
    p: float
    p_holm: float = math.nan


def summarize_runs(runs: Sequence[Run]) -> list[StructureFigures]:
    """Return the figures of every structure that a reference holds, first the whole ones, then those at each joint."""
    by_name = {run.system.name: run.system for run in runs}
    cases = {name: {run.case for run in runs if run.system.name == name} for name in by_name}
    failed = {(run.system.name, run.case) for run in runs if run.failure}
    observed: dict[tuple[str, str], list[Observation]] = {}
    for run in runs:
        for entry in run.measured:
            key = (entry.part, entry.agreement.structure.tissue.key)
            observed.setdefault(key, []).append(Observation(run.system.name, run.case, entry.agreement))
    figures = []
    for part in PARTS:
        for tissue in TISSUES:
            found = observed.get((part, tissue.key), [])
            legs = {(entry.case, entry.side) for entry in found if entry.agreement.presence != "prediction only"}
            if not legs:
                continue
            whole = {_key(entry): entry.agreement.reference_mm3 for entry in observed[(WHOLE, tissue.key)]}
            is_own_part = any(entry.agreement.reference_mm3 != whole[_key(entry)] for entry in found)
            of_system = {
                name: {leg for leg in legs if leg[0] in cases[name]} if system.looks_for(tissue.key) else set()
                for name, system in by_name.items()
            }
            systems = [_summarize_system(name, found, of_system[name], failed) for name in by_name]
            figures.append(StructureFigures(part, tissue, is_own_part, systems))
    return figures


def compare_systems(figures: Sequence[StructureFigures]) -> list[PairedTest]:
    """Test every two systems with every metric on every structure, whole ones and parts that are less than the whole.

    P values are corrected by Holm's method over all tests of a metric.
    """
    tested = [entry for entry in figures if entry.part == WHOLE or entry.is_own_part]
    tests = []
    for metric in METRICS:
        of_metric = [
            _test_pair(entry, first, second, metric.key)
            for entry in tested
            for first, second in combinations([system for system in entry.systems if system.expected], 2)
        ]
        corrected = correct_holm([test.p for test in of_metric])
        tests += [replace(test, p_holm=p_holm) for test, p_holm in zip(of_metric, corrected)]
    return tests


def correct_holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (S. Holm, Scand. J. Stat. 1979); NaN counts as no test."""
    corrected = np.full(len(p_values), math.nan)
    tested = [number for number, p in enumerate(p_values) if not math.isnan(p)]
    largest = 0.0
    for rank, number in enumerate(sorted(tested, key=lambda number: p_values[number])):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[number]))
        corrected[number] = largest
    return corrected.tolist()


def smallest_p(cases: int) -> float:
    """Return the smallest p value that the two-sided test can come to over so many pairs."""
    return min(1.0, 2.0 ** (1 - cases))


def average_legs(observations: Sequence[Observation], metric: str) -> dict[str, float]:
    """Return by case the mean over its legs of a metric, of the legs where it is defined."""
    values: dict[str, list[float]] = {}
    for entry in observations:
        value = entry.agreement.metrics[metric]
        if not math.isnan(value):
            values.setdefault(entry.case, []).append(value)
    return {case: float(np.mean(of_case)) for case, of_case in values.items()}


def _key(entry: Observation) -> tuple[str, str, str]:
    return entry.system, entry.case, entry.side


def _summarize_system(
    name: str, observed: Sequence[Observation], legs: AbstractSet[tuple[str, str]], failed: set[tuple[str, str]]
) -> SystemFigures:
    own = [entry for entry in observed if entry.system == name]
    both = [entry for entry in own if entry.agreement.presence == "both"]
    return SystemFigures(
        system=name,
        expected=len(legs),
        found=len(both),
        failed=sum((name, case) in failed for case, _ in legs),
        added=sum(entry.agreement.presence == "prediction only" for entry in own),
        spreads={
            metric.key: summarize_values([entry.agreement.metrics[metric.key] for entry in both]) for metric in METRICS
        },
        observations=own,
    )


def _test_pair(entry: StructureFigures, first: SystemFigures, second: SystemFigures, metric: str) -> PairedTest:
    values = [average_legs(system.observations, metric) for system in (first, second)]
    shared = [case for case in values[0] if case in values[1]]
    differences = np.array([values[0][case] - values[1][case] for case in shared])
    mean, median, p = math.nan, math.nan, math.nan
    if len(differences):
        mean, median, p = float(differences.mean()), float(np.median(differences)), _test_differences(differences)
    return PairedTest(
        entry.part, entry.tissue.key, metric, first.system, second.system, len(differences), mean, median, p
    )


def _test_differences(differences: np.ndarray) -> float:
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    _, p = np.array(wilcoxon(differences), float)
    return float(p)
