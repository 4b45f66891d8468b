"""Box plots and Bland-Altman plots: where everything of them is drawn. The page's template draws it as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from KneeSegLib.evaluation.compare.statistics import Observation, StructureFigures
from KneeSegLib.evaluation.settings import (
    AXIS_HEIGHT,
    AXIS_MARGIN,
    AXIS_TICKS,
    CHART_WIDTH,
    GROUP_GAP,
    LABEL_WIDTH,
    LIMITS_SD,
    PANEL_BOTTOM,
    PANEL_HEIGHT,
    PANEL_LEFT,
    PANEL_WIDTH,
    ROW_HEIGHT,
    WHISKER_IQR,
)
from KneeSegLib.measurements.metrics import Metric


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Box:
    """One system's values of one structure, left to right; ``row`` is its system's number, ``y`` its middle."""

    row: int
    y: float
    whiskers: tuple[float, float]
    quartiles: tuple[float, float]
    median: float
    points: list[tuple[float, str]]
    title: str


@dataclass(frozen=True)
class BoxPlot:
    """The values of one metric: a group for each structure, in it a row for each system."""

    title: str
    height: float
    ticks: list[Tick]
    groups: list[tuple[float, str]]
    boxes: list[Box]


@dataclass(frozen=True)
class BlandAltman:
    """Volumes of one structure by one system: differences over means; heights are of the lines."""

    title: str
    row: int
    points: list[tuple[float, float, str]]
    bias_y: float
    limits_y: tuple[float, float] | None
    zero_y: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    caption: str


def draw_box_plot(figures: Sequence[StructureFigures], metric: Metric) -> BoxPlot | None:
    """Lay out the box plot of a metric; None where it is defined nowhere."""
    values = [_values(system.observations, metric.key) for entry in figures for system in entry.systems]
    every = [value for of_system in values for value, _ in of_system]
    if not every:
        return None
    low, high = _span(every)
    ticks, place = _lay_axis(low, high, LABEL_WIDTH, CHART_WIDTH - 8.0)
    y, groups, boxes = GROUP_GAP, [], []
    for entry in figures:
        rows = [(row, found) for row, system in enumerate(entry.systems)
                if (found := _values(system.observations, metric.key))]  # fmt: skip
        if not rows:
            continue
        groups.append((y + len(rows) * ROW_HEIGHT / 2, entry.tissue.name))
        for row, found in rows:
            boxes.append(_lay_box(found, row, y + ROW_HEIGHT / 2, place, metric, entry.systems[row].system))
            y += ROW_HEIGHT
        y += GROUP_GAP
    return BoxPlot(metric.title, y + AXIS_HEIGHT, ticks, groups, boxes)


def draw_bland_altman(figures: StructureFigures) -> list[BlandAltman]:
    """Lay out a plot of volumes (cm3) for each system that found the structure, all on the same axes."""
    of_systems = []
    for row, system in enumerate(figures.systems):
        both = [entry for entry in system.observations if entry.agreement.presence == "both"]
        pairs = [(entry.agreement.reference_mm3 / 1000, entry.agreement.prediction_mm3 / 1000) for entry in both]
        if pairs:
            of_systems.append((row, system.system, np.array(pairs), [_name(entry) for entry in both]))
    if not of_systems:
        return []
    means = np.concatenate([pairs.mean(axis=1) for _, _, pairs, _ in of_systems])
    heights: list[float] = [0.0]
    for _, _, pairs, _ in of_systems:
        bias, limits = measure_limits(pairs[:, 1] - pairs[:, 0])
        heights += [*(pairs[:, 1] - pairs[:, 0]), bias, *(limits or ())]
    x_ticks, place_x = _lay_axis(*_span(means), PANEL_LEFT, PANEL_WIDTH - 10.0)
    y_ticks, place_y = _lay_axis(*_span(heights), PANEL_HEIGHT - PANEL_BOTTOM, 8.0)
    plots = []
    for row, name, pairs, titles in of_systems:
        differences = pairs[:, 1] - pairs[:, 0]
        bias, limits = measure_limits(differences)
        points = [(place_x(mean), place_y(difference), title)
                  for mean, difference, title in zip(pairs.mean(axis=1), differences, titles)]  # fmt: skip
        said = f"limits of agreement {limits[0]:+.2f} to {limits[1]:+.2f} cm³" if limits else "no limits from one leg"
        plots.append(
            BlandAltman(
                title=f"{figures.tissue.name.capitalize()}, {name}",
                row=row,
                points=points,
                bias_y=place_y(bias),
                limits_y=(place_y(limits[0]), place_y(limits[1])) if limits else None,
                zero_y=place_y(0.0),
                x_ticks=x_ticks,
                y_ticks=y_ticks,
                caption=f"bias {bias:+.2f} cm³, {said}",
            )
        )
    return plots


def measure_limits(differences: np.ndarray) -> tuple[float, tuple[float, float] | None]:
    """Return bias and limits of agreement (J. M. Bland and D. G. Altman, Lancet 1986); no limits of a single value."""
    bias = float(differences.mean())
    if len(differences) < 2:
        return bias, None
    reach = LIMITS_SD * float(differences.std(ddof=1))
    return bias, (bias - reach, bias + reach)


def find_whiskers(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of a box plot's whiskers."""
    lower, upper = np.percentile(values, (25, 75))
    reach = WHISKER_IQR * (upper - lower)
    within = values[(values >= lower - reach) & (values <= upper + reach)]
    return float(within.min()), float(within.max())


def choose_ticks(low: float, high: float, count: int = AXIS_TICKS) -> list[float]:
    """Return about ``count`` round numbers within an interval: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda step: abs(step - rough))
    first = math.ceil(low / step - 1e-9)
    return [step * number for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _values(observations: Sequence[Observation], metric: str) -> list[tuple[float, str]]:
    values = [(entry.agreement.metrics[metric], _name(entry)) for entry in observations]
    return [(value, name) for value, name in values if not math.isnan(value)]


def _name(entry: Observation) -> str:
    return f"{entry.case}, {entry.side}"


def _span(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    if high - low < 1e-6:  # nothing to spread
        low, high = low - 0.01 * max(abs(low), 1.0), high + 0.01 * max(abs(high), 1.0)
    margin = AXIS_MARGIN * (high - low)
    return low - margin, high + margin


def _lay_axis(low: float, high: float, start: float, stop: float):
    """Return the ticks of an axis from ``start`` to ``stop``, and the function that says where a value lies."""

    def place(value: float) -> float:
        return start + (stop - start) * (float(value) - low) / (high - low)

    numbers = choose_ticks(low, high)
    step = numbers[1] - numbers[0] if len(numbers) > 1 else high - low
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [Tick(place(number), f"{number + 0.0:.{digits}f}") for number in numbers], place


def _lay_box(found: list[tuple[float, str]], row: int, y: float, place, metric: Metric, system: str) -> Box:
    values = np.array([value for value, _ in found])
    lower, median, upper = np.percentile(values, (25, 50, 75))
    low, high = find_whiskers(values)
    title = f"{system}: median {median:.{metric.digits}f}, IQR {lower:.{metric.digits}f} to {upper:.{metric.digits}f}"
    points = [(place(value), f"{name}: {value:.{metric.digits}f}") for value, name in found]
    return Box(row, y, (place(low), place(high)), (place(lower), place(upper)), place(median), points, title)
