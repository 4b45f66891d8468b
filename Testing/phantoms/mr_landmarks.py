"""Prepared knees of cylinders with landmarks on their bones: what shape networks learn from, in small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.mr.anatomy_file import COARSE, STEP_UNIT_MM, MrSubject, MrTemplate
from KneeSegLib.training.synthesis.mr.landmarks_file import LANDMARK_BONES, Landmarks
from Testing.phantoms.mr_knees import SHAFT_RADIUS_MM, cylinder_knee_subject, cylinder_knee_template

END_MM = {"femur": 3.0, "tibia": -3.0}
"""Height of the bones' ends at the knee."""
_MODES = 3


def tall_template(name: str = "cylinders", to_left_mm: float = 0.0) -> MrTemplate:
    """The cylinders with 16 mm more of their shafts, and with vertices on their surfaces; elsewhere if wanted."""
    template = cylinder_knee_template()
    more = 16 // COARSE

    def longer(field: np.ndarray, voxels: int) -> np.ndarray:
        return np.pad(field, ((voxels, voxels), (0, 0), (0, 0)), mode="edge")

    fine = {n: longer(getattr(template, n), COARSE * more) for n in ("bone", "cover", "meniscus", "owner", "soft")}
    coarse = {n: longer(getattr(template, n), more) for n in ("flesh", "cavity", "cortex")}
    x, y, z = template.origin_mm
    shift = np.array([to_left_mm, 0.0, 0.0])
    vertices = {bone: (places + shift).astype(np.float32) for bone, places in _vertices().items()}
    origin = (x + to_left_mm, y, z - 16.0)
    return replace(template, **fine, **coarse, origin_mm=origin, vertices=vertices, name=name)


def _vertices() -> dict[str, np.ndarray]:
    turns = np.radians(np.arange(0.0, 360.0, 15.0))

    def tube(x: float, y: float, radius: float, heights: np.ndarray) -> np.ndarray:
        turn, height = (grid.ravel() for grid in np.meshgrid(turns, heights))
        return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn), height], axis=1)

    return {
        "femur": tube(0, 0, SHAFT_RADIUS_MM, np.arange(3.0, 60.0, 6.0)),
        "tibia": tube(0, 0, SHAFT_RADIUS_MM, np.arange(-57.0, 0.0, 6.0)),
        "patella": tube(0, -38, 8.0, np.array([12.0, 16.0, 20.0])),
        "fibula": tube(-31, 10, 5.0, np.arange(-57.0, -14.0, 6.0)),
    }


def broader_subject(name: str, factor: float, group: Group = "train") -> MrSubject:
    """The template, broader from right to left by a factor."""
    subject = cylinder_knee_subject(group)
    across = subject.origin_mm[0] + subject.spacing_mm * np.arange(subject.steps.shape[3])
    steps = np.zeros_like(subject.steps)
    steps[0] = np.round(across * (1.0 / factor - 1.0) / STEP_UNIT_MM).astype(np.int16)
    return replace(subject, steps=steps, name=name)


def cylinder_landmarks(bone: str, count: int = 120, seed: int = 0) -> np.ndarray:
    """Points on the side and on the end of a bone's cylinder, away from the edge between them."""
    random = np.random.default_rng(seed)
    turn, upward = random.uniform(0.0, 2.0 * np.pi, count), 1.0 if bone == "femur" else -1.0
    height = END_MM[bone] + upward * random.uniform(5.0, 38.0, count)
    radius = np.full(count, SHAFT_RADIUS_MM)
    at_end = np.arange(count) % 3 == 0
    height[at_end], radius[at_end] = END_MM[bone], random.uniform(0.0, SHAFT_RADIUS_MM - 5.0, at_end.sum())
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1).astype(np.float32)


def cylinder_modes(bone: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A mean and some orthonormal components of the landmarks."""
    mean = cylinder_landmarks(bone)
    random = np.random.default_rng(1).normal(size=(mean.size, _MODES))
    components = np.linalg.qr(random)[0].T.reshape(_MODES, *mean.shape)
    return mean - mean.mean(axis=0), components, np.array([90.0, 40.0, 10.0])


def landmarks() -> Landmarks:
    """Of both bones of the one template."""
    points = {bone: {"cylinders": cylinder_landmarks(bone)} for bone in LANDMARK_BONES}
    return Landmarks(points, {bone: cylinder_modes(bone) for bone in LANDMARK_BONES})


def prepared_folder(folder: Path) -> Path:
    """Write the template, a subject to train on, one to validate with, and the landmarks."""
    cylinder_knee_template().save(folder)
    for group in ("train", "validation"):
        cylinder_knee_subject(group).save(folder)
    landmarks().save(folder)
    return folder
