"""A synthetic knee MR from a prepared subject: anatomy, disease, tissue, scanner, in this order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.contrast import draw_contrast
from KneeSegLib.training.synthesis.mr.disease import (
    add_osteophytes,
    change_cartilage,
    draw_fluid_fraction,
    extrude_menisci,
)
from KneeSegLib.training.synthesis.mr.labelled_tissue import render_bone, render_cartilage, render_meniscus
from KneeSegLib.training.synthesis.mr.lattice import draw_lattice
from KneeSegLib.training.synthesis.mr.noise import compute_fraction_within
from KneeSegLib.training.synthesis.mr.scanner import average_slices, simulate_scan
from KneeSegLib.training.synthesis.mr.scene import MrScene, Slab
from KneeSegLib.training.synthesis.mr.settings import BLEND_SLICES, GENTLE_FACTOR, Disease, MrSynthesis
from KneeSegLib.training.synthesis.mr.soft_tissue import render_soft_tissue
from KneeSegLib.training.synthesis.mr.structures import BONES, CARTILAGES, CLASSES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee
from KneeSegLib.training.synthesis.settings import Bounds, Warp


@dataclass
class SyntheticMr:
    """An image and its truth on one grid: slices right to left, rows upward, columns front to back.

    Attributes:
        image: ``(D, H, W)`` float32, signal of any unit.
        fractions: ``(C, D, H, W)`` float32, of each voxel that each of :data:`structures.CLASSES` fills; they sum to 1.
        boundary_mm: ``(D, H, W)`` distance to the nearest surface of any of them.
        marrow: ``(D, H, W)`` float32, of each voxel that the inside of bones fills: where their dark cortex ends.
        spacing_mm: distances of slices, rows, columns.
    """

    image: torch.Tensor
    fractions: torch.Tensor
    boundary_mm: torch.Tensor
    marrow: torch.Tensor
    spacing_mm: tuple[float, float, float]


def render_mr(
    subject: PreparedKnee,
    slab: Slab,
    synthesis: MrSynthesis,
    generator: torch.Generator,
    slices_averaged: int = 1,
) -> SyntheticMr:
    """Render one slab.

    Args:
        slab: before slices are averaged.
        slices_averaged: neighbouring slices that become one thick slice.
    """
    return render_on_lattice(
        subject, slab, draw_bent_lattice(slab, synthesis, generator), synthesis, generator, slices_averaged
    )


def render_on_lattice(
    subject: PreparedKnee,
    slab: Slab,
    lattice: torch.Tensor,
    synthesis: MrSynthesis,
    generator: torch.Generator,
    slices_averaged: int = 1,
) -> SyntheticMr:
    """Render one slab as :func:`render_mr` does, whose lattice is drawn already: landmarks follow the same one."""
    scene = draw_diseased_scene(subject, lattice, slab, synthesis.disease, generator)
    contrast = draw_contrast(synthesis.contrast, generator)
    fractions = compute_class_fractions(scene)

    fluid = draw_fluid_fraction(scene, synthesis.disease, generator)
    signal = render_soft_tissue(scene, fluid, synthesis.surroundings, contrast, generator)
    bones = fractions[1 : 1 + len(BONES)].sum(dim=0)
    cartilage, meniscus = fractions[1 + len(BONES) : -1].sum(dim=0), fractions[-1]
    signal = signal.scale(fractions[0])
    bone, within = render_bone(scene, synthesis.marrow, contrast, generator)
    for tissue, fraction in (
        (bone, bones),
        (render_cartilage(scene, contrast, generator), cartilage),
        (render_meniscus(scene, contrast, generator), meniscus),
    ):
        signal = signal.add(tissue.scale(fraction))
    if slices_averaged > 1:
        signal = signal.blend_slices(BLEND_SLICES)
    image = simulate_scan(signal, slab.spacing_mm, synthesis.scanner, generator)
    across, up, back = slab.spacing_mm
    return SyntheticMr(
        average_slices(image, slices_averaged),
        average_slices(fractions, slices_averaged),
        average_slices(measure_boundary_distance(scene), slices_averaged),
        average_slices(torch.minimum(within, bones), slices_averaged),
        (across * slices_averaged, up, back),
    )


def draw_diseased_scene(
    subject: PreparedKnee,
    lattice_mm: torch.Tensor,
    slab: Slab,
    disease: Disease,
    generator: torch.Generator,
) -> MrScene:
    """Draw the subject on a slab, changed by age and disease."""
    scene = subject.sample(lattice_mm, slab)
    if chance(disease.extrusion_probability, generator):
        places = extrude_menisci(lattice_mm, uniform(disease.extrusion_mm, generator))
        scene = replace(scene, meniscus_mm=subject.sample_meniscus(places, slab))
    scene = change_cartilage(scene, disease, generator)
    if chance(disease.osteophyte_probability, generator):
        scene = add_osteophytes(scene, disease, generator)
    return scene


def compute_class_fractions(scene: MrScene) -> torch.Tensor:
    """Return the fraction of each voxel that each of :data:`structures.CLASSES` fills, ``(C, D, H, W)``; they sum to 1.

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
    """Return the distance in mm to the nearest surface of bone, cartilage or meniscus."""
    return torch.minimum(torch.minimum(scene.bone_mm.abs(), scene.cover_mm.abs()), scene.meniscus_mm.abs())


def draw_bent_lattice(slab: Slab, synthesis: MrSynthesis, generator: torch.Generator) -> torch.Tensor:
    """Draw the lattice (:func:`~.lattice.draw_lattice`) of a subject that is bent by a little or by more."""
    warp = reduce_warp(synthesis.warp) if chance(synthesis.gentle_probability, generator) else synthesis.warp
    return draw_lattice(slab, warp, generator)


def reduce_warp(warp: Warp, factor: float = GENTLE_FACTOR) -> Warp:
    """Return bounds drawn in towards no warp at all."""

    def reduce(bounds: Bounds, middle: float = 0.0) -> Bounds:
        low, high = (middle + factor * (bound - middle) for bound in bounds)
        return low, high

    return Warp(
        tilt_degrees=reduce(warp.tilt_degrees),
        turn_degrees=reduce(warp.turn_degrees),
        scale=reduce(warp.scale, 1.0),
        stretch=reduce(warp.stretch, 1.0),
        bend_mm=reduce(warp.bend_mm),
        ripple_mm=reduce(warp.ripple_mm),
    )
