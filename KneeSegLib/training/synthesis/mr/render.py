"""A synthetic knee MR from a prepared person: anatomy, disease, tissue, scanner, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.contrast import ContrastDraw, draw_contrast
from KneeSegLib.training.synthesis.mr.disease import (
    Disease,
    add_osteophytes,
    change_cartilage,
    draw_fluid_fraction,
    extrude_menisci,
)
from KneeSegLib.training.synthesis.mr.lattice import draw_lattice
from KneeSegLib.training.synthesis.mr.noise import compute_fraction_within
from KneeSegLib.training.synthesis.mr.scanner import MrScanner, average_slices, simulate_scan
from KneeSegLib.training.synthesis.mr.scene import MrScene
from KneeSegLib.training.synthesis.mr.structures import BONES, CARTILAGES, CLASSES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee
from KneeSegLib.training.synthesis.mr.tissue import (
    Marrow,
    Surroundings,
    render_bone,
    render_cartilage,
    render_meniscus,
    render_soft_tissue,
)
from KneeSegLib.training.synthesis.settings import Warp

_BLEND_SLICES = 0.7
"""Slices that are to be averaged pass into each other first, so that thin sheets across them leave no steps."""


@dataclass(frozen=True)
class MrSynthesis:
    """Everything a recipe may change about synthetic MR; those that ship narrow some of the defaults.

    Attributes:
        gentle_probability: share of images of a person hardly bent, the others are warped by up to ``warp``.
    """

    warp: Warp = field(
        default_factory=lambda: Warp((-12.0, 12.0), (-15.0, 15.0), (0.88, 1.14), (0.93, 1.07), (0.0, 4.0), (0.0, 0.7))
    )
    gentle_probability: float = 0.3
    disease: Disease = field(default_factory=Disease)
    marrow: Marrow = field(default_factory=Marrow)
    surroundings: Surroundings = field(default_factory=Surroundings)
    contrast: ContrastDraw = field(default_factory=ContrastDraw)
    scanner: MrScanner = field(default_factory=MrScanner)


@dataclass
class SyntheticMr:
    """An image and its truth on one grid: slices right to left, rows upward, columns front to back.

    Attributes:
        image: ``(D, H, W)`` float32, signal of any unit.
        shares: ``(C, D, H, W)`` float32, how much of each voxel each of :data:`structures.CLASSES` fills; sums to 1.
        boundary_mm: ``(D, H, W)`` distance to the nearest surface of any of them.
        spacing_mm: distances of slices, rows, columns.
    """

    image: torch.Tensor
    fractions: torch.Tensor
    boundary_mm: torch.Tensor
    spacing_mm: tuple[float, float, float]


def render_mr(
    subject: PreparedKnee,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    centre_mm: torch.Tensor,
    synthesis: MrSynthesis,
    generator: torch.Generator,
    slices_averaged: int = 1,
) -> SyntheticMr:
    """Render one slab.

    Args:
        shape: ``(D, H, W)`` before slices are averaged. spacing_mm: along these.
        centre_mm: ``(x, y, z)`` in the person that the slab's centre falls on.
        slices_averaged: neighbouring slices that become one thick slice.
    """
    lattice = draw_bent_lattice(shape, spacing_mm, centre_mm, synthesis, generator)
    scene = draw_diseased_scene(subject, lattice, shape, spacing_mm, synthesis.disease, generator)
    contrast = draw_contrast(synthesis.contrast, generator)
    fractions = compute_class_fractions(scene)

    fluid = draw_fluid_fraction(scene, synthesis.disease, generator)
    signal = render_soft_tissue(scene, fluid, synthesis.surroundings, contrast, generator)
    bones = fractions[1 : 1 + len(BONES)].sum(dim=0)
    cartilage, meniscus = fractions[1 + len(BONES) : -1].sum(dim=0), fractions[-1]
    signal = signal.scale(fractions[0])
    for tissue, fraction in (
        (render_bone(scene, synthesis.marrow, contrast, generator), bones),
        (render_cartilage(scene, contrast, generator), cartilage),
        (render_meniscus(scene, contrast, generator), meniscus),
    ):
        signal = signal.add(tissue.scale(fraction))
    if slices_averaged > 1:
        signal = signal.blend_slices(_BLEND_SLICES)
    image = simulate_scan(signal, spacing_mm, synthesis.scanner, generator)
    thick = (spacing_mm[0] * slices_averaged, spacing_mm[1], spacing_mm[2])
    return SyntheticMr(
        average_slices(image, slices_averaged),
        average_slices(fractions, slices_averaged),
        average_slices(measure_boundary_distance(scene), slices_averaged),
        thick,
    )


def draw_diseased_scene(
    subject: PreparedKnee,
    lattice_mm: torch.Tensor,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    disease: Disease,
    generator: torch.Generator,
) -> MrScene:
    """The person on a slab, with what age and disease did to the knee."""
    scene = subject.sample(lattice_mm, shape, spacing_mm)
    if chance(disease.extrusion_probability, generator):
        places = extrude_menisci(lattice_mm, uniform(disease.extrusion_mm, generator))
        scene = replace(scene, meniscus_mm=subject.sample_meniscus(places, shape))
    scene = change_cartilage(scene, disease, generator)
    if chance(disease.osteophyte_probability, generator):
        scene = add_osteophytes(scene, disease, generator)
    return scene


def compute_class_fractions(scene: MrScene) -> torch.Tensor:
    """Share of each voxel that each of :data:`structures.CLASSES` fills, ``(C, D, H, W)``; they sum to 1.

    Bone comes first, then its cartilage, then menisci; the background has what is left.
    """
    bone = compute_fraction_within(scene.bone_mm, scene.spacing_mm)
    cartilage = (compute_fraction_within(scene.cover_mm, scene.spacing_mm) - bone).clamp(min=0.0)
    fractions = torch.zeros(len(CLASSES), *scene.shape)
    for number in range(1, len(BONES) + 1):
        own = scene.owner == number
        fractions[number] = bone * own
        if number <= len(CARTILAGES):
            fractions[len(BONES) + number] = cartilage * own
    fractions[-1] = compute_fraction_within(scene.meniscus_mm, scene.spacing_mm) * (1.0 - bone - cartilage)
    fractions[0] = 1.0 - fractions[1:].sum(dim=0)
    return fractions


def measure_boundary_distance(scene: MrScene) -> torch.Tensor:
    """Distance in mm to the nearest surface of bone, cartilage or meniscus."""
    return torch.minimum(torch.minimum(scene.bone_mm.abs(), scene.cover_mm.abs()), scene.meniscus_mm.abs())


def draw_bent_lattice(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    centre_mm: torch.Tensor,
    synthesis: MrSynthesis,
    generator: torch.Generator,
) -> torch.Tensor:
    """:func:`~KneeSegLib.training.synthesis.mr.subjects.draw_lattice` of a person bent by a little or by more."""
    warp = reduce_warp(synthesis.warp) if chance(synthesis.gentle_probability, generator) else synthesis.warp
    return draw_lattice(shape, spacing_mm, centre_mm, warp, generator)


def reduce_warp(warp: Warp, factor: float = 0.35) -> Warp:
    """Bounds drawn in towards no warp at all."""
    return Warp(
        *(tuple(factor * bound for bound in bounds) for bounds in (warp.tilt_degrees, warp.turn_degrees)),
        *(tuple(1.0 + factor * (bound - 1.0) for bound in bounds) for bounds in (warp.scale, warp.stretch)),
        *(tuple(factor * bound for bound in bounds) for bounds in (warp.bend_mm, warp.ripple_mm)),
    )
