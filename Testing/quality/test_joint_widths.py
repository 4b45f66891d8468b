"""Widths of bones at the knee tell a spacing that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.measurements.structures import measure_structures
from KneeSegLib.quality.joint_widths import describe_odd_width, measure_joint_width_mm, shows_knee

FEMUR = structure("femur_right")


def knee(step_mm: float = 2.0, lowest: int = 4) -> sitk.Image:
    """A shaft of 30 mm on an ellipse of condyles 80 x 60 mm, in voxels of 2 mm unless told otherwise."""
    z, y, x = np.mgrid[0:60, 0:50, 0:60]
    condyles = ((x - 30) / 20) ** 2 + ((y - 25) / 15) ** 2 <= 1.0
    shaft = (x - 30) ** 2 + (y - 25) ** 2 <= 7.5**2
    bone = np.where(z < 25, condyles, shaft) & (z >= lowest)
    image = sitk.GetImageFromArray((bone * FEMUR.label_value).astype(np.uint8))
    image.SetSpacing((step_mm, step_mm, step_mm))
    return image


def width_of(image: sitk.Image) -> float | None:
    (found,) = measure_structures(image)
    return measure_joint_width_mm(image, FEMUR, found.box)


@pytest.mark.parametrize("letters", ["LPS", "RAI", "PSL"])
def test_the_width_is_that_of_the_condyles_however_axes_are_stored(letters):
    assert width_of(sitk.DICOMOrient(knee(), letters)) == pytest.approx(80.0, abs=2.0)


def test_condyles_that_the_scan_cuts_have_no_width():
    assert width_of(knee(lowest=0)) is None


@pytest.mark.parametrize(("step_mm", "odd"), [(2.0, None), (1.4, "56 mm wide"), (3.0, "120 mm wide")])
def test_a_spacing_that_makes_condyles_too_narrow_or_wide_is_told(step_mm, odd):
    sentence = describe_odd_width(FEMUR, width_of(knee(step_mm)))
    assert (sentence is None) == (odd is None)
    assert odd is None or (odd in sentence and "spacing of the image may be wrong" in sentence)


def test_a_tibia_without_the_femur_shows_no_knee():
    """That of an ankle ends at the edge of a round field of view, far from the border of the image."""
    tibia, talus = structure("tibia_right"), structure("talus_right")
    assert not shows_knee(tibia, [tibia, talus, structure("femur_left")])
    assert shows_knee(tibia, [tibia, FEMUR]) and shows_knee(FEMUR, [tibia, FEMUR])


def test_a_femur_that_lies_across_the_scan_has_no_width():
    """As in a knee bent by a right angle: its lowest slices hold the shaft."""
    lying = np.zeros((40, 30, 90), np.uint8)
    lying[5:25, 8:22, 5:85] = FEMUR.label_value
    image = sitk.GetImageFromArray(lying)
    image.SetSpacing((2.0, 2.0, 2.0))
    assert width_of(image) is None
