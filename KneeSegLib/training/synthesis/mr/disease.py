"""What age and disease change in a knee: cartilage, bone edges, menisci and fluid. Truth follows, except for fluid."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.fields import blur, chance, smoothstep, uniform
from KneeSegLib.training.synthesis.mr.scene import MrScene
from KneeSegLib.training.synthesis.mr.settings import MENISCUS_RIM_MM, RECESS_BLUR_MM, Disease
from KneeSegLib.training.synthesis.mr.structures import POUCH


def change_cartilage(scene: MrScene, disease: Disease, generator: torch.Generator) -> MrScene:
    """Return cartilage made thinner, thicker, broader, narrower, torn or worn away; bone stays as it is."""
    thickness = scene.thickness_mm
    worn = uniform(disease.worn_mm, generator)
    if worn < 0.0:
        thickness = torch.maximum(thickness, spread_outward(thickness, scene.spacing_mm) + worn)
    factor = uniform(disease.thickness, generator) * (
        1.0 + uniform(disease.thickness_waves, generator) * scene.noise(28.0, generator)
    ).clamp(0.2, 1.6)
    if chance(disease.lesion_probability, generator):
        factor = factor * (1.0 - uniform((0.4, 1.3), generator) * draw_lesions(scene, generator)).clamp(min=0.0)
    if chance(disease.denuded_probability, generator):
        factor = factor * smoothstep(scene.noise(45.0, generator), -0.2, 0.3)
    thickness = thickness * factor - max(worn, 0.0) * (thickness > 0)
    return replace(scene, cover_mm=scene.bone_mm - thickness.clamp(min=0.0))


def spread_outward(
    thickness_mm: torch.Tensor, spacing_mm: tuple[float, float, float], reach_mm: float = 2.0
) -> torch.Tensor:
    """Return the greatest thickness within ``reach_mm`` along rows and columns: cartilage beyond its edge."""
    rows, columns = (2 * round(reach_mm / step) + 1 for step in spacing_mm[1:])
    return functional.max_pool2d(thickness_mm[None], (rows, columns), stride=1, padding=(rows // 2, columns // 2))[0]


def draw_lesions(scene: MrScene, generator: torch.Generator) -> torch.Tensor:
    """Draw 0..1: 1 in some patches of 4 to 14 mm."""
    return smoothstep(scene.noise(uniform((4.0, 14.0), generator), generator), 1.0, 1.4)


def add_osteophytes(scene: MrScene, disease: Disease, generator: torch.Generator) -> MrScene:
    """Add blunt outgrowths of bone where cartilage ends, some millimetres wide."""
    height = uniform(disease.osteophyte_mm, generator)
    bumps = smoothstep(scene.noise(uniform((5.0, 9.0), generator), generator), 0.4, 1.8)
    at_the_edge = smoothstep(scene.cavity_mm, 0.5, 3.0) * (1.0 - smoothstep(scene.cavity_mm, 6.0, 14.0))
    near = (scene.bone_mm < height + 2.0) & (scene.owner > 0)
    grown = scene.bone_mm - height * bumps * at_the_edge
    # Where two bones are close, none grows over the other: the space between is theirs.
    bone = torch.where(near & (scene.meniscus_mm > 0), grown, scene.bone_mm)
    return replace(scene, bone_mm=bone, cover_mm=torch.minimum(scene.cover_mm, bone))


def extrude_menisci(lattice_mm: torch.Tensor, extrusion_mm: float) -> torch.Tensor:
    """Return where menisci that stand out are read: places drawn towards the middle, by ``extrusion_mm`` at the rim.

    Args:
        lattice_mm: ``(..., 3)`` positions ``(x, y, z)`` in a subject, whose plateau's middle is the origin.
    """
    places = lattice_mm.clone()
    places[..., 0] = places[..., 0] * (1.0 - extrusion_mm / MENISCUS_RIM_MM)
    return places


def draw_fluid_fraction(scene: MrScene, disease: Disease, generator: torch.Generator) -> torch.Tensor:
    """Draw the fraction of what is neither bone, cartilage nor meniscus that is joint fluid: a film, or an effusion."""
    film = uniform(disease.film_mm, generator)
    fraction = 1.0 - smoothstep(scene.cavity_mm - film * (1.0 + 0.5 * scene.noise(12.0, generator)), 0.3, 1.0)
    if chance(disease.effusion_probability, generator):
        depth = uniform(disease.effusion_mm, generator) * (0.6 + 0.8 * scene.noise(18.0, generator)).clamp(0.0, 2.0)
        fraction = torch.maximum(fraction, smoothstep(depth - scene.cavity_mm, -0.4, 0.4))
    if chance(disease.recess_probability, generator):
        fraction = torch.maximum(
            fraction, draw_recess_fraction(scene, uniform(disease.recess_mm, generator), generator)
        )
    return fraction


def draw_recess_fraction(scene: MrScene, depth_mm: float, generator: torch.Generator) -> torch.Tensor:
    """Draw the fraction of the recess above the patella that is fluid: a layer of some ``depth_mm`` on the femur."""
    depth = depth_mm * (0.7 + 0.5 * scene.noise(18.0, generator)).clamp(0.0, 2.0)
    filled = (scene.soft == POUCH) * smoothstep(depth - scene.bone_mm, -0.4, 0.4)
    return blur(filled, (0.0, *(RECESS_BLUR_MM / step for step in scene.spacing_mm[1:])))
