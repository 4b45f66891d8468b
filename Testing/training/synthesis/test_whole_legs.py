"""Whole legs: each posed for itself, beside each other as wished, and cut through where a part was taken off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from KneeSegLib.training.synthesis import feet
from KneeSegLib.training.synthesis.amputation import amputate
from KneeSegLib.training.synthesis.arrangements import ARRANGEMENTS, LegBones, Pelvis, arrange_legs
from KneeSegLib.training.synthesis.body_cases import find_arrangement, list_cases
from KneeSegLib.training.synthesis.bones import Bone, Stump
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.joints import HipPose, KneePose
from KneeSegLib.training.synthesis.leg_poses import FOOT, LegPose, draw_leg_pose, measure_plantar_flexion, pose_leg
from KneeSegLib.training.synthesis.limb_model import read_limb_model
from KneeSegLib.training.synthesis.meshes import Mesh, rotation, translation

DOWN = np.array([0.0, 0, -1])
PELVIS = Pelvis(np.array([-85.0, 0, 0]), np.array([85.0, 0, 0]))


def rod(kind: str, top: float, bottom: float, radius: float = 12.0) -> Bone:
    """A closed tube of squares along z, as a long bone."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    heights = np.linspace(bottom, top, 30)
    ring = np.column_stack([radius * np.cos(angles), radius * np.sin(angles)])
    sides = np.concatenate([np.column_stack([ring, np.full(12, z)]) for z in heights])
    vertices = np.concatenate([sides, [[0, 0, bottom], [0, 0, top]]])
    here = np.arange(29)[:, None] * 12 + np.arange(12)
    following = np.arange(29)[:, None] * 12 + (np.arange(12) + 1) % 12
    squares = [np.stack([here, following, following + 12], -1), np.stack([here, following + 12, here + 12], -1)]
    first, second = np.arange(12), (np.arange(12) + 1) % 12
    caps = [
        np.stack([second, first, np.full(12, 360)], -1),
        np.stack([348 + first, 348 + second, np.full(12, 361)], -1),
    ]
    triangles = np.concatenate([part.reshape(-1, 3) for part in (*squares, *caps)])
    return Bone(kind, Mesh(vertices, triangles), np.array([[0.0, 0, top], [0, 0, bottom]]))


def leg() -> LegBones:
    """Rods for long bones, shorter ones for the others."""
    return {
        "femur": rod("femur", 0, -400),
        "patella": rod("patella", -370, -400),
        "tibia": rod("tibia", -410, -800),
        "fibula": rod("fibula", -420, -800),
        "talus": rod("talus", -805, -830),
        "calcaneus": rod("calcaneus", -835, -870),
        "navicular": rod("other", -835, -860),
    }


def points(bones: LegBones) -> np.ndarray:
    return np.concatenate([bone.mesh.vertices for bone in bones.values()])


def gap(legs: tuple[LegBones, LegBones]) -> float:
    right, left = map(points, legs)
    return min(float(np.linalg.norm(left - point, axis=1).min()) for point in right[::3])


def test_legs_lie_apart_touch_or_cross() -> None:
    def arranged(legs: str, seed: int = 0) -> tuple[LegBones, LegBones]:
        return arrange_legs(leg(), leg(), PELVIS, legs, np.random.default_rng(seed))

    right, left = arranged("apart")
    assert points(left)[:, 0].min() - points(right)[:, 0].max() > 20
    assert 8 < gap(arranged("touching")) < 30
    in_front = set()
    for seed in range(6):
        right, left = arranged("crossed", seed)
        assert points(right)[:, 0].max() > points(left)[:, 0].min() and gap((right, left)) > 7
        in_front.add("right" if points(right)[:, 1].min() < points(left)[:, 1].min() else "left")
    assert in_front == {"right", "left"}


def test_an_amputated_leg_ends_where_it_was_cut() -> None:
    random = np.random.default_rng(0)
    left_over = {level: set(amputate(leg(), level, random)) for level in ("leg", "thigh", "shank", "ankle", "midfoot")}
    assert left_over["leg"] == set() and left_over["thigh"] == {"femur"}
    assert left_over["shank"] == left_over["ankle"] == {"femur", "patella", "tibia", "fibula"}
    assert left_over["midfoot"] == left_over["ankle"] | {"talus", "calcaneus"}
    cut = amputate(leg(), "shank", random)
    assert -410 > cut["tibia"].bounds()[0][2] > -720
    assert cut["fibula"].bounds()[0][2] > cut["tibia"].bounds()[0][2]


def test_distances_of_a_cut_bone_are_those_to_its_stump() -> None:
    turn = rotation(np.array([0.0, 1, 0]), 90) @ translation(np.array([0.0, 0, 20]))
    bone = Bone("femur", rod("femur", 40, -40).mesh, stump=Stump(np.zeros(3), DOWN)).transform(turn)
    part = bone.measure_distance(CubicGrid((-30.0, -30.0, -30.0), 2.0, (32, 32, 60)))
    assert part is not None
    distance, where = part
    grid = np.full((32, 32, 60), 13.0)
    grid[where] = distance
    along = grid[15, 15]  # the rod's axis, which runs along x: x is the former height, raised by 20 mm
    np.testing.assert_allclose(along[[22, 23, 24, 25, 26]], [6, 4, 2, 0, -2], atol=0.1)
    assert bone.bounds()[0][0] == pytest.approx(20, abs=3)
    with pytest.raises(ValueError, match="Mirror a bone before"):
        bone.mirror()


def test_a_dozen_posed_subjects_of_any_group_show_every_arrangement() -> None:
    for group in ("train", "test"):
        posed = [name for name in list_cases() if name.group == group and name.subject.startswith("posed")]
        assert {find_arrangement(name) for name in posed} == set(ARRANGEMENTS)
    lost = {arrangement.lost for arrangement in ARRANGEMENTS}
    assert lost == {None, "leg", "thigh", "shank", "ankle", "midfoot"}


def test_drawn_poses_reach_as_far_as_legs_can() -> None:
    random = np.random.default_rng(0)
    poses = [draw_leg_pose(random) for _ in range(400)]
    assert min(pose.turn for pose in poses) < -65 and max(pose.turn for pose in poses) > 65
    assert max(pose.plantar_flexion for pose in poses) > 57
    assert max(pose.knee.flexion for pose in poses) > 70
    assert all(abs(pose.turn) <= 30 for pose in poses if pose.knee.flexion > 12)


@pytest.fixture(scope="module")
def real_leg(shared_data: Path) -> LegBones:
    """The mean leg of the shape model over a scanned foot, the centre of its femoral head in the origin."""
    model = read_limb_model(shared_data)
    limb = model.build_limb(np.zeros(model.size))
    head = limb["femur"].mesh.vertices[model.regions["femur_head"]].mean(axis=0)
    bones = {name: limb[name].transform(translation(-head)) for name in ("femur", "patella", "tibia", "fibula")}
    foot = feet.make_foot_bones(feet.read_foot(shared_data, "male_right"), 1.0)
    under = translation(bones["tibia"].axis_ends[1] + (0, 0, -12))
    return bones | {name: bone.transform(under) for name, bone in foot.items()}


@pytest.mark.parametrize(("turn", "plantar_flexion"), [(-70.0, 20.0), (45.0, 60.0)])
def test_a_foot_points_where_it_should(real_leg: LegBones, turn: float, plantar_flexion: float) -> None:
    pose = LegPose(turn, plantar_flexion, 0.0, KneePose(tibial_rotation=10.0), HipPose(abduction=5.0))
    posed = pose_leg(real_leg, pose)
    assert set(posed) == {"femur", "patella", "tibia", "fibula", *FOOT}
    assert measure_plantar_flexion(posed) == pytest.approx(plantar_flexion, abs=9)
    toes, heel = (posed[part].mesh.vertices.mean(axis=0) for part in ("metatarsals_and_phalanges", "calcaneus"))
    ahead = toes - heel
    assert np.degrees(np.arctan2(ahead[0], -ahead[1])) == pytest.approx(turn, abs=12)
    np.testing.assert_allclose(np.linalg.norm(posed["talus"].mesh.vertices, axis=1).min(), 790, atol=90)
