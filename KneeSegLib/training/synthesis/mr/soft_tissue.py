"""Soft tissue in MR: fat, muscles, tendons, vessels, fluid and skin, all that has no label."""

from __future__ import annotations

import torch

from KneeSegLib.training.synthesis.fields import blur, chance, smoothstep, uniform
from KneeSegLib.training.synthesis.mr.noise import compute_fraction_within
from KneeSegLib.training.synthesis.mr.scene import MrScene
from KneeSegLib.training.synthesis.mr.settings import TISSUE_BLUR_VOXELS, Contrast, Surroundings
from KneeSegLib.training.synthesis.mr.signal import Signal
from KneeSegLib.training.synthesis.mr.structures import ARTERY, FAT, FAT_PAD, FIRST_MUSCLE, NERVE, POUCH, TENDON, VEIN


def render_soft_tissue(
    scene: MrScene, fluid: torch.Tensor, around: Surroundings, contrast: Contrast, generator: torch.Generator
) -> Signal:
    """Return all that has no label: fat, muscles, tendons, vessels, fluid, skin, and nothing outside the skin."""
    fat = render_fat(scene, around, contrast, generator)
    flesh = render_template_tissue(scene, fat, around, contrast, generator)
    if chance(around.other_muscles_probability, generator):
        flesh = add_other_muscles(flesh, fat, scene, contrast, generator)
    if chance(around.decoy_probability, generator):
        flesh = add_decoys(flesh, scene, contrast, generator)
    open_space = (scene.soft != TENDON) & (scene.soft < FIRST_MUSCLE)
    flesh = flesh.mix(Signal.of_water(scene.bone_mm, contrast.fluid), fluid * open_space)
    return add_skin(flesh, scene, around, contrast, generator)


def render_fat(scene: MrScene, around: Surroundings, contrast: Contrast, generator: torch.Generator) -> Signal:
    """Return fat with thin septa; in the pad below the patella with coarser strands."""
    septa = 1.0 - smoothstep(scene.noise((6.0, 9.0, 6.0), generator).abs(), 0.03, 0.16)
    strands = scene.noise(2.5, generator).clamp(min=0.0) * uniform(around.pad_grain, generator)
    in_pad = (scene.soft == FAT_PAD) | (scene.cavity_mm < 14.0)
    fraction = (0.92 - uniform((0.0, 0.4), generator) * septa - strands * in_pad).clamp(0.1, 1.0)
    uneven = 1.0 + 0.06 * scene.noise(20.0, generator)
    return Signal(0.6 * contrast.muscle * (1.0 - fraction), contrast.fat * fraction * uneven)


def render_template_tissue(
    scene: MrScene, fat: Signal, around: Surroundings, contrast: Contrast, generator: torch.Generator
) -> Signal:
    """Return muscles, tendons, vessels and nerves of the template on a ground of fat."""
    vessels_are_dark = chance(around.dark_vessel_probability, generator)
    levels = torch.zeros(FIRST_MUSCLE + 32)
    levels[TENDON], levels[NERVE] = contrast.tendon, contrast.nerve
    levels[ARTERY] = contrast.tendon if vessels_are_dark else contrast.artery
    levels[VEIN] = contrast.vein
    spread = 1.0 + 0.08 * torch.randn(32, generator=generator)
    levels[FIRST_MUSCLE:] = contrast.muscle * uniform(around.muscle_factor, generator) * spread
    water = levels[scene.soft.long()]
    is_muscle = scene.soft >= FIRST_MUSCLE
    streaks = draw_muscle_streaks(scene, around, generator)
    if chance(around.fascia_probability, generator):
        streaks = torch.maximum(streaks, uniform(around.fascia, generator) * find_fascia(scene.soft))
    water = water * torch.where(is_muscle, 1.0 + 0.06 * scene.noise((8.0, 20.0, 8.0), generator), 1.0)
    of_fat = (scene.soft == FAT) | (scene.soft == FAT_PAD) | (scene.soft == POUCH)
    fat_fraction = torch.where(is_muscle, streaks, of_fat.float())
    # Labels have no edges between voxels: a little blur gives partial volumes.
    edge = (0.0, TISSUE_BLUR_VOXELS, TISSUE_BLUR_VOXELS)
    water, fat_fraction = blur(water * (1.0 - fat_fraction), edge), blur(fat_fraction, edge)
    return Signal(water + fat.water * fat_fraction, fat.fat * fat_fraction)


def draw_muscle_streaks(scene: MrScene, around: Surroundings, generator: torch.Generator) -> torch.Tensor:
    """Draw 0..1: fat in thin lines along the fibres, more in some muscles than in others."""
    thin = smoothstep(scene.noise((2.0, 22.0, 2.2), generator), 1.2, 2.4)
    return uniform(around.muscle_streaks, generator) * thin * smoothstep(scene.noise(40.0, generator), -0.5, 1.0)


def find_fascia(soft: torch.Tensor) -> torch.Tensor:
    """Return 1 where one muscle borders on another within a slice, else 0."""
    edge = torch.zeros(soft.shape, dtype=torch.bool)
    for axis in (1, 2):
        first, second = soft.narrow(axis, 0, soft.shape[axis] - 1), soft.narrow(axis, 1, soft.shape[axis] - 1)
        edge.narrow(axis, 0, soft.shape[axis] - 1).logical_or_(
            (first != second) & (first >= FIRST_MUSCLE) & (second >= FIRST_MUSCLE)
        )
    return edge.float()


def add_other_muscles(
    flesh: Signal, fat: Signal, scene: MrScene, contrast: Contrast, generator: torch.Generator
) -> Signal:
    """Add invented muscles in the place of the template's: 30 to 60 mm across, long, tapered, with fat between."""
    across = uniform((28.0, 50.0), generator)
    first, second = (
        scene.noise((across * f, uniform((90.0, 160.0), generator), across * f), generator) for f in (1.0, 1.3)
    )
    planes = torch.minimum(first.abs(), second.abs())
    filled = smoothstep(planes, 0.04, uniform((0.1, 0.3), generator))
    level = contrast.muscle * (1.0 + 0.12 * torch.sign(first) + 0.08 * torch.sign(second))
    muscles = fat.mix(Signal(level, torch.zeros_like(level)), filled)
    replaced = (scene.soft == FAT) | (scene.soft >= FIRST_MUSCLE)
    away = smoothstep(scene.cavity_mm, 10.0, 16.0) * (1.0 - smoothstep(scene.flesh_mm, 0.0, 1.0))
    return flesh.mix(muscles, away * replaced)


def add_decoys(flesh: Signal, scene: MrScene, contrast: Contrast, generator: torch.Generator) -> Signal:
    """Add pieces as bright as marrow with a dark rim in soft tissue: not everything like bone is bone."""
    pieces = scene.noise(uniform((12.0, 30.0), generator), generator)
    fat = contrast.fat * uniform((0.5, 0.9), generator)
    marrow = Signal(torch.full_like(pieces, 0.25 * contrast.marrow), torch.full_like(pieces, fat))
    body = flesh.mix(Signal.of_water(scene.bone_mm, contrast.cortex), smoothstep(pieces, 1.45, 1.5))
    return body.mix(marrow, smoothstep(pieces, 1.5, uniform((1.52, 1.7), generator)))


def add_skin(
    flesh: Signal, scene: MrScene, around: Surroundings, contrast: Contrast, generator: torch.Generator
) -> Signal:
    """Add fat under the skin upon the hull of the anatomy, skin on top, nothing outside."""
    depth = uniform(around.fat_mm, generator) * (1.0 + 0.5 * scene.noise(50.0, generator)).clamp(0.15, 2.0)
    below = depth + 1.5 - scene.flesh_mm
    skin = 1.0 - smoothstep(below, 0.6, uniform((1.2, 2.4), generator))
    body = flesh.mix(Signal.of_water(scene.bone_mm, contrast.skin), skin)
    return body.scale(compute_fraction_within(-below, scene.spacing_mm))
