"""Joints: axes from shape, signs of angles, gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from KneeSegLib.training.synthesis.bones import Bone
from KneeSegLib.training.synthesis.joints import (
    HipPose,
    KneePose,
    find_knee_flexion_axis,
    fit_sphere,
    pose_hip,
    pose_knee,
    slide_to_gap,
)
from KneeSegLib.training.synthesis.legs import find_upright_turn
from KneeSegLib.training.synthesis.limb_model import read_limb_model
from KneeSegLib.training.synthesis.meshes import Mesh, transform_points, translation

MEDIAL, POSTERIOR, UP = np.eye(3)  # of a right leg in LPS


def square(height: float) -> Mesh:
    """A flat patch that faces upward."""
    corners = np.array([[-20.0, -20, height], [20, -20, height], [20, 20, height], [-20, 20, height]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))


@pytest.fixture(scope="module")
def limb(shared_data: Path) -> dict[str, Bone]:
    """The mean subject of the shape model, right limb."""
    model = read_limb_model(shared_data)
    return model.build_limb(np.zeros(model.size))


def test_a_sphere_is_found_in_its_points() -> None:
    directions = np.random.default_rng(0).standard_normal((200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    center, radius = fit_sphere(np.array([5.0, -3, 900]) + 23.5 * directions)
    np.testing.assert_allclose(center, [5, -3, 900], atol=1e-6)
    assert radius == pytest.approx(23.5)


@pytest.mark.parametrize("start_mm", [9.0, 2.0, -3.0])
def test_a_bone_slides_until_the_gap_is_as_wished(start_mm: float) -> None:
    points = np.random.default_rng(1).uniform(-5, 5, (50, 3)) * (1, 1, 0) + (0, 0, start_mm)
    shift = slide_to_gap(points, square(0.0), UP, 2.5)
    np.testing.assert_allclose(shift, [0, 0, 2.5 - start_mm], atol=0.1)


def test_a_leg_is_set_upright_and_faces_forward() -> None:
    shaft = np.array([[30.0, 10, 300], [0, 0, 0]])
    turn = find_upright_turn(shaft, np.array([-1.0, 0, 0.2]))
    top, bottom, toe = transform_points(turn, np.array([*shaft, shaft[1] + [-1, 0, 0.2]]))
    np.testing.assert_allclose(bottom, 0, atol=1e-9)
    np.testing.assert_allclose(top[:2], 0, atol=1e-9)
    assert top[2] > 0 and toe[1] < 0 and abs(toe[0]) < 1e-9
    assert np.linalg.det(turn[:3, :3]) == pytest.approx(1)


def test_hip_angles_have_their_clinical_signs() -> None:
    foot = Bone("other", Mesh(np.array([[0.0, 0, -800], [0, -150, -800]]), np.zeros((0, 3), int)))

    def posed(**angles: float) -> np.ndarray:
        return pose_hip({"foot": foot}, np.zeros(3), HipPose(**angles), ("foot",))["foot"].mesh.vertices

    assert posed(flexion=10)[0] @ POSTERIOR < -100
    assert posed(abduction=10)[0] @ MEDIAL < -100
    heel, toe = posed(rotation=10)
    assert (toe - heel) @ MEDIAL > 20


def test_a_bent_knee_carries_the_foot_backwards_and_keeps_its_gaps(limb: dict[str, Bone]) -> None:
    axis = find_knee_flexion_axis(limb["femur"].mesh)
    assert axis.direction @ MEDIAL > 0.9
    straight, bent = (pose_knee(limb, KneePose(flexion=angle)) for angle in (0.0, 30.0))
    shafts = [knee["tibia"].axis_ends[1] - knee["tibia"].axis_ends[0] for knee in (straight, bent)]
    cosine = shafts[0] @ shafts[1] / np.prod([np.linalg.norm(shaft) for shaft in shafts])
    assert np.degrees(np.arccos(cosine)) == pytest.approx(30, abs=1.5)
    assert shafts[1] @ POSTERIOR > shafts[0] @ POSTERIOR + 100
    for knee in (straight, bent):
        shift = slide_to_gap(knee["patella"].mesh.vertices, knee["femur"].mesh, -POSTERIOR, 3.0)
        assert np.linalg.norm(shift) < 1.5
    moved = bent["patella"].mesh.vertices.mean(axis=0) - straight["patella"].mesh.vertices.mean(axis=0)
    assert moved @ UP < -8


def test_tibia_turns_inward_and_varus_brings_the_foot_inward(limb: dict[str, Bone]) -> None:
    neutral, turned, varus = (
        pose_knee(limb, pose) for pose in (KneePose(), KneePose(tibial_rotation=15), KneePose(varus=5))
    )

    def fibula_behind_tibia(knee: dict[str, Bone]) -> float:
        return (knee["fibula"].axis_ends[0] - knee["tibia"].axis_ends[0]) @ POSTERIOR

    assert fibula_behind_tibia(turned) < fibula_behind_tibia(neutral) - 5
    assert (varus["tibia"].axis_ends[1] - neutral["tibia"].axis_ends[1]) @ MEDIAL > 15


def test_the_limb_is_a_right_one(limb: dict[str, Bone]) -> None:
    middle = {name: bone.mesh.vertices.mean(axis=0) for name, bone in limb.items()}
    assert middle["fibula"] @ MEDIAL < middle["tibia"] @ MEDIAL
    assert middle["hip_bone"] @ MEDIAL < middle["sacrum"] @ MEDIAL < middle["hip_bone_opposite"] @ MEDIAL
    assert middle["patella"] @ POSTERIOR < middle["femur"] @ POSTERIOR
    assert limb["femur"].axis_ends[0] @ UP > limb["femur"].axis_ends[1] @ UP


def test_moving_a_bone_moves_its_ends_and_mesh_alike(limb: dict[str, Bone]) -> None:
    moved = limb["femur"].transform(translation(np.array([1.0, 2, 3])))
    np.testing.assert_allclose(moved.axis_ends - limb["femur"].axis_ends, [[1, 2, 3]] * 2)
    np.testing.assert_allclose(moved.bounds()[0] - limb["femur"].bounds()[0], [1, 2, 3])
