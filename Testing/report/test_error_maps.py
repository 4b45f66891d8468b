"""Error maps: what is added is green, what is missed red, and surfaces say how far a prediction is off, and where."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.volume import Volume
from KneeSegLib.report.error_maps import draw_error_case, render_error_maps
from KneeSegLib.report.error_slices import JudgedPrediction, color_errors, draw_error_slices
from KneeSegLib.report.error_surfaces import (
    color_distance,
    draw_error_surfaces,
    measure_signed_distance,
    mesh_structures,
)
from KneeSegLib.report.settings import (
    ABSENT_COLOR,
    ADDED_COLOR,
    CONFUSED_COLOR,
    DISTANCE_COLORS,
    DISTANCE_SCALE_MM,
    ERROR_OPACITY,
    MISSED_COLOR,
)
from KneeSegLib.surfaces.meshing import surface_of_mask
from Testing.phantoms.cases import KNEE_BOXES, KNEE_SHAPE, box_labels

FEMUR, TIBIA, PATELLA = (structure(key, "right") for key in ("femur", "tibia", "patella"))
KNEE = box_labels(KNEE_BOXES, KNEE_SHAPE)
BONES = frozenset({FEMUR, TIBIA, PATELLA, structure("fibula", "right")})


def predicted(**boxes: tuple[slice, slice, slice] | None) -> JudgedPrediction:
    """The knee with some bones elsewhere, or without them."""
    changed = {key: box for key, box in {**KNEE_BOXES, **boxes}.items() if box is not None}
    return JudgedPrediction("ours", box_labels(changed, KNEE_SHAPE), BONES)


def pixels_of(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def count_color(picture, color: tuple[int, int, int]) -> int:
    """How many pixels have a colour of errors on black."""
    return int((np.abs(pixels_of(picture) - ERROR_OPACITY * np.array(color)) < 1).all(axis=-1).sum())


def ball(radius_mm: float, spacing_mm: float = 0.8) -> sitk.Image:
    line = (np.arange(60) - 29.5) * spacing_mm
    squares = line[:, None, None] ** 2 + line[:, None] ** 2 + line**2
    image = sitk.GetImageFromArray((squares <= radius_mm**2).astype(np.uint8))
    image.SetSpacing((spacing_mm,) * 3)
    image.SetOrigin((float(line[0]),) * 3)
    return image


def test_each_kind_of_error_has_its_color_and_the_rest_that_of_the_image():
    reference, prediction = np.array([[0, 2, 2, 2]], np.uint8), np.array([[2, 0, 4, 2]], np.uint8)
    pixels = color_errors(np.full((1, 4), 100, np.uint8), reference, prediction)[0]
    blended = [100 * (1 - ERROR_OPACITY) + ERROR_OPACITY * np.array(c) for c in (ADDED_COLOR, MISSED_COLOR)]
    assert pixels[:2] == pytest.approx(np.array(blended), abs=0.5)
    assert pixels[2] == pytest.approx(30 + 0.7 * np.array(CONFUSED_COLOR), abs=0.5)
    assert pixels[3].tolist() == [100, 100, 100]


def test_slices_show_the_largest_error_near_the_joint():
    moved = slice(KNEE_BOXES["patella_right"][2].start, KNEE_BOXES["patella_right"][2].stop + 3)
    (region,) = draw_error_slices(KNEE, [predicted(patella_right=(*KNEE_BOXES["patella_right"][:2], moved))], None)
    assert region.title == "Right knee"
    ((name, (axial, coronal, sagittal)),) = region.rows
    assert (name, axial.caption, sagittal.letters) == ("ours", "Axial", ("S", "I", "A", "P"))
    assert count_color(axial, ADDED_COLOR) == 3 * 5
    assert count_color(coronal, ADDED_COLOR) == 3 * 10
    assert count_color(sagittal, ADDED_COLOR) == 5 * 10
    assert count_color(axial, MISSED_COLOR) == 0


def test_all_predictions_are_shown_on_the_same_slices():
    without = replace(predicted(patella_right=None), name="theirs")
    (region,) = draw_error_slices(KNEE, [predicted(), without], None)
    (_, (_, right, _)), (_, (_, wrong, _)) = region.rows
    assert count_color(wrong, MISSED_COLOR) == 10 * 12
    assert count_color(right, MISSED_COLOR) == 0
    assert right.outlines == wrong.outlines and right.outlines[0].name == "Reference"


def test_a_structure_that_is_not_judged_is_neither_missed_nor_added():
    only_femur = JudgedPrediction("ours", predicted(tibia_right=None).labels, frozenset({FEMUR}))
    (region,) = draw_error_slices(KNEE, [only_femur], None)
    assert sum(count_color(picture, MISSED_COLOR) for picture in region.rows[0][1]) == 0


def test_a_scan_on_another_grid_is_refused():
    volume = Volume(sitk.Image([60, 48, 49], sitk.sitkInt16), "CT", "scan.nrrd", ())
    with pytest.raises(InputError, match="60 x 48 x 50 voxels and the image 60 x 48 x 49"):
        draw_error_slices(KNEE, [predicted()], volume)


@pytest.mark.parametrize("radius_mm", [16.0, 14.4])
def test_signed_distance_of_concentric_balls_is_the_difference_of_their_radii(radius_mm):
    other = surface_of_mask(ball(radius_mm))
    points = np.random.default_rng(4).standard_normal((500, 3))
    points *= 15.2 / np.linalg.norm(points, axis=1, keepdims=True)
    signed = measure_signed_distance(points, other, near_mm=1.6)
    assert signed.mean() == pytest.approx(radius_mm - 15.2, abs=0.1)
    assert np.abs(signed - signed.mean()).max() < 0.4  # half a voxel
    assert measure_signed_distance(points * 2.0, other, 1.6) == pytest.approx(radius_mm - 30.4, abs=0.5)


def test_colors_go_from_too_small_to_too_large():
    colors = color_distance(np.array([-9.0, -DISTANCE_SCALE_MM, 0.0, DISTANCE_SCALE_MM]))
    expected = [DISTANCE_COLORS[0], DISTANCE_COLORS[0], DISTANCE_COLORS[2], DISTANCE_COLORS[-1]]
    assert colors == pytest.approx(np.array(expected))


def test_a_bone_that_lies_too_far_left_is_red_on_its_left_and_blue_on_its_right():
    moved = slice(KNEE_BOXES["femur_right"][2].start + 3, KNEE_BOXES["femur_right"][2].stop + 3)
    wrong = predicted(femur_right=(*KNEE_BOXES["femur_right"][:2], moved))
    surfaces = {FEMUR: mesh_structures(KNEE)[FEMUR]}
    front, behind, from_right = draw_error_surfaces(surfaces, wrong)
    assert [picture.caption for picture in (front, behind, from_right)] == [
        "Front view", "From behind", "Right, from the side",
    ]  # fmt: skip
    red, _, blue = np.moveaxis(pixels_of(from_right).astype(float), -1, 0)
    seen = np.asarray(Image.open(io.BytesIO(from_right.png)))[..., 3] > 250
    assert (blue[seen] > red[seen]).mean() > 0.9  # the bone's right side, from which the prediction has moved away


def test_a_bone_that_was_not_found_has_its_own_color():
    surfaces = {PATELLA: mesh_structures(KNEE)[PATELLA]}
    front = draw_error_surfaces(surfaces, predicted(patella_right=None))[0]
    pixels, alpha = pixels_of(front), np.asarray(Image.open(io.BytesIO(front.png)))[..., 3]
    assert np.ptp(pixels[alpha > 250], axis=-1).max() < 20 < 60 < np.ptp(DISTANCE_COLORS[0])
    assert max(ABSENT_COLOR) - min(ABSENT_COLOR) < 20


def test_the_page_is_whole_and_loads_nothing():
    page = render_error_maps([draw_error_case("knee <1>", KNEE, [predicted(patella_right=None)])])
    assert "knee &lt;1&gt;" in page and "false positive" in page and "not found at all" in page
    assert page.count('href="data:image/png;base64,') == 3 + 3
    assert "http" not in page and "<script" not in page
