"""A second way to make knee MR from the same anatomy: networks may have learned the renderer and not knees.

It has the shapes in common with :mod:`KneeSegLib.training.synthesis.mr` and nothing else: no warp, no wear, no water
and fat; one grey value for each tissue as double-echo steady-state images have it (bone and fat dark, cartilage and
fluid bright), bones with a dark cortex, smoothed as a whole, shaded by a polynomial, with noise. It is simpler and
milder than the training images."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk
import torch

from KneeSegLib.anatomy import Side
from KneeSegLib.training.synthesis.cases import SyntheticCase
from KneeSegLib.training.synthesis.mr.cases import assign_label_values, make_image
from KneeSegLib.training.synthesis.mr.lattice import draw_lattice
from KneeSegLib.training.synthesis.mr.render import SyntheticMr, compute_class_fractions, measure_boundary_distance
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.settings import CASE_EXTENT_MM
from KneeSegLib.training.synthesis.mr.structures import (
    ARTERY,
    BONES,
    CLASSES,
    FAT_PAD,
    FIRST_MUSCLE,
    NERVE,
    POUCH,
    TENDON,
    VEIN,
)
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee
from KneeSegLib.training.synthesis.settings import Warp

UNBENT = Warp(*((0.0, 0.0),) * 2, *((1.0, 1.0),) * 2, *((0.0, 0.0),) * 2)

GREY = {
    "bone": (0.16, 0.26),
    "cartilage": (0.55, 0.72),
    "menisci": (0.12, 0.22),
    "fat": (0.18, 0.3),
    "muscle": (0.34, 0.46),
    "tendon": (0.08, 0.14),
    "vessel": (0.3, 0.7),
    "fluid": (0.85, 1.0),
    "cortex": (0.02, 0.08),
}

CORTEX_FACTOR = (0.6, 1.2)


def simulate(
    subject: PreparedKnee, spacing_mm: float = 0.45, slice_spacing_mm: float = 0.7, side: Side = "right", seed: int = 0
) -> SyntheticCase:
    """Render a sagittal series of the whole knee, and its labels."""
    random = np.random.default_rng(seed)
    spacing = (slice_spacing_mm, spacing_mm, spacing_mm)
    slices, rows, columns = (8 * round(extent / step / 8) for extent, step in zip(CASE_EXTENT_MM, spacing))
    slab = Slab((slices, rows, columns), spacing)
    scene = subject.sample(draw_lattice(slab, UNBENT, torch.Generator().manual_seed(seed)), slab)
    fractions = compute_class_fractions(scene)
    grey = {tissue: random.uniform(*bounds) for tissue, bounds in GREY.items()}
    of_class = [0.0, *(grey["bone"] * random.uniform(0.92, 1.08) for _ in range(4)), *[grey["cartilage"]] * 3]
    of_class.append(grey["menisci"])
    table = np.full(FIRST_MUSCLE + 32, grey["fat"], np.float32)
    table[[TENDON, NERVE, ARTERY, VEIN]] = grey["tendon"], grey["muscle"], grey["vessel"], grey["vessel"]
    table[[POUCH, FAT_PAD]] = grey["fluid"], grey["fat"] * 1.1
    table[FIRST_MUSCLE:] = grey["muscle"] * random.uniform(0.9, 1.1, 32)
    around = table[scene.soft.numpy()]
    around = np.where(scene.cavity_mm.numpy() < random.uniform(0.0, 0.7), grey["fluid"], around)
    around = around * (scene.flesh_mm.numpy() < random.uniform(4.0, 12.0))
    image = around * fractions[0].numpy()
    for index in range(1, len(CLASSES)):
        image = image + of_class[index] * fractions[index].numpy()
    bones = fractions[1 : 1 + len(BONES)].sum(dim=0).numpy()
    shell = bones * (scene.bone_mm > -scene.cortex_mm * random.uniform(*CORTEX_FACTOR)).numpy()
    image = image + shell * (grey["cortex"] - grey["bone"])
    volume = sitk.GetImageFromArray(image.astype(np.float32))
    image = sitk.GetArrayFromImage(sitk.DiscreteGaussian(volume, [0.4, 0.4, 0.1], 9, 0.01, False))
    image = image * _draw_shading(image.shape, random)
    noise = random.uniform(0.01, 0.03)
    real, imaginary = (random.normal(0.0, noise, image.shape) for _ in range(2))
    image = np.hypot(image + real, imaginary)
    bone = fractions[1 : 1 + len(BONES)].sum(dim=0)
    rendered = SyntheticMr(torch.from_numpy(image), fractions, measure_boundary_distance(scene), bone, spacing)
    whole = (image / image.max() * 1000.0).round().astype(np.int16)
    labels = assign_label_values(rendered, side)
    return SyntheticCase(
        make_image(whole, rendered, side), make_image(labels, rendered, side), subject.name, subject.group
    )


def _draw_shading(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A slow factor around 1: a polynomial of second order along each axis."""
    factor = np.ones(shape, np.float32)
    for axis, size in enumerate(shape):
        x = np.linspace(-1.0, 1.0, size)
        along = 1.0 + random.uniform(-0.15, 0.15) * x + random.uniform(-0.2, 0.0) * x**2
        factor *= along.reshape([size if a == axis else 1 for a in range(3)])
    return factor * math.exp(random.normal(0.0, 0.05))
