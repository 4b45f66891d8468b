"""Slice pictures: the image in its display window, the structures as outlines, everything measured in millimetres."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.report.contours import contour_lines, svg_path
from KneeSegLib.report.planes import LETTERS, Box, Grid, Window, box_of, tilt_degrees

BONE_WINDOW_HU = (-350.0, 1250.0)
_TEXT_SHARE = 0.036
_MR_PERCENTILES = (1.0, 99.7)


@dataclass(frozen=True)
class Outline:
    """One structure's outline: an SVG path in the picture's millimetres."""

    name: str
    color: tuple[int, int, int]
    path: str


@dataclass(frozen=True)
class Picture:
    """A picture of ``width_mm`` x ``height_mm`` that holds a PNG at ``left_mm``, ``top_mm`` and outlines over it.

    ``letters`` are the orientation letters top, bottom, left, right; ``text_mm`` is their size, ``bar_mm`` the length
    of the scale bar. ``dark`` pictures have a black ground.
    """

    caption: str
    width_mm: float
    height_mm: float
    png: bytes
    png_box_mm: tuple[float, float, float, float]
    letters: tuple[str, str, str, str]
    text_mm: float
    bar_mm: int
    outlines: list[Outline] = field(default_factory=list)
    dark: bool = True


def bar_length_mm(picture_mm: float) -> int:
    """Return the length of a scale bar: the round one nearest to a sixth of the picture's shorter edge."""
    return min((5, 10, 20, 50, 100, 200), key=lambda length: abs(np.log(6 * length / picture_mm)))


class SlicePainter:
    """Paints slices of one image with its labels; turns whole volumes to the body's axes but never resamples one."""

    def __init__(
        self,
        image: sitk.Image,
        labels: sitk.Image,
        margins: Mapping[str, sitk.Image],
        structures: Sequence[Structure],
        display_range: tuple[float, float],
    ) -> None:
        """
        Args:
            image, labels: on the same grid.
            margins: per structure key a scalar image on a crop of the grid whose zero level is the structure's surface.
            structures: those to outline.
            display_range: the values shown as black and as white.
        """
        self._given_labels = labels
        # Array views live only as long as their images.
        self._lps_image, self._lps_labels = reorient_to_lps(image), reorient_to_lps(labels)
        self._margins = {key: reorient_to_lps(margin) for key, margin in margins.items()}
        self._image = sitk.GetArrayViewFromImage(self._lps_image)
        self.labels = sitk.GetArrayViewFromImage(self._lps_labels)
        self.grid = Grid.of(self._lps_labels)
        self.tilt_degrees = tilt_degrees(self._lps_labels)
        self._structures = structures
        self._display_range = display_range

    def box(self, extent: Sequence[int]) -> Box:
        """Return the box ``(first i, last i, first j, ...)`` of the given label image as slices of ``labels``."""
        return box_of(extent, self._given_labels, self._lps_labels)

    def picture(self, caption: str, window: Window, width_mm: float) -> Picture:
        """Return the slice of ``window`` in the middle of a square picture of ``width_mm``."""
        row_mm, column_mm = window.pixel_mm(self.grid)
        pixels = self._gray(window.cut(self._image))
        height, width = pixels.shape[0] * row_mm, pixels.shape[1] * column_mm
        left, top = (width_mm - width) / 2, (width_mm - height) / 2
        outlines = []
        for structure in self._structures:
            lines = self._outline(structure, window)
            if lines:
                path = svg_path(lines, (column_mm, row_mm), (left, top))
                outlines.append(Outline(structure.name, structure.color, path))
        return Picture(
            caption=caption,
            width_mm=width_mm,
            height_mm=width_mm,
            png=png_bytes(pixels),
            png_box_mm=(left, top, width, height),
            letters=LETTERS[window.plane],
            text_mm=_TEXT_SHARE * width_mm,
            bar_mm=bar_length_mm(width_mm),
            outlines=outlines,
        )

    def _outline(self, structure: Structure, window: Window) -> list[np.ndarray]:
        mask = window.cut(self.labels) == structure.label_value
        if not mask.any():
            return []
        margin = self._margins.get(structure.key)
        if margin is None:
            return contour_lines(mask.astype(np.float32), 0.5)
        array = sitk.GetArrayViewFromImage(margin)
        offset = self._lps_labels.TransformPhysicalPointToIndex(margin.GetOrigin())[::-1]
        surely_outside = -127 if np.issubdtype(array.dtype, np.integer) else -1
        return contour_lines(window.cut(array, offset, outside=surely_outside).astype(np.float32), 0.0)

    def _gray(self, pixels: np.ndarray) -> np.ndarray:
        black, white = self._display_range
        scaled = (pixels.astype(np.float32) - black) / max(white - black, 1e-6)
        return np.round(255 * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)


def display_range(image: sitk.Image, modality: str | None) -> tuple[float, float]:
    """Return the values shown as black and as white: a bone window for CT, percentiles of a sparse sample otherwise."""
    if modality == "CT":
        return BONE_WINDOW_HU
    sample = sitk.GetArrayViewFromImage(image)[::4, ::8, ::8]
    low, high = np.percentile(sample, _MR_PERCENTILES)
    return float(low), float(high)


def png_bytes(pixels: np.ndarray) -> bytes:
    """Return ``pixels`` (uint8; gray ``(h, w)`` or RGBA ``(h, w, 4)``) as a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
