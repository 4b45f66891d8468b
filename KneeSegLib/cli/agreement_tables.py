"""Tables of metrics for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from KneeSegLib.anatomy import structure
from KneeSegLib.measurements.comparison import Agreement
from KneeSegLib.measurements.metrics import METRICS, Metric
from KneeSegLib.measurements.summary import Cases, Spread, StructureSummary, summarize

WIDTH_FOR_ONE_TABLE = 118
UNDEFINED = "-"


def print_case(console: Console, agreements: Mapping[str, Agreement], title: str) -> None:
    """Print all metrics of one case: a row for each structure."""
    for columns, heading in _column_groups(console.width):
        table = _table(f"{title}{heading}", columns)
        for agreement in agreements.values():
            table.add_row(
                agreement.structure.name, *(_value(agreement.metrics[metric.key], metric) for metric in columns)
            )
        console.print(table)
    for agreement in agreements.values():
        if agreement.presence != "both":
            where = agreement.presence.removesuffix(" only")
            console.print(
                Text(f"{agreement.structure.name}: only in the {where}, so no metric is defined.", style="yellow")
            )


def print_summary(console: Console, cases: Cases) -> None:
    """Print every structure over all cases: rows for mean, standard deviation, median, interquartile range, ends."""
    summaries = summarize(cases)
    for columns, heading in _column_groups(console.width):
        table = _table(f"{len(cases)} cases{heading}", columns)
        for key, summary in summaries.items():
            if not summary.both:
                continue
            table.add_row(Text(f"{structure(key).name} ({summary.both})", style="bold"))
            for name, row in _STATISTICS:
                table.add_row(f"  {name}", *(_value(row(summary.metrics[metric.key]), metric) for metric in columns))
        console.print(table)
    for key, summary in summaries.items():
        for sentence in _absences(summary):
            console.print(Text(f"{structure(key).name} {sentence}", style="yellow"))


_STATISTICS: tuple[tuple[str, Callable[[Spread], float]], ...] = (
    ("mean", lambda spread: spread.mean),
    ("± SD", lambda spread: spread.sd),
    ("median", lambda spread: spread.median),
    ("IQR", lambda spread: spread.upper_quartile - spread.lower_quartile),
    ("min", lambda spread: spread.minimum),
    ("max", lambda spread: spread.maximum),
)


def _absences(summary: StructureSummary) -> Iterator[str]:
    if summary.reference_only:
        yield f"was missed in {_count(summary.reference_only)}, counted in no figure above."
    if summary.prediction_only:
        yield f"was found in {_count(summary.prediction_only)} without it in the reference, counted in no figure above."


def _column_groups(width: int) -> Iterator[tuple[list[Metric], str]]:
    """Yield columns and heading of each table: one table if the terminal has room, else one for each group."""
    if width >= WIDTH_FOR_ONE_TABLE:
        yield list(METRICS), " (distances in mm)"
        return
    for group in ("overlap", "distance"):
        yield [metric for metric in METRICS if metric.group == group], f", {_group_name(group)}"


def _group_name(group: str) -> str:
    return {"overlap": "overlap", "distance": "distances in mm"}[group]


def _table(title: str, columns: list[Metric]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Structure", no_wrap=True)
    for metric in columns:
        table.add_column(metric.title, justify="right", no_wrap=True)
    return table


def _value(value: float, metric: Metric) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.{metric.digits}f}"


def _count(cases: int) -> str:
    return "1 case" if cases == 1 else f"{cases} cases"
