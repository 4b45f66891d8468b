"""Which part of a bone lies at which joint, on legs of bars."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.evaluation.compare.agreement import PartAgreement, measure_parts
from KneeSegLib.evaluation.compare.joint_parts import find_joint_parts
from KneeSegLib.measurements.metrics import compare_masks

SLICE_MM = 10.0
SLICES = 100


def leg(**bounds: tuple[int, int]) -> np.ndarray:
    """Bars of 4 x 4 voxels, each over some slices, one beside the other."""
    labels = np.zeros((SLICES, 6, 30), np.uint8)
    for place, (tissue, (start, stop)) in enumerate(bounds.items()):
        labels[start:stop, 1:5, 4 * place + 1 : 4 * place + 4] = structure(tissue, "right").label_value
    return labels


def parts_of(tissue: str, **bounds: tuple[int, int]) -> dict[str, tuple[int, int]]:
    return dict(find_joint_parts(leg(**bounds), SLICE_MM)[structure(tissue, "right")])


WHOLE_LEG = {"hip_bone": (90, 99), "femur": (50, 92), "patella": (50, 54), "tibia": (12, 48), "talus": (8, 11)}


def test_long_bones_of_a_whole_leg_are_parted_half_way_between_their_joints():
    assert parts_of("femur", **WHOLE_LEG) == {"hip": (71, 92), "knee": (50, 71)}
    assert parts_of("tibia", **WHOLE_LEG) == {"knee": (30, 48), "ankle": (12, 30)}
    assert parts_of("patella", **WHOLE_LEG) == {"knee": (50, 54)}
    assert parts_of("hip_bone", **WHOLE_LEG) == {"hip": (90, 99)}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"femur": (40, 60), "tibia": (20, 38)}, {"knee": (40, 60)}),  # a reference that ends before the scan
        ({"femur": (60, 100), "tibia": (0, 58)}, {"knee": (60, 100)}),  # a knee scan with long shafts
        ({"hip_bone": (80, 95), "femur": (60, 90)}, {"hip": (60, 90), "knee": None}),
        ({"femur": (85, 100)}, {"knee": (85, 100)}),  # alone, cut above
        ({"femur": (0, 15)}, {"hip": (0, 15)}),  # alone, cut below
        ({"femur": (0, 100)}, {}),  # neither end is in view
        ({"femur": (20, 35)}, {}),  # a piece that could be of either joint
    ],
)
def test_what_is_in_view_decides(bounds, expected):
    if expected.get("knee", ()) is None:  # 300 mm that end within the scan: a whole bone
        expected = {"hip": (75, 90), "knee": (60, 75)}
    assert parts_of("femur", **bounds) == expected


def test_cartilage_is_at_the_knee():
    assert parts_of("femoral_cartilage", femoral_cartilage=(40, 45)) == {"knee": (40, 45)}


def image_of(labels: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((1.0, 1.0, SLICE_MM))
    return image


def test_an_error_at_the_hip_is_not_one_at_the_knee():
    wrong = leg(**WHOLE_LEG)
    femur = structure("femur", "right")
    at_hip = wrong[80:90] == femur.label_value
    wrong[80:90][at_hip] = 0
    wrong[94:96, 1:5, 25] = femur.label_value  # beyond the reference's upper end: the hip's
    measured = {(entry.agreement.structure.key, entry.part): entry.agreement
                for entry in measure_parts(image_of(leg(**WHOLE_LEG)), image_of(wrong))}  # fmt: skip
    knee, hip, whole = (measured["femur_right", part] for part in ("knee", "hip", "whole"))
    assert knee.metrics["dice"] == 1.0
    assert hip.metrics["recall"] == pytest.approx(11 / 21)
    assert whole.metrics["recall"] == pytest.approx(32 / 42)
    assert hip.metrics["precision"] == pytest.approx(11 * 12 / (11 * 12 + 8))
    cut = [(labels == femur.label_value)[71:] for labels in (leg(**WHOLE_LEG), wrong)]
    assert hip.metrics == compare_masks(*cut, (SLICE_MM, 1.0, 1.0))
    assert measured["tibia_right", "ankle"].reference_mm3 == 18 * 12 * SLICE_MM


def test_the_order_of_a_scans_axes_does_not_matter():
    reference, wrong = leg(**WHOLE_LEG), leg(**WHOLE_LEG)
    wrong[80:90] = 0
    straight = measure_parts(image_of(reference), image_of(wrong))
    turned = [sitk.DICOMOrient(image_of(labels), "SAR") for labels in (reference, wrong)]
    for one, other in zip(straight, measure_parts(*turned), strict=True):
        assert (one.part, one.agreement.structure) == (other.part, other.agreement.structure)
        assert one.agreement.metrics == pytest.approx(other.agreement.metrics, nan_ok=True)


def test_undefined_figures_survive_a_record():
    reference, nothing = leg(femur=(40, 60)), leg(tibia=(0, 20))
    for entry in measure_parts(image_of(reference), image_of(nothing)):
        again = PartAgreement.of_record(entry.as_record())
        assert math.isnan(again.agreement.metrics["assd_mm"])
        assert repr(again) == repr(entry)
