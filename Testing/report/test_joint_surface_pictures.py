"""Thickness in colours, on joint surfaces seen from known sides."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from KneeSegLib.report.cartilage import color_thickness, draw_cartilage, format_css_gradient
from KneeSegLib.report.html import render_report
from KneeSegLib.report.settings import BARE_BONE_COLOR, CARTILAGE_COLORS, CARTILAGE_SCALE_MM
from Testing.phantoms.joint_surfaces import ball_depths, case_of_depths, measured_cartilage, plate_depths, positions


def pixels_of(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGBA")).astype(float)


def colourful(pixels: np.ndarray) -> np.ndarray:
    """Where there is more colour than in the grey of bare bone."""
    spread = pixels[..., :3].max(axis=-1) - pixels[..., :3].min(axis=-1)
    return (pixels[..., 3] > 200) & (spread > 0.25 * pixels[..., :3].max(axis=-1))


def measured_plate(side, **more):
    case = case_of_depths(plate_depths(**more), side)
    case.scans[0].cartilage += measured_cartilage(case)
    return case


def test_bare_bone_is_grey_and_the_scale_ends_where_it_says():
    colors = color_thickness(np.array([0.0, 1e-6, CARTILAGE_SCALE_MM / 2.0, CARTILAGE_SCALE_MM, 9.0]))
    assert colors[0].tolist() == list(BARE_BONE_COLOR)
    assert colors[1] == pytest.approx(CARTILAGE_COLORS[0], abs=0.1)
    assert colors[2] == pytest.approx(CARTILAGE_COLORS[2]) and colors[3] == pytest.approx(CARTILAGE_COLORS[-1])
    assert colors[4].tolist() == colors[3].tolist()


def test_thicker_cartilage_is_lighter():
    lightness = color_thickness(np.linspace(0.1, CARTILAGE_SCALE_MM, 30)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_the_scale_has_every_colour_once():
    assert format_css_gradient().count("rgb(") == len(CARTILAGE_COLORS)
    assert format_css_gradient().startswith("rgb(94, 42, 132), ")


@pytest.mark.parametrize("side", ["right", "left"])
def test_from_above_the_patients_left_is_on_the_left_where_the_letter_says(side):
    x, _, _ = positions()
    case = case_of_depths(plate_depths(np.where(x > 0, 3.8, 1.2)), side)
    (picture,) = draw_cartilage(measured_cartilage(case))
    assert picture.caption == f"{side.capitalize()} tibia, from above"
    assert picture.letters == ("A", "P", "L", "R")
    pixels = pixels_of(picture)
    green = np.where(colourful(pixels), pixels[..., 1], np.nan)
    middle = pixels.shape[1] // 2
    assert np.nanmean(green[:, :middle]) > 1.5 * np.nanmean(green[:, middle:])


def test_what_is_far_from_cartilage_is_cut_away():
    (picture,) = draw_cartilage(measured_plate("right", from_x_mm=2.0).cartilage)
    covered_mm2 = 20.0 * 28.0
    assert picture.width_mm < 40.0  # the plate has 48
    share = colourful(pixels_of(picture)).mean()
    assert share == pytest.approx(covered_mm2 / (picture.width_mm * picture.height_mm), rel=0.2)


def test_one_thickness_has_one_colour_and_it_is_that_of_the_scale():
    (picture,) = draw_cartilage(measured_plate("right").cartilage)
    pixels = pixels_of(picture)
    rows, columns = pixels.shape[0] // 4, pixels.shape[1] // 4
    middle = pixels[rows:-rows, columns:-columns, :3].reshape(-1, 3)
    wanted = color_thickness(np.array([2.5]))[0]
    cosine = middle @ wanted / np.linalg.norm(middle, axis=1) / np.linalg.norm(wanted)
    assert np.median(cosine) > 0.99


def test_the_femur_is_seen_from_below():
    case = case_of_depths(ball_depths("femur", "femoral_cartilage"), "left")
    (picture,) = draw_cartilage(measured_cartilage(case))
    pixels = pixels_of(picture)
    assert picture.caption == "Left femur, from below"
    assert colourful(pixels)[pixels.shape[0] // 2, pixels.shape[1] // 2]


def test_a_bone_whose_cartilage_lies_nowhere_on_it_gets_no_picture():
    depths = plate_depths()
    depths["tibial_cartilage"] = np.roll(depths["tibial_cartilage"], 20, axis=0)
    measured = measured_cartilage(case_of_depths(depths, "right"))
    assert len(measured) == 1 and measured[0].regions == ()
    assert draw_cartilage(measured) == []


def test_the_report_names_regions_with_their_thickness_and_says_where_there_is_none():
    case = measured_plate("right", from_x_mm=2.0)
    page = render_report(case, {"statement": "", "software": {}, **case.provenance})
    rows = page[page.index("Cartilage thickness") :]
    medial, lateral = rows.index("Medial plateau"), rows.index("Lateral plateau")
    assert medial < lateral
    assert re.search(r">2\.[45]\d ± 0\.", rows[medial:lateral])
    assert ">none<" in rows[lateral : lateral + 200]
    assert f"{CARTILAGE_SCALE_MM:.0f} mm and more; grey is bare bone" in page


def test_a_report_without_cartilage_has_no_such_chapter():
    case = case_of_depths({"tibia": plate_depths()["tibia"]}, "right")
    assert "Cartilage thickness" not in render_report(case, {"statement": "", "software": {}, **case.provenance})
