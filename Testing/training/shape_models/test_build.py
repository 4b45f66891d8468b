"""A shape model from label maps of pebbles: a family with two modes and a correspondence that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.training.shape_models import Build, build, read_cases
from KneeSegLib.training.shape_models.correspondence import measure_correspondence_error
from Testing.phantoms.bones import Pebble, nothing, sphere, write, wrong_bone

FAMILY = {
    "short": Pebble(-3.0, 0.5, (5.0, 0.0, 0.0)),
    "upright": Pebble(0.5, -1.5, (0.0, -20.0, 4.3)),
    "middle": Pebble(),
    "leaning": Pebble(-0.5, 2.0, (100.0, 50.0, -200.0)),
    "long": Pebble(3.0, 0.0),
    "left": Pebble(1.5, 1.0, (-40.0, 10.0, 0.7)),
}
POINTS = 250
BROKEN = ("empty", "mirrored", "wrong", "unreadable")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Build:
    folder = tmp_path_factory.mktemp("labels")
    images = {
        name: pebble.labels("left" if name == "left" else "right", with_cartilage=name in ("long", "left"))
        for name, pebble in FAMILY.items()
    }
    paths = [write(image, folder / f"{name}.nrrd") for name, image in images.items()]
    paths.append(write(nothing(), folder / "empty.nrrd"))
    paths.append(write(named_right(Pebble(0.0, 1.0).labels("left")), folder / "mirrored.nrrd"))
    paths.append(write(wrong_bone(), folder / "wrong.nrrd"))
    (folder / "unreadable.nrrd").write_text("no image")
    paths.append(folder / "unreadable.nrrd")
    cases = read_cases(paths, ["patella"], spacing_mm=1.5)["patella"]
    return build("patella", cases, ["geometry (public domain)"], POINTS)


def named_right(labels: sitk.Image) -> sitk.Image:
    return (labels == structure("patella", "left").label_value) * structure("patella", "right").label_value


def reason(made: Build, case: str) -> str:
    (report,) = (report for report in made.reports if report.case == case)
    return report.reason


def test_every_sound_case_is_used_and_no_broken_one(made):
    assert made.cases == tuple(FAMILY)
    assert [report.case for report in made.reports if not report.used] == list(BROKEN)


@pytest.mark.parametrize(
    "case, why",
    [
        ("empty", "holds no patella"),
        ("mirrored", "side may be labelled wrongly"),
        ("wrong", "unlike the others"),
        ("unreadable", "cannot be read"),
    ],
)
def test_the_report_says_why_a_broken_case_was_left_out(made, case, why):
    assert why in reason(made, case)


def test_points_lie_on_the_surface_of_each_case(made):
    for case, points in zip(made.cases, made.points):
        radius = np.linalg.norm(FAMILY[case].sphere_points(points), axis=1)
        assert np.abs(radius - 1).mean() * 15 < 0.3, case  # the semi-axes are 11 to 21 mm


def test_points_correspond_as_the_formula_says(made):
    mesh = sphere(48)
    surfaces = np.stack([FAMILY[case].placed(mesh.vertices) for case in made.cases])
    error = measure_correspondence_error(made.points, surfaces, made.cases.index(made.reference), mesh.triangles)
    assert error.mean_mm < 1.0
    assert error.across_mm < 0.3


def test_a_family_of_two_modes_has_two_modes(made):
    assert made.model.quality.compactness[1] > 0.93
    assert made.model.quality.generalisation_mm[1] < 0.5


def test_points_behind_the_patella_carry_cartilage_and_those_in_front_none(made):
    height = made.model.mean[:, 1]
    assert made.model.carries_cartilage[height > 5].all()
    assert not made.model.carries_cartilage[height < 0].any()


def test_the_model_says_where_it_comes_from(made):
    assert made.model.provenance.sources == ("geometry (public domain)",)
    assert made.model.provenance.cases == len(FAMILY)


def test_too_few_usable_cases_are_an_error_that_names_the_reasons(tmp_path: Path):
    paths = [write(Pebble().labels(), tmp_path / f"{name}.nrrd") for name in "ab"]
    paths.append(write(nothing(), tmp_path / "c.nrrd"))
    cases = read_cases(paths, ["patella"], spacing_mm=2.0)["patella"]
    with pytest.raises(InputError, match=r"at least 3 usable cases, not 2 \(c holds no patella\)"):
        build("patella", cases)
