"""Spacing and orientation as the user states them: they go before what a file says, and fill in what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.settings import SAME_SPACING

_AXES = ("RL", "AP", "IS")


@dataclass(frozen=True)
class StatedGeometry:
    """Where the voxels of an image lie, as far as the user says.

    Attributes:
        spacing_mm: distance of columns, of rows, and of slices.
        orientation: three letters, where columns, rows and slices lead: ``"LPS"`` is to the patient's left, to the back
            and to the head, as transverse slices do that are numbered from below.

    Raises:
        InputError: a distance is not positive, or the letters name no three axes.
    """

    spacing_mm: tuple[float, float, float] | None = None
    orientation: str | None = None

    def __post_init__(self) -> None:
        if self.spacing_mm is not None and not all(isfinite(step) and step > 0.0 for step in self.spacing_mm):
            raise InputError(
                f"A spacing of {', '.join(f'{step:g}' for step in self.spacing_mm)} was given, expected three "
                "distances in mm above 0, of columns, rows and slices; correct it."
            )
        if self.orientation is None:
            return
        pairs = [next((axis for axis in _AXES if letter in axis), None) for letter in self.orientation]
        if len(self.orientation) != 3 or set(pairs) != set(_AXES):
            raise InputError(
                f"An orientation {self.orientation!r} was given, expected three letters, one each of R or L, A or P, "
                "I or S, that say where columns, rows and slices lead, such as LPS; correct it."
            )

    @classmethod
    def parse(cls, spacing: str | None, orientation: str | None) -> StatedGeometry:
        """Return the geometry that ``"0.35,0.35,0.5"`` and three letters say.

        Raises:
            InputError: as the class, or there are not three numbers.
        """
        letters = orientation.upper() if orientation is not None else None
        if spacing is None:
            return cls(None, letters)
        try:
            columns, rows, slices = (float(part) for part in spacing.replace("x", ",").split(","))
        except ValueError:
            raise InputError(
                f"A spacing {spacing!r} was given, expected three numbers with commas between them, the distances in "
                "mm of columns, rows and slices, such as 0.35,0.35,0.5; correct it."
            ) from None
        return cls((columns, rows, slices), letters)

    def place(self, image: sitk.Image, has_orientation: bool = True) -> tuple[sitk.Image, list[str]]:
        """Return ``image`` where the user says that it lies, and warnings where its file said otherwise.

        Args:
            has_orientation: whether the file says how it lies in the patient.
        """
        placed, notes = sitk.Image(image), []
        if self.spacing_mm is not None:
            said, stated = image.GetSpacing(), self.spacing_mm
            placed.SetSpacing(stated)
            if not np.allclose(said, stated, rtol=SAME_SPACING, atol=0.0):
                notes.append(
                    f"The voxels measure {_format(stated)} mm, as you said; the file says {_format(said)} mm. Check "
                    "the sizes of the bones."
                )
        if self.orientation is not None:
            letters = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
            if letters != self.orientation or not has_orientation:
                placed.SetDirection(sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(self.orientation))
            if not has_orientation:
                notes.append(
                    f"The file does not say how it lies in the patient; it was read as {self.orientation}, as you said."
                )
            elif letters != self.orientation:
                notes.append(
                    f"The axes lead to {self.orientation}, as you said; the file says {letters}. Check the side of "
                    "every structure."
                )
        return placed, notes


def _format(lengths_mm: tuple[float, ...]) -> str:
    return " x ".join(f"{length:g}" for length in lengths_mm)
