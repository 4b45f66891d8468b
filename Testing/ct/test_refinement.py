"""Patches along a bone's surface: where they are placed, how they are merged, and what they change."""

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn

from KneeSegLib.anatomy import JOINT_BONES, structure
from KneeSegLib.bundles.spec import PatchSpec
from KneeSegLib.ct.bone_probabilities import merge_bone_probabilities
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.labelling import label_leg
from KneeSegLib.ct.leg import JointRoi
from KneeSegLib.ct.refinement import place_patches, refine_leg
from KneeSegLib.ct.settings import RefinementSettings
from KneeSegLib.errors import Cancelled, ModelError
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.inference.patches import WindowMerger, patch_window
from KneeSegLib.inference.placing import find_surface_candidates, suppress_neighbours
from Testing.phantoms.models import ONE_THREAD, TWO_THREADS, model_of, scan_of

SCAN = Grid.of_scan((50, 80, 90), (0.8, 0.5, 0.5))
CENTER, RADIUS = np.array((20.0, 21.0, 22.0)), 12.0
BONE_HU, SOFT_HU = 1000.0, 0.0
PATCH = PatchSpec((16, 16, 16), (0.4, 0.8))


def distance_on(grid: Grid, radius: float = RADIUS) -> np.ndarray:
    """Signed distance in mm to a ball, negative inside."""
    z, y, x = (axis.positions_mm - c for axis, c in zip(grid, CENTER))
    return np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) - radius


def image_of_the_ball(scan: Grid = SCAN) -> np.ndarray:
    """A ball of bone, blurred with a Gaussian of 0.5 mm."""
    blurred = erf(-distance_on(scan) / (0.5 * np.sqrt(2.0))) / 2.0 + 0.5
    return (SOFT_HU + (BONE_HU - SOFT_HU) * blurred).round().astype(np.int16)


def joint(radius: float = RADIUS, step_mm: float = 0.7, roi: JointRoi | None = None, name: str = "knee"):
    """What a joint model might predict of the ball: a femur of some radius, with a soft edge, on its own grid."""
    grid = Grid(*(Axis(-1.2, step_mm, int(46 / step_mm)) for _ in range(3)))
    values = torch.zeros((1 + len(JOINT_BONES[name]), *grid.shape))
    femur = torch.from_numpy(1.0 / (1.0 + np.exp(distance_on(grid, radius) / 0.3))).float()
    values[1 + JOINT_BONES[name].index("femur")] = femur
    values[0] = 1.0 - femur
    roi = roi or JointRoi(name, SCAN.z.low_mm, SCAN.z.high_mm)
    return JointProbabilities(roi, grid, values.half())


class GivesThePrior(nn.Module):
    """Gives the probability back that it was given."""

    def forward(self, patches):
        prior = patches[:, 2].clamp(1e-6, 1.0 - 1e-6)
        return torch.stack([torch.zeros_like(prior), prior.logit()], dim=1)


class SeesTheEdge(nn.Module):
    """Knows that bone begins half-way between soft tissue and bone, and nothing else."""

    def forward(self, patches):
        bone_hu = patches[:, 0] * 1700.0 + 200.0
        return torch.stack([torch.zeros_like(bone_hu), (bone_hu - (BONE_HU + SOFT_HU) / 2.0) / 20.0], dim=1)


def refined(network, joints, device=ONE_THREAD, **more):
    model = model_of(network, ("background", "bone"), device=device, patch=PATCH)
    with torch.inference_mode():
        return refine_leg(model, scan_of(image_of_the_ball(), SCAN.spacing_mm), joints, **more)


def radius_of(joints, residuals=None, scan=SCAN, side="right") -> float:
    """The radius of the ball whose volume the labels have."""
    leg = label_leg(joints, scan, side, ONE_THREAD, residuals=residuals or {})
    assert set(np.unique(leg.labels)) == {0, structure("femur", side).label_value}
    return float((3.0 * (leg.labels > 0).sum() * np.prod(scan.spacing_mm) / (4.0 * np.pi)) ** (1.0 / 3.0))


# placing


def test_suppression_keeps_its_distance_and_leaves_nothing_far_from_what_it_keeps():
    rng = np.random.default_rng(3)
    positions, scores = rng.uniform(0, 50, (4000, 3)), rng.uniform(size=4000)
    kept = suppress_neighbours(positions, scores, 6.0)
    between = np.abs(kept[:, None] - kept[None]).max(axis=2) + 99.0 * np.eye(len(kept))
    assert between.min() > 6.0
    assert np.abs(positions[:, None] - kept[None]).max(axis=2).min(axis=1).max() <= 6.0
    assert any(np.array_equal(positions[scores.argmax()], one) for one in kept)


def test_candidates_lie_on_the_surface_and_not_where_the_bone_leaves_the_grid():
    grid = Grid.of_scan((20, 20, 20), (1.0, 1.0, 1.0))
    rod = np.zeros(grid.shape, np.float32)
    rod[:, 5:15, 5:15] = 1.0
    positions, _ = find_surface_candidates(rod, grid)
    assert len(positions) == 20 * 36
    assert (np.isin(positions[:, 1], (5, 14)) | np.isin(positions[:, 2], (5, 14))).all()


def test_what_is_uncertain_comes_first():
    grid = Grid.of_scan((9, 9, 9), (1.0, 1.0, 1.0))
    probability = np.zeros(grid.shape, np.float32)
    probability[2:7, 2:7, 2:7] = 1.0
    probability[4, 4, 4] = 0.6
    positions, scores = find_surface_candidates(probability, grid)
    assert positions[scores.argmax()].tolist() == [4.0, 4.0, 4.0]


def test_every_place_on_the_surface_lies_well_within_a_patch():
    patches = place_patches("femur", [joint()], PATCH, SCAN)
    on_surface = np.argwhere(np.abs(distance_on(SCAN)) < 0.3) * SCAN.spacing_mm
    steps = np.array([axis.step_mm for axis in patches.grid])
    lows = np.array([axis.low_mm for axis in patches.grid]) + np.array(patches.corners) * steps
    highs = lows + np.array(PATCH.shape) * steps
    depth = np.minimum(on_surface[:, None] - lows, highs - on_surface[:, None]).min(axis=2).max(axis=1)
    assert depth.min() > 0.4  # of 8 mm
    assert len(patches.corners) < 300


def test_patches_have_the_scans_voxels_and_lie_within_their_grid():
    patches = place_patches("femur", [joint()], PATCH, SCAN)
    for axis, scan, count, corners in zip(patches.grid, SCAN, PATCH.shape, np.transpose(patches.corners)):
        assert axis.first_mm / scan.step_mm == pytest.approx(round(axis.first_mm / scan.step_mm))
        assert corners.min() >= 0 and corners.max() + count <= axis.count
        assert scan.low_mm <= axis.low_mm + 0.3 and axis.high_mm <= scan.high_mm + 1.0


@pytest.mark.parametrize("pixel_mm, expected", [(0.2, 0.4), (0.55, 0.55), (1.2, 0.8)])
def test_patches_are_as_fine_as_the_scan_where_the_network_knows_it(pixel_mm, expected):
    assert PATCH.spacing_mm(pixel_mm) == expected


# merging


def merge(*patches: tuple[tuple[int, int, int], torch.Tensor], shape=(30, 30, 60)):
    """What patches (corner, values) of one edge come to."""
    size = patches[0][1].shape
    merger = WindowMerger((1, 1, *shape), window=patch_window(size))
    for corner, values in patches:
        merger.aggregate(values[None, None], corner)
    return merger.finalize()


def test_patches_that_agree_are_merged_without_a_seam_and_fade_out_at_their_sides():
    merged = merge(*(((5, 5, first), torch.full((16, 16, 16), 0.4)) for first in (5, 13, 21)))
    row = merged.values[0, 12, 12]
    assert torch.allclose(row[8:34], torch.tensor(0.4), atol=1e-5)
    assert row[:5].abs().max() == 0.0 and row[37:].abs().max() == 0.0
    assert row.diff().abs().max() < 0.25
    assert merged.weight[12, 12, 8:34].min() == 1.0 and merged.weight[0, 0, 0] == 0.0


def test_the_patch_that_sees_a_place_in_its_middle_counts_most():
    window = patch_window((16, 16, 16))
    assert window[8, 8, 8] == 1.0 and window[0].max() < 0.05 and window.min() > 0.0
    merged = merge(((0, 0, 0), torch.zeros((16, 16, 16))), ((0, 0, 8), torch.ones((16, 16, 16))), shape=(16, 16, 24))
    row = merged.values[0, 8, 8, 8:16] / merged.weight[8, 8, 8:16]
    assert row[0] < 0.1 and row[-1] > 0.9 and (row.diff() >= 0.0).all()


# refining


@pytest.mark.parametrize("wrong_mm", [-1.0, 0.8])
def test_a_wrong_edge_is_moved_to_the_right_place(wrong_mm):
    joints = [joint(RADIUS + wrong_mm)]
    assert radius_of(joints) == pytest.approx(RADIUS + wrong_mm, abs=0.05)
    assert radius_of(joints, refined(SeesTheEdge(), joints)) == pytest.approx(RADIUS, abs=0.2)
    wholly = refined(SeesTheEdge(), joints, settings=RefinementSettings(weight=1.0))
    assert radius_of(joints, wholly) == pytest.approx(RADIUS, abs=0.04)


def test_a_network_that_gives_the_prior_changes_nothing():
    joints = [joint(RADIUS - 0.4)]
    residuals = refined(GivesThePrior(), joints)
    assert residuals["femur"].values.abs().max() < 0.02  # patches and scan sample the same field at other places
    before, after = (label_leg(joints, SCAN, "right", ONE_THREAD, residuals=c) for c in ({}, residuals))
    assert (before.labels != after.labels).mean() < 1e-3


def test_away_from_the_surface_nothing_changes():
    class SaysNo(nn.Module):
        def forward(self, patches):
            return torch.stack([torch.full_like(patches[:, 0], 9.0), torch.full_like(patches[:, 0], -9.0)], dim=1)

    joints = [joint()]
    residual = refined(SaysNo(), joints)["femur"]
    away = np.abs(distance_on(SCAN.part(residual.place)))
    assert (residual.values[away > 11.0] == 0.0).all() and residual.values.min() < -0.45
    assert set(refined(SaysNo(), joints)) == {"femur"}


def test_a_left_leg_in_the_mirror_is_refined_like_a_right_one():
    right = joint(RADIUS - 0.8)
    grid = right.grid.mirrored()
    left = JointProbabilities(right.roi, grid, right.values.flip(-1))
    one, other = (refined(SeesTheEdge(), [each])["femur"] for each in (right, left))
    assert one.place == other.place
    # Which of two candidates that are equally unsure gets a patch is left to rounding errors.
    assert ((one.values.float() - other.values.float()).abs() > 0.02).float().mean() < 0.005


def test_threads_do_not_change_the_result():
    joints = [joint(RADIUS - 0.8)]
    one, two = (refined(SeesTheEdge(), joints, device=device)["femur"] for device in (ONE_THREAD, TWO_THREADS))
    assert torch.equal(one.values, two.values)


def test_where_a_joint_model_fades_out_at_the_end_of_its_region_so_does_the_refinement():
    """The ball seen by the knee's model alone, whose weight ends at its middle: no patch may bring back the rest."""
    roi = JointRoi("knee", SCAN.z.low_mm, 20.0, fades_above=True)
    joints = [joint(RADIUS - 0.5, roi=roi)]
    residual = refined(SeesTheEdge(), joints)["femur"]
    z = SCAN.z.positions_mm[residual.place[0]]
    assert residual.values[z > 30.1].abs().sum() == 0.0
    assert residual.values[(z > 12.0) & (z < 18.0)].abs().max() > 0.2


def test_a_bone_at_heights_that_nobody_joints_for_is_left_alone():
    joints = [joint(roi=JointRoi("knee", 60.0, 80.0))]
    assert refined(SeesTheEdge(), joints) == {}


def test_a_seam_between_two_joint_models_does_not_show():
    joints = [
        joint(RADIUS - 0.8, roi=JointRoi("hip", 20.0, SCAN.z.high_mm, fades_below=True), name="hip"),
        joint(RADIUS - 0.8, roi=JointRoi("knee", SCAN.z.low_mm, 20.0, fades_above=True)),
    ]
    assert radius_of(joints, refined(SeesTheEdge(), joints)) == pytest.approx(RADIUS, abs=0.15)


def test_margins_agree_with_refined_labels():
    joints = [joint(RADIUS - 0.8)]
    leg = label_leg(joints, SCAN, "right", ONE_THREAD, residuals=refined(SeesTheEdge(), joints))
    margin = leg.margins["femur"]
    assert np.array_equal(margin.values > 0, leg.labels[margin.place] > 0)


def test_a_refinement_is_cancelled_between_two_batches():
    told = []

    def cancel(fraction, message):
        told.append(message)
        if len(told) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        refined(SeesTheEdge(), [joint()], progress=cancel)
    assert len(told) == 3 and "patch" in told[-1]


def test_a_model_that_takes_no_patches_is_refused():
    with pytest.raises(ModelError, match="install the weights"):
        refine_leg(model_of(SeesTheEdge(), ("background", "bone")), scan_of(image_of_the_ball()), [joint()])


def test_probabilities_of_neighbours_fade_into_each_other():
    joints = [
        joint(roi=JointRoi("hip", 20.0, SCAN.z.high_mm, fades_below=True), name="hip"),
        joint(roi=JointRoi("knee", SCAN.z.low_mm, 20.0, fades_above=True)),
    ]
    both, alone = (
        merge_bone_probabilities(joints, ["femur"], SCAN),
        merge_bone_probabilities([joint()], ["femur"], SCAN),
    )
    assert torch.allclose(both, alone, atol=2e-3)
