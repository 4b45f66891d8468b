"""Error maps of cases, and the page of them that ``kneeseg evaluate`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from KneeSegLib.report.cartilage import format_css_gradient
from KneeSegLib.report.error_slices import ErrorRegion, JudgedPrediction, draw_error_slices
from KneeSegLib.report.error_surfaces import draw_error_surfaces, mesh_structures
from KneeSegLib.report.pictures import Picture
from KneeSegLib.report.settings import (
    ABSENT_COLOR,
    ADDED_COLOR,
    CONFUSED_COLOR,
    DISTANCE_COLORS,
    DISTANCE_SCALE_MM,
    MISSED_COLOR,
)
from KneeSegLib.report.templates import load_template

if TYPE_CHECKING:
    from KneeSegLib.io.volume import Volume


@dataclass(frozen=True)
class ErrorCase:
    """The error maps of one case.

    Attributes:
        regions: slices of each joint.
        surfaces: of each prediction its name and pictures.
    """

    title: str
    regions: list[ErrorRegion]
    surfaces: list[tuple[str, list[Picture]]]


def draw_error_case(
    title: str, reference: sitk.Image, predictions: Sequence[JudgedPrediction], volume: Volume | None = None
) -> ErrorCase:
    """Draw the error maps of predictions of one case; arguments as of :func:`draw_error_slices`.

    Raises:
        InputError: a prediction or the scan lies on another grid.
    """
    regions = draw_error_slices(reference, predictions, volume)
    expected = mesh_structures(reference)
    surfaces = [(prediction.name, draw_error_surfaces(expected, prediction)) for prediction in predictions]
    return ErrorCase(title, regions, surfaces)


def render_error_maps(cases: Sequence[ErrorCase]) -> str:
    """Return the error maps of several cases as one HTML document."""
    return load_template("error_maps.html.j2").render(cases=cases, colors=describe_error_colors())


def describe_error_colors() -> dict[str, Any]:
    """Return what the legend of error maps names: colours, and the scale of distances."""
    return {
        "added": ADDED_COLOR,
        "missed": MISSED_COLOR,
        "confused": CONFUSED_COLOR,
        "absent": ABSENT_COLOR,
        "gradient": format_css_gradient(DISTANCE_COLORS),
        "scale_mm": DISTANCE_SCALE_MM,
    }
