"""The metrics against MedPy, the surface-distance package, SimpleITK and shapes with a known answer."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import SimpleITK as sitk
from medpy.metric import binary as medpy
from scipy import ndimage

from KneeSegLib.measurements.metrics import METRICS, compare_masks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it reaches for SciPy modules under their former names
    import surface_distance

SHAPE = (36, 40, 44)


def ball(
    radius_mm: float, spacing_mm: tuple[float, float, float], shift_voxels: tuple[int, int, int] = (0, 0, 0)
) -> np.ndarray:
    squares = 0.0
    for axis, (size, spacing, shift) in enumerate(zip(SHAPE, spacing_mm, shift_voxels, strict=True)):
        line = ((np.arange(size) - size // 2 - shift) * spacing) ** 2
        squares = squares + line.reshape([-1 if other == axis else 1 for other in range(3)])
    return squares <= radius_mm**2


def cut_by_the_border() -> tuple[np.ndarray, np.ndarray]:
    reference, prediction = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    reference[:20, 10:30, 12:] = True
    prediction[:22, 11:30, 13:] = True
    return reference, prediction


def rough_balls() -> tuple[np.ndarray, np.ndarray]:
    """Two shapes with noise on them: their surfaces hold every kind of surface element."""
    noise = np.random.default_rng(5).random((2, *SHAPE))
    return ball(12, (1, 1, 1)) & (noise[0] > 0.1), ball(13, (1, 1, 1), (1, 0, 2)) & (noise[1] > 0.1)


PAIRS = {
    "identical": (ball(12, (1, 1, 1)), ball(12, (1, 1, 1)), (1.0, 1.0, 1.0)),
    "shifted by one voxel": (ball(12, (1, 1, 1)), ball(12, (1, 1, 1), (0, 0, 1)), (1.0, 1.0, 1.0)),
    "concentric": (ball(10, (1, 1, 1)), ball(14, (1, 1, 1)), (1.0, 1.0, 1.0)),
    "anisotropic": (ball(9, (1.5, 0.6, 0.5)), ball(9, (1.5, 0.6, 0.5), (1, -2, 1)), (1.5, 0.6, 0.5)),
    "cut by the border": (*cut_by_the_border(), (0.8, 0.5, 0.7)),
    "far apart": (ball(4, (1, 1, 1), (-12, -12, -12)), ball(4, (1, 1, 1), (12, 12, 12)), (2.0, 1.0, 1.0)),
    "rough": (*rough_balls(), (1.0, 0.4, 0.4)),
}


@pytest.fixture(params=PAIRS.values(), ids=PAIRS.keys())
def pair(request):
    return request.param


def test_overlap_is_that_of_medpy(pair):
    reference, prediction, spacing_mm = pair
    ours = compare_masks(reference, prediction, spacing_mm)
    assert ours["dice"] == pytest.approx(medpy.dc(prediction, reference))
    assert ours["jaccard"] == pytest.approx(medpy.jc(prediction, reference))
    assert ours["precision"] == pytest.approx(medpy.precision(prediction, reference))
    assert ours["recall"] == pytest.approx(medpy.recall(prediction, reference))


def test_volume_similarity_is_that_of_simpleitk(pair):
    reference, prediction, spacing_mm = pair
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (reference, prediction)))
    expected = 1 - abs(measures.GetVolumeSimilarity()) / 2  # it reports 2 (|A| - |B|) / (|A| + |B|), signed
    assert compare_masks(reference, prediction, spacing_mm)["volume_similarity"] == pytest.approx(expected)


def test_surface_dice_are_those_of_the_surface_distance_package(pair):
    reference, prediction, spacing_mm = pair
    # it cuts off surfaces at the array's border, as its own comment says: give it room
    padded = [np.pad(mask, 2) for mask in (reference, prediction)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distances = surface_distance.compute_surface_distances(*padded, spacing_mm)
    ours = compare_masks(reference, prediction, spacing_mm)
    for key, tolerance_mm in (("nsd_0.5mm", 0.5), ("nsd_1mm", 1.0)):
        expected = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm)
        assert ours[key] == pytest.approx(expected, abs=1e-6)


def test_average_hausdorff_distance_is_that_of_simpleitk(pair):
    reference, prediction, spacing_mm = pair
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (reference, prediction)]
    for image in images:
        image.SetSpacing(spacing_mm[::-1])
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    ours = compare_masks(reference, prediction, spacing_mm)["ahd_mm"]
    assert ours == pytest.approx(hausdorff.GetAverageHausdorffDistance(), abs=1e-5)


def test_surface_distances_are_those_of_medpy(pair):
    reference, prediction, spacing_mm = pair
    ours = compare_masks(reference, prediction, spacing_mm)
    assert ours["hd_mm"] == pytest.approx(medpy.hd(prediction, reference, spacing_mm), abs=1e-5)
    directed = [medpy.asd(prediction, reference, spacing_mm), medpy.asd(reference, prediction, spacing_mm)]
    weights = [np.count_nonzero(mask & ~ndimage.binary_erosion(mask)) for mask in (prediction, reference)]
    assert ours["assd_mm"] == pytest.approx(np.average(directed, weights=weights), abs=1e-5)


def test_identical_masks_agree_perfectly():
    mask = ball(11, (1.2, 0.5, 0.5))
    values = compare_masks(mask, mask, (1.2, 0.5, 0.5))
    perfect = {
        metric.key: 0.0 if metric.key in ("assd_mm", "hd_mm", "hd95_mm", "ahd_mm") else 1.0 for metric in METRICS
    }
    assert values == perfect


def test_distance_of_concentric_spheres_is_the_difference_of_their_radii():
    spacing_mm = (0.5, 0.5, 0.5)
    values = compare_masks(ball(5, spacing_mm), ball(8, spacing_mm), spacing_mm)
    assert values["assd_mm"] == pytest.approx(3, abs=0.25)  # half a voxel
    assert values["hd_mm"] == pytest.approx(3, abs=0.5)
    assert values["nsd_1mm"] == 0


def test_sub_voxel_difference_of_two_spheres_is_not_made_small():
    values = compare_masks(ball(15, (1, 1, 1)), ball(15.5, (1, 1, 1)), (1.0, 1.0, 1.0))
    assert values["assd_mm"] == pytest.approx(0.5, abs=0.15)


def test_a_slab_moved_along_its_normal_is_off_by_the_shift_in_mm():
    reference, prediction = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    reference[10:20], prediction[11:21] = True, True  # reaches the border on all four sides
    values = compare_masks(reference, prediction, (0.7, 3.0, 3.0))
    assert values["hd_mm"] == pytest.approx(0.7)
    assert values["hd95_mm"] == pytest.approx(0.7)
    assert values["nsd_1mm"] == pytest.approx(1)
    assert values["dice"] == pytest.approx(0.9)


def test_a_distance_of_exactly_the_tolerance_is_within_it():
    reference, prediction = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    reference[2:6, 2:6, 2:6], prediction[3:7, 2:6, 2:6] = True, True
    assert compare_masks(reference, prediction, (0.5, 0.5, 0.5))["nsd_0.5mm"] == 1


@pytest.mark.parametrize("empty", ["reference", "prediction", "both"])
def test_everything_is_undefined_where_a_mask_is_empty(empty):
    mask, nothing = ball(8, (1, 1, 1)), np.zeros(SHAPE, bool)
    reference = nothing if empty in ("reference", "both") else mask
    prediction = nothing if empty in ("prediction", "both") else mask
    values = compare_masks(reference, prediction, (1.0, 1.0, 1.0))
    assert set(values) == {metric.key for metric in METRICS}
    assert all(math.isnan(value) for value in values.values())


def test_a_single_voxel_each_is_enough():
    reference, prediction = np.zeros((5, 5, 5), bool), np.zeros((5, 5, 5), bool)
    reference[2, 2, 1], prediction[2, 2, 3] = True, True
    values = compare_masks(reference, prediction, (1.0, 1.0, 0.8))
    assert values["dice"] == 0
    assert values["ahd_mm"] == pytest.approx(1.6)
    assert values["hd_mm"] == pytest.approx(1.6)
