"""Tables of a batch: a row per scan, and a row per structure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from KneeSegLib.batch.gallery import write_gallery
from KneeSegLib.batch.plan import BatchPlan
from KneeSegLib.batch.rows import STRUCTURES_NAME, SUMMARY_NAME, ScanRow
from KneeSegLib.batch.scans import Outcome, State
from KneeSegLib.case_record import RECORD_NAME
from KneeSegLib.errors import InputError
from KneeSegLib.io.tables import write_table

SUMMARY_COLUMNS = (
    "name",
    "source",
    "series",
    "state",
    "structures",
    "to_check",
    "warnings",
    "error",
    "exit_status",
    "pipeline",
    "seconds",
)
STRUCTURE_COLUMNS = ("name", "structure", "side", "volume_mm3", "quality", "touches_border", "reasons")


@dataclass
class BatchSummary:
    """What is known of a batch so far."""

    plan: BatchPlan
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    _rows: dict[str, ScanRow] = field(default_factory=dict, repr=False)

    def add(self, outcome: Outcome) -> None:
        """Note what became of a scan."""
        self.outcomes[outcome.name] = outcome
        self._rows.pop(outcome.name, None)

    def count(self, state: State) -> int:
        """Return how many scans are in a state."""
        if state == "waiting":
            return len(self.plan.scans) - len(self.outcomes)
        return sum(outcome.state == state for outcome in self.outcomes.values())

    def rows(self) -> list[ScanRow]:
        """Return every scan of the batch in its order."""
        return [self._row(number) for number in range(len(self.plan.scans))]

    def write(self) -> None:
        """Write both tables and the gallery into the batch's folder.

        Raises:
            OutputError: they cannot be written.
        """
        rows = self.rows()
        write_table(self.plan.folder / SUMMARY_NAME, SUMMARY_COLUMNS, map(_describe_row, rows))
        write_table(self.plan.folder / STRUCTURES_NAME, STRUCTURE_COLUMNS, _describe_structures(rows))
        write_gallery(rows, self.plan.folder)

    def _row(self, number: int) -> ScanRow:
        scan = self.plan.scans[number]
        if scan.name not in self._rows:
            outcome = self.outcomes.get(scan.name, Outcome(scan.name, "waiting"))
            if outcome.state == "waiting":
                return ScanRow(scan.name, scan.source, scan.series, outcome)
            known = {}
            if outcome.state == "done":
                try:
                    known = _read_case(self.plan.case_folder(scan.name))
                except InputError as error:
                    outcome = self.outcomes[scan.name] = Outcome(scan.name, "failed", str(error), error.exit_status)
            self._rows[scan.name] = ScanRow(scan.name, scan.source, scan.series, outcome, **known)
        return self._rows[scan.name]


def _read_case(folder: Path) -> dict[str, Any]:
    """Return what rows show of a case that someone may have changed.

    Raises:
        InputError: its record is damaged.
    """
    try:
        record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        scans = record.get("scans", [record])
        return {
            "structures": [entry for scan in scans for entry in scan["structures"]],
            "warnings": record["warnings"],
            "pipeline": record["provenance"]["pipeline"],
            "seconds": sum(record["provenance"]["timings"].values()),
            "modality": scans[0]["input"]["modality"] or "",
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"The record of the case in {folder} is damaged ({type(error).__name__}); take the folder away and run the "
            "batch again."
        ) from error


def _describe_row(row: ScanRow) -> list[Any]:
    return [
        row.name,
        row.source,
        row.series or "",
        row.outcome.state,
        len(row.structures) if row.outcome.state == "done" else "",
        " ".join(entry["key"] for entry in row.flagged),
        " ".join(row.warnings),
        row.outcome.error,
        row.outcome.exit_status if row.outcome.state != "waiting" else "",
        row.pipeline,
        f"{row.seconds:.1f}" if row.seconds is not None else "",
    ]


def _describe_structures(rows: Sequence[ScanRow]) -> Iterable[list[Any]]:
    for row in rows:
        for entry in row.structures:
            quality = entry["quality"] or {}
            yield [
                row.name,
                entry["key"],
                entry["side"],
                f"{entry['volume_mm3']:.1f}",
                quality.get("level", ""),
                "yes" if entry["touches_border"] else "no",
                " ".join(quality.get("reasons", ())),
            ]
