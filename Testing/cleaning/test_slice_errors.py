"""What slices miss of a bone is given to it where the image shows bone and nowhere else; what they add is cut off."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.cleaning.slice_errors import cut_spikes, fill_clefts

CALCANEUS, TALUS = structure("calcaneus", "right"), structure("talus", "right")
SPACING = (0.8, 0.8, 0.8)
SOFT, BONE = 50, 350
HEIGHTS = slice(18, 21)
"""Three slices: 2.4 mm."""


@pytest.fixture
def bone() -> np.ndarray:
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[5:35, 5:35, 5:35] = CALCANEUS.label_value
    return labels


@pytest.fixture
def image(bone: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, 60.0, bone.shape)
    return (np.where(bone > 0, BONE, SOFT) + noise).astype(np.int16)


def miss_slices(labels: np.ndarray) -> np.ndarray:
    missed = labels.copy()
    missed[HEIGHTS, 15:, 15:25] = 0
    return missed


def test_slices_that_were_missed_are_filled(bone, image):
    filled = fill_clefts(miss_slices(bone), image, SPACING, [CALCANEUS])
    assert np.count_nonzero(filled != bone) <= 0.06 * np.count_nonzero(miss_slices(bone) != bone)


def test_a_bay_with_a_narrow_mouth_is_filled_to_its_end(bone, image):
    hollow = miss_slices(bone)
    hollow[12:28, 12:28, 12:28] = 0
    filled = fill_clefts(hollow, image, SPACING, [CALCANEUS])
    assert np.count_nonzero(filled != bone) <= 0.02 * np.count_nonzero(hollow != bone)


def test_a_flat_bay_between_slices_is_filled_though_a_ball_fits(bone, image):
    bay = bone.copy()
    bay[14:24, 15:, 5:35] = 0
    filled = fill_clefts(bay, image, SPACING, [CALCANEUS])
    assert np.array_equal(filled, bone)


def test_a_cleft_of_the_bone_itself_stays(bone, image):
    cleft = miss_slices(bone)
    image = np.where(cleft != bone, SOFT, image).astype(np.int16)
    filled = fill_clefts(cleft, image, SPACING, [CALCANEUS])
    assert np.count_nonzero(filled != cleft) <= 0.02 * np.count_nonzero(cleft != bone)


def test_what_has_a_label_keeps_it(bone, image):
    labels = miss_slices(bone)
    labels[HEIGHTS, 15:35, 15:25] = TALUS.label_value
    assert np.array_equal(fill_clefts(labels, image, SPACING, [CALCANEUS]), labels)


def test_a_wide_bay_is_no_cleft(bone, image):
    bay = bone.copy()
    bay[10:30, 15:, 15:25] = 0
    assert np.count_nonzero(fill_clefts(bay, image, SPACING, [CALCANEUS]) != bay) < 0.2 * np.count_nonzero(bay != bone)


def test_a_bone_that_ends_at_the_border_is_not_extended_along_it(bone, image):
    labels = bone.copy()
    labels[35:] = 0
    at_border = labels[:35]
    assert np.array_equal(fill_clefts(at_border, image[:35], SPACING, [CALCANEUS]), at_border)


def test_nothing_to_fill_is_nothing_to_do(image):
    assert not fill_clefts(np.zeros(image.shape, np.uint8), image, SPACING, [CALCANEUS]).any()


def test_a_neighbour_beyond_a_joint_space_is_no_cleft(bone, image):
    socket = bone.copy()
    socket[10:30, 12:, 10:30] = 0  # a ball of bone without a label lies in it, with a gap all around
    image = np.where(socket == bone, image, SOFT).astype(np.int16)
    image[13:27, 15:, 13:27] = BONE
    filled = fill_clefts(socket, image, SPACING, [CALCANEUS])
    assert np.count_nonzero(filled != socket) <= 0.02 * np.count_nonzero(socket != bone)


def test_leaves_that_stick_out_are_cut_off(bone):
    spiked = bone.copy()
    spiked[20:22, 35:40, 10:20] = CALCANEUS.label_value
    trimmed = cut_spikes(spiked, SPACING, [CALCANEUS])
    assert np.count_nonzero(trimmed[:, :35] != bone[:, :35]) <= 8  # the corners
    assert not trimmed[:, 37:].any()


def test_ends_at_the_border_and_solid_processes_stay(bone):
    process = bone.copy()
    process[18:23, 35:40, 15:20] = CALCANEUS.label_value
    at_border = process[5:35, 5:, 5:35]
    trimmed = cut_spikes(at_border, SPACING, [CALCANEUS])
    assert np.count_nonzero(trimmed != at_border) <= 8  # the corners


def test_only_the_bones_that_are_asked_for_are_cut(bone):
    spiked = bone.copy()
    spiked[20:22, 35:40, 10:20] = CALCANEUS.label_value
    assert np.array_equal(cut_spikes(spiked, SPACING, [TALUS]), spiked)


def test_a_large_leaf_stays(bone):
    plateau = bone.copy()
    plateau[20:22, 35:40, 5:35] = CALCANEUS.label_value
    assert np.count_nonzero(cut_spikes(plateau, SPACING, [CALCANEUS]) != plateau) <= 8  # the corners


def test_a_leaf_that_joins_two_parts_of_a_bone_stays(bone):
    joined = bone.copy()
    joined[5:35, 15:25, 5:35] = 0
    joined[20:22, 15:25, 15:20] = CALCANEUS.label_value
    assert np.array_equal(cut_spikes(joined, SPACING, [CALCANEUS]), joined)


def test_what_hangs_on_a_leaf_goes_with_it(bone):
    knob = np.zeros((40, 48, 40), np.uint8)
    knob[:, :40] = bone
    knob[20:22, 35:43, 15:18] = CALCANEUS.label_value
    knob[19:23, 43:46, 14:19] = CALCANEUS.label_value
    assert not cut_spikes(knob, SPACING, [CALCANEUS])[:, 37:].any()


def test_a_scrap_of_a_bone_is_not_cut_to_nothing():
    scrap = np.zeros((40, 40, 40), np.uint8)
    scrap[20:22, 10:14, 10:14] = CALCANEUS.label_value
    assert np.array_equal(cut_spikes(scrap, SPACING, [CALCANEUS]), scrap)
