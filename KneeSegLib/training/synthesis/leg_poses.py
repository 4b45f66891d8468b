"""Whole legs with their feet, each posed for itself: angles as a clinician gives them, not as a scan happened to be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from KneeSegLib.training.synthesis import feet
from KneeSegLib.training.synthesis.bones import Bone, move_bones
from KneeSegLib.training.synthesis.joints import (
    Axis,
    HipPose,
    KneePose,
    draw_knee_pose,
    pose_hip,
    pose_knee,
)
from KneeSegLib.training.synthesis.legs import fit_talar_dome
from KneeSegLib.training.synthesis.meshes import rotation
from KneeSegLib.training.synthesis.settings import (
    FLEXION_OF_KNEES,
    MIDFOOT_INWARD_DEGREES,
    MOST_OF_ANKLE_DEGREES,
    MOST_TURN_OF_BENT_LEGS,
    NEUTRAL_FOOT_DEGREES,
    PLANTAR_FLEXION,
    RELAXED_PROBABILITY,
    RELAXED_TURN,
    STRAIGHT_DEGREES,
    STRAIGHT_PROBABILITY,
    TURN_OF_LEGS,
)

HINDFOOT = ("talus", "calcaneus")
FOOT = (*HINDFOOT, *feet.MIDFOOT)
SHANK = ("tibia", "fibula", *FOOT)


@dataclass(frozen=True)
class LegPose:
    """Degrees.

    Attributes:
        turn: of the foot against straight ahead, inward positive; the hip turns the leg.
        plantar_flexion: of the foot against a standing one; the ankle takes so much of it as it can, the midfoot the
            rest.
        midfoot: of the forefoot, inward.
        knee, hip: of these joints; the hip's rotation is what ``turn`` leaves for it.
    """

    turn: float
    plantar_flexion: float
    midfoot: float
    knee: KneePose
    hip: HipPose


def draw_leg_pose(random: np.random.Generator) -> LegPose:
    """Draw a pose: half the legs lie as a relaxed patient's, the others turned as far as legs can be."""
    straight = random.random() < STRAIGHT_PROBABILITY
    flexion = random.uniform(*(STRAIGHT_DEGREES if straight else FLEXION_OF_KNEES))
    relaxed = random.random() < RELAXED_PROBABILITY
    turn = random.uniform(*(RELAXED_TURN if relaxed else TURN_OF_LEGS))
    if not straight:
        turn = float(np.clip(turn, *MOST_TURN_OF_BENT_LEGS))
    return LegPose(
        turn=turn,
        plantar_flexion=random.uniform(*PLANTAR_FLEXION),
        midfoot=random.uniform(*MIDFOOT_INWARD_DEGREES),
        knee=replace(draw_knee_pose(random), flexion=flexion),
        # Who lies raises the knee that is bent.
        hip=HipPose(flexion=flexion / 2 + random.uniform(-6, 8), abduction=random.uniform(-5, 15)),
    )


def pose_leg(bones: dict[str, Bone], pose: LegPose) -> dict[str, Bone]:
    """Return a right leg posed, the centre of its femoral head in the origin as before.

    Args:
        bones: ``femur``, ``patella`` and all of :data:`SHANK`, extended.
    """
    ahead = _find_forward(bones)
    bones = point_foot(bones, pose.plantar_flexion, pose.midfoot)
    # A right foot's inward turn is to larger x. What the knee turns the hip need not.
    turned = np.degrees(np.arctan2(ahead[0], -ahead[1])) + pose.knee.tibial_rotation
    bones = pose_knee(bones, pose.knee, SHANK)
    return pose_hip(bones, np.zeros(3), replace(pose.hip, rotation=pose.turn - turned), tuple(bones))


def point_foot(bones: dict[str, Bone], plantar_flexion: float, midfoot: float) -> dict[str, Bone]:
    """Return a leg whose foot points down by so much more than a standing one's, and inward in front by ``midfoot``."""
    shaft = _find_up(bones)
    now = measure_plantar_flexion(bones)
    of_ankle = min(plantar_flexion, MOST_OF_ANKLE_DEGREES)
    axis = find_talar_axis(bones)
    bones = move_bones(bones, axis.turn(of_ankle - now), *FOOT)
    chopart = bones["talus"].mesh.vertices.mean(axis=0) / 2 + bones["navicular"].mesh.vertices.mean(axis=0) / 2
    bones = move_bones(bones, rotation(axis.direction, plantar_flexion - of_ankle, chopart), *feet.MIDFOOT)
    return move_bones(bones, rotation(shaft, midfoot, chopart), *feet.MIDFOOT)


def measure_plantar_flexion(bones: dict[str, Bone]) -> float:
    """Return how many degrees a foot points down, against the shank, more than a standing one does."""
    ahead = bones["metatarsals_and_phalanges"].mesh.vertices.mean(axis=0) - bones["calcaneus"].mesh.vertices.mean(
        axis=0
    )
    return float(np.degrees(np.arcsin(-ahead @ _find_up(bones) / np.linalg.norm(ahead)))) - NEUTRAL_FOOT_DEGREES


def find_talar_axis(bones: dict[str, Bone]) -> Axis:
    """Return the axis across a right foot through the centre of the talar dome; positive turns point the foot down."""
    across = np.cross(_find_up(bones), _find_forward(bones))
    return fit_talar_dome(bones["talus"].mesh, across / np.linalg.norm(across))


def _find_up(bones: dict[str, Bone]) -> np.ndarray:
    """Return the unit vector up along the shank."""
    upper, lower = bones["tibia"].axis_ends
    return (upper - lower) / np.linalg.norm(upper - lower)


def _find_foot_line(bones: dict[str, Bone]) -> np.ndarray:
    """Return the vector from the middle of the calcaneus to that of metatarsals and toes."""
    toes, heel = (bones[part].mesh.vertices.mean(axis=0) for part in ("metatarsals_and_phalanges", "calcaneus"))
    return toes - heel


def _find_forward(bones: dict[str, Bone]) -> np.ndarray:
    """Return the unit vector that a foot which does not point down strongly points along, across the shank."""
    ahead, up = _find_foot_line(bones), _find_up(bones)
    ahead = ahead - (ahead @ up) * up
    return ahead / np.linalg.norm(ahead)
