"""What age and disease change in a knee: cartilage, bone edges, menisci and fluid. Truth follows, except for fluid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.fields import blur, chance, smoothstep, uniform
from KneeSegLib.training.synthesis.mr.scene import MrScene
from KneeSegLib.training.synthesis.mr.structures import POUCH

Bounds = tuple[float, float]

_EDGE_MM = 0.4


@dataclass(frozen=True)
class Disease:
    """How often and how far knees differ from healthy ones.

    Attributes:
        thickness: factor of the cartilage's thickness, all over.
        thickness_waves: relative standard deviation of that factor over some centimetres.
        worn_mm: taken off everywhere, so that thin edges draw back; negative values spread cartilage outward.
        lesion_probability: of holes of 4 to 14 mm, partly or down to the bone.
        denuded_probability: of bare bone over a whole compartment.
        osteophyte_probability: of outgrowths at the joint's edges, ``osteophyte_mm`` high.
        extrusion_probability: of menisci that stand out sideways by ``extrusion_mm``.
        film_mm: fluid upon cartilage, which fades out over .3 to 1 mm beyond; from -1 on cartilage is mostly dry.
        effusion_probability: of more of it, ``effusion_mm`` around the joint.
        recess_probability: of fluid in the recess above the patella, ``recess_mm`` deep on the front of the femur.
    """

    thickness: Bounds = (0.55, 1.25)
    thickness_waves: Bounds = (0.0, 0.25)
    worn_mm: Bounds = (-0.5, 0.7)
    lesion_probability: float = 0.35
    denuded_probability: float = 0.15
    osteophyte_probability: float = 0.3
    osteophyte_mm: Bounds = (1.0, 4.0)
    extrusion_probability: float = 0.3
    extrusion_mm: Bounds = (0.5, 4.0)
    film_mm: Bounds = (-1.2, 0.8)
    effusion_probability: float = 0.35
    effusion_mm: Bounds = (1.0, 7.0)
    recess_probability: float = 0.5
    recess_mm: Bounds = (1.0, 5.0)


def change_cartilage(scene: MrScene, disease: Disease, generator: torch.Generator) -> MrScene:
    """Cartilage made thinner, thicker, broader, narrower, torn or worn away; bone stays as it is."""
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
    """Greatest thickness within ``reach_mm`` along rows and columns: cartilage beyond its edge."""
    rows, columns = (2 * round(reach_mm / step) + 1 for step in spacing_mm[1:])
    return functional.max_pool2d(thickness_mm[None], (rows, columns), stride=1, padding=(rows // 2, columns // 2))[0]


def draw_lesions(scene: MrScene, generator: torch.Generator) -> torch.Tensor:
    """0..1, 1 in some patches of 4 to 14 mm."""
    return smoothstep(scene.noise(uniform((4.0, 14.0), generator), generator), 1.0, 1.4)


def add_osteophytes(scene: MrScene, disease: Disease, generator: torch.Generator) -> MrScene:
    """Blunt outgrowths of bone where cartilage ends, some millimetres wide."""
    height = uniform(disease.osteophyte_mm, generator)
    bumps = smoothstep(scene.noise(uniform((5.0, 9.0), generator), generator), 0.4, 1.8)
    at_the_edge = smoothstep(scene.cavity_mm, 0.5, 3.0) * (1.0 - smoothstep(scene.cavity_mm, 6.0, 14.0))
    near = (scene.bone_mm < height + 2.0) & (scene.owner > 0)
    grown = scene.bone_mm - height * bumps * at_the_edge
    # Where two bones are close, none grows over the other: the space between is theirs.
    bone = torch.where(near & (scene.meniscus_mm > 0), grown, scene.bone_mm)
    return replace(scene, bone_mm=bone, cover_mm=torch.minimum(scene.cover_mm, bone))


def extrude_menisci(lattice_mm: torch.Tensor, extrusion_mm: float) -> torch.Tensor:
    """Where to look up menisci that stand out: places drawn towards the middle, by ``extrusion_mm`` at the rim.

    Args:
        lattice_mm: ``(..., 3)`` positions ``(x, y, z)`` in a person, whose plateau's middle is the origin.
    """
    rim_mm = 32.0
    places = lattice_mm.clone()
    places[..., 0] = places[..., 0] * (1.0 - extrusion_mm / rim_mm)
    return places


def draw_fluid_fraction(scene: MrScene, disease: Disease, generator: torch.Generator) -> torch.Tensor:
    """How much of what is neither bone, cartilage nor meniscus is joint fluid, 0..1: a film, or an effusion."""
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
    """How much of the recess above the patella is fluid, 0..1: a layer of some ``depth_mm`` on the femur's front."""
    depth = depth_mm * (0.7 + 0.5 * scene.noise(18.0, generator)).clamp(0.0, 2.0)
    filled = (scene.soft == POUCH) * smoothstep(depth - scene.bone_mm, -0.4, 0.4)
    # The recess is drawn in voxels of the template: a little blur gives partial volumes.
    return blur(filled, (0.0, *(_EDGE_MM / step for step in scene.spacing_mm[1:])))
