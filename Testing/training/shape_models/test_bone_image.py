"""A bone as registration sees it: distances, sides, where shafts are cut."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.training.shape_models.bone_image import find_sides, prepare_bone_image
from KneeSegLib.training.shape_models.settings import SHAFTS, Shaft
from KneeSegLib.training.shape_models.unusable import UnusableCase
from Testing.phantoms.bones import Pebble, distal_femur, sphere

AXES_POINTS = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])


def test_the_zero_level_is_the_surface_and_inside_is_negative():
    pebble = Pebble(offset=(30.0, -10.0, 5.0))
    bone = prepare_bone_image(pebble.labels(), "patella", "right", "a", 1.5)
    off_surface = bone.distances_at(pebble.placed(sphere(12).vertices))
    assert abs(off_surface.mean()) < 0.1
    assert np.abs(off_surface).max() < 0.75  # half a voxel, which is all that labels tell
    assert (bone.distances_at(pebble.placed(0.5 * AXES_POINTS)) < -3).all()
    assert (bone.distances_at(pebble.placed(1.5 * AXES_POINTS)) > 3).all()


def test_a_left_bone_is_the_mirror_image_of_a_right_one():
    pebble = Pebble(lean=2.0, offset=(12.3, 0.0, 0.0))
    right, left = (prepare_bone_image(pebble.labels(side), "patella", side, side, 1.5) for side in ("right", "left"))
    points = pebble.placed(AXES_POINTS)
    np.testing.assert_allclose(left.distances_at(points), right.distances_at(points), atol=0.3)
    mirrored = right.mirror()
    np.testing.assert_allclose(mirrored.distances_at(points * (-1, 1, 1)), right.distances_at(points), atol=1e-3)


def test_an_oblique_grid_gives_the_same_bone():
    pebble = Pebble(lean=1.0)
    labels = pebble.labels()
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, -0.2, 0.3)
    oblique = sitk.Resample(
        labels, (60, 60, 60), sitk.Transform(), sitk.sitkNearestNeighbor,
        turn.TransformPoint((-44.0, -44.0, -44.0)), (1.5,) * 3, turn.GetMatrix(),
    )  # fmt: skip
    bone = prepare_bone_image(oblique, "patella", "right", "a", 1.5)
    assert np.abs(bone.distances_at(pebble.placed(sphere(12).vertices))).mean() < 0.3


def test_loose_voxels_and_holes_are_no_surface():
    pebble = Pebble()
    labels = pebble.labels()
    value = structure("patella", "right").label_value
    labels[2, 2, 2] = value
    labels[tuple(size // 2 for size in labels.GetSize())] = 0
    clean, dirty = (prepare_bone_image(image, "patella", "right", "a", 1.5) for image in (pebble.labels(), labels))
    points = np.concatenate([pebble.placed(AXES_POINTS), np.zeros((1, 3))])
    np.testing.assert_allclose(dirty.distances_at(points), clean.distances_at(points), atol=1e-4)


def test_both_sides_of_a_label_map_are_found():
    labels = Pebble().labels()
    assert find_sides(labels, "patella") == ("right",)
    assert find_sides(labels, "femur") == ()
    labels[0, 0, 0] = structure("patella", "left").label_value
    assert find_sides(labels, "patella") == ("right", "left")


def test_a_shaft_is_cut_at_a_multiple_of_the_bones_width():
    bone = prepare_bone_image(distal_femur(shaft_mm=60.0), "femur", "right", "a", 2.0)
    expected = -30 + SHAFTS["femur"].widths * 60
    assert bone.cut_mm == pytest.approx(expected, abs=2.5)
    on_axis = np.array([[0, 0, bone.cut_mm - 4.0], [0, 0, bone.cut_mm + 4.0]])
    np.testing.assert_allclose(bone.distances_at(on_axis), [-4.0, 4.0], atol=0.3)


def test_more_or_less_of_a_shaft_may_be_kept():
    for widths in (0.9, 1.2):
        kept = {"femur": Shaft("lower", widths)}
        bone = prepare_bone_image(distal_femur(shaft_mm=60.0), "femur", "right", "a", 2.0, kept)
        assert bone.cut_mm == pytest.approx(-30 + widths * 60, abs=2.5)


def test_a_longer_shaft_makes_no_difference():
    short, long = (prepare_bone_image(distal_femur(mm), "femur", "right", "a", 2.0) for mm in (40.0, 90.0))
    assert short.cut_mm == long.cut_mm
    points = np.random.default_rng(0).uniform((-35, -35, -33), (35, 35, 18), (300, 3))
    np.testing.assert_allclose(short.distances_at(points), long.distances_at(points), atol=0.05)


def test_a_shaft_that_tapers_is_not_taken_for_one_that_ends():
    tapering = prepare_bone_image(distal_femur(60.0, taper=0.25), "femur", "right", "a", 2.0)
    assert tapering.cut_mm is not None


def test_too_short_a_shaft_is_named():
    with pytest.raises(
        UnusableCase, match=r"a shows (48|50) mm of the femur and 5\d mm, 0\.85 of its width, are needed"
    ):
        prepare_bone_image(distal_femur(shaft_mm=20.0), "femur", "right", "a", 2.0)


def test_a_handful_of_voxels_is_no_bone():
    labels = sitk.Image((20, 20, 20), sitk.sitkUInt8)
    labels[5, 5, 5] = structure("patella", "left").label_value
    with pytest.raises(UnusableCase, match="holds only 1 voxels of the left patella"):
        prepare_bone_image(labels, "patella", "left", "a", 2.0)
