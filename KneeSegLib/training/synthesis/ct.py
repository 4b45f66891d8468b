"""A synthetic CT from a prepared person: anatomy, tissue, scanner, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from KneeSegLib.training.synthesis.distractors import add_arms, add_ossicles, add_other_leg, add_torso
from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.pathology import add_osteophytes
from KneeSegLib.training.synthesis.scanner import Scanner, simulate_scan
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.synthesis.tissue import BoneTissue, SoftTissue, render_bone, render_soft_tissue
from KneeSegLib.training.synthesis.warp import Warp, draw_points


@dataclass(frozen=True)
class CtSynthesis:
    """Everything a recipe may change about synthetic CT; the defaults are the shipped recipe's."""

    warp: Warp = field(default_factory=Warp)
    bone: BoneTissue = field(default_factory=BoneTissue)
    soft: SoftTissue = field(default_factory=SoftTissue)
    scanner: Scanner = field(default_factory=Scanner)
    other_leg_probability: float = 0.25
    ossicle_probability: float = 0.2
    osteophyte_probability: float = 0.25
    torso_probability: float = 0.5
    arms_probability: float = 0.35


@dataclass
class SyntheticCt:
    """An image and its truth on one grid.

    Attributes:
        hu: ``(D, H, W)`` float32.
        nearest: ``(D, H, W)`` uint8, class index of the nearest bone.
        occupancy: ``(D, H, W)`` float32, fraction of the voxel that is bone.
        distance_mm: ``(D, H, W)`` float32, signed distance to the nearest bone surface, negative inside.
    """

    hu: torch.Tensor
    nearest: torch.Tensor
    occupancy: torch.Tensor
    distance_mm: torch.Tensor
    spacing_mm: float


def render_ct(
    subject: PreparedSubject,
    shape: Sequence[int],
    spacing_mm: float,
    centre_mm: Sequence[float],
    synthesis: CtSynthesis,
    generator: torch.Generator,
) -> SyntheticCt:
    """Render one CT of ``shape`` voxels around ``centre_mm`` ``(z, y, x)`` of the prepared box."""
    scene = draw_scene(subject, shape, spacing_mm, centre_mm, synthesis, generator)
    bone, filled = render_bone(scene, synthesis.bone, generator)
    soft = render_soft_tissue(scene, _scale_soft_tissue(synthesis.soft, subject.joint), generator)
    hu = torch.lerp(soft, bone, filled)
    hu = torch.where(scene.known, hu, torch.full_like(hu, -1000.0))
    filled = torch.where(scene.known, filled, torch.zeros_like(filled))
    hu = simulate_scan(hu, spacing_mm, synthesis.scanner, generator)
    return SyntheticCt(hu, scene.nearest, filled, scene.distance_mm, spacing_mm)


def draw_scene(
    subject: PreparedSubject,
    shape: Sequence[int],
    spacing_mm: float,
    centre_mm: Sequence[float],
    synthesis: CtSynthesis,
    generator: torch.Generator,
) -> Scene:
    """The anatomy alone: the person on the grid, with what else may be in the picture."""
    points = draw_points(shape, spacing_mm, centre_mm, synthesis.warp, generator)
    scene = subject.sample(points, spacing_mm)
    if chance(synthesis.osteophyte_probability, generator):
        scene = add_osteophytes(scene, generator)
    if subject.joint == "body":
        scene = replace(scene, far_mm=torch.where(scene.known, scene.far_mm, 255.0))
        if chance(synthesis.arms_probability, generator):
            scene = add_arms(scene, subject, synthesis.warp, generator)
        top_mm = (subject.extent_mm[0] - 15.0) - (points[:, 0, 0, 0].min().item())
        if top_mm < shape[0] * spacing_mm - 20.0 and chance(synthesis.torso_probability, generator):
            middle = 0.5 * subject.extent_mm[2] - points[0, 0, :, 2].min().item()
            scene = add_torso(scene, top_mm, middle, generator)
        return replace(scene, known=torch.ones_like(scene.known))
    if chance(synthesis.other_leg_probability, generator) and subject.joint != "hip":
        scene = add_other_leg(scene, subject, torch.as_tensor(centre_mm), synthesis.warp, generator)
    if chance(synthesis.ossicle_probability, generator):
        scene = add_ossicles(scene, generator)
    return scene


def _scale_soft_tissue(soft: SoftTissue, joint: str) -> SoftTissue:
    """Feet are lean and hips are not: soft tissue in proportion to the joint."""
    factor = {"ankle": 0.45, "knee": 1.0, "hip": 1.5, "body": 1.0}[joint]
    return replace(
        soft,
        depth_mm=tuple(factor * bound for bound in soft.depth_mm),
        fat_mm=tuple(factor * bound for bound in soft.fat_mm),
    )


def draw_centre(
    subject: PreparedSubject, shape: Sequence[int], spacing_mm: float, generator: torch.Generator
) -> torch.Tensor:
    """A centre for a grid of ``shape`` such that its slices stay within the prepared box, and its sides mostly do."""
    centre = []
    for axis, (extent, size) in enumerate(zip(subject.extent_mm, shape)):
        half = 0.5 * size * spacing_mm
        slack = 10.0 if axis else 0.0
        low, high = min(half, extent / 2) - slack, max(extent - half, extent / 2) + slack
        centre.append(uniform((low, high), generator))
    return torch.tensor(centre)
