"""Slices seen as radiologists see them, and the joints found where bones meet."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.geometry.boxes import make_box
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.report.planes import PLANES, Window, measure_tilt_degrees, turn_box
from KneeSegLib.report.regions import LabelledGrid, find_joint_regions, find_shaft_regions

SIZE_LPS = (7, 9, 11)
DIRECTIONS = [
    np.diag(signs)[:, list(order)] for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]


def image_with_marks(direction: np.ndarray) -> sitk.Image:
    """Return a scan of 7 x 9 x 11 mm (L, P, S) with one mark in the right, anterior, superior corner."""
    size = np.abs(direction.T @ SIZE_LPS).astype(int)
    array = np.zeros(size[::-1], np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetDirection(direction.ravel())
    last = direction @ (size - 1)
    image.SetOrigin((-np.minimum(0, last)).tolist())  # the scan covers 0..size - 1 along L, P and S
    corner = image.TransformPhysicalPointToIndex((0.0, 0.0, SIZE_LPS[2] - 1.0))
    image[corner] = 100
    return image


@pytest.mark.parametrize("direction", DIRECTIONS, ids=lambda direction: "".join(f"{x:+.0f}" for x in direction.ravel()))
def test_right_is_left_anterior_up_and_superior_up_whatever_the_axes_of_the_scan(direction):
    image = reorient_to_lps(image_with_marks(direction))
    array = sitk.GetArrayViewFromImage(image)
    axial, coronal, sagittal = (
        Window(plane, position, (0, rows), (0, columns)).cut(array)
        for plane, position, rows, columns in (("axial", 10, 9, 7), ("coronal", 0, 11, 7), ("sagittal", 0, 11, 9))
    )
    assert array.shape == SIZE_LPS[::-1]
    for picture in (axial, coronal, sagittal):
        assert picture[0, 0] == 100
        assert np.count_nonzero(picture) == 1


def test_a_window_is_as_wide_as_asked_in_millimetres_and_stays_inside_the_grid():
    grid = Grid.of_scan((100, 200, 300), (2.0, 1.0, 0.5))
    coronal = Window.around("coronal", (50, 100, 150), 60.0, grid)
    assert (coronal.rows, coronal.columns) == ((35, 65), (90, 210))
    assert coronal.pixel_mm(grid) == (2.0, 0.5)
    corner = Window.around("axial", (0, 0, 299), 60.0, grid)
    assert (corner.rows, corner.columns) == ((0, 30), (239, 300))


@pytest.mark.parametrize("plane", PLANES)
def test_a_slice_of_a_crop_lies_where_the_crop_lies(plane):
    whole = np.random.default_rng(5).integers(1, 100, (8, 9, 10))
    crop = whole[2:6, 3:8, 1:7]
    surrounded = np.zeros_like(whole)
    surrounded[2:6, 3:8, 1:7] = crop
    for position in range(8):
        window = Window(plane, position, (1, 8), (2, 9))
        assert np.array_equal(window.cut(crop, (2, 3, 1)), window.cut(surrounded))


def test_a_box_keeps_its_voxels_when_the_axes_are_reordered():
    image = image_with_marks(DIRECTIONS[29])
    (marked,) = np.argwhere(sitk.GetArrayViewFromImage(image))
    turned = reorient_to_lps(image)
    box = turn_box(make_box((index, index + 1) for index in marked), image, turned)
    assert sitk.GetArrayViewFromImage(turned)[box].tolist() == [[[100]]]


def test_the_tilt_of_an_oblique_scan_is_its_largest_angle_against_the_body():
    image = sitk.Image((4, 4, 4), sitk.sitkInt16)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(np.radians(17), 0, 0)
    image.SetDirection(turn.GetMatrix())
    assert measure_tilt_degrees(image) == pytest.approx(17)


def legs(parts: dict[str, tuple[slice, slice, slice]], shape=(150, 60, 120)) -> LabelledGrid:
    """Return boxes as structures on a grid of 2 mm voxels."""
    labels = np.zeros(shape, np.uint8)
    boxes = {}
    for key, box in parts.items():
        labels[box] = structure(key).label_value
        boxes[structure(key)] = box
    return LabelledGrid(labels, Grid.of_scan(shape, (2.0, 2.0, 2.0)), boxes)


BOTH_KNEES = {
    "femur_right": np.s_[80:150, 20:40, 20:40],
    "tibia_right": np.s_[8:78, 20:40, 20:40],
    "patella_right": np.s_[84:94, 10:16, 26:34],
    "femur_left": np.s_[80:150, 20:40, 80:100],
    "tibia_left": np.s_[8:78, 20:40, 80:100],
}


def test_a_joint_is_shown_where_its_bones_meet_on_each_side():
    right, left = find_joint_regions(legs(BOTH_KNEES))
    assert (right.title, left.title) == ("Right knee", "Left knee")
    assert list(right.windows) == ["Axial", "Coronal", "Sagittal"]
    for region, columns in ((right, (20, 40)), (left, (80, 100))):
        coronal = region.windows["Coronal"]
        assert coronal.rows[0] < 79 < coronal.rows[1]
        assert coronal.columns[0] <= columns[0]
        assert coronal.columns[1] >= columns[1]
        assert 20 <= coronal.position < 40


def test_the_slice_shown_is_the_one_that_shows_the_most_of_every_bone():
    right, _ = find_joint_regions(legs(BOTH_KNEES))
    assert 84 <= right.windows["Axial"].position < 94  # femur and patella; elsewhere one bone alone
    assert 26 <= right.windows["Sagittal"].position < 34  # all three


def test_bones_that_lie_far_apart_are_no_joint():
    apart = {"femur_right": np.s_[100:150, 20:40, 20:40], "tibia_right": np.s_[8:78, 20:40, 20:40]}
    assert [region.title for region in find_joint_regions(legs(apart))] == ["Right femur", "Right tibia"]


def test_the_bones_of_two_sides_never_make_a_joint():
    crossed = {"femur_right": BOTH_KNEES["femur_right"], "tibia_left": BOTH_KNEES["tibia_right"]}
    assert [region.title for region in find_joint_regions(legs(crossed))] == ["Right femur", "Left tibia"]


def test_a_single_bone_is_shown_by_itself():
    (region,) = find_joint_regions(legs({"patella_left": np.s_[84:94, 10:16, 26:34]}))
    assert region.title == "Left patella"
    assert 84 <= region.windows["Axial"].position < 94


def test_long_shafts_are_shown_and_short_pieces_are_not():
    tall = {"femur_right": np.s_[20:140, 20:40, 30:50], "tibia_right": np.s_[0:18, 20:40, 20:40]}
    (region,) = find_shaft_regions(legs(tall))
    assert list(region.windows) == ["Right femur, axial, middle"]
    window = region.windows["Right femur, axial, middle"]
    assert window.position == 80
    assert sum(window.columns) / 2 == pytest.approx(40, abs=1)
    assert find_shaft_regions(legs(BOTH_KNEES)) == []
