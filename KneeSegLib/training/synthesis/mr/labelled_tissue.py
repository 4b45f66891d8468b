"""Labelled tissue in MR: bone with cortex and marrow, cartilage and menisci."""

from __future__ import annotations

import torch

from KneeSegLib.training.synthesis.fields import chance, smoothstep, uniform
from KneeSegLib.training.synthesis.mr.noise import compute_fraction_within
from KneeSegLib.training.synthesis.mr.scene import MrScene
from KneeSegLib.training.synthesis.mr.settings import Contrast, Marrow
from KneeSegLib.training.synthesis.mr.signal import Signal


def render_bone(
    scene: MrScene, marrow: Marrow, contrast: Contrast, generator: torch.Generator
) -> tuple[Signal, torch.Tensor]:
    """Return marrow within a shell of cortex as thick as prepared at each place of the bone, and where marrow is:
    the fraction of each voxel within the cortex, ``(D, H, W)``."""
    fat_fraction = uniform(marrow.fat_share, generator)
    red = uniform(marrow.patchiness, generator) * scene.noise(16.0, generator)
    fraction = (fat_fraction + red).clamp(0.1, 0.97)
    if chance(marrow.oedema_probability, generator):
        near_joint = 1.0 - smoothstep(scene.cavity_mm, 6.0, 18.0)
        soaked = near_joint * smoothstep(scene.noise(18.0, generator), 0.4, 1.2)
        fraction = fraction * (1.0 - uniform((0.3, 0.9), generator) * soaked)
    grain = 1.0 + uniform(marrow.grain, generator) * scene.noise(uniform(marrow.grain_mm, generator), generator)
    wet = contrast.marrow + 0.5 * (contrast.fluid - contrast.marrow) * (fat_fraction - fraction).clamp(min=0.0)
    inside = Signal(wet * (1.0 - fraction) * grain, contrast.fat * fraction * grain)
    if chance(marrow.vessels_probability, generator):
        inside = inside.scale(1.0 - 0.5 * smoothstep(scene.noise(1.8, generator), 1.6, 2.6))
    if chance(marrow.scar_probability, generator):
        inside = inside.scale(1.0 - uniform((0.2, 0.7), generator) * draw_growth_plate_scar(scene, generator))
    if chance(marrow.cyst_probability, generator):
        cysts = smoothstep(scene.noise(uniform((4.0, 8.0), generator), generator), 1.9, 2.5)
        inside = inside.mix(Signal.of_water(scene.bone_mm, contrast.fluid), cysts * (scene.cavity_mm < 15.0))
    thickness = scene.cortex_mm * uniform(marrow.cortex_factor, generator)
    thickness = thickness * (1.0 + 0.25 * scene.noise(14.0, generator)).clamp(0.4, 1.8)
    within = compute_fraction_within(scene.bone_mm + thickness, scene.spacing_mm)
    return Signal.of_water(scene.bone_mm, contrast.cortex).mix(inside, within), within


def draw_growth_plate_scar(scene: MrScene, generator: torch.Generator) -> torch.Tensor:
    """Draw 0..1: 1 on two wavy broken sheets across the bones, about 1 mm thick, 40 to 70 mm apart."""
    rows, step = scene.shape[1], scene.spacing_mm[1]
    height = (torch.arange(rows) * step)[None, :, None] + 4.0 * scene.noise(25.0, generator)
    apart = uniform((40.0, 70.0), generator)
    lower = uniform((0.1, 0.5), generator) * rows * step
    depth = torch.minimum((height - lower).abs(), (height - lower - apart).abs())
    line = 1.0 - smoothstep(depth, 0.3, uniform((0.9, 1.8), generator))
    return line * smoothstep(scene.noise(9.0, generator), -0.8, 0.3)


def render_cartilage(scene: MrScene, contrast: Contrast, generator: torch.Generator) -> Signal:
    """Return cartilage: darker at depth in many sequences, and uneven."""
    depth = (scene.bone_mm / scene.thickness_mm.clamp(min=0.3)).clamp(0.0, 1.0)
    layers = 1.0 + uniform((-0.15, 0.45), generator) * (depth - 0.5)
    uneven = 1.0 + uniform((0.0, 0.12), generator) * scene.noise(5.0, generator)
    return Signal(contrast.cartilage * layers * uneven, torch.zeros_like(depth))


def render_meniscus(scene: MrScene, contrast: Contrast, generator: torch.Generator) -> Signal:
    """Return menisci: dark wedges, with tears or wear that are brighter within."""
    worn = smoothstep(scene.noise(uniform((2.0, 6.0), generator), generator), 0.8, 2.0)
    inner = smoothstep(-scene.meniscus_mm, 0.3, 1.5)
    level = contrast.meniscus + uniform((0.0, 0.6), generator) * (contrast.fluid - contrast.meniscus) * worn * inner
    return Signal(level, torch.zeros_like(level))
