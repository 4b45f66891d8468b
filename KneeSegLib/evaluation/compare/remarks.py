"""What a reader has to know before he looks at the figures of a comparison, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from KneeSegLib.evaluation.compare.agreement import WHOLE
from KneeSegLib.evaluation.compare.files import Results
from KneeSegLib.evaluation.compare.running import Comparison
from KneeSegLib.evaluation.compare.statistics import smallest_p
from KneeSegLib.evaluation.settings import SIGNIFICANT

_NOT_STATED = "not stated"


@dataclass(frozen=True)
class Edges:
    """The convention of the edge of the references, and by system its own and whether it is another one."""

    reference: str
    of_systems: dict[str, str]
    differing: list[str]


def describe_edges(comparison: Comparison) -> Edges:
    """Return the conventions of the edge side by side; a system differs where both are known and are not the same."""
    of_systems = {system.name: system.own_edge or _NOT_STATED for system in comparison.systems}
    differing = [name for name, edge in of_systems.items()
                 if comparison.edge and edge not in (comparison.edge, _NOT_STATED)]  # fmt: skip
    return Edges(comparison.edge or _NOT_STATED, of_systems, differing)


def list_remarks(results: Results) -> list[str]:
    """Return the remarks in the order of their weight."""
    return [
        *_remark_edges(results.comparison),
        *_remark_cases(results),
        *_remark_failures(results),
        *_remark_absences(results),
        *_remark_number(results),
    ]


def _remark_edges(comparison: Comparison) -> Iterator[str]:
    edges = describe_edges(comparison)
    if edges.reference == _NOT_STATED:
        yield (
            "Which convention of the edge the references follow was not stated (--edge). Results of another convention "
            "lie 0.15 to 0.5 mm beside them everywhere and look worse than they are."
        )
    for name in edges.differing:
        yield (
            f"{name} draws the edge of a bone by another convention ({edges.of_systems[name]}) than the references "
            f"({edges.reference}): its distances and overlaps hold that difference and do not tell how good it is."
        )


def _remark_cases(results: Results) -> Iterator[str]:
    cases = results.comparison.cases
    own = [(system, sum(system.is_for(case.name) for case in cases)) for system in results.comparison.systems]
    some = [
        f"{system.name} is for {number} of the {len(cases)} cases, those called {system.cases}"
        for system, number in own
        if number < len(cases)
    ]
    if some:
        yield (
            f"{'; '.join(some)}. Figures are over a system's own cases, and tests of two systems over the cases that "
            "both are for."
        )


def _remark_failures(results: Results) -> Iterator[str]:
    failed = [run for run in results.runs if run.failure]
    if failed:
        yield (
            f"{len(failed)} of {len(results.runs)} runs came to no result and are in no figure; they are listed at the "
            "end."
        )


def _remark_absences(results: Results) -> Iterator[str]:
    for entry in results.figures:
        if entry.part != WHOLE:
            continue
        for system in entry.systems:
            missed = system.expected - system.found - system.failed
            if missed and system.found:
                yield (
                    f"{system.system} missed the {entry.tissue.name} in {missed} of {system.expected} legs; there its "
                    "figures are undefined (NaN), and those shown are of the other legs only."
                )
            if system.added:
                yield (
                    f"{system.system} found the {entry.tissue.name} in {system.added} legs in which the reference has "
                    "none; that is in no figure."
                )


def _remark_number(results: Results) -> Iterator[str]:
    cases = max((test.cases for test in results.tests), default=0)
    if cases and smallest_p(cases) >= SIGNIFICANT:
        yield (
            f"Over {cases} {'case' if cases == 1 else 'cases'} no test can be significant: the smallest p value that "
            f"is possible is {smallest_p(cases):.2g}."
        )
