"""Two segmentations of one scan: how far they agree, the largest distance, and where it is."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.measurements.opinions import compare_opinions

SHAPE = (60, 50, 60)
KNOWN = {"femur", "tibia", "patella"}


def image_of(*parts, direction="LPS"):
    """A label image of masks by structure key, voxels of 1 x 1 x 2 mm (x, y, z)."""
    array = np.zeros(SHAPE, np.uint8)
    for key, mask in parts:
        array[mask] = structure(key).label_value
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 2.0))
    image.SetOrigin((-20.0, -10.0, 100.0))
    return sitk.DICOMOrient(image, direction)


def femur(shift_mm=0):
    """A shaft and two condyles; the medial one, to the left of a right femur, is shifted downward."""
    z, y, x = np.meshgrid(*(np.arange(size, dtype=float) for size in SHAPE), indexing="ij")
    shaft = (np.hypot(x - 30, y - 25) < 8) & (z > 15)
    lateral = (x - 18) ** 2 + (y - 25) ** 2 + (2 * (z - 15)) ** 2 < 12**2
    medial = (x - 42) ** 2 + (y - 25) ** 2 + (2 * (z - 15) + shift_mm) ** 2 < 12**2
    return shaft | lateral | medial


TIBIA = np.s_[2:5, 10:40, 10:50]


@pytest.mark.parametrize("direction", ["LPS", "ASR"])
def test_a_condyle_that_is_shifted_by_4_mm_is_found_where_it_is(direction):
    opinions = [image_of(("femur_right", femur(shift)), direction=direction) for shift in (0, 4)]
    (found,) = compare_opinions(*opinions, KNOWN)
    assert found.disagrees and found.largest_mm == pytest.approx(4.0, abs=0.5)
    assert found.largest_at == "lower medial" and 0.9 < found.dice < 1.0
    # Above or below on the medial condyle, whose middle is at 22, 15, 130 mm.
    assert np.linalg.norm(np.subtract(found.largest_at_mm, (22.0, 15.0, 130.0))) < 18.0


def test_what_is_equal_agrees():
    image = image_of(("femur_right", femur()))
    (found,) = compare_opinions(image, image, KNOWN)
    assert (found.dice, found.largest_mm, found.largest_at, found.disagrees) == (1.0, 0.0, "", False)


def test_a_shift_within_the_limit_is_no_disagreement():
    (found,) = compare_opinions(image_of(("femur_right", femur())), image_of(("femur_right", femur(2))), KNOWN)
    assert found.largest_mm == pytest.approx(2.0, abs=0.5) and not found.disagrees


def test_a_bone_that_only_one_finds_is_flagged_if_both_look_for_it():
    both = image_of(("femur_right", femur()), ("tibia_right", TIBIA))
    one = image_of(("femur_right", femur()))
    volume_mm3 = 3 * 30 * 40 * 2.0
    tibia = compare_opinions(both, one, KNOWN)[1]
    assert (tibia.structure.key, tibia.found_by, tibia.disagrees) == ("tibia_right", "first", True)
    assert (tibia.first_mm3, tibia.second_mm3, tibia.dice) == (volume_mm3, 0.0, None)
    tibia = compare_opinions(one, both, KNOWN)[1]
    assert (tibia.found_by, tibia.disagrees) == ("second", True)
    assert not compare_opinions(both, one, {"femur"})[1].disagrees


def test_medial_of_a_left_bone_is_on_its_other_side():
    opinions = [image_of(("femur_left", femur(shift))) for shift in (0, 4)]
    assert compare_opinions(*opinions, KNOWN)[0].largest_at == "lower lateral"
