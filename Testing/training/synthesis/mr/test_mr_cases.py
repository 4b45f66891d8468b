"""Whole synthetic MR cases: labels of the anatomy table, in their places in the patient, on either side."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.training.synthesis.mr.cases import MrSeries, locate_in_case, synthesize_mr_case
from KneeSegLib.training.synthesis.mr.settings import Disease, MrSynthesis
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.settings import Warp
from Testing.phantoms.mr_knees import cylinder_knee
from Testing.phantoms.mr_landmarks import cylinder_landmarks

UPRIGHT = MrSynthesis(warp=Warp((0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0)))


def middle_of(labels: sitk.Image, key: str) -> np.ndarray:
    """Mean position (x, y, z) of a structure in LPS mm."""
    where = np.argwhere(sitk.GetArrayViewFromImage(labels) == structure(key).label_value)
    return np.mean([labels.TransformIndexToPhysicalPoint([int(i) for i in place[::-1]]) for place in where], axis=0)


@pytest.mark.parametrize("side, lateral", [("right", -1.0), ("left", 1.0)])
def test_structures_lie_where_they_belong_in_the_patient(side, lateral):
    case = synthesize_mr_case(cylinder_knee(), MrSeries(2.0, 4.0, side, synthesis=UPRIGHT))
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
    first, second, other = (synthesize_mr_case(cylinder_knee(), MrSeries(2.0, 8.0, seed=seed)) for seed in (1, 1, 2))
    first, second, other = (sitk.GetArrayFromImage(case.image) for case in (first, second, other))
    assert np.array_equal(first, second) and not np.array_equal(first, other)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("slice_spacing_mm", [1.0, 3.0])
def test_landmarks_are_found_on_the_bones_of_a_bent_knee(side, slice_spacing_mm):
    bent = replace(MrSynthesis(), gentle_probability=0.0, disease=replace(Disease(), osteophyte_probability=0.0))
    series = MrSeries(1.0, slice_spacing_mm, side, 3, bent)
    case, places = synthesize_mr_case(cylinder_knee(), series), locate_in_case(cylinder_landmarks("tibia"), series)
    tibia = case.labels == structure("tibia", side).label_value
    distance = sitk.SignedMaurerDistanceMap(tibia, squaredDistance=False, useImageSpacing=True)
    in_view = [distance.TransformPhysicalPointToIndex(place) for place in places.tolist()]
    in_view = [i for i in in_view if all(1 < k < size - 2 for k, size in zip(i, distance.GetSize()))]
    assert len(in_view) > 60
    assert np.mean([abs(distance[index]) for index in in_view]) < 0.6 + 0.15 * slice_spacing_mm


def test_bones_that_end_at_the_marrow_are_smaller_and_nothing_else_changes():
    series = MrSeries(1.0, 2.0, synthesis=UPRIGHT, seed=3)
    outer, inner = (synthesize_mr_case(cylinder_knee(), replace(series, edge=edge)) for edge in ("cortex", "marrow"))
    assert np.array_equal(*(sitk.GetArrayViewFromImage(case.image) for case in (outer, inner)))
    outer, inner = (sitk.GetArrayFromImage(case.labels) for case in (outer, inner))
    changed = outer != inner
    bones = [structure(name, "right").label_value for name in BONES]
    assert 0 < np.count_nonzero(changed) < 0.3 * np.count_nonzero(np.isin(outer, bones))
    assert np.isin(outer[changed], bones).mean() > 0.97 and not np.isin(inner[changed], bones).any()
