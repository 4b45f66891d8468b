"""Shape models and their making as tables for the terminal and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.shape.model import ShapeModel
from KneeSegLib.training.shape_models.build import Build
from KneeSegLib.training.shape_models.settings import SHOWN_MODES


def print_build(console: Console, build: Build) -> None:
    """Print what became of each case."""
    table = _table(f"{build.model.bone}, reference {build.reference}", "Case")
    for heading in ("affine Dice", "Dice", "points off surface, mm"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in build.reports:
        figures = (report.affine_overlap, report.overlap, report.residual_mm)
        table.add_row(Text(report.case), *(_value(figure) for figure in figures))
    console.print(table)
    for report in build.reports:
        if not report.used:
            console.print(Text(f"{report.case} {report.reason}; left out.", style="yellow"), soft_wrap=True)


def print_model(console: Console, model: ShapeModel) -> None:
    """Print provenance and quality."""
    provenance, quality = model.provenance, model.quality
    cartilage = int(model.carries_cartilage.sum())
    console.print(Text(model.bone.capitalize(), style="bold"))
    console.print(
        f"{len(model.mean)} points, {cartilage} of them with cartilage, {len(model.variances)} modes "
        f"from {provenance.cases} cases at {provenance.spacing_mm:g} mm",
        soft_wrap=True,
    )
    for source in provenance.sources or ("not said",):
        console.print(Text(f"Source: {source}"), soft_wrap=True)
    if quality is None:
        return
    if quality.overlap_mean is not None:
        console.print(
            f"Dice with the reference {quality.overlap_mean:.3f} (least {quality.overlap_least:.3f})", soft_wrap=True
        )
    console.print(
        f"Points off their surface {quality.residual_mean_mm:.2f} mm (most {quality.residual_most_mm:.2f})",
        soft_wrap=True,
    )
    table = _table("By number of modes (distances in mm)", "Modes")
    for heading in ("variance, mm²", "variance explained", "generalisation", "specificity"):
        table.add_column(heading, justify="right", no_wrap=True)
    for modes in _shown(len(model.variances)):
        table.add_row(
            str(modes),
            f"{model.variances[modes - 1]:.0f}",
            f"{quality.compactness[modes - 1]:.3f}",
            _value(_at(quality.generalisation_mm, modes)),
            _value(_at(quality.specificity_mm, modes)),
        )
    console.print(table)


def build_as_json(build: Build) -> dict[str, Any]:
    """What became of each case, and the model's figures."""
    return as_strict_json(
        {
            **model_as_json(build.model),
            "reference": build.reference,
            "reports": [{**vars(report), "used": report.used} for report in build.reports],
        }
    )


def model_as_json(model: ShapeModel) -> dict[str, Any]:
    """Sizes, provenance and quality; the arrays are in the file."""
    return as_strict_json(
        {
            "bone": model.bone,
            "points": len(model.mean),
            "points_with_cartilage": int(model.carries_cartilage.sum()),
            "modes": len(model.variances),
            "variances_mm2": model.variances,
            "provenance": model.provenance,
            "quality": model.quality,
        }
    )


def _shown(modes: int) -> Iterator[int]:
    yield from (count for count in SHOWN_MODES if count < modes)
    yield modes


def _at(values: tuple[float, ...], modes: int) -> float:
    """The figure for so many modes; a model made without one case has one mode less."""
    return values[modes - 1] if modes <= len(values) else math.nan


def _value(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table
