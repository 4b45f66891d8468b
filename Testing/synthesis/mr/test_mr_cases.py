"""Whole synthetic MR cases: labels of the anatomy table, in their places in the patient, on either side."""

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.synthesis.mr.cases import synthesize_mr_case
from KneeSegLib.synthesis.mr.render import MrSynthesis
from KneeSegLib.synthesis.placement import Warp
from Testing.phantoms.mr_knees import cylinder_knee

UPRIGHT = MrSynthesis(warp=Warp((0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0)))


def middle_of(labels: sitk.Image, key: str) -> np.ndarray:
    """Mean position (x, y, z) of a structure in LPS mm."""
    where = np.argwhere(sitk.GetArrayViewFromImage(labels) == structure(key).label_value)
    return np.mean([labels.TransformIndexToPhysicalPoint([int(i) for i in place[::-1]]) for place in where], axis=0)


@pytest.mark.parametrize("side, lateral", [("right", -1.0), ("left", 1.0)])
def test_structures_lie_where_they_belong_in_the_patient(side, lateral):
    case = synthesize_mr_case(cylinder_knee(), 2.0, 4.0, side, synthesis=UPRIGHT)
    assert case.image.GetSize() == case.labels.GetSize()
    assert case.image.GetSpacing() == pytest.approx((2.0, 2.0, 4.0))
    middles = {
        key: middle_of(case.labels, f"{key}_{side}")
        for key in ("femur", "tibia", "patella", "fibula", "medial_meniscus", "lateral_meniscus")
    }
    assert middles["femur"][2] > 0 > middles["tibia"][2]
    assert middles["patella"][1] < middles["femur"][1] - 20.0
    assert lateral * (middles["fibula"][0] - middles["tibia"][0]) > 20.0
    assert lateral * middles["lateral_meniscus"][0] > 5.0 > -5.0 > lateral * middles["medial_meniscus"][0]


def test_the_same_seed_gives_the_same_case():
    first, second, other = (synthesize_mr_case(cylinder_knee(), 2.0, 8.0, seed=seed) for seed in (1, 1, 2))
    first, second, other = (sitk.GetArrayFromImage(case.image) for case in (first, second, other))
    assert np.array_equal(first, second) and not np.array_equal(first, other)
