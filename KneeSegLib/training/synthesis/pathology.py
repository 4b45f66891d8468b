"""What disease and age do to bone: outgrowths, cysts with a hard rim, scars of the growth plates, loss of mineral.

Outgrowths change the anatomy and therefore the truth; the others only the HU of bone.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from KneeSegLib.training.synthesis.fields import draw_smooth_noise, smoothstep, uniform
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.settings import BRIM_MM, DEMINERALISED_HU


def add_osteophytes(scene: Scene, generator: torch.Generator) -> Scene:
    """Add blunt outgrowths of up to 4 mm to the surfaces of the bones, some millimetres wide, in patches."""
    shape, spacing = scene.distance_mm.shape, scene.spacing_mm
    height = uniform((1.0, 4.0), generator)
    bumps = smoothstep(draw_smooth_noise(shape, spacing, uniform((5.0, 9.0), generator), generator), 0.6, 2.0)
    patches = smoothstep(draw_smooth_noise(shape, spacing, 35.0, generator), 0.0, 0.8)
    grown = scene.distance_mm - height * bumps * patches
    near = scene.distance_mm < height + BRIM_MM
    return replace(scene, distance_mm=torch.where(near, grown, scene.distance_mm))


def add_cysts(spongy: torch.Tensor, scene: Scene, generator: torch.Generator) -> torch.Tensor:
    """Add cysts of 4 to 12 mm within spongy bone: fluid inside, a dense rim around. HU in and out."""
    shape, spacing = scene.distance_mm.shape, scene.spacing_mm
    field = draw_smooth_noise(shape, spacing, uniform((5.0, 9.0), generator), generator)
    rim = smoothstep(field, 1.9, 2.1) - smoothstep(field, 2.1, 2.3)
    dense = spongy + uniform((150.0, 600.0), generator) * rim
    fluid = torch.full_like(spongy, uniform((-20.0, 70.0), generator))
    return torch.lerp(dense, fluid, smoothstep(field, 2.15, 2.35))


def add_growth_plate_scar(spongy: torch.Tensor, scene: Scene, generator: torch.Generator) -> torch.Tensor:
    """Add a dense, wavy, broken line across the bones, 1 to 2 mm thick. HU in and out."""
    shape, spacing = scene.distance_mm.shape, scene.spacing_mm
    height = uniform((0.0, shape[0] * spacing), generator)
    z = (torch.arange(shape[0]) * spacing - height)[:, None, None]
    depth = (z + 2.5 * draw_smooth_noise((1, *shape[1:]), spacing, 20.0, generator)).abs()
    broken = smoothstep(draw_smooth_noise(shape, spacing, 8.0, generator), -0.8, 0.2)
    line = (1.0 - smoothstep(depth, 0.3, uniform((0.9, 1.6), generator))) * broken
    return spongy + uniform((100.0, 450.0), generator) * line


def reduce_mineral(bone: torch.Tensor, fraction_left: float) -> torch.Tensor:
    """Leave a fraction of what bone has above soft tissue. HU in and out; marrow that is fat stays as it is."""
    return bone - (1.0 - fraction_left) * (bone - DEMINERALISED_HU).clamp(min=0.0)
