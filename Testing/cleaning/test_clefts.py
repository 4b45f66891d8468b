"""What slices miss of a bone is given to it where grey values say bone, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.cleaning.clefts import fill_clefts

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
