"""Learning curves: loss and validation figures of a training over its steps, as one SVG picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from KneeSegLib.training.settings import CURVE_COLORS, CURVE_TICKS

WIDTH, HEIGHT = 640, 220
"""Of one chart, in pixels, within its margins."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One line of a chart: its name, colour and corners in pixels."""

    name: str
    color: str
    points: Points
    last: float


@dataclass(frozen=True)
class Chart:
    """A chart with its axis: ``ticks`` are (pixel, text)."""

    title: str
    curves: list[Curve]
    ticks: list[tuple[float, str]]


def draw_learning_curves(folder: Path) -> Path:
    """Draw ``log.csv`` of a training's folder as ``curves.svg`` beside it, and return that.

    The loss on a logarithmic axis above, validation figures below: Dice from the lowest that was seen to 1.
    """
    import jinja2

    series = read_series(folder / "log.csv")
    steps = [step for points in series.values() for step, _ in points]
    last = max(steps, default=1.0) or 1.0
    loss = {name: points for name, points in series.items() if name == "loss"}
    figures = {name: points for name, points in series.items() if name not in ("loss", "seconds")}
    charts = [_make_chart("Training loss", loss, last, logarithmic=True), _make_chart("Validation", figures, last)]
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(loader=loader, autoescape=True).get_template("curves.svg.j2")
    path = folder / "curves.svg"
    text = page.render(charts=[chart for chart in charts if chart.curves], width=WIDTH, height=HEIGHT, last=int(last))
    path.write_text(text, encoding="utf-8")
    return path


def read_series(path: Path) -> dict[str, Points]:
    """Return the columns of a training's log as (step, value), without empty and undefined entries.

    A step that was trained again after a stop counts once, as it was trained last.
    """
    series: dict[str, dict[float, float]] = {}
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                if name != "step" and text and math.isfinite(value := float(text)):
                    series.setdefault(name, {})[float(row["step"])] = value
    return {name: sorted(points.items()) for name, points in series.items()}


def _make_chart(title: str, series: dict[str, Points], last: float, logarithmic: bool = False) -> Chart:
    values = [value for points in series.values() for _, value in points]
    if not values:
        return Chart(title, [], [])
    scale = (lambda value: math.log10(max(value, 1e-6))) if logarithmic else (lambda value: value)
    low, high = min(map(scale, values)), max(map(scale, values))
    if all(name.startswith("dice") for name in series):
        high = 1.0
    spread = (high - low) or 1.0

    def place(value: float) -> float:
        return HEIGHT * (1.0 - (scale(value) - low) / spread)

    curves = [
        Curve(
            name.removeprefix("dice_").replace("_", " "),
            CURVE_COLORS[number % len(CURVE_COLORS)],
            [(WIDTH * step / last, place(value)) for step, value in points],
            points[-1][1],
        )
        for number, (name, points) in enumerate(series.items())
    ]
    return Chart(title, curves, [(place(value), f"{value:.3g}") for value in _spread_ticks(low, high, logarithmic)])


def _spread_ticks(low: float, high: float, logarithmic: bool) -> Sequence[float]:
    places = [low + (high - low) * part / (CURVE_TICKS - 1) for part in range(CURVE_TICKS)]
    return [10.0**place for place in places] if logarithmic else places
