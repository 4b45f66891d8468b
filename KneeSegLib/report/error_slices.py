"""Error maps on slices: false positives green, false negatives red, over the image where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure, structure_of_label
from KneeSegLib.geometry.boxes import ArrayBox, box_shape, enclose_boxes, find_label_boxes
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.measurements.comparison import check_same_grid
from KneeSegLib.report.contours import format_svg_path, trace_contours
from KneeSegLib.report.pictures import Outline, Picture, choose_bar_mm, encode_png
from KneeSegLib.report.planes import LETTERS, PLANES, Window
from KneeSegLib.report.regions import LabelledGrid, Region, find_joint_regions
from KneeSegLib.report.settings import (
    ADDED_COLOR,
    CONFUSED_COLOR,
    CORRECT_GRAY,
    ERROR_OPACITY,
    MISSED_COLOR,
    REFERENCE_OUTLINE_COLOR,
    SLICE_TEXT_FRACTION,
)
from KneeSegLib.report.slices import choose_display_range

if TYPE_CHECKING:
    from KneeSegLib.io.volume import Volume


@dataclass(frozen=True)
class JudgedPrediction:
    """A prediction beside its reference.

    Attributes:
        name: what the page calls it.
        labels: on the reference's grid.
        structures: those that it is judged by; any other is neither missed nor added.
    """

    name: str
    labels: sitk.Image
    structures: Set[Structure]


@dataclass(frozen=True)
class ErrorRegion:
    """The same slices of one joint with the errors of each prediction: its name and pictures."""

    title: str
    rows: list[tuple[str, list[Picture]]]


def draw_error_slices(
    reference: sitk.Image, predictions: Sequence[JudgedPrediction], volume: Volume | None
) -> list[ErrorRegion]:
    """Return for each joint the slices on which the predictions together are most wrong, the same for all of them.

    Args:
        reference: labels of :mod:`KneeSegLib.anatomy`.
        volume: the scan, to draw on; without one, voxels that agree are grey.

    Raises:
        InputError: a prediction or the scan lies on another grid.
    """
    for prediction in predictions:
        check_same_grid(reference, prediction.labels)
    if volume is not None:
        check_same_grid(reference, volume.image, "image")
    painter = _ErrorPainter(reference, predictions, volume)
    return [painter.paint(region) for region in find_joint_regions(painter.labelled)]


class _ErrorPainter:
    """Paints slices of one case, turned to the body's axes."""

    def __init__(self, reference: sitk.Image, predictions: Sequence[JudgedPrediction], volume: Volume | None) -> None:
        lps_reference = reorient_to_lps(reference)
        self._reference = sitk.GetArrayFromImage(lps_reference)
        x_mm, y_mm, z_mm = lps_reference.GetSpacing()
        boxes = {structure_of_label(value): box for value, box in find_label_boxes(self._reference).items()}
        grid = Grid.of_scan(self._reference.shape, (z_mm, y_mm, x_mm))
        self.labelled = LabelledGrid(self._reference, grid, boxes)
        self._image = self._display_range = None
        if volume is not None:
            self._image = sitk.GetArrayFromImage(reorient_to_lps(volume.image))
            self._display_range = choose_display_range(volume)
        self._judged: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for prediction in predictions:
            values = [structure.label_value for structure in prediction.structures]
            found = sitk.GetArrayFromImage(reorient_to_lps(prediction.labels))
            self._judged[prediction.name] = (_keep(self._reference, values), _keep(found, values))

    def paint(self, region: Region) -> ErrorRegion:
        windows = self._move_to_errors(region.windows)
        rows = []
        for name in self._judged:
            pictures = [self._paint(f"{caption}", window, region.width_mm, name) for caption, window in windows.items()]
            rows.append((name, pictures))
        return ErrorRegion(region.title, rows)

    def _move_to_errors(self, windows: Mapping[str, Window]) -> dict[str, Window]:
        """Return the windows on the slices of their common box with the largest wrong area of all predictions."""
        box = _enclose(list(windows.values()))
        wrong = np.zeros(box_shape(box), np.uint8)
        for reference, prediction in self._judged.values():
            wrong += reference[box] != prediction[box]
        if not wrong.any():
            return dict(windows)
        moved = {}
        for caption, window in windows.items():
            axis = PLANES.index(window.plane)
            area = wrong.sum(axis=tuple(other for other in range(3) if other != axis))
            moved[caption] = replace(window, position=box[axis].start + int(area.argmax()))
        return moved

    def _paint(self, caption: str, window: Window, width_mm: float, name: str) -> Picture:
        reference, prediction = (window.cut(labels) for labels in self._judged[name])
        row_mm, column_mm = window.pixel_mm(self.labelled.grid)
        height, width = reference.shape[0] * row_mm, reference.shape[1] * column_mm
        left, top = (width_mm - width) / 2, (width_mm - height) / 2
        lines = [
            line
            for value in np.unique(reference[reference > 0])
            for line in trace_contours((reference == value).astype(np.float32), 0.5)
        ]
        path = format_svg_path(lines, (column_mm, row_mm), (left, top))
        return Picture(
            caption=caption,
            width_mm=width_mm,
            height_mm=width_mm,
            png=encode_png(color_errors(self._to_gray(window, reference, prediction), reference, prediction)),
            png_box_mm=(left, top, width, height),
            letters=LETTERS[window.plane],
            text_mm=SLICE_TEXT_FRACTION * width_mm,
            bar_mm=choose_bar_mm(width_mm),
            outlines=[Outline("Reference", REFERENCE_OUTLINE_COLOR, path)] if lines else [],
        )

    def _to_gray(self, window: Window, reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        if self._image is None or self._display_range is None:
            return np.where((reference == prediction) & (reference > 0), CORRECT_GRAY, 0).astype(np.uint8)
        black, white = self._display_range
        scaled = (window.cut(self._image).astype(np.float32) - black) / max(white - black, 1e-6)
        return np.round(255 * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)


def color_errors(gray: np.ndarray, reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return 8-bit sRGB (h, w, 3): ``gray`` (h, w), and over it the colours of what two label slices differ in."""
    pixels = np.repeat(gray[..., None], 3, axis=2).astype(np.float32)
    wrong = reference != prediction
    for where, color in (
        (wrong & (reference == 0), ADDED_COLOR),
        (wrong & (prediction == 0), MISSED_COLOR),
        (wrong & (reference > 0) & (prediction > 0), CONFUSED_COLOR),
    ):
        pixels[where] = (1 - ERROR_OPACITY) * pixels[where] + ERROR_OPACITY * np.array(color, np.float32)
    return np.round(pixels).astype(np.uint8)


def _keep(labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    return np.where(np.isin(labels, values), labels, 0)


def _enclose(windows: Sequence[Window]) -> ArrayBox:
    """The box that the windows of three planes span: each shows two of its edges."""
    return enclose_boxes([window.box for window in windows])
