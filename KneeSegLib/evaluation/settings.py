"""Choices of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A metric (key of :data:`KneeSegLib.measurements.metrics.METRICS`) as a column of a measured table."""

    metric: str
    heading: str
    digits: int


COLUMNS = (
    Column("dice", "Dice", 3),
    Column("assd_mm", "ASSD, mm", 2),
    Column("hd95_mm", "HD95, mm", 2),
    Column("nsd_1mm", "Surface Dice at 1 mm", 3),
)
"""What measured tables show: the overlap and the distances that papers on CT and MR of the knee report, with the digits
that they print."""
