"""What a picture of the report is made of: a PNG file, outlines, letters and a scale bar, all in millimetres."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np

from KneeSegLib.report.settings import BAR_FRACTION, BAR_LENGTHS_MM


@dataclass(frozen=True)
class Outline:
    """One structure's outline: an SVG path in the picture's millimetres."""

    name: str
    color: tuple[int, int, int]
    path: str


@dataclass(frozen=True)
class Picture:
    """A picture of ``width_mm`` x ``height_mm``.

    Attributes:
        png: a PNG file; ``png_box_mm`` is where it lies: left, top, width, height.
        letters: orientation letters top, bottom, left, right.
        text_mm: their height.
        bar_mm: length of the scale bar.
        outlines: drawn over the PNG.
        dark: it has a black ground.
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


def choose_bar_mm(picture_mm: float) -> int:
    """Return the length of a scale bar: the round one nearest to a sixth of the picture's shorter edge."""
    return min(BAR_LENGTHS_MM, key=lambda length: abs(np.log(length / (BAR_FRACTION * picture_mm))))


def encode_png(pixels: np.ndarray) -> bytes:
    """Return ``pixels`` (uint8; gray ``(h, w)``, RGB ``(h, w, 3)`` or RGBA ``(h, w, 4)``) as a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
