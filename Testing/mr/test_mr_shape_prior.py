"""What a fitted shape has to say, on the shipped mean femur."""

import numpy as np
import pytest
import torch

from KneeSegLib.anatomy import SIDES
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.geometry.mesh import point_normals
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.settings import PRIOR
from KneeSegLib.mr.shape_fit import FittedShape
from KneeSegLib.mr.shape_prior import _find_rim, apply_shape_prior, measure_signed_distance
from KneeSegLib.mr.slices import KneeProbabilities
from Testing.phantoms.mr_images import shipped_models

CLASSES = ("background", "femur")
MIRROR = {"right": np.array([1.0, 1.0, 1.0]), "left": np.array([-1.0, 1.0, 1.0])}


def femur(side="right", residual_mm=0.4) -> FittedShape:
    model = shipped_models()["femur"]
    return FittedShape(model.mean * MIRROR[side], np.zeros(20), np.full(len(model.mean), residual_mm), model)


def away_from_the_rim(fit: FittedShape) -> np.ndarray:
    rim = fit.points_mm[_find_rim(fit.model.triangles.astype(int))]
    return np.array([np.linalg.norm(rim - point, axis=1).min() > 20.0 for point in fit.points_mm])


def slices_like(fit: FittedShape, side="right") -> tuple[KneeProbabilities, torch.Tensor]:
    """Slices that know nothing (0.3 for bone), and the true distance on their grid."""
    low, high = fit.points_mm.min(axis=0) - 10.0, fit.points_mm.max(axis=0) + 10.0
    grid = Grid(*(Axis.covering(low[k], high[k], 1.5) for k in (2, 1, 0)))
    distance, counts, own = measure_signed_distance(fit, side)
    values = torch.full((2, *grid.shape), 0.3, dtype=torch.float16)
    values[0] = 0.7
    fields = torch.from_numpy(np.stack([distance, counts.astype(float)]).astype(np.float32))
    return KneeProbabilities(grid, values, CLASSES), resample_to(fields, own, grid)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("offset_mm", [-3.0, 0.0, 3.0])
def test_distances_are_those_along_the_normals(side, offset_mm):
    fit = femur(side)
    outward = point_normals(fit.points_mm, fit.model.triangles.astype(int)) * (1.0 if side == "right" else -1.0)
    distance, counts, grid = measure_signed_distance(fit, side)
    places = fit.points_mm + offset_mm * outward
    index = tuple(
        np.rint((places[:, k] - axis.first_mm) / axis.step_mm).astype(int) for k, axis in zip((2, 1, 0), grid)
    )
    centres = np.stack([axis.positions_mm[i] for axis, i in zip(reversed(grid), reversed(index))], axis=1)
    expected = offset_mm + ((centres - places) * outward).sum(axis=1)
    error = np.abs(distance[index] - expected)[away_from_the_rim(fit)]
    assert np.median(error) < 0.15 and np.quantile(error, 0.9) < 0.8
    assert counts[index][away_from_the_rim(fit)].all()


def test_bone_is_raised_within_the_shape_and_falls_outside_of_it():
    fit = femur()
    slices, (distance, counts) = slices_like(fit)
    probability = apply_shape_prior(slices, {"femur": fit}, "right").of("femur")
    sure = counts > 0.99
    assert probability[sure & (distance < -4.0)].min() > 0.7
    assert probability[sure & (distance > 4.0)].max() < 0.1


def test_near_its_surface_and_where_it_ends_a_shape_has_no_say():
    fit = femur()
    slices, (distance, counts) = slices_like(fit)
    probability = apply_shape_prior(slices, {"femur": fit}, "right").of("femur")
    near = (distance.abs() < 0.5 * PRIOR.free_mm) & (counts > 0.99)
    assert near.any() and (probability[near] - 0.3).abs().max() < 0.1
    uncounted = counts == 0
    assert uncounted.any() and torch.equal(probability[uncounted], slices.of("femur")[uncounted])


def test_probabilities_still_sum_to_one_and_the_given_ones_stay():
    fit = femur()
    slices, _ = slices_like(fit)
    before = slices.values.clone()
    changed = apply_shape_prior(slices, {"femur": fit}, "right")
    assert torch.equal(slices.values, before)
    assert torch.allclose(changed.values.float().sum(dim=0), torch.ones(slices.grid.shape), atol=2e-3)


def test_slices_that_are_surer_than_the_shape_may_be_are_not_overruled():
    fit = femur()
    slices, (distance, _) = slices_like(fit)
    sure = 1.0 / (1.0 + np.exp(-PRIOR.most - 0.5))
    slices.values[1] = torch.where(distance > 0, sure, 1.0 - sure).half()
    slices.values[0] = 1.0 - slices.values[1]
    changed = apply_shape_prior(slices, {"femur": fit}, "right")
    assert torch.equal(changed.of("femur") > 0.5, distance > 0)
    assert changed.of("femur")[distance > 5.0].min() < 0.9


@pytest.mark.parametrize("residual_mm", [PRIOR.residual_mm + 0.1, np.nan])
def test_a_shape_that_does_not_fit_has_no_say(residual_mm):
    fit = femur(residual_mm=residual_mm)
    slices, _ = slices_like(fit)
    assert torch.equal(apply_shape_prior(slices, {"femur": fit}, "right").values, slices.values)


def test_the_shape_of_a_left_knee_says_the_same_in_the_mirror():
    right, left = (apply_shape_prior(slices_like(femur(s), s)[0], {"femur": femur(s)}, s).of("femur") for s in SIDES)
    assert (right - left.flip(2)).abs().max() < 0.02
