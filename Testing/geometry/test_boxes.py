"""Boxes of arrays: what they select, in the whole array and in crops of it."""

import numpy as np
import pytest

from KneeSegLib.geometry.boxes import (
    box_shape,
    crop_box,
    enclose_boxes,
    find_border_faces,
    find_label_boxes,
    find_mask_box,
    grow_box,
    intersect_boxes,
    make_box,
    overlap_boxes,
    uncrop_box,
)

SHAPE = (9, 11, 13)
NUMBERS = np.arange(np.prod(SHAPE)).reshape(SHAPE)
FIRST = make_box([(1, 6), (2, 9), (3, 8)])
SECOND = make_box([(4, 8), (0, 5), (7, 13)])
APART = make_box([(6, 9), (2, 9), (3, 8)])


def inside(box):
    """The numbers of the voxels in a box."""
    return set(NUMBERS[box].ravel().tolist())


@pytest.mark.parametrize("seed", range(6))
def test_the_box_of_a_mask_reaches_from_its_first_to_its_last_voxel_of_every_axis(seed):
    mask = np.zeros(SHAPE, bool)
    voxels = np.random.default_rng(seed).integers(0, SHAPE, (3, 3))
    mask[tuple(voxels.T)] = True
    assert find_mask_box(mask) == make_box(zip(voxels.min(axis=0), voxels.max(axis=0) + 1))


def test_an_empty_mask_has_no_box():
    assert find_mask_box(np.zeros(SHAPE, bool)) is None


def test_every_label_that_occurs_has_its_box():
    labels = np.zeros(SHAPE, np.uint8)
    labels[FIRST], labels[8, 10, 12] = 3, 200
    assert find_label_boxes(labels) == {3: FIRST, 200: make_box([(8, 9), (10, 11), (12, 13)])}
    assert find_label_boxes(labels, highest=3) == {3: FIRST}


def test_a_box_has_the_shape_of_its_part_of_the_array():
    assert box_shape(FIRST) == NUMBERS[FIRST].shape == (5, 7, 5)


def test_a_box_grows_by_a_margin_of_its_own_for_every_axis_and_ends_with_the_array():
    assert grow_box(FIRST, (2, 1, 4), SHAPE) == make_box([(0, 8), (1, 10), (0, 12)])
    assert grow_box(SECOND, (5, 5, 5), SHAPE) == make_box([(0, 9), (0, 10), (2, 13)])


def test_the_common_part_of_two_boxes_holds_the_voxels_that_lie_in_both():
    common = intersect_boxes(FIRST, SECOND)
    assert common is not None
    assert inside(common) == inside(FIRST) & inside(SECOND)
    assert intersect_boxes(FIRST, APART) is None  # they touch and share no voxel


def test_enclosing_reaches_the_ends_of_all_boxes():
    assert enclose_boxes([FIRST, SECOND, APART]) == make_box([(1, 9), (0, 9), (3, 13)])


def test_a_box_of_the_array_and_of_a_crop_of_it_select_the_same_voxels():
    box = make_box([(3, 5), (4, 9), (3, 4)])
    assert np.array_equal(NUMBERS[FIRST][crop_box(box, FIRST)], NUMBERS[box])
    assert uncrop_box(crop_box(box, FIRST), FIRST) == box


def test_the_overlap_of_two_crops_is_found_in_either():
    overlap = overlap_boxes(FIRST, SECOND)
    assert overlap is not None
    in_first, in_second = overlap
    assert np.array_equal(NUMBERS[FIRST][in_first], NUMBERS[SECOND][in_second])
    assert set(NUMBERS[FIRST][in_first].ravel().tolist()) == inside(FIRST) & inside(SECOND)
    assert overlap_boxes(FIRST, APART) is None


def test_faces_on_the_border_of_the_array_are_told_from_those_within():
    assert find_border_faces(SECOND, SHAPE) == ((False, False), (True, False), (False, True))
    assert find_border_faces(APART, SHAPE) == ((False, True), (False, False), (False, False))
