import numpy as np
import pytest
import SimpleITK as sitk
import torch

from KneeSegLib.anatomy import BONES, SIDES
from KneeSegLib.ct.joints import find_joints
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.legs import find_legs
from KneeSegLib.ct.localise import CoarseProbabilities, localise_bones
from KneeSegLib.ct.sides import find_parting_line, infer_sides, vote_on_side
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.volume import Volume
from Testing.phantoms.legs import GREY, LOCALISER_CLASSES, SOLIDS, OracleLocaliser, leg_phantom
from Testing.phantoms.models import model_of, scan_of


def found_in(phantom, localiser=None):
    scan = Scan.of_volume(Volume(phantom.image))
    return find_legs(localise_bones(localiser_of(localiser or OracleLocaliser()), scan), scan.grid)


def localiser_of(network):
    return model_of(network, LOCALISER_CLASSES, 4.0, kind="localiser")


@pytest.fixture(scope="module")
def both_legs():
    return found_in(leg_phantom(spacing_mm=(4.0, 4.0, 4.0)))


def test_whole_scan_shows_both_legs_with_three_joints_from_the_top_down(both_legs):
    assert [leg.side for leg in both_legs] == ["right", "left"]
    assert all(list(leg.joints) == ["hip", "knee", "ankle"] for leg in both_legs)
    assert all(set(leg.bones) == set(BONES) for leg in both_legs)
    assert not any(leg.uncertainties for leg in both_legs)


class KnowsRightLegs(OracleLocaliser):
    """Gives every bone to a right leg, surer where it lies on the right-hand side of the scan."""

    def forward(self, channels):
        logits = super().forward(channels)
        bones = (len(LOCALISER_CLASSES) - 2) // 2
        right, left = logits[:, 2 : 2 + bones], logits[:, 2 + bones :]
        return torch.cat([logits[:, :2], torch.maximum(right, left), torch.full_like(left, -10.0)], dim=1)


@pytest.mark.parametrize("localiser", [OracleLocaliser(), KnowsRightLegs()])
def test_a_scan_and_its_mirror_image_give_mirrored_probabilities(localiser):
    hu = sitk.GetArrayFromImage(leg_phantom(spacing_mm=(4.0, 4.0, 4.0), z_mm=(380.0, 600.0)).image)
    scan, mirrored = (
        localise_bones(localiser_of(localiser), scan_of(values, (4.0, 4.0, 4.0)))
        for values in (hu, hu[..., ::-1].copy())
    )

    for side, other in (SIDES, SIDES[::-1]):
        np.testing.assert_array_equal(scan.bones[side], mirrored.bones[other][..., ::-1])
    np.testing.assert_array_equal(scan.other, mirrored.other[..., ::-1])


def test_joints_are_where_their_bones_meet(both_legs):
    centers = {name: joint.center_mm[0] for name, joint in both_legs[0].joints.items()}
    assert centers["hip"] == pytest.approx(890.0, abs=15.0)
    assert centers["knee"] == pytest.approx(479.0, abs=8.0)
    assert centers["ankle"] == pytest.approx(72.0, abs=8.0)


def test_whole_joints_are_cut_by_nothing(both_legs):
    assert not any(joint.cut_by for leg in both_legs for joint in leg.joints.values())


@pytest.mark.parametrize(
    "side, z_mm, joints",
    [
        ("right", (380.0, 600.0), ["knee"]),
        ("left", (380.0, 600.0), ["knee"]),
        ("left", (0.0, 180.0), ["ankle"]),
        ("right", (820.0, 1000.0), ["hip"]),
        ("right", (0.0, 600.0), ["knee", "ankle"]),
    ],
)
def test_part_of_one_leg_is_found_with_its_side(side, z_mm, joints):
    (leg,) = found_in(leg_phantom((side,), z_mm))
    assert leg.side == side and list(leg.joints) == joints


def test_joint_at_the_end_of_the_scan_is_said_to_be_cut():
    (leg,) = found_in(leg_phantom(("right",), (455.0, 640.0)))
    assert leg.joints["knee"].cut_by == ("lower",)


def test_joint_at_the_side_of_the_scan_is_said_to_be_cut():
    (leg,) = found_in(leg_phantom(("right",), (380.0, 600.0), x_mm=(-100.0, -20.0)))
    assert leg.joints["knee"].cut_by == ("right-hand",)


@pytest.mark.parametrize("z_mm", [(560.0, 780.0), (160.0, 380.0)], ids=["thigh", "calf"])
def test_a_shaft_alone_is_no_joint(z_mm):
    assert found_in(leg_phantom(("right",), z_mm)) == []


def test_a_scan_of_other_bones_shows_no_leg():
    arms = [("rod", (-120, 0, 12), (0, 200)), ("rod", (120, 0, 12), (0, 200)), ("ball", (0, 40, 100), (25, 25, 90))]
    assert found_in(leg_phantom(("right",), (560.0, 780.0), other_bones=arms)) == []


def test_air_shows_nothing():
    air = scan_of(np.full((20, 20, 20), -1000, np.int16), (4.0, 4.0, 4.0))
    assert localise_bones(localiser_of(OracleLocaliser()), air) is None


def test_scattered_voxels_are_no_bones():
    grid = Grid(*(Axis(0.0, 4.0, 40) for _ in range(3)))
    rng = np.random.default_rng(0)
    bones = {side: np.zeros((len(BONES), *grid.shape), np.float32) for side in SIDES}
    hit = rng.random(grid.shape) < 0.02
    for index in range(len(BONES)):
        bones["right"][index][hit & (rng.integers(len(BONES), size=grid.shape) == index)] = 0.9
    none = 1.0 - bones["right"].sum(axis=0)
    assert find_legs(CoarseProbabilities(grid, bones, np.zeros_like(none), none), grid) == []


def test_one_leg_has_one_side_even_if_a_bone_is_taken_for_the_other_sides():
    (leg,) = found_in(leg_phantom(("left",), (380.0, 600.0)), OracleLocaliser({"fibula_left": "fibula_right"}))
    assert leg.side == "left" and set(leg.bones) == {"femur", "tibia", "patella", "fibula"}
    (leg,) = found_in(leg_phantom(("right",), (0.0, 600.0)), OracleLocaliser({"tibia_right": "tibia_left"}))
    assert leg.side == "right" and set(leg.bones) == set(BONES) - {"hip_bone"}


def test_a_femur_taken_for_right_above_and_left_below_is_still_one_leg():
    class Wavering(OracleLocaliser):
        def forward(self, volume):
            logits = super().forward(volume)
            of_either_side = torch.maximum(logits[:, 2:9, 60:], logits[:, 9:16, 60:])
            logits[:, 2:9, 60:] = logits[:, 9:16, 60:] = of_either_side
            return logits

    (leg,) = found_in(leg_phantom(("left",), (420.0, 850.0)), Wavering())
    assert leg.side == "left"


def legs_with_tali_apart(voxels: int, sliver: bool = False) -> int:
    """How many legs are found where a right and a left talus lie so many empty voxels of 4 mm apart."""
    grid = Grid(*(Axis(0.0, 4.0, 40) for _ in range(3)))
    bones = {side: np.zeros((len(BONES), *grid.shape), np.float32) for side in SIDES}
    talus, tibia = BONES.index("talus"), BONES.index("tibia")
    for side, bone, first in (("right", 8, 6), ("left", 14 + voxels, 24)):
        bones[side][talus, 10:16, 15:21, bone : bone + 6] = 0.9
        bones[side][tibia, 16:36, 15:21, first : first + 6] = 0.9
    if sliver:  # of the left talus, taken for the right one's
        bones["right"][talus, 12:14, 17:19, 12 + voxels] = 0.9
    none = 1.0 - bones["right"].sum(axis=0) - bones["left"].sum(axis=0)
    return len(find_legs(CoarseProbabilities(grid, bones, np.zeros_like(none), none), grid))


def test_a_talus_that_the_line_between_legs_cuts_in_two_is_one_leg():
    assert legs_with_tali_apart(1) == 1
    assert legs_with_tali_apart(4) == 2


def test_a_sliver_on_the_wrong_side_of_the_line_does_not_make_two_legs_one():
    assert legs_with_tali_apart(4, sliver=True) == 2


def crossed_legs(*named: str) -> list[Leg]:
    """Tibia, fibula and talus of two legs, one in front of the other, each called after one side; half of the second
    talus after the first leg's."""
    grid = Grid(*(Axis(0.0, 4.0, 48) for _ in range(3)))
    bones = {side: np.zeros((len(BONES), *grid.shape), np.float32) for side in SIDES}
    for side, depth, step in zip(named, (8, 28), (1, -1)):
        for z in range(6, 40):
            column = 20 + step * (22 - z) // 2
            bones[side][BONES.index("talus" if z < 12 else "tibia"), z, depth : depth + 6, column : column + 6] = 0.9
            bones[side][BONES.index("fibula"), z, depth + 8 : depth + 12, column : column + 4] = 0.9 * (z >= 12)
    talus = BONES.index("talus")
    for side, other in ((named[1], named[0]),) if named[0] != named[1] else ():
        bones[other][talus, 6:9, 28:34] += bones[side][talus, 6:9, 28:34]
        bones[side][talus, 6:9, 28:34] = 0.0
    none = 1.0 - bones["right"].sum(axis=0) - bones["left"].sum(axis=0)
    return find_legs(CoarseProbabilities(grid, bones, np.zeros_like(none), none), grid)


def test_crossed_legs_are_two_where_the_localiser_names_both():
    legs = crossed_legs("right", "left")
    assert [leg.side for leg in legs] == ["right", "left"]
    assert [leg.bones["talus"].volume_cm3 for leg in legs] == pytest.approx([6**3 * 0.064] * 2, rel=0.01)
    assert [set(leg.bones) for leg in legs] == [{"talus", "tibia", "fibula"}] * 2


def test_crossed_legs_of_one_side_are_one():
    assert len(crossed_legs("right", "right")) == 1


def test_a_mirrored_leg_is_uncertain():
    # All bones are called right, but the fibula lies on the left of the tibia.
    to_right = {f"{bone}_left": f"{bone}_right" for bone in SOLIDS}
    (leg,) = found_in(leg_phantom(("left",), (380.0, 600.0)), OracleLocaliser(to_right))
    assert len(leg.uncertainties) == 1 and "fibula" in leg.uncertainties[0]


def test_a_remark_speaks_of_no_bone_of_a_joint_that_is_not_in_view():
    """Tagged bowel above a hip, taken for a tibia and a fibula that lie as those of the other side do."""
    phantom = leg_phantom(("left",), (700.0, 1000.0), spacing_mm=(4.0, 4.0, 4.0))
    hu = sitk.GetArrayFromImage(phantom.image)
    hu[55:68, 10:14, 28:36] = GREY["tibia_left"]
    hu[55:68, 10:14, 20:24] = GREY["fibula_left"]
    (leg,) = find_legs(localise_bones(localiser_of(OracleLocaliser()), scan := scan_of(hu, (4.0, 4.0, 4.0))), scan.grid)
    assert list(leg.joints) == ["hip"] and leg.side == "left"
    assert {"tibia", "fibula"} <= set(leg.regions)
    assert set(infer_sides(leg.regions, leg.grid, None).values()) == {"right"}  # what they would tell
    assert not leg.uncertainties


def test_parting_line_runs_between_the_legs():
    right, left = np.zeros((30, 40)), np.zeros((30, 40))
    right[:, 5:12], left[:, 20:30] = 1.0, 1.0
    left[10:13, 6] = 1.0  # a few voxels in two minds
    line = find_parting_line(right, left, right + left)
    assert np.all((line >= 12) & (line <= 20))


def test_parting_line_of_one_leg_lies_beside_it():
    right, left = np.zeros((30, 40)), np.zeros((30, 40))
    right[:, 10:15], left[:, 15:20] = 1.0, 0.8  # the inner half is taken for the other leg
    line = find_parting_line(right, left, right + left)
    assert np.all(line >= 20) or np.all(line <= 10)


def test_vote_weighs_bones_by_their_size_and_anatomy_most():
    assert vote_on_side({"femur": (50.0, 0.9), "fibula": (2.0, 0.0)}, {}).side == "left"
    assert vote_on_side({"femur": (50.0, 0.6)}, {"The fibula lies as on the outer side": "right"}).side == "right"


def test_a_close_vote_is_uncertain():
    assert vote_on_side({"femur": (50.0, 0.55)}, {}).uncertainties
    assert not vote_on_side({"femur": (50.0, 0.95)}, {}).uncertainties


@pytest.mark.parametrize("side", SIDES)
def test_anatomy_tells_the_side_by_fibula_and_pelvis(side):
    phantom = leg_phantom((side,), (0.0, 1000.0), spacing_mm=(4.0, 4.0, 4.0))
    (leg,) = found_in(phantom)
    told = infer_sides(leg.regions, leg.grid, leg.joints["hip"].center_mm[0])
    assert len(told) == 2 and set(told.values()) == {side}


def blocks(**heights):
    """One coarse block of 24 mm by 24 mm per bone, between two heights in slices of 4 mm."""
    grid = Grid(*(Axis(0.0, 4.0, size) for size in (60, 20, 20)))
    regions = {bone: np.zeros(grid.shape, bool) for bone in heights}
    for bone, (low, high) in heights.items():
        regions[bone][low:high, 7:13, 7:13] = True
    return regions, grid


@pytest.mark.parametrize(("asked", "joints"), [(None, ["knee"]), ("knee", ["knee"]), ("ankle", ["ankle"])])
def test_of_two_joints_in_one_place_the_one_that_was_asked_for_wins(asked, joints):
    """The upper half of a tibia looks like a femur: by what is seen it is a knee, by what the person says an ankle."""
    regions, grid = blocks(femur=(30, 42), tibia=(15, 30), talus=(10, 15))
    confidences = {"femur": 0.8, "tibia": 0.7, "talus": 0.5}
    assert list(find_joints(regions, confidences, grid, Box.of_grid(grid), asked)) == joints


def test_asking_does_not_put_a_knee_far_above_a_hip():
    """A pelvis that is surely there, and something like a knee 16 cm above it, as a spine may look."""
    regions, grid = blocks(femur=(2, 10), hip_bone=(10, 18), tibia=(50, 58))
    regions["femur"][44:50, 7:13, 7:13] = True
    confidences = {"femur": 0.6, "hip_bone": 0.6, "tibia": 0.5}
    assert list(find_joints(regions, confidences, grid, Box.of_grid(grid), "knee")) == ["hip"]


def test_bones_of_the_joint_that_was_asked_for_are_believed_sooner():
    regions, grid = blocks(tibia=(20, 60), talus=(12, 20))
    bones = {side: np.zeros((len(BONES), *grid.shape), np.float32) for side in SIDES}
    for bone, probability in (("tibia", 0.9), ("talus", 0.42)):
        bones["right"][BONES.index(bone)][regions[bone]] = probability
    none = np.where(bones["right"].sum(axis=0) > 0, 0.05, 1.0)
    coarse = CoarseProbabilities(grid, bones, 1.0 - none - bones["right"].sum(axis=0), none)
    coarse.other[regions["talus"]] = 0.3
    assert find_legs(coarse, grid) == []
    (leg,) = find_legs(coarse, grid, "ankle")
    assert list(leg.joints) == ["ankle"]


@pytest.mark.parametrize(("gap_mm", "seen_whole"), [(8.0, True), (40.0, False)])
def test_a_piece_near_a_bone_belongs_to_it(gap_mm, seen_whole):
    """The thin wing of a dark hip bone is seen in pieces that are too small to be believed by themselves."""
    top = 45 + int(gap_mm / 4.0)
    regions, grid = blocks(femur=(5, 25), hip_bone=(25, 45))
    piece = np.zeros(grid.shape, bool)
    piece[top : top + 2, 10:14, 10:14] = True
    bones = {side: np.zeros((len(BONES), *grid.shape), np.float32) for side in SIDES}
    for bone, mask in (*regions.items(), ("hip_bone", piece)):
        bones["right"][BONES.index(bone)][mask] = 0.9
    none = 1.0 - bones["right"].sum(axis=0)
    (leg,) = find_legs(CoarseProbabilities(grid, bones, np.zeros_like(none), none), grid)
    assert bool(leg.regions["hip_bone"][piece].all()) == seen_whole
    assert (leg.bones["hip_bone"].box.z[1] > grid.z.positions_mm[top]) == seen_whole


def test_nothing_of_a_long_femur_is_dropped_of_which_the_knee_alone_is_found():
    """A very tall patient with an artificial hip; only hip bones were seen to reach where they cannot."""
    grid = Grid(*(Axis(0.0, 4.0, size) for size in (190, 20, 30)))
    regions = {name: np.zeros(grid.shape, bool) for name in ("tibia", "femur")}
    regions["tibia"][2:25, 7:13, 7:13] = True
    regions["femur"][25:188, 7:13, 7:13] = True
    bones = {side: np.zeros((len(BONES), *grid.shape), np.float32) for side in SIDES}
    for bone, mask in regions.items():
        bones["right"][BONES.index(bone)][mask] = 0.9
    none = 1.0 - bones["right"].sum(axis=0)
    (leg,) = find_legs(CoarseProbabilities(grid, bones, np.zeros_like(none), none), grid)
    assert "hip" not in leg.joints and leg.regions["femur"][regions["femur"]].all()


def test_contrast_medium_in_a_bowel_widens_no_hip():
    """It touches the iliac wing and is taken for a hip bone up to the diaphragm."""
    grid = Grid(*(Axis(0.0, 4.0, size) for size in (110, 20, 30)))
    regions = {name: np.zeros(grid.shape, bool) for name in ("femur", "hip_bone", "bowel")}
    regions["femur"][5:25, 7:13, 7:13] = True
    regions["hip_bone"][25:62, 7:13, 7:13] = True
    regions["bowel"][62:, 8:16, 8:28] = True
    bones = {side: np.zeros((len(BONES), *grid.shape), np.float32) for side in SIDES}
    for bone, mask in (("femur", "femur"), ("hip_bone", "hip_bone"), ("hip_bone", "bowel")):
        bones["right"][BONES.index(bone)][regions[mask]] = 0.9
    none = 1.0 - bones["right"].sum(axis=0)
    (leg,) = find_legs(CoarseProbabilities(grid, bones, np.zeros_like(none), none), grid)
    hip_mm, top_mm = leg.joints["hip"].center_mm[0], leg.bones["hip_bone"].box.z[1]
    assert leg.regions["hip_bone"][regions["hip_bone"]].all()
    assert top_mm - hip_mm < 204.0 < grid.z.high_mm - hip_mm
    assert leg.joints["hip"].box.z[1] < grid.z.high_mm - 100.0
