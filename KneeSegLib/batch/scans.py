"""One scan of a batch, and what becomes of it: both travel between processes, so that they hold plain data alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from KneeSegLib.batch.settings import LONGEST_NAME

State = Literal["done", "failed", "waiting"]


@dataclass(frozen=True)
class BatchScan:
    """A scan to be segmented.

    Attributes:
        source: absolute path of a file or folder.
        series: key or number of a series in that folder; None where it holds one, or the largest is meant.
        name: of its case; unique in the batch.
        options: of this scan alone, which go before those of the batch.
        refused: the sentence why nothing in ``source`` can be segmented, where that was seen already.
    """

    source: str
    series: str | None = None
    name: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None

    @property
    def identity(self) -> tuple[str, str | None]:
        """What tells it from every other scan, however the scans are named."""
        return self.source, self.series


@dataclass(frozen=True)
class Outcome:
    """What became of a scan.

    Attributes:
        error: one sentence where it failed.
        exit_status: that of ``kneeseg segment`` for such a failure.
    """

    name: str
    state: State
    error: str = ""
    exit_status: int = 0


def make_name(text: str, taken: Collection[str]) -> str:
    """Return a folder name made of ``text`` that none of ``taken`` is, also where capitals are not told apart.

    >>> make_name("Meier, Anna/knee 1.nii.gz", {"meier-anna_knee-1.nii.gz"})
    'Meier-Anna_knee-1.nii.gz-2'
    """
    name = re.sub(r"[\\/]+", "_", text.strip("/\\ "))
    name = re.sub(r"[^\w.]+", "-", name, flags=re.ASCII).strip("-._")[:LONGEST_NAME] or "scan"
    folded = {other.casefold() for other in taken}
    candidate, number = name, 2
    while candidate.casefold() in folded:
        candidate = f"{name}-{number}"
        number += 1
    return candidate


def describe_scan(scan: BatchScan) -> dict[str, Any]:
    """Return the entry of a scan in ``batch.json``."""
    return {
        "name": scan.name,
        "source": scan.source,
        "series": scan.series,
        **({"options": dict(scan.options)} if scan.options else {}),
    }
