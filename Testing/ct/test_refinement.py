"""Patches along a bone's surface: where they are placed, how they are blended, and what they change."""

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn

from KneeSegLib.anatomy import JOINT_BONES, structure
from KneeSegLib.ct.merging import likely_bones
from KneeSegLib.ct.refinement import PatchFacts, RefinementWeights, patches_along, refine_leg
from KneeSegLib.ct.seams import Share
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.errors import Cancelled, ModelError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.inference.blending import Blend, patch_window
from KneeSegLib.inference.labels import label_leg
from KneeSegLib.inference.placing import patch_grid, spread_out, surface_candidates
from KneeSegLib.networks.device import Device

CPU = Device("cpu", "CPU", 1)
SCAN = Grid.of_scan((50, 80, 90), (0.8, 0.5, 0.5))
CENTER, RADIUS = np.array((20.0, 21.0, 22.0)), 12.0
BONE_HU, SOFT_HU = 1000.0, 0.0
FACTS = PatchFacts((16, 16, 16), (0.4, 0.8))


def distance_on(grid: Grid, radius: float = RADIUS) -> np.ndarray:
    """Signed distance in mm to a ball, negative inside."""
    z, y, x = (axis.positions_mm - c for axis, c in zip(grid, CENTER))
    return np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) - radius


def image_of_the_ball(scan: Grid = SCAN) -> np.ndarray:
    """A ball of bone, blurred with a Gaussian of 0.5 mm."""
    blurred = erf(-distance_on(scan) / (0.5 * np.sqrt(2.0))) / 2.0 + 0.5
    return (SOFT_HU + (BONE_HU - SOFT_HU) * blurred).round().astype(np.int16)


def answer(radius: float = RADIUS, step_mm: float = 0.7, share: Share | None = None, joint: str = "knee"):
    """What a specialist might say of the ball: a femur of some radius, with a soft edge, on its own grid."""
    grid = Grid(*(Axis(-1.2, step_mm, int(46 / step_mm)) for _ in range(3)))
    values = torch.zeros((1 + len(JOINT_BONES[joint]), *grid.shape))
    femur = torch.from_numpy(1.0 / (1.0 + np.exp(distance_on(grid, radius) / 0.3))).float()
    values[1 + JOINT_BONES[joint].index("femur")] = femur
    values[0] = 1.0 - femur
    share = share or Share(joint, SCAN.z.low_mm, SCAN.z.high_mm)
    return JointProbabilities(share, grid, values.half())


class SaysWhatIsKnown(nn.Module):
    """Gives the probability back that it was given."""

    def forward(self, patches):
        prior = patches[:, 2].clamp(1e-6, 1.0 - 1e-6)
        return torch.stack([torch.zeros_like(prior), prior.logit()], dim=1)


class SeesTheEdge(nn.Module):
    """Knows that bone begins half-way between soft tissue and bone, and nothing else."""

    def forward(self, patches):
        bone_hu = patches[:, 0] * 1700.0 + 200.0
        return torch.stack([torch.zeros_like(bone_hu), (bone_hu - (BONE_HU + SOFT_HU) / 2.0) / 20.0], dim=1)


def refined(network, answers, hu=None, scan=SCAN, **more):
    with torch.inference_mode():
        hu = image_of_the_ball(scan) if hu is None else hu
        return refine_leg(network, FACTS, hu, scan, answers, more.pop("device", CPU), **more)


def radius_of(answers, corrections=None, scan=SCAN, side="right") -> float:
    """The radius of the ball whose volume the labels have."""
    leg = label_leg(answers, scan, side, CPU, corrections=corrections or {})
    assert set(np.unique(leg.labels)) == {0, structure("femur", side).label_value}
    return float((3.0 * (leg.labels > 0).sum() * np.prod(scan.spacing_mm) / (4.0 * np.pi)) ** (1.0 / 3.0))


# placing


def test_suppression_keeps_its_distance_and_leaves_nothing_far_from_what_it_keeps():
    rng = np.random.default_rng(3)
    positions, scores = rng.uniform(0, 50, (4000, 3)), rng.uniform(size=4000)
    kept = spread_out(positions, scores, 6.0)
    between = np.abs(kept[:, None] - kept[None]).max(axis=2) + 99.0 * np.eye(len(kept))
    assert between.min() > 6.0
    assert np.abs(positions[:, None] - kept[None]).max(axis=2).min(axis=1).max() <= 6.0
    assert any(np.array_equal(positions[scores.argmax()], one) for one in kept)


def test_candidates_lie_on_the_surface_and_not_where_the_bone_leaves_the_grid():
    grid = Grid.of_scan((20, 20, 20), (1.0, 1.0, 1.0))
    rod = np.zeros(grid.shape, np.float32)
    rod[:, 5:15, 5:15] = 1.0
    positions, _ = surface_candidates(rod, grid)
    assert len(positions) == 20 * 36
    assert (np.isin(positions[:, 1], (5, 14)) | np.isin(positions[:, 2], (5, 14))).all()


def test_what_is_unsure_is_looked_at_first():
    grid = Grid.of_scan((9, 9, 9), (1.0, 1.0, 1.0))
    likely = np.zeros(grid.shape, np.float32)
    likely[2:7, 2:7, 2:7] = 1.0
    likely[4, 4, 4] = 0.6
    positions, scores = surface_candidates(likely, grid)
    assert positions[scores.argmax()].tolist() == [4.0, 4.0, 4.0]


def test_every_place_on_the_surface_lies_well_within_a_patch():
    patches = patches_along("femur", [answer()], FACTS, SCAN)
    on_surface = np.argwhere(np.abs(distance_on(SCAN)) < 0.3) * SCAN.spacing_mm
    lows = np.array([[axis.low_mm for axis in patch] for patch in patches])
    highs = np.array([[axis.high_mm for axis in patch] for patch in patches])
    depth = np.minimum(on_surface[:, None] - lows, highs - on_surface[:, None]).min(axis=2).max(axis=1)
    assert depth.min() > 0.4  # of 8 mm
    assert len(patches) < 300


def test_patches_have_the_scans_voxels_and_stay_within_the_scan():
    for center in ((0.0, 0.0, 0.0), (39.0, 39.0, 44.0), (20.1, 19.9, 20.3)):
        patch = patch_grid(np.array(center), (16, 16, 16), 0.5, SCAN)
        for axis, scan, wanted in zip(patch, SCAN, center):
            assert axis.first_mm / scan.step_mm == pytest.approx(round(axis.first_mm / scan.step_mm))
            assert scan.low_mm <= axis.low_mm + 0.3 and axis.high_mm <= scan.high_mm + 0.4
            assert axis.low_mm <= max(wanted, 0.0) <= axis.high_mm


@pytest.mark.parametrize("pixel_mm, expected", [(0.2, 0.4), (0.55, 0.55), (1.2, 0.8)])
def test_patches_are_as_fine_as_the_scan_where_the_network_knows_it(pixel_mm, expected):
    assert FACTS.spacing_mm(Grid.of_scan((9, 9, 9), (1.0, pixel_mm, pixel_mm))) == expected


# blending


def test_patches_that_agree_are_blended_without_a_seam_and_fade_out_at_their_sides():
    grid = Grid.of_scan((30, 30, 60), (1.0, 1.0, 1.0))
    blend = Blend(grid, patch_window((16, 16, 16), 0.25))
    for first in (5.0, 13.0, 21.0):
        blend.add(torch.full((16, 16, 16), 0.4), Grid(Axis(5.0, 1.0, 16), Axis(5.0, 1.0, 16), Axis(first, 1.0, 16)))
    row = blend.mean(0.5)[12, 12]
    assert torch.allclose(row[8:34], torch.tensor(0.4), atol=1e-5)
    assert row[:5].abs().max() == 0.0 and row[37:].abs().max() == 0.0
    assert row.diff().abs().max() < 0.25


def test_the_patch_that_sees_a_place_in_its_middle_counts_most():
    window = patch_window((16, 16, 16), 0.25)
    assert window[8, 8, 8] == 1.0 and window[0].max() < 0.05 and window.min() > 0.0
    grid = Grid.of_scan((16, 16, 24), (1.0, 1.0, 1.0))
    blend = Blend(grid, window)
    blend.add(torch.zeros((16, 16, 16)), grid._replace(x=Axis(0.0, 1.0, 16)))
    blend.add(torch.ones((16, 16, 16)), grid._replace(x=Axis(8.0, 1.0, 16)))
    row = blend.mean(0.25)[8, 8, 8:16]
    assert row[0] < 0.1 and row[-1] > 0.9 and (row.diff() >= 0.0).all()


def test_a_patch_that_is_coarser_than_the_scan_lands_where_it_was():
    fine = Grid.of_scan((40, 40, 40), (0.5, 0.4, 0.4))
    patch = Grid(Axis(2.0, 0.8, 16), Axis(2.0, 0.8, 16), Axis(2.0, 0.8, 16))
    blend = Blend(fine, patch_window((16, 16, 16), 0.25))
    blend.add(torch.from_numpy(patch.x.positions_mm).float().expand(16, 16, 16), patch)
    inside = fine.slices_within(Box(*((5.0, 10.0),) * 3))
    expected = torch.from_numpy(fine.x.positions_mm).float()[inside[2]]
    assert torch.allclose(blend.mean(0.25)[inside], expected.expand(blend.mean(0.25)[inside].shape), atol=0.05)


# refining


@pytest.mark.parametrize("wrong_mm", [-1.0, 0.8])
def test_a_wrong_edge_is_moved_to_the_right_place(wrong_mm):
    answers = [answer(RADIUS + wrong_mm)]
    assert radius_of(answers) == pytest.approx(RADIUS + wrong_mm, abs=0.05)
    assert radius_of(answers, refined(SeesTheEdge(), answers)) == pytest.approx(RADIUS, abs=0.2)
    wholly = refined(SeesTheEdge(), answers, weights=RefinementWeights(share=1.0))
    assert radius_of(answers, wholly) == pytest.approx(RADIUS, abs=0.04)


def test_a_network_that_says_what_is_known_changes_nothing():
    answers = [answer(RADIUS - 0.4)]
    corrections = refined(SaysWhatIsKnown(), answers)
    assert corrections["femur"].values.abs().max() < 0.02  # patches and scan sample the same field at other places
    before, after = (label_leg(answers, SCAN, "right", CPU, corrections=c) for c in ({}, corrections))
    assert (before.labels != after.labels).mean() < 1e-3


def test_away_from_the_surface_nothing_changes():
    class SaysNo(nn.Module):
        def forward(self, patches):
            return torch.stack([torch.full_like(patches[:, 0], 9.0), torch.full_like(patches[:, 0], -9.0)], dim=1)

    answers = [answer()]
    correction = refined(SaysNo(), answers)["femur"]
    away = np.abs(distance_on(SCAN.part(correction.place)))
    assert (correction.values[away > 11.0] == 0.0).all() and correction.values.min() < -0.45
    assert set(refined(SaysNo(), answers)) == {"femur"}


def test_a_left_leg_in_the_mirror_is_refined_like_a_right_one():
    right = answer(RADIUS - 0.8)
    grid = right.grid.mirrored()
    left = JointProbabilities(right.share, grid, right.values.flip(-1))
    one, other = (refined(SeesTheEdge(), [each])["femur"] for each in (right, left))
    assert one.place == other.place
    # Which of two candidates that are equally unsure gets a patch is left to rounding errors.
    assert ((one.values.float() - other.values.float()).abs() > 0.02).float().mean() < 0.005


def test_threads_do_not_change_the_result():
    answers = [answer(RADIUS - 0.8)]
    one, two = (refined(SeesTheEdge(), answers, device=Device("cpu", "", n))["femur"] for n in (1, 2))
    assert torch.equal(one.values, two.values)


def test_where_a_specialist_fades_out_at_the_end_of_its_share_so_does_the_refinement():
    """The ball seen by the knee's specialist alone, whose say ends at its middle: no patch may bring back the rest."""
    share = Share("knee", SCAN.z.low_mm, 20.0, fades_above=True)
    answers = [answer(RADIUS - 0.5, share=share)]
    correction = refined(SeesTheEdge(), answers)["femur"]
    z = SCAN.z.positions_mm[correction.place[0]]
    assert correction.values[z > 30.1].abs().sum() == 0.0
    assert correction.values[(z > 12.0) & (z < 18.0)].abs().max() > 0.2


def test_a_bone_at_heights_that_nobody_answers_for_is_left_alone():
    answers = [answer(share=Share("knee", 60.0, 80.0))]
    assert refined(SeesTheEdge(), answers) == {}


def test_a_seam_between_two_specialists_does_not_show():
    answers = [
        answer(RADIUS - 0.8, share=Share("hip", 20.0, SCAN.z.high_mm, fades_below=True), joint="hip"),
        answer(RADIUS - 0.8, share=Share("knee", SCAN.z.low_mm, 20.0, fades_above=True)),
    ]
    assert radius_of(answers, refined(SeesTheEdge(), answers)) == pytest.approx(RADIUS, abs=0.15)


def test_margins_agree_with_refined_labels():
    answers = [answer(RADIUS - 0.8)]
    leg = label_leg(answers, SCAN, "right", CPU, corrections=refined(SeesTheEdge(), answers))
    margin = leg.margins["femur"]
    assert np.array_equal(margin.values > 0, leg.labels[margin.place] > 0)


def test_a_refinement_is_cancelled_between_two_batches():
    told = []

    def cancel(fraction, message):
        told.append(message)
        if len(told) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        refined(SeesTheEdge(), [answer()], progress=cancel)
    assert len(told) == 3 and "patch" in told[-1]


def test_a_bundle_that_is_no_refinements_is_refused():
    with pytest.raises(ModelError, match="install the weights"):
        PatchFacts.of_bundle({"classes": ["background", "bone"]})


def test_probabilities_of_neighbours_fade_into_each_other():
    answers = [
        answer(share=Share("hip", 20.0, SCAN.z.high_mm, fades_below=True), joint="hip"),
        answer(share=Share("knee", SCAN.z.low_mm, 20.0, fades_above=True)),
    ]
    both, alone = likely_bones(answers, ["femur"], SCAN), likely_bones([answer()], ["femur"], SCAN)
    assert torch.allclose(both, alone, atol=2e-3)
