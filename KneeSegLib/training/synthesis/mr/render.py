"""A synthetic knee MR from a prepared person: anatomy, disease, tissue, scanner, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.contrast import ContrastDraw, drawn_contrast
from KneeSegLib.training.synthesis.mr.disease import (
    Disease,
    extruded_places,
    fluid_share,
    with_cartilage,
    with_osteophytes,
)
from KneeSegLib.training.synthesis.mr.noise import share_within
from KneeSegLib.training.synthesis.mr.person import MrScene, PreparedKnee, random_lattice
from KneeSegLib.training.synthesis.mr.scanner import MrScanner, averaged, scanned
from KneeSegLib.training.synthesis.mr.structures import BONES, CARTILAGES, CLASSES
from KneeSegLib.training.synthesis.mr.tissue import (
    Marrow,
    Surroundings,
    bone_signal,
    cartilage_signal,
    meniscus_signal,
    soft_signal,
)
from KneeSegLib.training.synthesis.placement import Warp

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
    shares: torch.Tensor
    boundary_mm: torch.Tensor
    spacing_mm: tuple[float, float, float]


def render_mr(
    person: PreparedKnee,
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
    lattice = bent_lattice(shape, spacing_mm, centre_mm, synthesis, generator)
    scene = diseased(person, lattice, shape, spacing_mm, synthesis.disease, generator)
    contrast = drawn_contrast(synthesis.contrast, generator)
    shares = class_shares(scene)

    fluid = fluid_share(scene, synthesis.disease, generator)
    signal = soft_signal(scene, fluid, synthesis.surroundings, contrast, generator)
    bones = shares[1 : 1 + len(BONES)].sum(dim=0)
    cartilage, meniscus = shares[1 + len(BONES) : -1].sum(dim=0), shares[-1]
    signal = signal.times(shares[0])
    for tissue, share in (
        (bone_signal(scene, synthesis.marrow, contrast, generator), bones),
        (cartilage_signal(scene, contrast, generator), cartilage),
        (meniscus_signal(scene, contrast, generator), meniscus),
    ):
        signal = signal.plus(tissue.times(share))
    if slices_averaged > 1:
        signal = signal.blended(_BLEND_SLICES)
    image = scanned(signal, spacing_mm, synthesis.scanner, generator)
    thick = (spacing_mm[0] * slices_averaged, spacing_mm[1], spacing_mm[2])
    return SyntheticMr(
        averaged(image, slices_averaged),
        averaged(shares, slices_averaged),
        averaged(boundary_distance(scene), slices_averaged),
        thick,
    )


def diseased(
    person: PreparedKnee,
    lattice_mm: torch.Tensor,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    disease: Disease,
    generator: torch.Generator,
) -> MrScene:
    """The person on a slab, with what age and disease did to the knee."""
    scene = person.sample(lattice_mm, shape, spacing_mm)
    if chance(disease.extrusion_probability, generator):
        places = extruded_places(lattice_mm, uniform(disease.extrusion_mm, generator))
        scene = replace(scene, meniscus_mm=person.meniscus_at(places, shape))
    scene = with_cartilage(scene, disease, generator)
    if chance(disease.osteophyte_probability, generator):
        scene = with_osteophytes(scene, disease, generator)
    return scene


def class_shares(scene: MrScene) -> torch.Tensor:
    """Share of each voxel that each of :data:`structures.CLASSES` fills, ``(C, D, H, W)``; they sum to 1.

    Bone comes first, then its cartilage, then menisci; the background has what is left.
    """
    bone = share_within(scene.bone_mm, scene.spacing_mm)
    cartilage = (share_within(scene.cover_mm, scene.spacing_mm) - bone).clamp(min=0.0)
    shares = torch.zeros(len(CLASSES), *scene.shape)
    for number in range(1, len(BONES) + 1):
        own = scene.owner == number
        shares[number] = bone * own
        if number <= len(CARTILAGES):
            shares[len(BONES) + number] = cartilage * own
    shares[-1] = share_within(scene.meniscus_mm, scene.spacing_mm) * (1.0 - bone - cartilage)
    shares[0] = 1.0 - shares[1:].sum(dim=0)
    return shares


def boundary_distance(scene: MrScene) -> torch.Tensor:
    """Distance in mm to the nearest surface of bone, cartilage or meniscus."""
    return torch.minimum(torch.minimum(scene.bone_mm.abs(), scene.cover_mm.abs()), scene.meniscus_mm.abs())


def bent_lattice(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    centre_mm: torch.Tensor,
    synthesis: MrSynthesis,
    generator: torch.Generator,
) -> torch.Tensor:
    """:func:`~KneeSegLib.training.synthesis.mr.person.random_lattice` of a person bent by a little or by more."""
    warp = gentler(synthesis.warp) if chance(synthesis.gentle_probability, generator) else synthesis.warp
    return random_lattice(shape, spacing_mm, centre_mm, warp, generator)


def gentler(warp: Warp, factor: float = 0.35) -> Warp:
    """Bounds drawn in towards no warp at all."""
    return Warp(
        *(tuple(factor * bound for bound in bounds) for bounds in (warp.tilt_degrees, warp.turn_degrees)),
        *(tuple(1.0 + factor * (bound - 1.0) for bound in bounds) for bounds in (warp.scale, warp.stretch)),
        *(tuple(factor * bound for bound in bounds) for bounds in (warp.bend_mm, warp.ripple_mm)),
    )
