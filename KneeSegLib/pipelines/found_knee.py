"""What was found of a knee in MR against what was asked for, in sentences."""

from __future__ import annotations

from KneeSegLib.anatomy import Side
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.mr.shape_fit import SideFound

COARSE_PIXELS_MM = 1.0
THICK_SLICES_MM = 1.5
CLEAR_SIDE = 0.15
"""A side whose shapes lie nearer by less than this share is a guess."""


def asked_side(side: str, source: str) -> Side | None:
    """The side that a knee was said to be of; None where the image has to tell.

    Raises:
        InputError: two knees were asked for.
    """
    if side == "both":
        raise InputError(
            f"Both sides were asked for, but the MR pipeline takes one knee, and '{source}' is taken for one; "
            "choose one side, or --side auto."
        )
    return None if side == "auto" else side


def doubts_about_knee(found: SideFound, scan: Grid) -> list[str]:
    """Return the sentences a person should read before trusting the result."""
    sentences = []
    if found.known and found.certainty < -CLEAR_SIDE:
        sentences.append(
            f"The knee was taken for a {found.side} one, as it was named, but its bones fit the other side better: "
            "check the side."
        )
    elif not found.known and found.certainty < CLEAR_SIDE:
        sentences.append(
            f"The knee was taken for a {found.side} one, but its bones fit the other side nearly as well; "
            "give the side if you know it."
        )
    pixel_mm = max(scan.z.spacing_mm, scan.y.spacing_mm)
    if scan.x.spacing_mm > THICK_SLICES_MM:
        sentences.append(
            f"The sagittal slices lie {scan.x.spacing_mm:.1f} mm apart: volumes and thicknesses of thin cartilage are "
            f"rough; {THICK_SLICES_MM} mm or less are advised."
        )
    if pixel_mm > COARSE_PIXELS_MM:
        sentences.append(
            f"Seen from the side the pixels measure {pixel_mm:.1f} mm; expected are sagittal or isotropic images of "
            f"{COARSE_PIXELS_MM} mm or less."
        )
    return sentences
