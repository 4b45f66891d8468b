"""A scan as the tables and the gallery of a batch show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from KneeSegLib.batch.scans import Outcome

SUMMARY_NAME = "summary.csv"
STRUCTURES_NAME = "structures.csv"


@dataclass(frozen=True)
class ScanRow:
    """A scan in the tables and in the gallery.

    Attributes:
        structures: entries of ``case.json``; of all scans, where a case has several.
        seconds: that segmenting took.
    """

    name: str
    source: str
    series: str | None
    outcome: Outcome
    structures: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    pipeline: str = ""
    seconds: float | None = None
    modality: str = ""

    @property
    def flagged(self) -> list[Mapping[str, Any]]:
        """Structures that quality control asks a person to check."""
        return [entry for entry in self.structures if (entry["quality"] or {}).get("level") == "check"]
