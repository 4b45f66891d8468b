"""One plane of pixels, and what its header says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from KneeSegLib.anatomy import Side
from KneeSegLib.io.guarded_text import GuardedText
from KneeSegLib.io.intensities import Modality


@dataclass(frozen=True)
class Slice:
    """One plane of pixels: a file, or one frame of a multi-frame file.

    Attributes:
        position: centre of the first pixel, LPS mm.
        orientation: direction of growing column number, followed by that of growing row number.
        spacing: between columns, between rows, in mm.
        size: columns, rows.
        encoding: how stored numbers become values.
        variant: tells apart what a scanner may record more than once at one position.
        side: of the body part, where the header names one.
        cut_short: whether the file ends before its pixels do.
        has_commas: whether numbers of the header are written with decimal commas, which other readers cut off.
        low_is_white: whether small values are to be shown white (MONOCHROME1).
        has_rescale: whether the header says how stored numbers become values.
        rescale_type: the unit of these, as the header names it; ``"other"`` where nothing is called that.
        frame_of_reference: UID of the coordinate system that the position is in; empty where the header names none.
        instance_number: the place in the series that the scanner counts; 0 where it does not.
        told_modality: what the header calls the modality, where the kind of image says another one.
        acquired_s: time of day at which it was recorded; 0 where the header tells none.
        gantry_tilt_degrees: as the header tells it.
        derived: whether the position was derived from the file's first frame and SpacingBetweenSlices.
    """

    path: Path
    frame: int | None
    series_uid: str
    series_number: int
    description: GuardedText
    modality: Modality
    original: bool
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    size: tuple[int, int]
    encoding: tuple[float, ...]
    variant: dict[str, float | GuardedText] = field(hash=False)
    side: Side | None = None
    cut_short: bool = False
    has_commas: bool = False
    low_is_white: bool = False
    derived: bool = False
    has_rescale: bool = True
    rescale_type: str = ""
    frame_of_reference: str = ""
    instance_number: int = 0
    told_modality: str = ""
    acquired_s: float = 0.0
    gantry_tilt_degrees: float = 0.0

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the plane: columns' direction x rows' direction."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)
