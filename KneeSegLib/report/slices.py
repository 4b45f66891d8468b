"""Slice pictures: the image in its display window, the structures as outlines, everything measured in millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.report.contours import format_svg_path, trace_contours
from KneeSegLib.report.pictures import Outline, Picture, choose_bar_mm, encode_png
from KneeSegLib.report.planes import LETTERS, Window, measure_tilt_degrees, turn_box
from KneeSegLib.report.regions import LabelledGrid
from KneeSegLib.report.settings import BONE_WINDOW_HU, MR_PERCENTILES, MR_SAMPLE_STEPS, SLICE_TEXT_FRACTION

if TYPE_CHECKING:
    from KneeSegLib.case import ScanResult
    from KneeSegLib.io.volume import Volume


class SlicePainter:
    """Paints slices of one scan with its labels; turns whole volumes to the body's axes but never resamples one.

    Attributes:
        labelled: the scan's labels turned to the body's axes.
        tilt_degrees: by how much these axes are turned against the body's.
    """

    def __init__(self, scan: ScanResult) -> None:
        # Array views live only as long as their images.
        self._lps_image, self._lps_labels = reorient_to_lps(scan.volume.image), reorient_to_lps(scan.labels)
        self._image = sitk.GetArrayViewFromImage(self._lps_image)
        self._margins = {key: reorient_to_lps(margin) for key, margin in scan.margins.items()}
        self._display_range = choose_display_range(scan.volume)
        labels = sitk.GetArrayViewFromImage(self._lps_labels)
        x_mm, y_mm, z_mm = self._lps_labels.GetSpacing()
        boxes = {found.structure: turn_box(found.box, scan.labels, self._lps_labels) for found in scan.structures}
        self.labelled = LabelledGrid(labels, Grid.of_scan(labels.shape, (z_mm, y_mm, x_mm)), boxes)
        self.tilt_degrees = measure_tilt_degrees(self._lps_labels)

    def paint(self, caption: str, window: Window, width_mm: float) -> Picture:
        """Return the slice of ``window`` in the middle of a square picture of ``width_mm``."""
        row_mm, column_mm = window.pixel_mm(self.labelled.grid)
        pixels = self._to_gray(window.cut(self._image))
        height, width = pixels.shape[0] * row_mm, pixels.shape[1] * column_mm
        left, top = (width_mm - width) / 2, (width_mm - height) / 2
        outlines = []
        for structure in self.labelled.boxes:
            lines = self._trace(structure, window)
            if lines:
                path = format_svg_path(lines, (column_mm, row_mm), (left, top))
                outlines.append(Outline(structure.name, structure.color, path))
        return Picture(
            caption=caption,
            width_mm=width_mm,
            height_mm=width_mm,
            png=encode_png(pixels),
            png_box_mm=(left, top, width, height),
            letters=LETTERS[window.plane],
            text_mm=SLICE_TEXT_FRACTION * width_mm,
            bar_mm=choose_bar_mm(width_mm),
            outlines=outlines,
        )

    def _trace(self, structure: Structure, window: Window) -> list[np.ndarray]:
        mask = window.cut(self.labelled.labels) == structure.label_value
        if not mask.any():
            return []
        margin = self._margins.get(structure.key)
        if margin is None:
            return trace_contours(mask.astype(np.float32), 0.5)
        array = sitk.GetArrayViewFromImage(margin)
        x, y, z = self._lps_labels.TransformPhysicalPointToIndex(margin.GetOrigin())
        surely_outside = -127 if np.issubdtype(array.dtype, np.integer) else -1
        return trace_contours(window.cut(array, (z, y, x), outside=surely_outside).astype(np.float32), 0.0)

    def _to_gray(self, pixels: np.ndarray) -> np.ndarray:
        black, white = self._display_range
        scaled = (pixels.astype(np.float32) - black) / max(white - black, 1e-6)
        return np.round(255 * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)


def choose_display_range(volume: Volume) -> tuple[float, float]:
    """Return the values shown as black and as white: a bone window for CT, percentiles of a sparse sample otherwise."""
    if volume.modality == "CT":
        return BONE_WINDOW_HU
    sample = sitk.GetArrayViewFromImage(volume.image)[tuple(slice(None, None, step) for step in MR_SAMPLE_STEPS)]
    low, high = np.percentile(sample, MR_PERCENTILES)
    return float(low), float(high)
