"""Limits of quality control against what bones do: what good ones show passes, what is plainly wrong is flagged."""

from __future__ import annotations

import dataclasses

import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.quality import KNEE_MR_LIMITS, QualityFeatures, QualityLimits, assess_quality
from KneeSegLib.quality.outlines import measure_outline_steps
from Testing.phantoms.shafts import shaft

TIBIA = structure("tibia_right")
PART = QualityFeatures(volume_cm3=140.0, extent_mm=(90.0, 60.0, 80.0), border_mm2={"lower": 700.0})


def reasons(**features) -> tuple[str, ...]:
    return assess_quality(TIBIA, dataclasses.replace(PART, **features)).reasons


@pytest.mark.parametrize("slice_mm", [0.6, 1.0, 1.25])
@pytest.mark.parametrize(("moved_mm", "flagged"), [(0.0, False), (1.5, False), (3.0, True)])
def test_a_patient_who_moved_by_3_mm_between_two_slices_is_flagged(moved_mm, flagged, slice_mm):
    torn = shaft(round(60 / slice_mm), slice_mm=slice_mm, jump_mm=moved_mm)
    steps = measure_outline_steps(torn, (slice_mm, 1.0, 1.0))
    assert any("jumps" in reason for reason in reasons(jump_mm=steps.jump_mm, sway_mm=steps.sway_mm)) == flagged


@pytest.mark.parametrize(
    ("feature", "good", "wrong"),
    [
        ("uncertain_band_mm", 0.8, 1.5),
        ("disputed_fraction", 0.3, 0.9),
        ("refined_mm", 0.4, 0.9),
        ("side_certainty", 0.4, 0.2),
        ("localiser_agreement", 0.8, 0.4),
        ("cleaned_fraction", 0.1, 0.4),
        ("contact_fraction", 1 / 6, 0.3),
        ("uncertain_contact_mm2", 140.0, 700.0),
        ("edgeless_fraction", 0.15, 0.4),
        ("air_fraction", 0.02, 0.12),
        ("blank_fraction", 0.02, 0.06),
        ("continuing_fraction", 0.4, 0.9),
        ("unlabelled_cm3", 0.25, 0.7),
        ("noise_hu", 150.0, 400.0),
        ("soft_tissue_hu", -100.0, -500.0),  # fat; fat shifted by 400
        ("soft_tissue_hu", 60.0, 340.0),  # muscle; bone-like values all around
        ("jump_mm", 0.9, 1.5),
        ("sway_mm", 0.2, 0.4),
        ("metal_cm3", 0.0, 0.06),  # a wire of 2 mm, 20 mm of it
        ("shape_residual_mm", 1.0, 4.0),
    ],
)
def test_a_limit_lies_between_what_good_bones_show_and_what_is_wrong(feature, good, wrong):
    assert reasons(**{feature: good}) == ()
    assert len(reasons(**{feature: wrong})) == 1


def test_slices_of_2_mm_are_named_as_a_limit_of_the_scan():
    assert assess_quality(TIBIA, dataclasses.replace(PART, slice_mm=1.25)).level == "good"
    assert assess_quality(TIBIA, dataclasses.replace(PART, slice_mm=2.0)).level == "limited"


def test_the_uncertain_band_may_be_narrowest_in_cartilage_and_widest_in_bone_in_mr():
    band_mm = {kind: limits.uncertain_band_mm for kind, limits in KNEE_MR_LIMITS.items()}
    assert 0.62 < band_mm["cartilage"] < band_mm["meniscus"] < band_mm["bone"]
    assert 0.6 < KNEE_MR_LIMITS["bone"].shape_residual_mm < QualityLimits().shape_residual_mm
