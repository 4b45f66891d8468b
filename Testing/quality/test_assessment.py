"""From quality features to a level and its sentences."""

from __future__ import annotations

import dataclasses
import json

import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.quality import QualityFeatures, QualityLimits, assess_quality, describe_flag

FEMUR, PATELLA = structure("femur_right"), structure("patella_left")
GOOD = QualityFeatures(
    volume_cm3=140.0,
    extent_mm=(90.0, 60.0, 80.0),
    border_mm2={"upper": 700.0},
    slice_mm=0.6,
    uncertain_band_mm=0.6,
    disputed_fraction=0.1,
    refined_mm=0.1,
    localiser_agreement=0.97,
    localiser_certainty=0.8,
    side_certainty=0.7,
    cleaned_fraction=0.001,
    contact_fraction=0.02,
    edge_hu=500.0,
    edgeless_fraction=0.05,
    air_fraction=0.0,
    blank_fraction=0.0,
    unlabelled_cm3=0.05,
    noise_hu=40.0,
    soft_tissue_hu=30.0,
    ceiling_hu=1023.0,
    jump_mm=0.3,
    sway_mm=0.05,
)
LIMIT = QualityLimits()

ONE_AT_A_TIME = {
    "uncertain_band_mm": (LIMIT.uncertain_band_mm, "uncertain of its edge, over a band of"),
    "disputed_fraction": (LIMIT.disputed_fraction, "networks disagree"),
    "refined_mm": (LIMIT.refined_mm, "refinement moved"),
    "cleaned_fraction": (LIMIT.cleaned_fraction, "removed or relabelled"),
    "contact_fraction": (LIMIT.contact_fraction, "runs into another bone"),
    "uncertain_contact_mm2": (LIMIT.uncertain_contact_mm2, "the joint may be closed"),
    "edgeless_fraction": (LIMIT.edgeless_fraction, "no edge of bone"),
    "air_fraction": (LIMIT.air_fraction, "borders on air"),
    "blank_fraction": (LIMIT.blank_fraction, "blank"),
    "continuing_fraction": (LIMIT.continuing_fraction, "goes on"),
    "unlabelled_cm3": (LIMIT.unlabelled_cm3, "have no label"),
    "noise_hu": (LIMIT.noise_hu, "noisy"),
    "jump_mm": (LIMIT.jump_mm, "jumps by"),
    "sway_mm": (LIMIT.sway_mm, "sways"),
    "metal_cm3": (LIMIT.metal_cm3, "metal"),
}


def with_(**changes: object) -> QualityFeatures:
    return dataclasses.replace(GOOD, **changes)


def test_a_good_bone_is_good_and_its_cut_shaft_is_but_a_note():
    result = assess_quality(FEMUR, GOOD)
    assert result.level == "good" and result.name == "Good"
    assert result.sentences == ()
    assert result.notes == ("It goes on beyond the upper border of the scan.",)
    assert describe_flag(FEMUR, result) is None


@pytest.mark.parametrize("name", ONE_AT_A_TIME)
def test_each_feature_alone_is_one_reason_beyond_its_limit_and_none_below(name):
    limit, words = ONE_AT_A_TIME[name]
    result = assess_quality(FEMUR, with_(**{name: 1.05 * limit}))
    assert result.level == "check"
    assert len(result.reasons) == 1 and words in result.reasons[0]
    assert assess_quality(FEMUR, with_(**{name: 0.95 * limit})).level == "good"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side_certainty": 0.1}, "right or a left"),
        ({"components": 2}, "2 components"),
        ({"localiser_agreement": 0.4}, "by only 40%"),
        ({"localiser_agreement": 0.0, "localiser_certainty": 0.0}, "did not find this bone"),
        ({"volume_cm3": 1500.0}, "1500 cm3"),
        ({"soft_tissue_hu": 340.0}, "340 HU"),
        ({"soft_tissue_hu": -900.0}, "-900 HU"),
    ],
)
def test_features_that_have_to_be_large_or_possible(changes, words):
    result = assess_quality(FEMUR, with_(**changes))
    assert len(result.reasons) == 1 and words in result.reasons[0]


def test_only_a_long_bone_goes_on_where_its_label_ends():
    going_on = with_(continuing_fraction=0.9, volume_cm3=15.0, extent_mm=(40.0, 40.0, 25.0))
    assert not any("goes on:" in sentence for sentence in assess_quality(PATELLA, going_on).reasons)


def test_features_that_could_not_be_measured_raise_no_flag():
    assert assess_quality(FEMUR, QualityFeatures(volume_cm3=140.0, extent_mm=(90.0, 60.0, 80.0))).level == "good"


def test_thick_slices_and_cut_bones_are_limits_of_the_scan():
    result = assess_quality(PATELLA, with_(volume_cm3=9.0, extent_mm=(30.0, 20.0, 30.0), slice_mm=3.0))
    assert result.level == "limited" and result.name == "Limited by the scan"
    assert result.reasons == () and describe_flag(PATELLA, result) is None
    assert [sentence.split(":")[0] for sentence in result.limits] == [
        "The slices lie 3.0 mm apart",
        "It is cut by the upper border of the scan",
    ]


def test_values_that_end_below_those_of_cortex_are_a_limit_of_the_scan():
    result = assess_quality(FEMUR, with_(ceiling_hu=400.0))
    assert result.level == "limited" and "end at 400 HU" in result.limits[0]
    assert assess_quality(FEMUR, with_(ceiling_hu=1023.0)).level == "good"


def test_a_long_bone_cut_at_its_side_is_limited_and_a_grazing_contact_is_not():
    assert assess_quality(FEMUR, with_(border_mm2={"left-hand": 300.0})).level == "limited"
    assert assess_quality(FEMUR, with_(border_mm2={"left-hand": 5.0})).level == "good"


def test_a_bone_that_ends_where_the_image_does_is_cut_there():
    """As by the round field of a cone beam, whose volume goes on beyond it, blank."""
    shaft = assess_quality(FEMUR, with_(border_mm2={}, air_fraction=0.02))
    assert (shaft.level, shaft.notes) == ("good", ("Over 2% of its surface it ends where the image does.",))
    size = {"volume_cm3": 9.0, "extent_mm": (40.0, 20.0, 30.0), "border_mm2": {}}
    assert assess_quality(PATELLA, with_(**size, blank_fraction=0.02)).limits == (
        "Over 2% of its surface it ends where the image does: the rest of it is missing.",
    )
    assert assess_quality(PATELLA, with_(**size, air_fraction=0.002)).level == "good"
    assert (
        assess_quality(PATELLA, with_(**size, air_fraction=1.05 * LIMIT.air_fraction)).limits == ()
    )  # said as a reason


def test_a_bone_is_not_called_too_small_where_the_image_ends_before_it():
    small = {"volume_cm3": 30.0, "extent_mm": (50.0, 40.0, 40.0), "border_mm2": {}, "whole": True}
    assert assess_quality(FEMUR, with_(**small)).level == "check"
    assert assess_quality(FEMUR, with_(**small, air_fraction=0.02)).level == "good"


def test_the_warning_names_the_structure_and_every_reason():
    result = assess_quality(PATELLA, with_(border_mm2={}, volume_cm3=9.0, extent_mm=(40.0, 20.0, 30.0), jump_mm=4.0))
    assert describe_flag(PATELLA, result) == (
        "Check the left patella. Its outline jumps by 4.0 mm: the patient moved, or slices are missing."
    )


def test_other_limits_give_other_results():
    assert assess_quality(FEMUR, GOOD, QualityLimits(uncertain_band_mm=0.5)).level == "check"


def test_a_result_is_strict_json_with_every_feature():
    record = json.loads(json.dumps(as_strict_json(assess_quality(FEMUR, with_(jump_mm=float("nan")))), allow_nan=False))
    assert list(record) == ["level", "reasons", "limits", "notes", "features"]
    assert set(record["features"]) == {field.name for field in dataclasses.fields(QualityFeatures)}
    assert record["features"]["jump_mm"] is None
    assert record["features"]["border_mm2"] == {"upper": 700.0}


def test_every_sentence_ends():
    worst = {name: 10.0 * limit for name, (limit, _) in ONE_AT_A_TIME.items()}
    worst |= {"side_certainty": 0.0, "localiser_agreement": 0.1, "volume_cm3": 9000.0, "slice_mm": 5.0}
    worst |= {"soft_tissue_hu": 400.0, "ceiling_hu": 500.0}
    result = assess_quality(FEMUR, with_(**worst))
    assert len(result.reasons) == len(ONE_AT_A_TIME) + 3  # of the two on touching another bone one is said
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in result.sentences + result.notes)
