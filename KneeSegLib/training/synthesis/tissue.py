"""From anatomy to Hounsfield units: bone with cortex and trabeculae, muscle, fat, vessels and skin."""

from __future__ import annotations

import torch

from KneeSegLib.training.synthesis.fields import (
    blur,
    chance,
    compute_occupancy,
    draw_smooth_noise,
    draw_white_noise,
    smoothstep,
    uniform,
)
from KneeSegLib.training.synthesis.pathology import add_cysts, add_growth_plate_scar, reduce_mineral
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.settings import BoneTissue, SoftTissue
from KneeSegLib.training.synthesis.vessels import add_arteries


def render_bone(scene: Scene, tissue: BoneTissue, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return HU of bone, and the fraction of each voxel that is bone; both ``(D, H, W)``."""
    shape, spacing = scene.distance_mm.shape, scene.spacing_mm
    filled = compute_occupancy(scene.distance_mm, spacing)

    thickness = scene.cortex_mm * uniform(tissue.cortex_factor, generator)
    thickness = thickness * (1.0 + 0.25 * draw_smooth_noise(shape, spacing, 15.0, generator)).clamp(0.4, 1.8)
    inner = compute_occupancy(scene.distance_mm + thickness, spacing)
    cortex = uniform(tissue.cortex_hu, generator) * (1.0 + 0.08 * draw_smooth_noise(shape, spacing, 12.0, generator))

    spongy = uniform(tissue.trabecular_hu, generator) + uniform(tissue.patchiness_hu, generator) * draw_smooth_noise(
        shape, spacing, 10.0, generator
    )
    grain = max(uniform(tissue.texture_mm, generator), spacing)
    texture = uniform(tissue.texture_hu, generator) * draw_smooth_noise(shape, spacing, grain, generator)
    spongy = spongy + texture
    if chance(tissue.scar_probability, generator):
        spongy = add_growth_plate_scar(spongy, scene, generator)
    if chance(tissue.cyst_probability, generator):
        spongy = add_cysts(spongy, scene, generator)
    marrow = uniform(tissue.marrow_hu, generator)
    # Where the cortex is thick the bone is a tube, and its core is marrow.
    hollow = smoothstep(scene.cortex_mm + 0.4 * draw_smooth_noise(shape, spacing, 14.0, generator), 1.6, 3.4)
    core = torch.lerp(spongy, torch.full_like(spongy, marrow) + 0.25 * texture, hollow)
    bone = torch.lerp(cortex, core, inner)
    if tissue.osteoporosis_probability > 0.0 and chance(tissue.osteoporosis_probability, generator):
        bone = reduce_mineral(bone, uniform(tissue.mineral_left, generator))
    return bone, filled


def render_soft_tissue(scene: Scene, tissue: SoftTissue, generator: torch.Generator) -> torch.Tensor:
    """Return HU of all that is not bone: muscles with fat planes, fat, skin, vessels, and air around the limb."""
    shape, spacing = scene.distance_mm.shape, scene.spacing_mm
    depth = uniform(tissue.depth_mm, generator)
    uneven = draw_smooth_noise(shape, spacing, 70.0, generator)
    below_skin = depth * (1.0 + 0.3 * uneven).clamp(0.25, 2.0) - scene.far_mm
    fat_depth = min(uniform(tissue.fat_mm, generator), 0.7 * depth)
    fat_depth = fat_depth * (1.0 + 0.5 * draw_smooth_noise(shape, spacing, 50.0, generator)).clamp(0.1, 2.0)

    fat = uniform(tissue.fat_hu, generator) + 12.0 * draw_smooth_noise(shape, spacing, 8.0, generator)
    muscle = uniform(tissue.muscle_hu, generator) + 14.0 * draw_smooth_noise(shape, spacing, 14.0, generator)
    # Fat runs in sheets between muscles: the zero levels of two slow fields.
    sheets = torch.minimum(
        draw_smooth_noise(shape, spacing, 32.0, generator).abs(),
        draw_smooth_noise(shape, spacing, 45.0, generator).abs(),
    )
    muscle = torch.lerp(fat, muscle, smoothstep(sheets, 0.03, uniform((0.08, 0.25), generator)))
    # Capsule, ligaments and fluid lie close to the joint; elsewhere the bone's neighbour is muscle or fat.
    lining = smoothstep(-scene.far_mm, -5.0, -1.5) * smoothstep(
        draw_smooth_noise(shape, spacing, 20.0, generator), -0.3, 0.6
    )
    muscle = torch.lerp(muscle, torch.full_like(muscle, uniform((0.0, 130.0), generator)), lining)

    body = torch.lerp(fat, muscle, smoothstep(below_skin - fat_depth, -1.0, 1.0))
    body = torch.lerp(torch.full_like(body, uniform(tissue.skin_hu, generator)), body, smoothstep(below_skin, 1.0, 2.5))
    if chance(tissue.vessel_probability, generator):
        tubes = smoothstep(draw_smooth_noise(shape, spacing, 11.0, generator), 1.7, 2.0) * (scene.far_mm > 4.0)
        body = torch.lerp(body, torch.full_like(body, uniform(tissue.vessel_hu, generator)), tubes)
    if chance(tissue.calcification_probability, generator):
        specks = smoothstep(draw_smooth_noise(shape, spacing, 4.0, generator), 2.6, 2.9) * (scene.far_mm > 3.0)
        body = torch.lerp(body, torch.full_like(body, uniform((200.0, 900.0), generator)), specks)
    if tissue.angiography_probability > 0.0 and chance(tissue.angiography_probability, generator):
        body = add_arteries(body, scene, tissue, generator)
    air = uniform((-1010.0, -940.0), generator) + blur(8.0 * draw_white_noise(shape, generator), (0.0, 0.6, 0.6))
    return torch.lerp(air, body, smoothstep(below_skin, -0.5 * spacing, 0.5 * spacing))
