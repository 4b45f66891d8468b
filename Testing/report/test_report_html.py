"""The report as a browser would take it: one whole, well-formed, harmless file."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.structures import measure_structures
from KneeSegLib.quality.assessment import assess_quality
from KneeSegLib.report.content import title_structures
from KneeSegLib.report.html import render_report
from KneeSegLib.report.pictures import choose_bar_mm
from KneeSegLib.report.slices import SlicePainter, choose_display_range
from Testing.phantoms.cases import (
    KNEE_BOXES,
    KNEE_SHAPE,
    SPACING_MM,
    assessed_knee_case,
    box_labels,
    case_of,
    knee_case,
)

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements with their attributes in order, and the text a reader sees; fails on elements that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def html_of(case: Case, **provenance: object) -> str:
    recorded = {"statement": TRAINING_STATEMENT, "software": {"python": "3.11"}, **case.provenance, **provenance}
    return render_report(case, recorded)


def page_of(case: Case, **provenance: object) -> Page:
    return Page(html_of(case, **provenance))


@pytest.fixture(scope="module")
def knee_page() -> Page:
    return page_of(knee_case(warnings=["The fibula is short."]))


def test_the_report_says_what_was_found_in_what_and_how(knee_page):
    text = knee_page.text
    for expected in (
        "Right femur, patella, tibia and fibula",
        "CT knee 1.0",
        "CT, 60 × 48 × 50 voxels of 1.00 × 1.25 × 2.00 mm",
        "CT: knee",
        "9 March 2026, 08:05 UTC",
        TRAINING_STATEMENT,
        "The fibula is short.",
        "ct-knee 1.2.3 0123456789abcdef",
        "Knee, right 12.2 s",
        "python 3.11",
    ):
        assert expected in text, expected


def test_the_statement_and_the_warnings_stand_before_every_result(knee_page):
    first_result = knee_page.text.index("In three dimensions")
    assert knee_page.text.index(TRAINING_STATEMENT) < first_result
    assert knee_page.text.index("The fibula is short.") < first_result


def test_volumes_are_given_in_cubic_centimetres_and_cut_bones_are_marked(knee_page):
    femur_cm3 = 22 * 20 * 28 * np.prod(SPACING_MM) / 1000
    assert f"Femur Right {femur_cm3:.1f} part, cut by the edge" in knee_page.text
    assert "Patella Right 1.50 whole" in knee_page.text


def test_a_bone_that_a_round_field_of_view_cuts_is_not_called_whole():
    case = assessed_knee_case()
    for found in case.structures:
        assert found.quality is not None
        features = dataclasses.replace(found.quality.features, air_fraction=0.01, blank_fraction=0.0)
        found.quality = assess_quality(found.structure, features)
    text = page_of(case).text
    assert "Patella Right 1.50 part, cut by the field of view" in text and "part, cut by the edge" in text
    assert "that the edge of the scan or its field of view cuts is measured as far as it is in view" in text


def test_each_structure_has_its_quality_and_a_sentence_where_it_has_to_be_checked():
    text = page_of(assessed_knee_case()).text
    assert "Femur Right" in text and "part, cut by the edge Good" in text
    assert "whole Check Its outline jumps by 4.0 mm: the patient moved, or slices are missing. Tibia" in text
    assert "without a reference" in text


def test_what_limits_every_structure_is_said_once():
    text = page_of(assessed_knee_case(thick=True)).text
    assert text.count("The slices lie 3.0 mm apart") == 1
    assert "All structures: The slices lie 3.0 mm apart" in text
    assert text.count("Limited by the scan") == 3


def test_a_structure_that_was_not_assessed_is_not_called_good(knee_page):
    assert knee_page.text.count("not assessed") == 4
    assert "without a reference" not in knee_page.text


def test_warnings_of_the_image_the_case_and_each_structure_are_all_shown():
    case = knee_case(warnings=["One."])
    case.structures[0].warnings.append("Two.")
    object.__setattr__(case.volume, "notes", ("Three.",))
    (shown,) = re.findall(r'<div class="warnings".*?</div>', html_of(case), re.DOTALL)
    assert sorted(re.findall(r"<li>(.*?)</li>", shown)) == ["One.", "Three.", "Two."]


def test_whatever_a_file_or_a_person_wrote_is_shown_as_text():
    hostile = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    page = page_of(
        knee_case(source=hostile, warnings=[hostile]), options={"side": hostile}, device=hostile, date=hostile
    )
    assert page.of("script") == []
    assert page.of("img") == []
    assert page.text.count('<script>alert("x")</script>') >= 4


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(knee_page):
    for tag, attributes in knee_page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset", "action"}:
                assert value.startswith("data:image/png;base64,")
    html = html_of(knee_case())
    assert not re.search(r"https?://|url\(|@import", html)


def test_a_joint_has_three_planes_and_the_solids_a_front_and_a_side(knee_page):
    labels = [svg["aria-label"] for svg in knee_page.of("svg")]
    assert labels == ["Front view", "Right, from the side", "Axial", "Coronal", "Sagittal"]


def test_both_legs_have_a_side_view_each():
    boxes = {
        "patella_right": (slice(2, 8), slice(2, 8), slice(2, 8)),
        "patella_left": (slice(2, 8), slice(2, 8), slice(30, 36)),
    }
    page = page_of(case_of(box_labels(boxes, (10, 10, 40))))
    labels = [svg["aria-label"] for svg in page.of("svg")]
    assert labels[:3] == ["Front view", "Right, from the side", "Left, from the side"]
    assert "Both legs: patella" in page.text


def test_a_structure_keeps_its_colour_on_every_slice_and_in_the_table(knee_page):
    femur = "rgb({}, {}, {})".format(*structure("femur_right").color)
    assert sum(path.get("stroke") == femur for path in knee_page.of("path")) >= 2
    assert sum(femur in span.get("style", "") for span in knee_page.of("span")) == 2  # table and legend


def test_a_case_without_provenance_or_modality_has_a_report_all_the_same():
    labels = box_labels({"talus_left": [slice(2, 6)] * 3}, (8, 8, 8))
    case = case_of(labels)
    object.__setattr__(case.volume, "modality", None)
    case.provenance.clear()
    assert "modality unknown" in page_of(case).text


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        (["femur_right"], "Right femur"),
        (["femur_left", "tibia_left"], "Left femur and tibia"),
        (["tibia_right", "talus_right", "talus_left"], "Both legs: tibia and talus"),
        (["femur_right", "femoral_cartilage_right"], "Right femur"),
        (["femoral_cartilage_left"], "Left femoral cartilage"),
        ([], "Nothing found"),
    ],
)
def test_the_title_names_side_and_bones(keys, title):
    assert title_structures([structure(key) for key in keys]) == title


@pytest.mark.parametrize(("picture_mm", "bar"), [(150, 20), (170, 20), (60, 10), (300, 50), (950, 200)])
def test_the_scale_bar_has_a_round_length_that_suits_the_picture(picture_mm, bar):
    assert choose_bar_mm(picture_mm) == bar


def painter_of(labels: sitk.Image, margins: dict[str, sitk.Image] | None = None) -> SlicePainter:
    image = sitk.Cast(labels > 0, sitk.sitkInt16) * 1000
    return SlicePainter(ScanResult(Volume(image, "CT"), labels, margins or {}, measure_structures(labels)))


@pytest.fixture
def picture_of() -> Callable:
    """Paint the sagittal slice through the middle of the femur, 120 mm wide."""
    from KneeSegLib.report.planes import Window

    def paint(painter: SlicePainter):
        window = Window.around("sagittal", (25, 24, 30), 120.0, painter.labelled.grid)
        return painter.paint("Sagittal", window, 120.0)

    return paint


def extent_of(path: str) -> tuple[float, float, float, float]:
    """Return least x, least y, largest x, largest y of a path."""
    points = np.array([float(number) for number in re.findall(r"-?[\d.]+", path)]).reshape(-1, 2)
    return (*points.min(axis=0), *points.max(axis=0))


def test_pictures_are_drawn_in_millimetres_although_voxels_are_not_cubes(picture_of):
    picture = picture_of(painter_of(box_labels(KNEE_BOXES, KNEE_SHAPE)))
    # The slice has 48 x 1.25 mm by 50 x 2 mm; it stands in the middle of a square of 120 mm.
    assert picture.png_box_mm == pytest.approx((30.0, 10.0, 60.0, 100.0))
    outlines = {outline.name: extent_of(outline.path) for outline in picture.outlines}
    # Patella: rows 26..36 of 50 counted from below, 2 mm each; columns 6..11, 1.25 mm each.
    assert outlines["Right patella"] == pytest.approx((37.5, 38.0, 43.75, 58.0), abs=0.01)


def test_outlines_lie_on_the_bones_of_the_picture(picture_of):
    from PIL import Image

    picture = picture_of(painter_of(box_labels(KNEE_BOXES, KNEE_SHAPE)))
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
    left, top, right, bottom = extent_of(next(o.path for o in picture.outlines if o.name == "Right patella"))
    columns = ((np.array([left, right]) - 30.0) / 1.25).round().astype(int)
    rows = ((np.array([top, bottom]) - 10.0) / 2.0).round().astype(int)
    inside = pixels[rows[0] : rows[1], columns[0] : columns[1]]
    assert inside.min() > 200
    assert pixels[rows[0] - 1, columns[0]] < 100
    assert pixels[rows[0], columns[0] - 1] < 100


def test_an_outline_follows_the_margin_between_voxels_where_there_is_one(picture_of):
    labels = box_labels(KNEE_BOXES, KNEE_SHAPE)
    first, size = (22, 4, 24), (16, 10, 14)
    crop = sitk.RegionOfInterest(labels, size, first)
    k, j, i = np.indices(size[::-1])
    # A surface a quarter of a voxel outside of the patella's outermost voxel centres, to the front and to the head.
    front, head = (j + first[1]) - 5.75, 35.25 - (k + first[2])
    margin = sitk.GetImageFromArray(np.clip(np.minimum(front, head), -1, 1).astype(np.float32))
    margin.CopyInformation(crop)
    picture = picture_of(painter_of(labels, {"patella_right": margin}))
    left, top, _, _ = extent_of(next(o.path for o in picture.outlines if o.name == "Right patella"))
    assert left == pytest.approx(30 + (5.75 + 0.5) * 1.25, abs=0.02)
    assert top == pytest.approx(10 + (50 - 35.25 - 0.5) * 2.0, abs=0.02)


def test_ct_is_shown_in_a_bone_window_and_mr_by_its_own_values():
    image = sitk.GetImageFromArray(np.linspace(0, 5000, 8 * 16 * 16).reshape(8, 16, 16).astype(np.float32))
    black, white = choose_display_range(Volume(image, "CT"))
    assert black < 40 < 900 < white
    black, white = choose_display_range(Volume(image, "MR"))
    assert 0 <= black < 1000
    assert 1500 < white <= 5000


def test_embedded_pictures_are_whole_png_files(knee_page):
    from PIL import Image

    pictures = [element["href"] for element in knee_page.of("image")]
    assert len(pictures) == 5
    for href in pictures:
        Image.open(io.BytesIO(base64.b64decode(href.split(",", 1)[1]))).load()
