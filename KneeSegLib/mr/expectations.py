"""What was found of a knee in MR against what was asked for, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.anatomy import CARTILAGES, MENISCUS_OF_COMPARTMENT, Side, as_side, structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.inference.scan import Scan
from KneeSegLib.mr.settings import CLEAR_SIDE, COARSE_PIXELS_MM, THICK_SLICES_MM
from KneeSegLib.mr.shape_fit import SideFound


def known_side(asked: str, scan: Scan) -> Side | None:
    """The side that the user or the DICOM header names; None where the shapes have to tell.

    Raises:
        InputError: two knees were asked for.
    """
    if asked == "both":
        raise InputError(
            f"Both sides were asked for, but the MR pipeline takes one knee, and '{scan.source}' is taken for one; "
            "choose one side, or --side auto."
        )
    return scan.side if asked == "auto" else as_side(asked)


def describe_knee(found: SideFound, scan: Grid) -> list[str]:
    """Return the sentences that a user should read before trusting the result."""
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


IN_EVERY_KNEE = ("patella", *CARTILAGES.values(), *MENISCUS_OF_COMPARTMENT.values())
"""Femur and tibia are required earlier."""


def describe_missing(knee: LegLabels, tissues: Sequence[str] = IN_EVERY_KNEE) -> list[str]:
    """Return sentences about what every knee has and the labels lack, of the tissues that were looked for."""
    labelled = set(np.unique(knee.labels).tolist())
    expected = [structure(name, knee.side) for name in tissues]
    return [
        f"The {entry.name.lower()} was not found: check the image."
        for entry in expected
        if entry.label_value not in labelled
    ]
