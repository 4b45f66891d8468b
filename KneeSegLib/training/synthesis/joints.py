"""Posing: axes of the joints found from the bones' shape, and bones moved about them with a set least gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.training.synthesis.bones import Bone, move_bones
from KneeSegLib.training.synthesis.meshes import Mesh, rotation, sample_surface, transform_points, translation

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Axis:
    """A line: a point and a unit direction."""

    center: np.ndarray
    direction: np.ndarray

    def turn(self, angle_degrees: float) -> np.ndarray:
        """Return the 4 x 4 matrix that turns about the line, right-handed."""
        return rotation(self.direction, angle_degrees, self.center)


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return centre and radius of the sphere (D = 2: circle) that fits points (N, D) best in the algebraic sense."""
    unknowns = np.column_stack([2 * points, np.ones(len(points))])
    solution = np.linalg.lstsq(unknowns, (points**2).sum(axis=1), rcond=None)[0]
    center = solution[:-1]
    return center, float(np.sqrt(solution[-1] + center @ center))


def find_knee_flexion_axis(femur: Mesh) -> Axis:
    """Return the axis through the centres of circles fitted to the backs of both condyles.

    This is the cylindrical axis; it points to the patient's left. Positive angles about it carry the foot of an upright
    leg backwards: flexion.
    """
    vertices, normals = femur.vertices, femur.normals()
    distal = vertices[:, 2] < vertices[:, 2].min() + 45
    vertices, normals = vertices[distal], normals[distal]
    direction = np.array([1.0, 0.0, 0.0])
    centers = []
    for _ in range(3):
        backward = np.cross(UP, direction)
        backward /= np.linalg.norm(backward)
        across = vertices @ direction
        middle = (across.min() + across.max()) / 2
        centers = []
        for half in (across < middle, across >= middle):
            points, outward = vertices[half], normals[half]
            back = points @ backward
            ridge = points[np.argmax(back)]
            band = (np.abs((points - ridge) @ direction) < 7) & (outward @ backward > 0.3) & (back > back.max() - 18)
            flat = np.column_stack([points[band] @ backward, points[band, 2]])
            (depth, height), _ = fit_sphere(flat)
            centers.append((ridge @ direction) * direction + depth * backward + height * UP)
        direction = centers[1] - centers[0]
        direction /= np.linalg.norm(direction)
    return Axis((centers[0] + centers[1]) / 2, direction)


def slide_to_gap(
    moving: np.ndarray, fixed: Mesh, direction: np.ndarray, gap_mm: float, reach_mm: float = 25.0
) -> np.ndarray:
    """Return the shift that makes the least distance of points to a surface ``gap_mm``.

    Args:
        direction: of the shift, away from ``fixed``.
        moving: points (N, 3) of the moving bone's surface.
        reach_mm: the greatest shift away; towards it, half of that.
    """
    points, owners = sample_surface(fixed, 1.5)
    corners = fixed.vertices[fixed.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[owners]
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    tree = KDTree(points)
    direction = direction / np.linalg.norm(direction)

    def least_gap(shift: float) -> float:
        places = moving + shift * direction
        distance, nearest = tree.query(places)
        outside = np.einsum("nx,nx->n", places - points[nearest], normals[nearest]) >= 0
        return float(np.where(outside, distance, -distance).min())

    low, high = -reach_mm / 2, reach_mm
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if least_gap(middle) < gap_mm else (low, middle)
    return direction * (low + high) / 2


@dataclass(frozen=True)
class KneePose:
    """Degrees and millimetres. Tibial rotation is inward, varus brings the foot inward, patella height is upward."""

    flexion: float = 0.0
    tibial_rotation: float = 0.0
    varus: float = 0.0
    patella_height_mm: float = 0.0
    femorotibial_gap_mm: float = 4.0
    patellofemoral_gap_mm: float = 3.0


def draw_knee_pose(random: np.random.Generator, greatest_flexion: float = 40.0) -> KneePose:
    """Draw a pose, mostly nearly straight.

    The tibia is turned inward by 4 to 22 degrees, which takes back the shape model's outward turn.
    """
    bent = random.random() < 0.25
    return KneePose(
        flexion=random.uniform(15, greatest_flexion) if bent else random.uniform(0, 15),
        tibial_rotation=random.uniform(4, 22),
        varus=random.uniform(-5, 5),
        patella_height_mm=random.uniform(-8, 8),
        femorotibial_gap_mm=random.uniform(1.0, 6.0),
        patellofemoral_gap_mm=random.uniform(2.0, 5.0),
    )


def pose_knee(bones: dict[str, Bone], pose: KneePose, below: tuple[str, ...] = ("tibia", "fibula")) -> dict[str, Bone]:
    """Return a right knee bent: everything in ``below`` moves with the tibia, the patella runs along its groove.

    Args:
        bones: right limb, extended, with ``femur``, ``patella``, ``tibia`` and all named in ``below``.
    """
    femur, tibia = bones["femur"].mesh, bones["tibia"]
    axis = find_knee_flexion_axis(femur)
    shaft = tibia.axis_ends[1] - tibia.axis_ends[0]
    front = np.cross(axis.direction, UP)

    # About the axis to the left, a right-handed turn carries the foot (down) backwards (+y).
    flexed = axis.turn(pose.flexion)
    plateau = Axis(tibia.axis_ends[0], -shaft / np.linalg.norm(shaft))
    transform = flexed @ plateau.turn(pose.tibial_rotation) @ rotation(front, pose.varus, tibia.axis_ends[0])
    bones = move_bones(bones, transform, *below)

    plateau_points = _select_end(bones["tibia"], 40)
    down = bones["tibia"].axis_ends[1] - bones["tibia"].axis_ends[0]
    shift = slide_to_gap(plateau_points, femur, down, pose.femorotibial_gap_mm)
    bones = move_bones(bones, translation(shift), *below)

    patella = bones["patella"].mesh
    arm = patella.vertices.mean(axis=0) - axis.center
    arm -= (arm @ axis.direction) * axis.direction
    follow = 0.8 * pose.flexion - np.degrees(pose.patella_height_mm / np.linalg.norm(arm))
    bones = move_bones(bones, axis.turn(follow), "patella")
    outward = transform_points(rotation(axis.direction, follow), arm)
    shift = slide_to_gap(bones["patella"].mesh.vertices, femur, outward, pose.patellofemoral_gap_mm)
    return move_bones(bones, translation(shift), "patella")


@dataclass(frozen=True)
class HipPose:
    """Degrees; abduction takes the knee away from the middle, rotation turns the foot inward."""

    flexion: float = 0.0
    abduction: float = 0.0
    rotation: float = 0.0


def draw_hip_pose(random: np.random.Generator) -> HipPose:
    """Draw a pose of a subject who lies.

    Inward turns of -5 to 35 degrees take back the shape model's outward turn and cover what is normal.
    """
    return HipPose(random.uniform(-10, 15), random.uniform(-12, 15), random.uniform(-5, 35))


def pose_hip(bones: dict[str, Bone], head_center: np.ndarray, pose: HipPose, leg: tuple[str, ...]) -> dict[str, Bone]:
    """Return a right leg turned about the centre of its femoral head; everything named in ``leg`` moves."""
    return move_bones(bones, turn_hip(head_center, pose), *leg)


def turn_hip(head_center: np.ndarray, pose: HipPose) -> np.ndarray:
    """Return the 4 x 4 matrix that turns a right leg about the centre of its femoral head."""
    left, front = np.array([1.0, 0.0, 0.0]), np.array([0.0, -1.0, 0.0])
    return (
        rotation(left, -pose.flexion, head_center)
        @ rotation(front, -pose.abduction, head_center)
        @ rotation(UP, pose.rotation, head_center)
    )


def _select_end(bone: Bone, reach_mm: float, end: int = 0) -> np.ndarray:
    """Return the vertices of a long bone within reach of its proximal (0) or distal (1) end."""
    axis = bone.axis_ends[1 - end] - bone.axis_ends[end]
    along = (bone.mesh.vertices - bone.axis_ends[end]) @ axis / np.linalg.norm(axis)
    return bone.mesh.vertices[along < reach_mm]
