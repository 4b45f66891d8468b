"""What compressed frames say of themselves, held against the header of their file before a decoder trusts them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.encaps import generate_frames

from KneeSegLib.io.screening.jpeg import Size, measure_jpeg, measure_jpeg_2000
from KneeSegLib.io.screening.pictures import count_plausible_pixels

_TAGS = ["Rows", "Columns", "NumberOfFrames", "PixelData"]


def describe_odd_frame(path: Path) -> str | None:
    """Return what the compressed pixels of a file claim that its header does not; None where nothing is odd.

    A decoder takes memory for what they claim: 65535 x 65535 pixels in a file of some kB.
    """
    try:
        dataset = pydicom.dcmread(path, force=True, specific_tags=_TAGS)
        measure = _choose_measure(str(dataset.file_meta.TransferSyntaxUID))
        expected = (int(dataset.Columns), int(dataset.Rows), 1)
        frames = int(dataset.get("NumberOfFrames") or 1)
        stored = list(generate_frames(dataset.PixelData, number_of_frames=frames))
        found = [measure(frame) for frame in stored]
        tight = next((frame for frame in stored if expected[0] * expected[1] > count_plausible_pixels(frame)), None)
    except Exception:  # a damaged file raises anything: the decoder tells what can be told of it
        return None
    if tight is not None:
        return f"its header says {_describe(expected)}, and {len(tight)} bytes are stored for them"
    odd = next((size for size in found if size not in (None, expected)), None)
    return (
        None
        if odd is None
        else f"its compressed pixels are {_describe(odd)}, and its header says {_describe(expected)}"
    )


def _choose_measure(syntax: str) -> Callable[[bytes], Size | None]:
    if re.fullmatch(r"1\.2\.840\.10008\.1\.2\.4\.([56]\d|70|8[01])", syntax):
        return measure_jpeg
    if re.fullmatch(r"1\.2\.840\.10008\.1\.2\.4\.(9[0-3]|20[1-3])", syntax):
        return measure_jpeg_2000
    return lambda frame: None  # RLE says no sizes


def _describe(size: Size) -> str:
    columns, rows, components = size
    return f"{columns} x {rows}" + (f" in {components} components" if components != 1 else "")
