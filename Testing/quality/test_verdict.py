"""From signs to a level and its sentences."""

from __future__ import annotations

import dataclasses
import json

import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.io.strict_json import strict
from KneeSegLib.quality import Signs, Thresholds, verdict_on, warning_of

FEMUR, PATELLA = structure("femur_right"), structure("patella_left")
GOOD = Signs(
    volume_cm3=140.0,
    extent_mm=(90.0, 60.0, 80.0),
    border_mm2={"upper": 700.0},
    slice_mm=0.6,
    doubtful_band_mm=0.6,
    disputed_share=0.1,
    refined_mm=0.1,
    localiser_agreement=0.97,
    localiser_certainty=0.8,
    side_certainty=0.7,
    cleaned_share=0.001,
    contact_share=0.02,
    edge_hu=500.0,
    edgeless_share=0.05,
    air_share=0.0,
    blank_share=0.0,
    noise_hu=40.0,
    soft_tissue_hu=30.0,
    ceiling_hu=1023.0,
    jump_mm=0.3,
    sway_mm=0.05,
)
LIMIT = Thresholds()

ONE_AT_A_TIME = {
    "doubtful_band_mm": (LIMIT.doubtful_band_mm, "unsure of its edge, over a band of"),
    "disputed_share": (LIMIT.disputed_share, "networks disagree"),
    "refined_mm": (LIMIT.refined_mm, "second look"),
    "cleaned_share": (LIMIT.cleaned_share, "removed or renamed"),
    "contact_share": (LIMIT.contact_share, "runs into another bone"),
    "edgeless_share": (LIMIT.edgeless_share, "no edge of bone"),
    "air_share": (LIMIT.air_share, "borders on air"),
    "blank_share": (LIMIT.blank_share, "blank"),
    "going_on_share": (LIMIT.going_on_share, "goes on"),
    "noise_hu": (LIMIT.noise_hu, "noisy"),
    "jump_mm": (LIMIT.jump_mm, "jumps by"),
    "sway_mm": (LIMIT.sway_mm, "sways"),
    "metal_cm3": (LIMIT.metal_cm3, "metal"),
}


def with_(**changes: object) -> Signs:
    return dataclasses.replace(GOOD, **changes)


def test_a_good_bone_is_good_and_its_cut_shaft_is_but_a_note():
    verdict = verdict_on(FEMUR, GOOD)
    assert verdict.level == "good" and verdict.name == "Good"
    assert verdict.sentences == ()
    assert verdict.notes == ("It goes on beyond the upper border of the scan.",)
    assert warning_of(FEMUR, verdict) is None


@pytest.mark.parametrize("name", ONE_AT_A_TIME)
def test_each_sign_alone_is_one_reason_beyond_its_threshold_and_none_below(name):
    limit, words = ONE_AT_A_TIME[name]
    verdict = verdict_on(FEMUR, with_(**{name: 1.05 * limit}))
    assert verdict.level == "check"
    assert len(verdict.reasons) == 1 and words in verdict.reasons[0]
    assert verdict_on(FEMUR, with_(**{name: 0.95 * limit})).level == "good"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side_certainty": 0.1}, "right or a left"),
        ({"pieces": 2}, "2 pieces"),
        ({"localiser_agreement": 0.4}, "by only 40%"),
        ({"localiser_agreement": 0.0, "localiser_certainty": 0.0}, "did not see this bone"),
        ({"volume_cm3": 1500.0}, "1500 cm3"),
        ({"soft_tissue_hu": 340.0}, "340 HU"),
        ({"soft_tissue_hu": -900.0}, "-900 HU"),
    ],
)
def test_signs_that_have_to_be_large_or_possible(changes, words):
    verdict = verdict_on(FEMUR, with_(**changes))
    assert len(verdict.reasons) == 1 and words in verdict.reasons[0]


def test_only_a_long_bone_goes_on_where_its_label_ends():
    going_on = with_(going_on_share=0.9, volume_cm3=15.0, extent_mm=(40.0, 40.0, 25.0))
    assert not any("goes on:" in sentence for sentence in verdict_on(PATELLA, going_on).reasons)


def test_signs_that_could_not_be_measured_raise_no_flag():
    assert verdict_on(FEMUR, Signs(volume_cm3=140.0, extent_mm=(90.0, 60.0, 80.0))).level == "good"


def test_thick_slices_and_cut_bones_are_limits_of_the_scan():
    verdict = verdict_on(PATELLA, with_(volume_cm3=9.0, extent_mm=(30.0, 20.0, 30.0), slice_mm=3.0))
    assert verdict.level == "limited" and verdict.name == "Limited by the scan"
    assert verdict.reasons == () and warning_of(PATELLA, verdict) is None
    assert [sentence.split(":")[0] for sentence in verdict.limits] == [
        "The slices lie 3.0 mm apart",
        "It is cut by the upper border of the scan",
    ]


def test_values_that_end_below_those_of_cortex_are_a_limit_of_the_scan():
    verdict = verdict_on(FEMUR, with_(ceiling_hu=400.0))
    assert verdict.level == "limited" and "end at 400 HU" in verdict.limits[0]
    assert verdict_on(FEMUR, with_(ceiling_hu=1023.0)).level == "good"


def test_a_long_bone_cut_at_its_side_is_limited_and_a_grazing_contact_is_not():
    assert verdict_on(FEMUR, with_(border_mm2={"left-hand": 300.0})).level == "limited"
    assert verdict_on(FEMUR, with_(border_mm2={"left-hand": 5.0})).level == "good"


def test_a_bone_that_ends_where_the_image_does_is_cut_there():
    """As by the round field of a cone beam, whose volume goes on beyond it, blank."""
    shaft = verdict_on(FEMUR, with_(border_mm2={}, air_share=0.02))
    assert (shaft.level, shaft.notes) == ("good", ("Over 2% of its surface it ends where the image does.",))
    size = {"volume_cm3": 9.0, "extent_mm": (40.0, 20.0, 30.0), "border_mm2": {}}
    assert verdict_on(PATELLA, with_(**size, blank_share=0.02)).limits == (
        "Over 2% of its surface it ends where the image does: the rest of it is missing.",
    )
    assert verdict_on(PATELLA, with_(**size, air_share=0.002)).level == "good"
    assert verdict_on(PATELLA, with_(**size, air_share=1.05 * LIMIT.air_share)).limits == ()  # said as a reason


def test_a_bone_is_not_called_too_small_where_the_image_ends_before_it():
    small = {"volume_cm3": 30.0, "extent_mm": (50.0, 40.0, 40.0), "border_mm2": {}, "whole": True}
    assert verdict_on(FEMUR, with_(**small)).level == "check"
    assert verdict_on(FEMUR, with_(**small, air_share=0.02)).level == "good"


def test_the_warning_names_the_structure_and_every_reason():
    verdict = verdict_on(PATELLA, with_(border_mm2={}, volume_cm3=9.0, extent_mm=(40.0, 20.0, 30.0), jump_mm=4.0))
    assert warning_of(PATELLA, verdict) == (
        "Check the left patella. Its outline jumps by 4.0 mm: the patient moved, or slices are missing."
    )


def test_other_thresholds_give_other_verdicts():
    assert verdict_on(FEMUR, GOOD, Thresholds(doubtful_band_mm=0.5)).level == "check"


def test_a_verdict_is_strict_json_with_every_sign():
    record = json.loads(json.dumps(strict(verdict_on(FEMUR, with_(jump_mm=float("nan")))), allow_nan=False))
    assert list(record) == ["level", "reasons", "limits", "notes", "signs"]
    assert set(record["signs"]) == {field.name for field in dataclasses.fields(Signs)}
    assert record["signs"]["jump_mm"] is None
    assert record["signs"]["border_mm2"] == {"upper": 700.0}


def test_every_sentence_ends():
    worst = {name: 10.0 * limit for name, (limit, _) in ONE_AT_A_TIME.items()}
    worst |= {"side_certainty": 0.0, "localiser_agreement": 0.1, "volume_cm3": 9000.0, "slice_mm": 5.0}
    worst |= {"soft_tissue_hu": 400.0, "ceiling_hu": 500.0}
    verdict = verdict_on(FEMUR, with_(**worst))
    assert len(verdict.reasons) == len(ONE_AT_A_TIME) + 4
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in verdict.sentences + verdict.notes)
