"""The whole way from an MR of the knee to three bones, with a network that can read the phantom."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.assembly import assemble_case
from KneeSegLib.errors import InputError
from KneeSegLib.io.volume import Volume
from KneeSegLib.mr.optimisation import optimise_shape
from KneeSegLib.mr.settings import OPTIMISATION
from KneeSegLib.pipelines.choice import create_pipeline
from KneeSegLib.pipelines.mr_low_field import MrLowField, choose_method
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES
from Testing.phantoms.mr_images import GREYS, MrOracleModels, coarse_knee_mr

BONES = ("femur", "tibia", "patella")


def segmented(image, **options):
    request = Request("mr-low-field", device="cpu", **options)
    load = MrOracleModels(spacing_mm=1.0)
    volume = Volume(image, "MR", "knee", (), None)
    findings = MrLowField(PIPELINES["mr-low-field"], request, load).segment(volume)
    return assemble_case(volume, findings)


def dice(case, truth, name, side):
    value = structure(name, side).label_value
    found, wanted = (sitk.GetArrayViewFromImage(image) == value for image in (case.labels, truth))
    return 2.0 * np.count_nonzero(found & wanted) / (np.count_nonzero(found) + np.count_nonzero(wanted))


@pytest.fixture(scope="module", autouse=True)
def short_optimisation():
    """These networks know no shapes: nothing is gained by fitting them to the end."""
    with pytest.MonkeyPatch.context() as patch:
        quickly = partial(optimise_shape, settings=replace(OPTIMISATION, rounds=2))
        patch.setattr("KneeSegLib.mr.shape_fit.optimise_shape", quickly)
        yield


@pytest.fixture(scope="module")
def knee():
    return coarse_knee_mr()


@pytest.fixture(scope="module")
def case(knee):
    return segmented(knee.image, side="right")


def test_three_bones_are_labelled_and_nothing_else(knee, case):
    assert {found.structure.key for found in case.structures} == {f"{name}_right" for name in BONES}
    assert all(dice(case, knee.truth, name, "right") > 0.95 for name in BONES)
    assert case.provenance["edge"] == "marrow"


def test_the_fibula_is_no_bone_of_the_three(knee, case):
    fibula = sitk.GetArrayViewFromImage(knee.truth) == structure("fibula", "right").label_value
    assert fibula.any() and not sitk.GetArrayViewFromImage(case.labels)[fibula].any()


def test_a_left_knee_gets_left_labels():
    left = coarse_knee_mr("left")
    case = segmented(left.image, side="left", quality="fast")
    assert all(dice(case, left.truth, name, "left") > 0.95 for name in BONES)


def test_the_cortex_lies_outside_the_marrow(knee, case):
    outer = segmented(knee.image, side="right", edge="cortex", quality="fast")
    assert outer.provenance["edge"] == "cortex"
    inner_volume, outer_volume = (sum(found.volume_mm3 for found in each.structures) for each in (case, outer))
    assert outer_volume > inner_volume + 300.0


def test_closing_fills_what_a_ball_does_not_enter(knee):
    image = sitk.GetArrayFromImage(knee.image)
    femur = np.argwhere(sitk.GetArrayViewFromImage(knee.truth) == structure("femur", "right").label_value)
    slices, row = np.median(femur, axis=0).astype(int)[:2]
    slot = image[:slices, row : row + 2]
    slot[slot == GREYS["femur"]] = 0
    cut = sitk.GetImageFromArray(image)
    cut.CopyInformation(knee.image)
    volumes = [
        next(
            found.volume_mm3
            for found in segmented(cut, side="right", quality="fast", closing_mm=radius_mm).structures
            if found.structure.key == "femur_right"
        )
        for radius_mm in (0.0, 3.2)
    ]
    assert volumes[1] > volumes[0] + 500.0


def test_a_knee_without_a_patella_is_labelled_and_that_is_said(knee):
    truth = sitk.GetArrayViewFromImage(knee.truth)
    image = sitk.GetArrayFromImage(knee.image)
    image[truth == structure("patella", "right").label_value] = 0
    bare = sitk.GetImageFromArray(image)
    bare.CopyInformation(knee.image)
    case = segmented(bare, side="right", quality="fast")
    assert "The right patella was not found: check the image." in case.warnings


def test_the_quality_decides_how_much_is_looked_at():
    fast, standard, high = (choose_method(Request("mr-low-field", quality=q)) for q in ("fast", "standard", "high"))
    assert len(fast.views) == 1 and len(standard.views) == len(high.views) == 3
    assert (fast.cubes, standard.cubes, high.cubes) == (False, False, True)
    assert choose_method(Request("mr-low-field", closing_mm=0.0)) == replace(standard, closing_mm=0.0)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("edge", "skin", "There is no edge 'skin'; choose one of cortex, half-maximum, marrow"),
        ("view_fusion", "xor", "There is no fusion of views 'xor'; choose one of mean, majority, or, and"),
        ("cube_merging", "and", "There is no merging of cubes 'and'; choose one of mean, or"),
        ("closing_mm", 30.0, "A closing with a ball of 30 mm was asked for, expected a radius of 0"),
        ("closing_mm", float("nan"), "A closing with a ball of nan mm"),
    ],
)
def test_options_that_nobody_knows_are_refused(option, value, sentence):
    with pytest.raises(InputError, match=sentence):
        Request("mr-low-field", **{option: value})


def test_one_view_has_nothing_to_be_fused_with():
    with pytest.raises(InputError, match="by 'or' was asked for together with the quality fast, which"):
        Request("mr-low-field", quality="fast", view_fusion="or")
    assert choose_method(Request("mr-low-field", quality="fast", cube_merging="or")).merging == "or"


@pytest.mark.parametrize(("option", "value"), [("closing_mm", 2.0), ("view_fusion", "or")])
def test_options_of_low_field_are_refused_elsewhere(option, value):
    with pytest.raises(InputError, match=f"{option.replace('_', ' ')} {value} was asked for.*choose mr-low-field"):
        create_pipeline(PIPELINES["mr-knee"], Request("mr-knee", **{option: value}))
