from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from KneeSegLib.anatomy import structure
from KneeSegLib.cleaning import (
    clean_labels,
    close_with_ball,
    fill_holes,
    keep_main_components,
    relabel_by_neighbour,
)

FEMUR, TIBIA, FIBULA = (structure(bone, "right") for bone in ("femur", "tibia", "fibula"))
HIP_BONE = structure("hip_bone", "right")
LEG = [FEMUR, TIBIA, FIBULA]
SPACING = (1.0, 1.0, 1.0)
ALL_CUT = ((True, True),) * 3
NOTHING_CUT = ((False, False),) * 3


@pytest.fixture
def hip() -> np.ndarray:
    """The head of a femur in its socket without a gap, as in coarse voxels; its neck is cut through. 60 x 70 x 60."""
    z, y, x = np.mgrid[:60, :70, :60]
    to_head = np.linalg.norm(np.stack([z - 40, y - 25, x - 30]), axis=0)
    labels = np.zeros((60, 70, 60), np.uint8)
    labels[(to_head < 20) & (z > 34)] = HIP_BONE.label_value
    labels[to_head < 15] = FEMUR.label_value
    labels[np.hypot(y - 50, x - 30) < 11] = FEMUR.label_value
    labels[:, 37:42][labels[:, 37:42] == FEMUR.label_value] = 0
    return labels


@pytest.fixture
def knee() -> np.ndarray:
    """Femur over tibia with a gap between them, both cut off by the image; a fibula beside the tibia. 80 x 60 x 60."""
    y, x = np.mgrid[:60, :60]
    labels = np.zeros((80, 60, 60), np.uint8)
    labels[42:, np.hypot(y - 30, x - 30) < 12] = FEMUR.label_value
    labels[:40, np.hypot(y - 30, x - 30) < 11] = TIBIA.label_value
    labels[:36, np.hypot(y - 40, x - 48) < 4] = FIBULA.label_value
    return labels


def _tube(outer: float, inner: float, slices: int = 30) -> np.ndarray:
    y, x = np.mgrid[:40, :40] - 20
    radius = np.hypot(y, x)
    return np.broadcast_to((radius < outer) & (radius >= inner), (slices, 40, 40)).copy()


def test_what_is_right_stays_as_it_is(knee):
    assert np.array_equal(clean_labels(knee, SPACING, LEG), knee)


def test_shaft_with_its_neighbours_label_is_relabelled_and_not_removed(knee):
    wrong = knee.copy()
    wrong[:20][knee[:20] == TIBIA.label_value] = FEMUR.label_value
    assert np.array_equal(clean_labels(wrong, SPACING, LEG), knee)


def test_chain_of_wrong_labels_is_resolved(knee):
    """The middle of the tibia is called fibula and its end femur: the end touches tibia only once the middle is one."""
    wrong = knee.copy()
    is_tibia = knee == TIBIA.label_value
    wrong[10:13][is_tibia[10:13]] = FIBULA.label_value
    wrong[:10][is_tibia[:10]] = FEMUR.label_value
    assert np.array_equal(relabel_by_neighbour(wrong, SPACING, LEG), knee)


def test_component_takes_the_label_of_the_bone_that_it_touches_most(knee):
    wrong = knee.copy()
    wrong[40:42, 25:35, 25:35] = FIBULA.label_value
    wrong[40:42, 29, 29] = 0
    wrong[40, 25:35, 25:28] = 0
    relabelled = relabel_by_neighbour(wrong, SPACING, LEG)
    assert (relabelled[wrong == FIBULA.label_value] == FEMUR.label_value)[-200:].any()
    assert not (relabelled[40:42] == FIBULA.label_value).any()


def test_blob_that_merely_touches_a_bone_is_removed_and_not_relabelled(knee):
    wrong = knee.copy()
    blob = np.zeros(knee.shape, bool)
    blob[50:60, 44:56, 25:35] = True
    blob[55, 41:44, 30] = True
    blob &= knee == 0
    wrong[blob] = TIBIA.label_value
    assert not clean_labels(wrong, SPACING, LEG)[blob].any()


def test_components_are_never_relabelled_to_a_bone_of_the_other_leg(knee):
    other = structure("tibia", "left")
    wrong = knee.copy()
    wrong[:20][knee[:20] == TIBIA.label_value] = other.label_value
    wrong[60:70, :8, :8] = other.label_value
    relabelled = relabel_by_neighbour(wrong, SPACING, [*LEG, other])
    assert np.array_equal(relabelled, wrong)


def test_cartilage_is_not_relabelled_to_the_bone_it_lies_on(knee):
    cartilage = structure("femoral_cartilage", "right")
    labels = knee.copy()
    labels[41, 22:28, 22:38] = labels[41, 32:38, 22:38] = cartilage.label_value
    assert np.array_equal(clean_labels(labels, SPACING, [*LEG, cartilage]), labels)


def test_labels_that_were_not_asked_for_stay(knee):
    labels = knee.copy()
    labels[70:75, :5, :5] = FIBULA.label_value
    assert np.array_equal(clean_labels(labels, SPACING, [FEMUR, TIBIA]), labels)


def test_input_is_not_changed(knee):
    wrong = knee.copy()
    wrong[:5, :5, :5] = FEMUR.label_value
    before = wrong.copy()
    clean_labels(wrong, SPACING, LEG)
    assert np.array_equal(wrong, before)


def test_labels_without_any_structure_are_fine():
    assert not clean_labels(np.zeros((4, 5, 6), np.uint8), SPACING, LEG).any()


@pytest.mark.parametrize("as_box", [True, False])
def test_anchor_decides_and_not_size(as_box):
    mask = np.zeros((20, 40, 40), bool)
    mask[2:18, 2:20, 2:20] = True
    mask[5:9, 30:36, 30:36] = True
    anchor: tuple[slice, ...] | np.ndarray = (slice(4, 12), slice(28, 38), slice(28, 38))
    if not as_box:
        box, anchor = anchor, np.zeros(mask.shape, bool)
        anchor[box] = True
    kept = keep_main_components(mask, SPACING, anchor)
    assert kept.sum() == 4 * 6 * 6
    assert keep_main_components(mask, SPACING).sum() == 16 * 18 * 18


def test_anchor_that_meets_nothing_falls_back_to_size():
    mask = np.zeros((20, 20, 20), bool)
    mask[2:10, 2:10, 2:10] = mask[15:17, 15:17, 15:17] = True
    kept = keep_main_components(mask, SPACING, (slice(12, 14),) * 3)
    assert kept.sum() == 8**3


def test_clean_passes_the_anchor_on(knee):
    wrong = knee.copy()
    wrong[50:80, 2:16, 2:16] = FIBULA.label_value
    assert (clean_labels(wrong, SPACING, LEG)[:36] != FIBULA.label_value).all()
    anchors = {FIBULA.key: (slice(0, 36), slice(34, 46), slice(42, 54))}
    assert np.array_equal(clean_labels(wrong, SPACING, LEG, anchors), knee)


def test_components_that_touch_by_a_corner_are_two():
    mask = np.zeros((6, 6, 6), bool)
    mask[:3, :3, :3] = mask[3:5, 3:5, 3:5] = True
    assert keep_main_components(mask, SPACING).sum() == 27


def test_shaft_that_goes_on_beyond_lost_slices_is_kept():
    shaft = _tube(10, 0, 120)
    shaft[50:60] = False
    assert np.array_equal(keep_main_components(shaft, SPACING, cut_faces=NOTHING_CUT), shaft)


def test_shaft_that_leaves_the_image_and_comes_back_is_kept():
    z, y, x = np.mgrid[:160, :40, :45]
    bowed = np.hypot(y - 20, x - 54 + 24 * ((z - 80) / 80) ** 2) < 8
    assert ndimage.label(bowed)[1] == 2
    assert np.array_equal(keep_main_components(bowed, SPACING, cut_faces=ALL_CUT), bowed)


def test_component_beside_the_shaft_is_not_its_continuation():
    mask = np.zeros((120, 60, 60), bool)
    mask[:, 5:20, 5:20] = True
    mask[40:70, 28:40, 5:20] = True
    kept = keep_main_components(mask, SPACING, cut_faces=NOTHING_CUT)
    assert not kept[:, 28:].any()


@pytest.mark.parametrize("voxels", [1, 2])
def test_a_few_voxels_are_no_shaft_and_have_no_continuation(voxels):
    mask = np.zeros((30, 20, 20), bool)
    mask[5, 10, 10 : 10 + voxels] = True
    mask[9, 10, 10 : 10 + voxels] = True
    kept = keep_main_components(mask, SPACING, cut_faces=NOTHING_CUT)
    assert kept.sum() == voxels


def test_head_that_is_cut_off_stays_the_femurs(hip):
    assert ndimage.label(hip == FEMUR.label_value)[1] == 2
    assert np.array_equal(clean_labels(hip, SPACING, [FEMUR, HIP_BONE]), hip)


def test_component_too_small_for_a_head_takes_the_label_of_the_socket(hip):
    smaller = clean_labels(hip, (0.8, 0.8, 0.8), [FEMUR, HIP_BONE])
    head = np.s_[:, :37]
    assert not (smaller[head] == FEMUR.label_value).any()
    assert (smaller[head][hip[head] == FEMUR.label_value] == HIP_BONE.label_value).all()


def test_head_far_from_the_shaft_is_no_part_of_it(hip):
    far = np.insert(hip, [42] * 10, 0, axis=1)
    assert not (clean_labels(far, SPACING, [FEMUR, HIP_BONE])[:, :37] == FEMUR.label_value).any()


def test_far_component_is_kept_only_where_the_image_explains_the_gap():
    shaft = _tube(10, 0, 200)
    shaft[60:130] = False
    assert keep_main_components(shaft, SPACING, cut_faces=NOTHING_CUT)[:60].sum() == 0
    assert keep_main_components(shaft, SPACING, cut_faces=ALL_CUT)[:60].any()


def test_both_plateaus_of_cartilage_are_kept_and_specks_are_not():
    mask = np.zeros((6, 40, 40), bool)
    mask[2:4, 5:15, 5:15] = mask[2:4, 5:15, 25:33] = mask[4, 30, 30] = True
    kept = keep_main_components(mask, SPACING, kind="cartilage")
    assert kept.sum() == mask.sum() - 1


def test_cavity_is_filled():
    mask = np.zeros((20, 20, 20), bool)
    mask[3:17, 3:17, 3:17] = True
    hollow = mask.copy()
    hollow[6:12, 6:12, 6:12] = False
    assert np.array_equal(fill_holes(hollow, SPACING), mask)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_medullary_canal_that_the_image_cuts_is_filled(axis):
    tube, solid = (np.moveaxis(_tube(12, inner), 0, axis) for inner in (8, 0))
    assert np.array_equal(fill_holes(tube, SPACING, cut_faces=ALL_CUT), solid)


def test_tube_that_ends_inside_the_image_stays_open():
    tube = _tube(12, 8)
    assert np.array_equal(fill_holes(tube, SPACING, cut_faces=NOTHING_CUT), tube)


def test_canal_of_a_long_bone_is_filled_although_its_wall_leaks():
    tube, solid = _tube(12, 8), _tube(12, 0)
    tube[14, 20, 28:33] = False
    filled = fill_holes(tube, SPACING, is_long_bone=True, cut_faces=NOTHING_CUT)
    others = np.arange(30) != 14
    assert np.array_equal(filled[others], solid[others])


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0])
@pytest.mark.parametrize("width_mm", [12.0, 26.0])
def test_canals_up_to_those_of_a_wide_metaphysis_are_filled_in_every_slice(width_mm, pixel_mm):
    """Within a leaking wall in the slices beside: only the size of the ring tells that it is a canal."""
    y, x = (np.mgrid[:80, :80] - 40) * pixel_mm
    from_axis_mm = np.hypot(y, x)
    ring = np.broadcast_to((from_axis_mm < width_mm / 2 + 3) & (from_axis_mm >= width_mm / 2), (6, 80, 80)).copy()
    ring[::2, 40, 40:] = False
    filled = fill_holes(ring, (1.0, pixel_mm, pixel_mm), is_long_bone=True, cut_faces=NOTHING_CUT)
    assert (filled[1::2] == (from_axis_mm < width_mm / 2 + 3)).all()
    assert np.array_equal(filled[::2], ring[::2])


def test_large_opening_in_a_transverse_slice_stays_open():
    """A ring with an opening of 50 mm across is no shaft."""
    y, x = np.mgrid[:100, :100] - 50
    ring = np.broadcast_to((np.hypot(y, x) < 35) & (np.hypot(y, x) > 25), (10, 100, 100))
    assert np.array_equal(fill_holes(ring, SPACING, is_long_bone=True, cut_faces=NOTHING_CUT), ring)


def test_foramen_of_the_hip_bone_and_notch_of_the_knee_stay_open():
    plate = np.zeros((40, 12, 40), bool)
    plate[5:35, 4:8, 5:35] = True
    plate[12:26, :, 12:26] = False
    assert np.array_equal(fill_holes(plate, SPACING, cut_faces=ALL_CUT), plate)
    notch = np.zeros((30, 40, 40), bool)
    notch[:, 5:35, 5:35] = True
    notch[:15, 20:, 15:25] = False
    assert np.array_equal(fill_holes(notch, SPACING, is_long_bone=True, cut_faces=ALL_CUT), notch)


def test_bone_in_the_corner_of_the_image_is_not_flooded():
    mask = np.zeros((20, 20, 20), bool)
    mask[:8, :8, :8] = True
    mask[2:5, 2:5, 2:5] = False
    filled = fill_holes(mask, SPACING, cut_faces=ALL_CUT)
    assert filled.sum() == 8**3


def test_another_bone_inside_a_cavity_is_not_overwritten(knee):
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[3:17, 3:17, 3:17] = FEMUR.label_value
    labels[6:14, 6:14, 6:14] = 0
    labels[9:11, 9:11, 9:11] = TIBIA.label_value
    cleaned = clean_labels(labels, SPACING, LEG)
    assert (cleaned == TIBIA.label_value).sum() == 8
    assert (cleaned == FEMUR.label_value).sum() == 14**3 - 8


@pytest.mark.parametrize(
    ("radius", "spacing"),
    [
        (3.1, (1.0, 1.0, 1.0)),
        (3.1, (1.5, 0.8, 0.5)),
        (9 * 0.352, (0.352, 0.352, 0.352)),
        (9 * 0.352, (0.352, 0.3515625, 0.3515625)),
        (5.0, (1.0, 1.0, 1.0)),
        (12.0, (1.0, 1.0, 1.0)),
    ],
)
def test_closing_equals_the_closing_with_a_ball_of_voxels(radius, spacing):
    coarse = ndimage.zoom(np.random.default_rng(3).random((6, 8, 8)), 4, order=1) > 0.62
    half = [int(radius / step * (1 + 1e-9)) for step in spacing]
    grid = np.meshgrid(*(np.arange(-n, n + 1) * step for n, step in zip(half, spacing)), indexing="ij")
    ball = sum(axis**2 for axis in grid) <= radius**2 * (1 + 1e-9)
    pad = [n + 1 for n in half]
    padded = np.pad(coarse, [(n, n) for n in pad])
    expected = ndimage.binary_closing(padded, ball)[tuple(slice(n, -n) for n in pad)]
    assert expected.sum() > coarse.sum()
    assert np.array_equal(close_with_ball(coarse, radius, spacing), expected)


def test_closing_of_nothing_is_nothing():
    assert not close_with_ball(np.zeros((4, 4, 4), bool), 2.0, SPACING).any()
