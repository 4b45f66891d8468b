"""From anatomy to signal: bone with cortex and marrow, cartilage, menisci, fluid, muscles, fat, vessels and skin.

All functions return a :class:`Signal`: what water and what fat contribute. The scanner puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from KneeSegLib.training.synthesis.fields import blur, chance, smoothstep, uniform
from KneeSegLib.training.synthesis.mr.contrast import Contrast
from KneeSegLib.training.synthesis.mr.noise import compute_fraction_within
from KneeSegLib.training.synthesis.mr.scene import MrScene
from KneeSegLib.training.synthesis.mr.structures import ARTERY, FAT, FAT_PAD, FIRST_MUSCLE, NERVE, POUCH, TENDON, VEIN

Bounds = tuple[float, float]

_EDGE_VOXELS = 0.7


@dataclass(frozen=True)
class Signal:
    """Signal of water and of fat, ``(D, H, W)`` each."""

    water: torch.Tensor
    fat: torch.Tensor

    def mix(self, other: Signal, fraction: torch.Tensor) -> Signal:
        """``share`` (0..1) of the other tissue in the place of this one."""
        return Signal(torch.lerp(self.water, other.water, fraction), torch.lerp(self.fat, other.fat, fraction))

    def blend_slices(self, sigma_slices: float) -> Signal:
        """Neighbouring slices blurred into each other."""
        sigma = (sigma_slices, 0.0, 0.0)
        return Signal(blur(self.water, sigma), blur(self.fat, sigma))

    def add(self, other: Signal) -> Signal:
        return Signal(self.water + other.water, self.fat + other.fat)

    def scale(self, factor: torch.Tensor) -> Signal:
        return Signal(self.water * factor, self.fat * factor)


@dataclass(frozen=True)
class Marrow:
    """Bounds of what bone looks like inside; probabilities of what not every knee has."""

    fat_share: Bounds = (0.6, 0.9)
    grain: Bounds = (0.0, 0.07)
    grain_mm: Bounds = (0.7, 1.5)
    patchiness: Bounds = (0.0, 0.2)
    cortex_factor: Bounds = (0.45, 1.2)
    scar_probability: float = 0.5
    oedema_probability: float = 0.25
    cyst_probability: float = 0.08
    vessels_probability: float = 0.25


@dataclass(frozen=True)
class Surroundings:
    """Bounds of the soft tissue around; probabilities of what not every image has."""

    fat_mm: Bounds = (1.0, 16.0)
    muscle_factor: Bounds = (0.75, 1.3)
    muscle_streaks: Bounds = (0.0, 0.5)
    fascia: Bounds = (0.0, 0.8)
    fascia_probability: float = 0.4
    pad_grain: Bounds = (0.0, 0.25)
    other_muscles_probability: float = 0.3
    decoy_probability: float = 0.2
    dark_vessel_probability: float = 0.5


def render_bone(scene: MrScene, marrow: Marrow, contrast: Contrast, generator: torch.Generator) -> Signal:
    """Marrow within a shell of cortex, as thick as the place in the bone asks for."""
    fat_share = uniform(marrow.fat_share, generator)
    red = uniform(marrow.patchiness, generator) * scene.noise(16.0, generator)
    fraction = (fat_share + red).clamp(0.1, 0.97)
    if chance(marrow.oedema_probability, generator):
        near_joint = 1.0 - smoothstep(scene.cavity_mm, 6.0, 18.0)
        soaked = near_joint * smoothstep(scene.noise(18.0, generator), 0.4, 1.2)
        fraction = fraction * (1.0 - uniform((0.3, 0.9), generator) * soaked)
    grain = 1.0 + uniform(marrow.grain, generator) * scene.noise(uniform(marrow.grain_mm, generator), generator)
    wet = contrast.marrow + 0.5 * (contrast.fluid - contrast.marrow) * (fat_share - fraction).clamp(min=0.0)
    inside = Signal(wet * (1.0 - fraction) * grain, contrast.fat * fraction * grain)
    if chance(marrow.vessels_probability, generator):
        inside = inside.scale(1.0 - 0.5 * smoothstep(scene.noise(1.8, generator), 1.6, 2.6))
    if chance(marrow.scar_probability, generator):
        inside = inside.scale(1.0 - uniform((0.2, 0.7), generator) * draw_growth_plate_scar(scene, generator))
    if chance(marrow.cyst_probability, generator):
        cysts = smoothstep(scene.noise(uniform((4.0, 8.0), generator), generator), 1.9, 2.5)
        inside = inside.mix(make_uniform_signal(scene, contrast.fluid), cysts * (scene.cavity_mm < 15.0))
    thickness = scene.cortex_mm * uniform(marrow.cortex_factor, generator)
    thickness = thickness * (1.0 + 0.25 * scene.noise(14.0, generator)).clamp(0.4, 1.8)
    within = compute_fraction_within(scene.bone_mm + thickness, scene.spacing_mm)
    return make_uniform_signal(scene, contrast.cortex).mix(inside, within)


def draw_growth_plate_scar(scene: MrScene, generator: torch.Generator) -> torch.Tensor:
    """0..1, 1 on two wavy broken sheets across the bones, about 1 mm thick, 40 to 70 mm apart."""
    rows, step = scene.shape[1], scene.spacing_mm[1]
    height = (torch.arange(rows) * step)[None, :, None] + 4.0 * scene.noise(25.0, generator)
    apart = uniform((40.0, 70.0), generator)
    lower = uniform((0.1, 0.5), generator) * rows * step
    depth = torch.minimum((height - lower).abs(), (height - lower - apart).abs())
    line = 1.0 - smoothstep(depth, 0.3, uniform((0.9, 1.8), generator))
    return line * smoothstep(scene.noise(9.0, generator), -0.8, 0.3)


def render_cartilage(scene: MrScene, contrast: Contrast, generator: torch.Generator) -> Signal:
    """Cartilage: darker at depth in many sequences, uneven, now and then near to fluid."""
    depth = (scene.bone_mm / scene.thickness_mm.clamp(min=0.3)).clamp(0.0, 1.0)
    layers = 1.0 + uniform((-0.15, 0.45), generator) * (depth - 0.5)
    uneven = 1.0 + uniform((0.0, 0.12), generator) * scene.noise(5.0, generator)
    return Signal(contrast.cartilage * layers * uneven, torch.zeros_like(depth))


def render_meniscus(scene: MrScene, contrast: Contrast, generator: torch.Generator) -> Signal:
    """A dark wedge, with tears or wear that are brighter within."""
    worn = smoothstep(scene.noise(uniform((2.0, 6.0), generator), generator), 0.8, 2.0)
    inner = smoothstep(-scene.meniscus_mm, 0.3, 1.5)
    level = contrast.meniscus + uniform((0.0, 0.6), generator) * (contrast.fluid - contrast.meniscus) * worn * inner
    return Signal(level, torch.zeros_like(level))


def render_soft_tissue(
    scene: MrScene, fluid: torch.Tensor, around: Surroundings, contrast: Contrast, generator: torch.Generator
) -> Signal:
    """All that has no label: fat, muscles, tendons, vessels, fluid, skin, and nothing outside the skin."""
    fat = render_fat(scene, around, contrast, generator)
    flesh = render_labelled_tissue(scene, fat, around, contrast, generator)
    if chance(around.other_muscles_probability, generator):
        flesh = add_other_muscles(flesh, fat, scene, contrast, generator)
    if chance(around.decoy_probability, generator):
        flesh = add_decoys(flesh, scene, contrast, generator)
    open_space = (scene.soft != TENDON) & (scene.soft < FIRST_MUSCLE)
    flesh = flesh.mix(make_uniform_signal(scene, contrast.fluid), fluid * open_space)
    return add_skin(flesh, scene, around, contrast, generator)


def render_fat(scene: MrScene, around: Surroundings, contrast: Contrast, generator: torch.Generator) -> Signal:
    """Fat with thin septa; in the pad below the patella with coarser strands."""
    septa = 1.0 - smoothstep(scene.noise((6.0, 9.0, 6.0), generator).abs(), 0.03, 0.16)
    strands = scene.noise(2.5, generator).clamp(min=0.0) * uniform(around.pad_grain, generator)
    in_pad = (scene.soft == FAT_PAD) | (scene.cavity_mm < 14.0)
    fraction = (0.92 - uniform((0.0, 0.4), generator) * septa - strands * in_pad).clamp(0.1, 1.0)
    uneven = 1.0 + 0.06 * scene.noise(20.0, generator)
    return Signal(0.6 * contrast.muscle * (1.0 - fraction), contrast.fat * fraction * uneven)


def render_labelled_tissue(
    scene: MrScene, fat: Signal, around: Surroundings, contrast: Contrast, generator: torch.Generator
) -> Signal:
    """Muscles, tendons, vessels and nerves of the template on a ground of fat."""
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
    fat_share = torch.where(is_muscle, streaks, of_fat.float())
    # Labels have no edges between voxels: a little blur gives partial volumes.
    edge = (0.0, _EDGE_VOXELS, _EDGE_VOXELS)
    water, fat_share = blur(water * (1.0 - fat_share), edge), blur(fat_share, edge)
    return Signal(water + fat.water * fat_share, fat.fat * fat_share)


def draw_muscle_streaks(scene: MrScene, around: Surroundings, generator: torch.Generator) -> torch.Tensor:
    """0..1: fat in thin lines along the fibres, more in some muscles than in others."""
    thin = smoothstep(scene.noise((2.0, 22.0, 2.2), generator), 1.2, 2.4)
    return uniform(around.muscle_streaks, generator) * thin * smoothstep(scene.noise(40.0, generator), -0.5, 1.0)


def find_fascia(soft: torch.Tensor) -> torch.Tensor:
    """1 where one muscle borders on another within a slice, else 0."""
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
    """Invented muscles in the place of the template's: 30 to 60 mm across, long, tapered, with fat between."""
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
    """Pieces as bright as marrow with a dark rim, in soft tissue: not everything like bone is bone."""
    lumps = scene.noise(uniform((12.0, 30.0), generator), generator)
    fat = contrast.fat * uniform((0.5, 0.9), generator)
    marrow = Signal(torch.full_like(lumps, 0.25 * contrast.marrow), torch.full_like(lumps, fat))
    body = flesh.mix(make_uniform_signal(scene, contrast.cortex), smoothstep(lumps, 1.45, 1.5))
    return body.mix(marrow, smoothstep(lumps, 1.5, uniform((1.52, 1.7), generator)))


def add_skin(
    flesh: Signal, scene: MrScene, around: Surroundings, contrast: Contrast, generator: torch.Generator
) -> Signal:
    """Fat under the skin upon the hull of the anatomy, skin on top, nothing outside."""
    depth = uniform(around.fat_mm, generator) * (1.0 + 0.5 * scene.noise(50.0, generator)).clamp(0.15, 2.0)
    below = depth + 1.5 - scene.flesh_mm
    skin = 1.0 - smoothstep(below, 0.6, uniform((1.2, 2.4), generator))
    body = flesh.mix(make_uniform_signal(scene, contrast.skin), skin)
    return body.scale(compute_fraction_within(-below, scene.spacing_mm))


def make_uniform_signal(scene: MrScene, level: float) -> Signal:
    """Water of one level all over."""
    return Signal(torch.full_like(scene.bone_mm, level), torch.zeros_like(scene.bone_mm))
