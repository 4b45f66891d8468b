"""A synthetic CT from a prepared subject: anatomy, tissue, scanner, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from KneeSegLib.training.synthesis.distractors import add_arms, add_ossicles, add_other_leg, add_torso
from KneeSegLib.training.synthesis.fields import chance, fork_generator, uniform
from KneeSegLib.training.synthesis.osteoarthritis.knee import draw_worn_knee
from KneeSegLib.training.synthesis.osteoarthritis.subchondral import change_subchondral_bone
from KneeSegLib.training.synthesis.pathology import add_osteophytes
from KneeSegLib.training.synthesis.scanner import simulate_scan
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.settings import SIDE_SLACK_MM, SOFT_TISSUE_FACTORS, CtSynthesis, SoftTissue
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.synthesis.tissue import render_bone, render_soft_tissue
from KneeSegLib.training.synthesis.warp import draw_points


@dataclass
class SyntheticCt:
    """An image and its truth on one grid.

    Attributes:
        hu: ``(D, H, W)`` float32.
        nearest: ``(D, H, W)`` uint8, class index of the nearest bone.
        occupancy: ``(D, H, W)`` float32, fraction of the voxel that is bone.
        distance_mm: ``(D, H, W)`` float32, signed distance to the nearest bone surface, negative inside.
        spacing_mm: isotropic.
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
    centre_mm: Sequence[float] | torch.Tensor,
    synthesis: CtSynthesis,
    generator: torch.Generator,
) -> SyntheticCt:
    """Render one CT of ``shape`` voxels around ``centre_mm`` ``(z, y, x)`` of the prepared box."""
    scene = draw_scene(subject, shape, spacing_mm, centre_mm, synthesis, generator)
    bone, filled = render_bone(scene, synthesis.bone, generator)
    if scene.joint_space_mm is not None:
        forked = fork_generator(generator)
        bone = change_subchondral_bone(bone, scene, scene.joint_space_mm, synthesis.osteoarthritis, forked)
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
    centre_mm: Sequence[float] | torch.Tensor,
    synthesis: CtSynthesis,
    generator: torch.Generator,
) -> Scene:
    """Draw the anatomy alone: the subject on the grid, with what else may be in the picture; as :func:`render_ct`."""
    points = draw_points(shape, spacing_mm, centre_mm, synthesis.warp, generator)
    disease = synthesis.osteoarthritis
    # What the disease draws is its own: everything else of the image is as it would be in a healthy knee.
    forked = fork_generator(generator)
    if subject.joint == "knee" and chance(disease.probability, forked):
        scene = draw_worn_knee(subject, points, spacing_mm, disease, forked)
    else:
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
    """Return the bounds of soft tissue in proportion to the joint."""
    factor = SOFT_TISSUE_FACTORS[joint]
    (least_depth, most_depth), (least_fat, most_fat) = soft.depth_mm, soft.fat_mm
    return replace(
        soft, depth_mm=(factor * least_depth, factor * most_depth), fat_mm=(factor * least_fat, factor * most_fat)
    )


def draw_centre(
    subject: PreparedSubject, shape: Sequence[int], spacing_mm: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw a centre ``(z, y, x)`` in mm for a grid of ``shape``: its slices stay within the prepared box.

    Its sides may reach out by :data:`~.settings.SIDE_SLACK_MM`.
    """
    centre = []
    for axis, (extent, size) in enumerate(zip(subject.extent_mm, shape)):
        half = 0.5 * size * spacing_mm
        slack = SIDE_SLACK_MM if axis else 0.0
        low, high = min(half, extent / 2) - slack, max(extent - half, extent / 2) + slack
        centre.append(uniform((low, high), generator))
    return torch.tensor(centre)
