import numpy as np
import pytest

from KneeSegLib.cleaning.attached import keep_attached
from KneeSegLib.cleaning.settings import LEAST_ATTACHED_MM3

SPACING_MM = (1.0, 1.0, 1.0)


def bone() -> np.ndarray:
    """A block whose top is layer 9."""
    mask = np.zeros((30, 30, 30), bool)
    mask[:10, 5:25, 5:25] = True
    return mask


def block(z, y, x) -> np.ndarray:
    mask = np.zeros((30, 30, 30), bool)
    mask[z, y, x] = True
    return mask


SHEET = block(slice(10, 12), slice(6, 24), slice(6, 24))


def test_a_sheet_on_the_bone_stays_and_a_component_beside_it_goes():
    afloat = block(slice(20, 24), slice(6, 24), slice(6, 24))
    assert np.array_equal(keep_attached(SHEET | afloat, bone(), SPACING_MM), SHEET)


@pytest.mark.parametrize(("height", "stays"), [(10, True), (11, True), (12, True), (13, False)])
def test_a_component_may_float_as_far_above_the_bone_as_it_is_told(height, stays):
    afloat = block(slice(height, height + 3), slice(6, 24), slice(6, 24))
    kept = keep_attached(afloat, bone(), SPACING_MM, gap_mm=3.0)
    assert np.array_equal(kept, afloat if stays else np.zeros_like(afloat))


def test_two_sheets_on_the_bone_both_stay():
    medial, lateral = SHEET.copy(), SHEET.copy()
    medial[:, :, :16] = lateral[:, :, 13:] = False
    assert np.array_equal(keep_attached(medial | lateral, bone(), SPACING_MM), medial | lateral)


def test_what_touches_the_bone_only_at_an_edge_is_not_attached():
    beside = block(slice(10, 14), slice(0, 5), slice(6, 24))
    assert not keep_attached(beside, bone(), SPACING_MM).any()
    lower = block(slice(9, 14), slice(0, 5), slice(6, 24))
    assert np.array_equal(keep_attached(lower, bone(), SPACING_MM), lower)


def test_a_thin_sheet_that_climbs_along_a_slope_is_one_component():
    climbing = np.zeros((30, 30, 30), bool)
    for step in range(8):
        climbing[10 + step, 6:24, 10 + step] = True
    assert np.array_equal(keep_attached(climbing, bone(), SPACING_MM), climbing)


@pytest.mark.parametrize(("spacing_mm", "stays"), [((1.0, 1.0, 1.0), False), ((2.0, 1.0, 1.0), True)])
def test_a_fragment_goes_by_its_volume_in_millimetres(spacing_mm, stays):
    fragment = block(slice(10, 12), slice(10, 12), slice(10, 12))  # 8 voxels
    assert 8.0 < LEAST_ATTACHED_MM3 <= 16.0
    assert keep_attached(fragment, bone(), spacing_mm).any() == stays


def test_nothing_stays_nothing_and_the_mask_given_is_not_changed():
    empty = np.zeros((30, 30, 30), bool)
    assert not keep_attached(empty, bone(), SPACING_MM).any()
    mask = SHEET | block(slice(20, 24), slice(6, 24), slice(6, 24))
    before = mask.copy()
    keep_attached(mask, bone(), SPACING_MM)
    assert np.array_equal(mask, before)


def test_without_a_bone_nothing_is_attached():
    assert not keep_attached(SHEET, np.zeros_like(SHEET), SPACING_MM).any()
