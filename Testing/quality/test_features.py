"""Each feature on shapes and images that are known exactly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from KneeSegLib.anatomy import BONES, SIDES, structure
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.leg import JointRoi
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.quality.agreement import compute_tolerant_dice, measure_region_agreement
from KneeSegLib.quality.bays import measure_unlabelled_bone_cm3
from KneeSegLib.quality.borders import measure_border_areas_mm2
from KneeSegLib.quality.edges import estimate_noise_hu, measure_edges
from KneeSegLib.quality.ends import measure_continuing_fraction
from KneeSegLib.quality.leg import find_knee_partners
from KneeSegLib.quality.metal import find_metal, measure_metal_cm3
from KneeSegLib.quality.outlines import measure_outline_steps
from KneeSegLib.quality.sizes import SIZES, describe_implausible_size
from KneeSegLib.quality.uncertainty import (
    measure_disputed_fractions,
    measure_refinement_mm,
    measure_surface_area_mm2,
    measure_uncertain_band_mm,
    measure_uncertain_contact_mm2,
)
from KneeSegLib.quality.values import find_ceiling_hu, measure_soft_tissue_hu
from Testing.phantoms.shafts import shaft

SPACING_MM = (1.0, 0.5, 2.0)


def box(shape=(40, 60, 30), low=10, high=20) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[low:high, low:high, low:high] = True
    return mask


def test_the_area_of_a_box_is_that_of_its_six_faces():
    assert measure_surface_area_mm2(box(), SPACING_MM) == pytest.approx(2 * (10 * 5 + 10 * 20 + 5 * 20))


@pytest.mark.parametrize("thickness_mm", [1.0, 3.0])
def test_the_uncertain_band_is_as_thick_as_it_is_whatever_the_size_of_the_bone(thickness_mm):
    for radius_mm in (15.0, 25.0):
        distance_mm = radius_mm - np.sqrt(sum((a - 30.0) ** 2 for a in np.indices((61, 61, 61))))
        margin = np.clip(distance_mm / thickness_mm, -1.0, 1.0)  # half of it is uncertain, on both sides
        band_mm = measure_uncertain_band_mm(margin, distance_mm > 0, (1.0, 1.0, 1.0))
        city_block = 1.5  # what voxel faces add to the area of a ball
        assert band_mm * city_block == pytest.approx(thickness_mm, rel=0.1)


def test_uncertainty_inside_the_bone_counts_too():
    mask = box()
    margin = np.where(mask, 0.9, -0.9)
    sure_mm = measure_uncertain_band_mm(margin, mask, SPACING_MM)
    margin[12:18, 12:18, 12:18] = 0.1
    assert sure_mm == 0.0
    assert measure_uncertain_band_mm(margin, mask, SPACING_MM) == pytest.approx(
        6**3 / measure_surface_area_mm2(mask, SPACING_MM)
    )


@pytest.mark.parametrize(("axis", "area_mm2"), [(0, 100.0), (1, 200.0), (2, 50.0)])
@pytest.mark.parametrize("way", [1, -1])
def test_a_guessed_border_between_two_bones_is_counted_and_a_clear_one_or_a_gap_is_not(axis, area_mm2, way):
    """Two cubes of 10 x 10 x 10 voxels of 1 x 0.5 x 2 mm that share 10 x 10 faces."""
    one = np.zeros((32, 32, 32), bool)
    one[11:21, 11:21, 11:21] = True
    other = np.roll(one, 10 * way, axis)
    guessed, clear = (np.where(one, lead, -lead) for lead in (0.3, 0.8))
    assert measure_uncertain_contact_mm2(guessed, one, other, SPACING_MM) == pytest.approx(area_mm2)
    assert measure_uncertain_contact_mm2(clear, one, other, SPACING_MM) == 0.0
    assert measure_uncertain_contact_mm2(guessed, one, np.roll(other, way, axis), SPACING_MM) == 0.0


@pytest.mark.parametrize(
    ("bone", "partners"),
    [
        ("femur", {"tibia_left", "patella_left"}),
        ("tibia", {"femur_left"}),
        ("patella", {"femur_left"}),
        ("talus", set()),
    ],
)
def test_borders_are_judged_between_bones_that_meet_at_the_knee_of_one_leg(bone, partners):
    keys = [f"{one}_{side}" for side in SIDES for one in BONES]
    labels = np.array([0, *(structure(key).label_value for key in keys)])
    marked = find_knee_partners(bone, labels, "left")
    assert {key for key, found in zip(keys, marked[1:]) if found} == partners
    assert not marked[0]


def predict_knee(femur: float, tibia: float) -> JointProbabilities:
    grid = Grid(*(Axis(0.0, 1.0, count) for count in (9, 12, 12)))
    values = torch.zeros((5, *grid.shape), dtype=torch.float16)
    values[1], values[2], values[0] = femur, tibia, 1.0 - femur - tibia
    return JointProbabilities(JointRoi("knee", -1.0, 10.0), grid, values)


def test_what_fusion_changes_is_disputed():
    fractions = measure_disputed_fractions([predict_knee(0.8, 0.0)], [predict_knee(0.2, 0.6)])
    assert fractions["femur"] == pytest.approx(0.6 / 0.8, abs=1e-3)
    assert fractions["tibia"] == pytest.approx(1.0, abs=1e-3)
    assert measure_disputed_fractions([predict_knee(0.8, 0.1)], [predict_knee(0.8, 0.1)])["femur"] == 0.0


def test_a_refinement_that_wins_a_layer_moves_the_surface_by_its_thickness():
    before, after = box(), box(low=10, high=20)
    after[20, 10:20, 10:20] = True  # one layer of 1 mm on one of six faces
    moved_mm = measure_refinement_mm((after.astype(float) - before), before, SPACING_MM)
    assert moved_mm == pytest.approx(1.0 * (5 * 20) / measure_surface_area_mm2(before, SPACING_MM))


def test_a_thin_bone_beside_its_coarse_voxels_still_agrees():
    first, second = np.zeros((2, 6, 6, 6), bool)
    first[:, 2, 2], second[:, 3, 3] = True, True
    assert compute_tolerant_dice(first, second) == 1.0
    assert compute_tolerant_dice(first, np.roll(second, 2, axis=2)) == 0.0
    assert compute_tolerant_dice(first, np.zeros_like(first)) == 0.0


def test_agreement_is_measured_where_something_was_segmented_only():
    fine = Grid(Axis(20.0, 1.0, 20), Axis(0.0, 1.0, 40), Axis(0.0, 1.0, 40))
    coarse = Grid(*(Axis(2.0, 4.0, 10) for _ in range(3)))
    mask = np.zeros(fine.shape, bool)
    mask[:, 8:24, 8:24] = True
    region = np.zeros(coarse.shape, bool)
    region[:, 2:6, 2:6] = True  # from the lowest slice on, 20 mm below the mask
    assert measure_region_agreement(mask, fine, region, coarse) == 1.0
    assert measure_region_agreement(mask, fine, np.roll(region, 4, axis=1), coarse) < 0.5


def image_with(mask: np.ndarray, inside_hu=800.0, outside_hu=50.0, noise_hu=10.0) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0.0, noise_hu, mask.shape)
    return np.rint(np.where(mask, inside_hu, outside_hu) + noise).astype(np.int16)


def test_a_bone_with_its_edges_has_nothing_to_report():
    mask = box()
    found = measure_edges(mask, np.zeros_like(mask), image_with(mask), SPACING_MM)
    assert found.edge_hu == pytest.approx(750.0, abs=10.0)
    assert (found.edgeless_fraction, found.air_fraction, found.blank_fraction, found.contact_fraction) == (
        0.0,
        0.0,
        0.0,
        0.0,
    )


def test_a_surface_drawn_through_the_middle_of_the_bone_has_no_edge_there():
    mask = box((40, 40, 40))
    hu = image_with(mask)
    half = mask.copy()
    half[15:] = False
    found = measure_edges(half, np.zeros_like(half), hu, (1.0, 1.0, 1.0))
    assert found.edgeless_fraction == pytest.approx(100 / (2 * 100 + 4 * 50), abs=0.01)


def test_values_that_end_at_those_of_a_window_are_not_blank():
    mask = box((40, 40, 40))
    hu = image_with(mask)
    hu[:, :, 20:] = -200
    hu[:, 20:, :20] = 1500
    found = measure_edges(mask, np.zeros_like(mask), hu.clip(-100, 400), (1.0, 1.0, 1.0))
    assert found.blank_fraction == 0.0


@pytest.mark.parametrize(("beside", "feature"), [(-1000.0, "air_fraction"), (0.0, "blank_fraction")])
def test_a_face_at_air_or_at_a_blank_part_is_noticed(beside, feature):
    mask = box((40, 40, 40))
    hu = image_with(mask)
    hu[:4] -= 150  # fat: nothing is darker than a blank part only where the image ends in a window
    hu[:, :, 20:] = beside
    found = measure_edges(mask, np.zeros_like(mask), hu, (1.0, 1.0, 1.0))
    assert getattr(found, feature) == pytest.approx(1 / 6, abs=0.01)
    assert found.air_fraction + found.blank_fraction == pytest.approx(1 / 6, abs=0.01)


def test_contact_with_another_bone_is_no_missing_edge():
    mask = box((40, 40, 40))
    other = np.zeros_like(mask)
    other[:, :, 20:25] = True
    found = measure_edges(mask, other, image_with(mask | other), (1.0, 1.0, 1.0))
    assert found.contact_fraction == pytest.approx(1 / 6, abs=0.01)
    assert found.edgeless_fraction == 0.0


def test_noise_is_measured_between_edges():
    mask = box((24, 60, 60))
    assert estimate_noise_hu(image_with(mask, noise_hu=60.0)) == pytest.approx(60.0, rel=0.05)
    assert np.isnan(estimate_noise_hu(np.full((4, 9, 9), -1000, np.int16)))


def test_soft_tissue_is_what_is_neither_bone_nor_air():
    mask = box((24, 60, 60))
    hu = image_with(mask, outside_hu=50.0)
    hu[:, :30] = -1000
    assert measure_soft_tissue_hu(hu, mask) == pytest.approx(50.0, abs=1.0)
    assert np.isnan(measure_soft_tissue_hu(np.full((2, 2, 2), -1000, np.int16), np.zeros((2, 2, 2), bool)))


def test_values_that_pile_up_at_the_highest_one_were_cut_off():
    mask = box((24, 60, 60))
    hu = image_with(mask, inside_hu=800.0, noise_hu=60.0)
    assert np.isnan(find_ceiling_hu(hu, mask))
    assert find_ceiling_hu(np.minimum(hu, 400), mask) == 400.0


@pytest.mark.parametrize("slice_mm", [0.6, 1.0, 3.0])
def test_a_leaning_shaft_does_not_jump_and_a_torn_one_does(slice_mm):
    slices = round(60 / slice_mm)
    whole = measure_outline_steps(shaft(slices, slice_mm=slice_mm), (slice_mm, 1.0, 1.0))
    torn = measure_outline_steps(shaft(slices, slice_mm=slice_mm, jump_mm=6.0), (slice_mm, 1.0, 1.0))
    assert whole.jump_mm < 0.5
    assert 2.0 < torn.jump_mm < 5.0


def test_a_bone_that_only_grows_wider_does_not_move():
    z, y, x = np.indices((50, 80, 80))
    cone = (y - 40) ** 2 + (x - 40) ** 2 < (8.0 + 0.5 * z) ** 2
    assert measure_outline_steps(cone, (1.0, 1.0, 1.0)) == (0.0, 0.0)


def test_trembling_is_a_steady_sway():
    assert measure_outline_steps(shaft(), (1.0, 1.0, 1.0)).sway_mm < 0.2
    assert measure_outline_steps(shaft(jitter_mm=1.5), (1.0, 1.0, 1.0)).sway_mm > 0.4


def test_too_few_slices_say_nothing():
    assert np.isnan(measure_outline_steps(shaft(slices=1), (1.0, 1.0, 1.0))).all()


def tube_in_flesh(slices=40, tilt=0.0) -> np.ndarray:
    """HU of a cortical tube with marrow, along all slices."""
    z, y, x = np.indices((slices, 50, 50), dtype=float)
    from_axis = np.hypot(y - 25.0 - tilt * z, x - 25.0)
    hu = np.full(z.shape, 40.0)
    hu[from_axis < 12.0] = 1200.0
    hu[from_axis < 8.0] = -30.0
    return hu


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_a_shaft_labelled_half_way_goes_on_and_one_that_ends_does_not(tilt):
    hu = tube_in_flesh(tilt=tilt)
    z, y, x = np.indices(hu.shape, dtype=float)
    whole = np.hypot(y - 25.0 - tilt * z, x - 25.0) < 12.0
    half = whole & (z > 4) & (z < 20)
    assert measure_continuing_fraction(half, half, hu, 40.0, (1.0, 1.0, 1.0)) > 0.8
    ended = np.where((z <= 4) | (z >= 20), 40.0, hu)
    assert measure_continuing_fraction(half, half, ended, 40.0, (1.0, 1.0, 1.0)) == 0.0
    # What goes on under another bone's label is not missing.
    assert measure_continuing_fraction(half, whole, hu, 40.0, (1.0, 1.0, 1.0)) == 0.0
    # Neither is metal bone.
    nailed = np.where(whole & ~half, 3000.0, hu)
    assert measure_continuing_fraction(half, half, nailed, 40.0, (1.0, 1.0, 1.0)) == 0.0


def block_of_bone(spacing_mm: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
    """A cube of 30 mm of trabecular bone in flesh, with noise: mask and HU."""
    count = round(45.0 / spacing_mm)
    mask = np.zeros((count,) * 3, bool)
    mask[(slice(count // 6, -(count // 6)),) * 3] = True
    noise_hu = np.random.default_rng(3).normal(0.0, 60.0, mask.shape)
    return mask, np.where(mask, 320.0, 40.0) + noise_hu


@pytest.mark.parametrize("place", ["bay", "cavity"])
def test_bone_that_a_label_leaves_out_is_measured(place):
    spacing_mm = (0.75,) * 3
    mask, hu = block_of_bone()
    assert measure_unlabelled_bone_cm3(mask, mask, hu, spacing_mm) < 0.05
    left_out = np.zeros_like(mask)
    depth = slice(20, 28)  # 6 mm
    left_out[depth, 10 if place == "bay" else 20 : 40, 20:40] = mask[depth, 10 if place == "bay" else 20 : 40, 20:40]
    volume_cm3 = left_out.sum() * 0.75**3 / 1000.0
    measured = measure_unlabelled_bone_cm3(mask & ~left_out, mask & ~left_out, hu, spacing_mm)
    assert measured == pytest.approx(volume_cm3, rel=0.4)
    # Flesh there is none, and neither is what bears the label of another bone.
    in_flesh = np.where(left_out, 40.0, hu)
    assert measure_unlabelled_bone_cm3(mask & ~left_out, mask & ~left_out, in_flesh, spacing_mm) < 0.05
    assert measure_unlabelled_bone_cm3(mask & ~left_out, mask, hu, spacing_mm) < 0.05


def test_a_rim_that_a_surface_may_be_off_by_is_no_bay():
    mask, hu = block_of_bone()
    drawn = ndimage.binary_erosion(mask)
    assert measure_unlabelled_bone_cm3(drawn, drawn, hu, (0.75,) * 3) < 0.05


def test_a_shaft_that_the_scan_ends_has_no_end_to_look_at():
    hu = tube_in_flesh()
    assert np.isnan(measure_continuing_fraction(hu > 1000.0, hu > 1000.0, hu, 40.0, (1.0, 1.0, 1.0)))


def test_every_border_is_called_by_its_name():
    mask = np.ones((4, 5, 6), bool)
    place, spacing_mm = (slice(0, 4), slice(7, 12), slice(4, 10)), (2.0, 1.0, 1.0)
    assert measure_border_areas_mm2(mask, place, (40, 12, 40), spacing_mm) == {"lower": 30.0, "back": 48.0}
    assert set(measure_border_areas_mm2(mask, [slice(0, n) for n in mask.shape], mask.shape, spacing_mm)) == {
        "lower", "upper", "front", "back", "right-hand", "left-hand",
    }  # fmt: skip


def test_metal_is_a_component_and_scattered_bright_voxels_are_not():
    hu = np.zeros((30, 40, 40), np.int16)
    hu[5:15, 10:14, 10:14] = 3071
    hu[::7, ::5, 30::3] = 3071
    metal = find_metal(hu, (1.0, 1.0, 1.0))
    assert len(metal) == 10 * 4 * 4


@pytest.mark.parametrize(("bone_from", "metal_cm3"), [(16, 0.16), (17, 0.12), (19, 0.04), (20, 0.0)])
def test_metal_counts_by_its_distance_from_the_bone(bone_from, metal_cm3):
    hu = np.zeros((30, 40, 40), np.int16)
    hu[5:15, 10:14, 10:14] = 3071  # 5 mm of it count
    metal = find_metal(hu, (1.0, 1.0, 1.0))
    plate = np.ones((30, 40, 4), bool)
    place = (slice(0, 30), slice(0, 40), slice(bone_from - 1, bone_from + 3))
    assert measure_metal_cm3(metal, plate, place, (1.0, 1.0, 1.0)) == pytest.approx(metal_cm3)


def test_metal_within_the_box_of_a_bone_may_be_far_from_it():
    hu = np.zeros((30, 40, 40), np.int16)
    hu[5:15, 28:34, 28:34] = 3071
    corner = np.zeros((30, 40, 40), bool)
    corner[:, :5, :] = corner[:, :, :5] = True
    metal = find_metal(hu, (1.0, 1.0, 1.0))
    assert measure_metal_cm3(metal, corner, (slice(0, 30), slice(0, 40), slice(0, 40)), (1.0, 1.0, 1.0)) == 0.0


def test_dense_bone_is_no_metal():
    assert not len(find_metal(np.full((9, 9, 9), 2300, np.int16), (1.0, 1.0, 1.0)))


def test_a_bone_cut_by_the_scan_may_be_small_but_not_too_large():
    assert describe_implausible_size("femur", 100.0, 90.0, whole=False) is None
    assert "100 cm3" in describe_implausible_size("femur", 100.0, 420.0, whole=True)
    assert "mm long" in describe_implausible_size("patella", 15.0, 97.0, whole=False)
    assert describe_implausible_size("patella", 15.0, 40.0, whole=True) is None


def test_every_bone_has_a_size():
    from KneeSegLib.anatomy import BONES

    assert set(SIZES) == set(BONES)


def test_correction_may_be_a_tensor_of_half_precision():
    correction = SimpleNamespace(values=torch.full((3, 3, 3), 0.5, dtype=torch.float16))
    assert measure_refinement_mm(correction.values.numpy(), box(), (1.0, 1.0, 1.0)) == pytest.approx(27 * 0.5 / 600)
