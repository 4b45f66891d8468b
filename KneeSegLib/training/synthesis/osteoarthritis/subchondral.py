"""Bone below a worn surface: a dense plate, sclerosis that fades with depth, and cysts with a hard rim."""

from __future__ import annotations

import torch

from KneeSegLib.training.synthesis.fields import draw_smooth_noise, smoothstep, uniform
from KneeSegLib.training.synthesis.osteoarthritis.settings import (
    CYST_DEPTH_MM,
    CYST_GAP_MM,
    CYST_HU,
    CYST_ROUGHNESS,
    PLATE_HU,
    PLATE_MM,
    RIM_OF_CYST_HU,
    RIM_OF_CYST_MM,
    WORN_GAP_MM,
    Osteoarthritis,
)
from KneeSegLib.training.synthesis.scene import Scene


def change_subchondral_bone(
    bone: torch.Tensor,
    scene: Scene,
    joint_space_mm: torch.Tensor,
    disease: Osteoarthritis,
    generator: torch.Generator,
) -> torch.Tensor:
    """Change bone on both sides of a worn joint. HU ``(D, H, W)`` in and out; the labels stay."""
    depth_mm = -scene.distance_mm
    worn = 1.0 - smoothstep(joint_space_mm, *WORN_GAP_MM)
    uneven = (1.0 + 0.5 * draw_smooth_noise(bone.shape, scene.spacing_mm, 9.0, generator)).clamp(0.2, 1.8)
    reach_mm = (uniform(disease.sclerosis_mm, generator) * uneven).clamp(min=0.1)
    sclerosis = worn * (1.0 - depth_mm / reach_mm).clamp(0.0, 1.0)
    bone = bone + uniform(disease.sclerosis_hu, generator) * sclerosis
    plate = worn * (1.0 - smoothstep(depth_mm, *_around(uniform(PLATE_MM, generator))))
    bone = torch.lerp(bone, bone.clamp(min=uniform(PLATE_HU, generator)), plate)
    for _ in range(int(uniform((disease.cysts[0], disease.cysts[1] + 1.0), generator))):
        bone = _add_cyst(bone, scene, joint_space_mm, disease, generator)
    return bone


def _around(value_mm: float) -> tuple[float, float]:
    return value_mm - 0.5, value_mm + 0.5


def _add_cyst(
    bone: torch.Tensor,
    scene: Scene,
    joint_space_mm: torch.Tensor,
    disease: Osteoarthritis,
    generator: torch.Generator,
) -> torch.Tensor:
    """Add a cyst below the worn surface; none where the picture does not show that place."""
    radius_mm, shift = max(uniform(disease.cyst_mm, generator), scene.spacing_mm), torch.rand((), generator=generator)
    fluid, rim_hu = uniform(CYST_HU, generator), uniform(RIM_OF_CYST_HU, generator)
    depth_mm = -scene.distance_mm
    low, high = CYST_DEPTH_MM
    places = torch.nonzero((joint_space_mm < CYST_GAP_MM) & (depth_mm > low) & (depth_mm < high))
    if not len(places):
        return bone
    middle = places[int(shift * len(places))]
    reach = int((radius_mm * (1.0 + 3.0 * CYST_ROUGHNESS) + RIM_OF_CYST_MM) / scene.spacing_mm) + 1
    box = tuple(slice(max(int(at) - reach, 0), min(int(at) + reach + 1, size)) for at, size in zip(middle, bone.shape))
    axes = [torch.arange(part.start, part.stop) - int(at) for part, at in zip(box, middle)]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1) * scene.spacing_mm
    rough = 1.0 + CYST_ROUGHNESS * draw_smooth_noise(offsets.shape[:3], scene.spacing_mm, radius_mm, generator)
    beyond_mm = offsets.float().norm(dim=-1) - radius_mm * rough
    half = 0.5 * scene.spacing_mm
    rim = 1.0 - smoothstep(beyond_mm.abs(), 0.0, RIM_OF_CYST_MM)
    # Cortex remains over a cyst but for its thinnest: cysts often open into the joint.
    filled = (1.0 - smoothstep(beyond_mm, -half, half)) * smoothstep(depth_mm[box], 0.3, 1.0)
    changed = bone.clone()
    changed[box] = torch.lerp(bone[box] + rim_hu * rim, torch.full_like(beyond_mm, fluid), filled)
    return changed
