"""What happens to one leg between the localiser and its labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.anatomy import BONES, JOINT_BONES, structure
from KneeSegLib.ct.fusion import fuse_probabilities
from KneeSegLib.ct.joint_slices import JointProbabilities, joint_grid, predict_on_grid
from KneeSegLib.ct.joints import FoundJoint
from KneeSegLib.ct.labelling import label_leg
from KneeSegLib.ct.leg import FoundBone, JointRoi, Leg
from KneeSegLib.ct.localise import CoarseProbabilities
from KneeSegLib.ct.rois import box_of_roi, find_rois
from KneeSegLib.ct.semantics import SemanticProbabilities, make_bone_mask, predict_semantics
from KneeSegLib.ct.settings import CREST_MM, CROP_MARGIN_MM, END_MARGIN_MM, FADE_MM, FusionWeights
from KneeSegLib.errors import Cancelled, ModelError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.inference.labels import follow_cleaning
from KneeSegLib.networks import SliceUNet
from KneeSegLib.networks.device import Device
from Testing.phantoms.models import ONE_THREAD, TWO_THREADS, model_of, scan_of

SCAN_Z = Axis(0.0, 1.0, 1000)


def leg_with(**heights):
    boxes = {
        "hip_bone": (850, 990),
        "femur": (480, 910),
        "patella": (490, 530),
        "tibia": (75, 475),
        "fibula": (70, 430),
    }
    boxes |= {"talus": (45, 70), "calcaneus": (8, 40)}
    bones = {bone: FoundBone(bone, Box(z, (0, 50), (0, 50)), 100.0, 0.9) for bone, z in boxes.items()}
    box = Box((0, 1), (0, 1), (0, 1))
    joints = {name: FoundJoint(name, (z, 25.0, 25.0), box, 0.9, ()) for name, z in heights.items()}
    return Leg("right", 1.0, bones, joints, {}, Grid.of_scan((10, 10, 10), (4, 4, 4)), ())


# seams


def test_weights_of_all_joint_models_add_up_to_one_along_the_leg():
    rois = find_rois(leg_with(hip=890.0, knee=478.0, ankle=72.0), JOINT_BONES, SCAN_Z)
    z = np.linspace(rois[-1].low_mm, rois[0].high_mm, 5000)
    assert np.allclose(sum(roi.weights(z) for roi in rois), 1.0, atol=1e-6)


def test_joint_models_hand_over_half_way_between_their_joints():
    hip, knee, ankle = find_rois(leg_with(hip=890.0, knee=478.0, ankle=72.0), JOINT_BONES, SCAN_Z)
    assert hip.low_mm == knee.high_mm == pytest.approx(684.0)
    assert knee.low_mm == ankle.high_mm == pytest.approx(275.0)
    assert knee.weights(np.array([684.0])) == pytest.approx(0.5)
    assert knee.reach_mm == pytest.approx((275.0 - FADE_MM / 2, 684.0 + FADE_MM / 2))


def test_a_single_joint_goes_on_to_the_ends_of_its_bones():
    (knee,) = find_rois(leg_with(knee=478.0), JOINT_BONES, SCAN_Z)
    assert knee.low_mm <= 70.0 and knee.high_mm >= 910.0 and not knee.fades_above and not knee.fades_below


def test_a_hip_is_looked_at_as_far_up_as_a_crest_may_reach():
    leg = leg_with(hip=890.0)
    hip_bone = leg.bones["hip_bone"]
    leg.bones["hip_bone"] = replace(hip_bone, box=hip_bone.box._replace(z=(850.0, 930.0)))
    (hip,) = find_rois(leg, JOINT_BONES, Axis(0.0, 1.0, 1200))
    assert hip.high_mm == pytest.approx(890.0 + CREST_MM)
    (hip,) = find_rois(leg, JOINT_BONES, SCAN_Z)
    assert hip.high_mm == pytest.approx(SCAN_Z.high_mm)


def test_a_shaft_that_goes_on_under_another_name_is_looked_at_to_its_end():
    leg = leg_with(ankle=72.0)
    tibia = leg.bones["tibia"]
    leg.bones["tibia"] = replace(tibia, box=tibia.box._replace(z=(75.0, 120.0)))
    leg.bones["fibula"] = replace(tibia, box=tibia.box._replace(z=(70.0, 110.0)))
    leg.bones["femur"] = replace(tibia, box=tibia.box._replace(z=(112.0, 180.0)))
    (ankle,) = find_rois(leg, JOINT_BONES, SCAN_Z)
    assert ankle.high_mm == pytest.approx(180.0 + END_MARGIN_MM)
    # A femur that lies elsewhere is another bone, and so is one that a joint in view has.
    leg.bones["femur"] = replace(tibia, box=tibia.box._replace(z=(160.0, 400.0)))
    assert find_rois(leg, JOINT_BONES, SCAN_Z)[0].high_mm == pytest.approx(120.0 + END_MARGIN_MM)


def test_the_box_of_a_region_holds_the_shaft_that_goes_on_under_another_name():
    leg = leg_with(ankle=72.0)
    grid = Grid.of_scan((50, 20, 20), (4.0, 4.0, 4.0))
    tibia, femur = np.zeros((2, *grid.shape), bool)
    tibia[18:30, 8:12, 2:6], femur[28:45, 8:12, 6:14] = True, True
    for bone, mask in (("tibia", tibia), ("femur", femur)):
        leg.bones[bone] = replace(leg.bones[bone], box=Box.around(mask, grid))
    leg = replace(leg, regions={"tibia": tibia, "femur": femur}, grid=grid)
    (ankle,) = find_rois(leg, JOINT_BONES, SCAN_Z)
    assert box_of_roi(ankle, leg).x[1] == pytest.approx(Box.around(femur, grid).x[1] + CROP_MARGIN_MM)


def test_a_knee_wanted_alone_has_the_same_borders_as_in_the_whole_leg():
    leg = leg_with(hip=890.0, knee=478.0, ankle=72.0)
    assert find_rois(leg, ("knee",), SCAN_Z) == (find_rois(leg, JOINT_BONES, SCAN_Z)[1],)


# slices


def random_scan(shape=(12, 50, 60), spacing_mm=(1.0, 1.0, 1.0)):
    return scan_of(np.random.default_rng(0).normal(200, 400, shape).astype(np.int16), spacing_mm)


def small_model(offsets_mm=(), device=ONE_THREAD):
    torch.manual_seed(0)
    network = SliceUNet(3 + len(offsets_mm), 5, (4, 8)).eval()
    return model_of(network, "abcde", device=device, neighbour_offsets_mm=offsets_mm)


def everything(grid: Grid) -> JointRoi:
    return JointRoi("knee", grid.z.low_mm, grid.z.high_mm)


def test_a_left_leg_in_the_mirror_is_treated_exactly_like_a_right_one():
    scan = random_scan()
    mirrored = scan_of(np.ascontiguousarray(scan.values[..., ::-1]))
    x = scan.grid.x
    box = Box((2.0, 9.0), (10.0, 40.0), (5.0, 30.0))
    mirrored_box = box._replace(x=(x.low_mm + x.high_mm - box.x[1], x.low_mm + x.high_mm - box.x[0]))
    model = small_model((-1.6, 1.6))
    with torch.inference_mode():
        right, left = (
            predict_on_grid(model, seen, joint_grid(where, seen.grid, (0.8,) * 3, 2, side), everything(seen.grid))
            for seen, where, side in ((scan, box, "right"), (mirrored, mirrored_box, "left"))
        )
    assert torch.allclose(right.values, left.values, atol=1e-3)
    assert right.grid.x.step_mm > 0 > left.grid.x.step_mm


def test_thick_slices_are_taken_as_they_are_and_thin_ones_averaged():
    box = Box((10.0, 40.0), (10.0, 40.0), (10.0, 40.0))
    thick = joint_grid(box, Grid.of_scan((30, 60, 60), (3.0, 1.0, 1.0)), (0.8, 0.8, 0.8), 32, "right")
    thin = joint_grid(box, Grid.of_scan((100, 60, 60), (0.5, 1.0, 1.0)), (0.8, 0.8, 0.8), 32, "right")
    assert thick.z.spacing_mm == 3.0 and thin.z.spacing_mm == pytest.approx(0.8)
    assert thick.z.positions_mm == pytest.approx(np.arange(3, 14) * 3.0)
    assert thin.y.count % 32 == 0


class HeightOfNeighbour(nn.Module):
    """Predicts the grey value of the neighbouring slice above."""

    def forward(self, slices):
        return torch.cat([torch.zeros_like(slices[:, 3:4]), slices[:, 3:4]], dim=1)


def test_neighbours_beyond_the_crop_come_from_the_scan_and_not_from_its_last_slice():
    hu = np.repeat(np.arange(20, dtype=np.int16)[:, None, None] * 100, 8, axis=1).repeat(8, axis=2)
    scan = scan_of(hu)
    grid = scan.grid._replace(z=scan.grid.z.part(5, 10))
    model = model_of(HeightOfNeighbour(), "ab", neighbour_offsets_mm=(3.0,))
    found = predict_on_grid(model, scan, grid, everything(grid))
    assert torch.allclose(found.values[1, :, 4, 4].float().logit(), torch.arange(8, 13) * 0.1, atol=0.01)


def test_a_fast_run_looks_at_every_second_thin_slice_and_at_every_thick_one():
    for spacing_mm, expected in ((1.0, 6), (3.0, 12)):
        scan = random_scan(spacing_mm=(spacing_mm, 1.0, 1.0))
        grid = scan.grid._replace(y=scan.grid.y.part(0, 48), x=scan.grid.x.part(0, 48))
        found = predict_on_grid(small_model(), scan, grid, everything(grid), slice_step=2)
        assert found.values.shape[1] == found.grid.z.count == expected


@pytest.mark.parametrize("device", [ONE_THREAD, TWO_THREADS])
def test_a_run_is_cancelled_between_two_slices(device):
    scan = random_scan((400, 64, 64))
    told = []

    def cancel(fraction, message):
        told.append(fraction)
        if len(told) == 3:
            raise Cancelled

    with pytest.raises(Cancelled), torch.inference_mode():
        predict_on_grid(small_model(device=device), scan, scan.grid, everything(scan.grid), progress=cancel)
    assert told[-1] < 1.0


# semantic labels and fusion

GRID = Grid.of_scan((8, 20, 20), (2.0, 2.0, 2.0))


def joint_of(joint, fractions, bone=1.0, grid=GRID, roi=None):
    """A prediction that is the same everywhere: ``fractions`` of the joint's bones, of ``bone``."""
    values = torch.zeros((1 + len(JOINT_BONES[joint]), *grid.shape))
    for channel, name in enumerate(JOINT_BONES[joint], start=1):
        values[channel] = fractions.get(name, 0.0) * bone
    values[0] = 1.0 - bone
    return JointProbabilities(roi or JointRoi(joint, grid.z.low_mm, grid.z.high_mm), grid, values.half())


def semantics_of(**probabilities):
    values = torch.zeros((len(BONES), *GRID.shape))
    for bone, probability in probabilities.items():
        values[BONES.index(bone)] = probability
    return SemanticProbabilities(GRID, values)


def localiser_of(right=(), left=(), none=0.0):
    bones = {side: np.zeros((len(BONES), *GRID.shape), np.float32) for side in ("right", "left")}
    for side, probabilities in (("right", right), ("left", left)):
        for bone, probability in dict(probabilities).items():
            bones[side][BONES.index(bone)] = probability
    rest = 1.0 - none - sum(array.sum(axis=0) for array in bones.values())
    return CoarseProbabilities(GRID, bones, rest, np.full(GRID.shape, none, np.float32))


UNSURE = localiser_of(none=1.0)


def fused(joint, semantics, localiser=UNSURE, localiser_weight=0.5):
    return fuse_probabilities(joint, semantics, localiser, "right", FusionWeights(localiser=localiser_weight))


def middle(joint):
    return dict(zip(("background", *JOINT_BONES[joint.roi.joint]), joint.values[:, 4, 10, 10].float().tolist()))


def test_the_edge_stays_where_the_slices_put_it():
    for bone in (0.1, 0.4, 0.6, 1.0):
        found = middle(fused(joint_of("knee", {"femur": 1.0}, bone), semantics_of(femur=0.98)))
        assert found["background"] == pytest.approx(1.0 - bone, abs=0.01)


def test_the_label_comes_from_the_network_that_sees_the_whole_leg():
    mislabelled = joint_of("knee", {"tibia": 0.9, "femur": 0.1})
    found = middle(fused(mislabelled, semantics_of(femur=0.99)))
    assert found["femur"] > 0.9


def test_where_semantics_are_undecided_the_slices_label():
    undecided = semantics_of(femur=0.25, tibia=0.25, patella=0.25, fibula=0.24)
    found = middle(fused(joint_of("knee", {"tibia": 0.8, "femur": 0.2}), undecided))
    assert found["tibia"] > 0.7


def test_some_other_bone_goes_back_to_the_background():
    found = middle(fused(joint_of("ankle", {"talus": 0.6, "calcaneus": 0.4}), semantics_of()))
    assert found["background"] > 0.9


def test_a_bone_that_this_joint_does_not_have_goes_back_to_the_background():
    found = middle(fused(joint_of("hip", {"femur": 1.0}), semantics_of(tibia=0.99)))
    assert found["background"] > 0.9


def test_a_bone_of_the_other_leg_goes_back_to_the_background():
    unsure = semantics_of(femur=0.4, tibia=0.3)
    joint = joint_of("knee", {"femur": 0.6, "tibia": 0.4})
    own = middle(fused(joint, unsure, localiser_of(right={"femur": 0.95}), localiser_weight=2.0))
    others = middle(fused(joint, unsure, localiser_of(left={"femur": 0.95}), localiser_weight=2.0))
    assert own["background"] < 0.1 and others["background"] > 0.5


def test_fused_probabilities_sum_to_one():
    found = fused(joint_of("knee", {"femur": 0.5, "tibia": 0.5}, 0.7), semantics_of(femur=0.5))
    assert torch.allclose(found.values.float().sum(dim=0), torch.ones(GRID.shape), atol=5e-3)


def test_bone_of_neighbouring_joint_models_is_merged_without_a_step():
    grid = Grid.of_scan((100, 10, 10), (1.0, 1.0, 1.0))
    upper = joint_of("hip", {"femur": 1.0}, 0.8, grid, JointRoi("hip", 50.0, 99.5, fades_below=True))
    lower = joint_of("knee", {"femur": 1.0}, 0.8, grid, JointRoi("knee", -0.5, 50.0, fades_above=True))
    bones, coarse = make_bone_mask([upper, lower], 2.0, "right")
    assert coarse.z.spacing_mm == 2.0
    assert torch.allclose(bones[1:-1], torch.tensor(0.8), atol=0.01)


def test_semantic_network_with_other_classes_is_refused():
    with pytest.raises(ModelError, match="install the weights"):
        predict_semantics(model_of(nn.Identity(), ["background", "femur"]), [joint_of("knee", {})], "right")


# labelling

BALL_CENTER, BALL_RADIUS = np.array((20.0, 21.0, 19.0)), 12.0


def ball(step=0.8, width=1.0, radius=BALL_RADIUS):
    """A ball of femur in a knee, its edge as soft as a network's, on a grid that is not the scan's."""
    grid = Grid(*(Axis(0.3, step, int(40 / step)) for _ in range(3)))
    z, y, x = (axis.positions_mm for axis in grid)
    away = [(a - c) ** 2 for a, c in zip((z[:, None, None], y[None, :, None], x[None, None, :]), BALL_CENTER)]
    distance = radius - np.sqrt(sum(away))
    values = torch.zeros((5, *grid.shape))
    values[1] = torch.from_numpy(1.0 / (1.0 + np.exp(-2.0 * distance / width)))
    values[0] = 1.0 - values[1]
    return JointProbabilities(JointRoi("knee", grid.z.low_mm, grid.z.high_mm), grid, values.half())


@pytest.mark.parametrize("threads", [1, 2])
def test_labels_on_the_scans_grid_follow_the_surface_to_a_fraction_of_a_voxel(threads):
    scan = Grid.of_scan((70, 80, 90), (0.6, 0.5, 0.45))
    leg = label_leg([ball()], scan, "right", Device("cpu", "", threads))
    voxel_mm3 = np.prod(scan.spacing_mm)
    expected = 4.0 / 3.0 * np.pi * BALL_RADIUS**3
    assert set(np.unique(leg.labels)) == {0, structure("femur", "right").label_value}
    assert (leg.labels > 0).sum() * voxel_mm3 == pytest.approx(expected, rel=0.01)


def test_left_legs_get_left_labels():
    scan = Grid.of_scan((40, 40, 40), (1.0, 1.0, 1.0))
    leg = label_leg([ball()], scan, "left", ONE_THREAD)
    assert leg.labels.max() == structure("femur", "left").label_value


def test_margins_are_positive_exactly_where_the_label_is():
    scan = Grid.of_scan((40, 40, 40), (1.0, 1.0, 1.0))
    leg = label_leg([ball()], scan, "right", ONE_THREAD)
    margin = leg.margins["femur"]
    assert np.array_equal(margin.values > 0, leg.labels[margin.place] == structure("femur", "right").label_value)
    assert set(leg.margins) == {"femur"}


@pytest.mark.parametrize("radius", [12.0, 12.2, 12.4, 12.8])
def test_zero_of_the_margin_is_the_surface(radius):
    scan = Grid.of_scan((40, 40, 40), (1.0, 1.0, 1.0))
    margin = label_leg([ball(width=2.0, radius=radius)], scan, "right", ONE_THREAD).margins["femur"]
    line = margin.values[20 - margin.place[0].start, 21 - margin.place[1].start].astype(float)
    x = np.arange(margin.place[2].start, margin.place[2].stop, dtype=float)
    rising = np.flatnonzero((line[:-1] < 0) & (line[1:] > 0))[0]
    crossing = x[rising] - line[rising] / (line[rising + 1] - line[rising])
    assert crossing == pytest.approx(BALL_CENTER[2] - radius, abs=0.1)


def test_margins_follow_what_cleaning_takes_and_adds():
    scan = Grid.of_scan((40, 40, 40), (1.0, 1.0, 1.0))
    leg = label_leg([ball()], scan, "right", ONE_THREAD)
    cleaned = leg.labels.copy()
    cleaned[18:22, 18:22, 18:22] = 0
    cleaned[6, 21, 17:22] = structure("femur", "right").label_value
    follow_cleaning(leg, cleaned)
    margin = leg.margins["femur"]
    assert np.array_equal(margin.values > 0, cleaned[margin.place] == structure("femur", "right").label_value)


def test_a_bone_that_two_joint_models_have_in_common_is_whole_across_the_seam():
    grid = Grid.of_scan((120, 32, 32), (1.0, 1.0, 1.0))
    rod = torch.zeros(grid.shape)
    rod[:, 12:20, 12:20] = 1.0
    joints = []
    for joint, roi in (
        ("hip", JointRoi("hip", 60.0, 119.5, fades_below=True)),
        ("knee", JointRoi("knee", -0.5, 60.0, fades_above=True)),
    ):
        values = torch.zeros((1 + len(JOINT_BONES[joint]), *grid.shape))
        values[1 + JOINT_BONES[joint].index("femur")] = 0.9 * rod
        values[0] = 1.0 - 0.9 * rod
        joints.append(JointProbabilities(roi, grid, values.half()))
    labels = label_leg(joints, grid, "right", ONE_THREAD).labels
    assert np.array_equal(labels > 0, rod.numpy() > 0)
