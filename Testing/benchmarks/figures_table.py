"""The table of a benchmark's figures, as the README shows it."""

from __future__ import annotations

from collections.abc import Sequence

from KneeSegLib.measurements.summary import Cases, StructureSummary, summarize

COLUMNS = {"dice": "Dice", "assd_mm": "ASSD mm", "hd95_mm": "HD95 mm", "nsd_1mm": "NSD 1 mm"}
"""Headings of the metrics that a table can show."""


def show_figures(
    name: str, cases: Cases, count: int, metrics: Sequence[str], what: str = "people"
) -> dict[str, StructureSummary]:
    """Print mean ± SD of some metrics of each structure over ``count`` people or scans; return the summary of all.

    Args:
        cases: with the structures of every person called right ones.
        metrics: keys of :data:`COLUMNS`.
    """
    summary = summarize(cases)
    headings = " | ".join(COLUMNS[metric] for metric in metrics)
    print(f"\n| {name}, found in so many of {count} {what} | {headings} |")
    print(f"| --- |{' --- |' * len(metrics)}")
    for key, row in summary.items():
        cells = " | ".join(f"{row.metrics[metric].mean:.3f} ± {row.metrics[metric].sd:.3f}" for metric in metrics)
        print(f"| {key.removesuffix('_right')} ({row.both}) | {cells} |", flush=True)
    return summary
