"""What each system took: time, memory, and where a network's metadata say it, the time of its training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from KneeSegLib.bundles import find_bundle
from KneeSegLib.bundles.metadata import TRAINING_SECONDS
from KneeSegLib.bundles.own import list_own_bundles
from KneeSegLib.errors import InputError, ModelError
from KneeSegLib.evaluation.compare.running import Run
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.measurements.summary import Spread, summarize_values
from KneeSegLib.pipelines.table import PIPELINES, QUALITIES


@dataclass(frozen=True)
class SystemCost:
    """A system and its cost over the cases; all NaN where nothing was run.

    Attributes:
        reused: runs that an earlier call had done.
        training_seconds: of all its networks, or where some are the user's own of these; NaN where the metadata of one
            do not hold it.
    """

    system: System
    runs: int
    failed: int
    reused: int
    device: str
    seconds: Spread
    processor_seconds: Spread
    peak_memory_mib: Spread
    training_seconds: float


def summarize_costs(systems: Sequence[System], runs: Sequence[Run]) -> list[SystemCost]:
    """Return the cost of each system over its runs that came to a result."""
    return [_summarize_cost(system, [run for run in runs if run.system == system]) for system in systems]


def find_training_seconds(system: System) -> float:
    """Return how long the networks of a pipeline were trained, of some of the user's own (``models``) these alone.

    NaN where it is not recorded.
    """
    if system.pipeline is None:
        return math.nan
    quality = QUALITIES.get(system.options.get("quality", "standard"))
    names = [*PIPELINES[system.pipeline].bundles, *(quality.bundles if quality else ())]
    try:
        own = list_own_bundles(system.options["models"]) if "models" in system.options else {}
        bundles = [own[name] for name in names if name in own] or [find_bundle(name) for name in names]
        seconds = [bundle.facts.get(TRAINING_SECONDS, math.nan) for bundle in bundles]
    except (InputError, ModelError):  # the runs say so
        return math.nan
    return float(sum(seconds)) if seconds else math.nan


def _summarize_cost(system: System, runs: Sequence[Run]) -> SystemCost:
    costs = [run.cost for run in runs if run.cost is not None and not run.failure]
    return SystemCost(
        system=system,
        runs=len(runs),
        failed=sum(bool(run.failure) for run in runs),
        reused=sum(run.reused for run in runs),
        device=", ".join(dict.fromkeys(cost.device for cost in costs)),
        seconds=summarize_values([cost.seconds for cost in costs]),
        processor_seconds=summarize_values([cost.processor_seconds for cost in costs]),
        peak_memory_mib=summarize_values([cost.peak_memory_bytes / 2**20 for cost in costs]),
        training_seconds=find_training_seconds(system),
    )
