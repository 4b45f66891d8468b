"""The page of a comparison: one HTML file with everything in it."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from KneeSegLib import __version__
from KneeSegLib.evaluation.compare.agreement import WHOLE
from KneeSegLib.evaluation.compare.charts import draw_bland_altman, draw_box_plot
from KneeSegLib.evaluation.compare.files import STATEMENT, Results
from KneeSegLib.evaluation.compare.remarks import describe_edges, list_remarks
from KneeSegLib.evaluation.compare.statistics import StructureFigures
from KneeSegLib.evaluation.settings import (
    CHART_WIDTH,
    CHARTED_METRICS,
    LABEL_WIDTH,
    PANEL_BOTTOM,
    PANEL_HEIGHT,
    PANEL_LEFT,
    PANEL_WIDTH,
    ROW_HEIGHT,
    SIGNIFICANT,
    SYSTEM_COLORS,
)
from KneeSegLib.measurements.metrics import METRICS
from KneeSegLib.measurements.summary import Spread
from KneeSegLib.report.error_maps import ErrorCase, describe_error_colors
from KneeSegLib.report.templates import load_template

_CHARTED = [metric for key in CHARTED_METRICS for metric in METRICS if metric.key == key]
_TITLES = {WHOLE: "Whole structures", "hip": "At the hip", "knee": "At the knee", "ankle": "At the ankle"}


@dataclass(frozen=True)
class ShownPart:
    """Structures, whole or at one joint: their figures and box plots."""

    title: str
    structures: list[StructureFigures]
    plots: list[Any]


def render_comparison(results: Results, error_cases: Sequence[ErrorCase]) -> str:
    """Return the page as one HTML document."""
    comparison = results.comparison
    whole = [entry for entry in results.figures if entry.part == WHOLE]
    template = load_template(
        "compare.html.j2",
        Path(__file__).parent,
        number=format_number,
        spread=format_spread,
        ends=format_ends,
        quartiles=format_quartiles,
        p_value=format_p,
    )
    return template.render(
        results=results,
        comparison=comparison,
        statement=STATEMENT,
        version=__version__,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        remarks=list_remarks(results),
        edges=describe_edges(comparison),
        parts=_show_parts(results),
        metrics=METRICS,
        metric_groups=[[metric for metric in METRICS if metric.group == group] for group in ("overlap", "distance")],
        colors=[SYSTEM_COLORS[number % len(SYSTEM_COLORS)] for number in range(len(comparison.systems))],
        tests=[test for test in results.tests if test.metric in CHARTED_METRICS and test.cases],
        metric_of={metric.key: metric for metric in METRICS},
        tissue_names={entry.tissue.key: entry.tissue.name for entry in results.figures},
        significant=SIGNIFICANT,
        bland_altman=[(entry.tissue.name, plots) for entry in whole if (plots := draw_bland_altman(entry))],
        error_cases=error_cases,
        error_colors=describe_error_colors(),
        chart={"width": CHART_WIDTH, "label": LABEL_WIDTH, "row": ROW_HEIGHT},
        panel={"width": PANEL_WIDTH, "height": PANEL_HEIGHT, "left": PANEL_LEFT, "bottom": PANEL_BOTTOM},
    )


def _show_parts(results: Results) -> list[ShownPart]:
    """Return the whole structures, then the joints at which less than the whole of one lies."""
    shown = []
    for part, title in _TITLES.items():
        entries = [entry for entry in results.figures if entry.part == part]
        if entries and (part == WHOLE or any(entry.is_own_part for entry in entries)):
            plots = [plot for metric in _CHARTED if (plot := draw_box_plot(entries, metric))]
            shown.append(ShownPart(title, entries, plots))
    return shown


def format_number(value: float, digits: int) -> str:
    """Return a figure; ``NaN`` where it is undefined."""
    return "NaN" if math.isnan(value) else f"{value:.{digits}f}"


def format_spread(spread: Spread, digits: int) -> str:
    """Return mean ± SD; the mean alone of a single value."""
    mean = format_number(spread.mean, digits)
    return mean if math.isnan(spread.sd) else f"{mean} ± {spread.sd:.{digits}f}"


def format_ends(spread: Spread, digits: int) -> str:
    """Return minimum to maximum."""
    return f"{format_number(spread.minimum, digits)} to {format_number(spread.maximum, digits)}"


def format_quartiles(spread: Spread, digits: int) -> str:
    """Return the median and, in brackets, the quartiles."""
    lower, upper = (format_number(value, digits) for value in (spread.lower_quartile, spread.upper_quartile))
    return f"{format_number(spread.median, digits)} ({lower} to {upper})"


def format_p(p: float) -> str:
    """Return a p value as papers print it."""
    if math.isnan(p):
        return "NaN"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
