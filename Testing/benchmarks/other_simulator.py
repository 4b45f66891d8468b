"""A second simulator of CT: it has nothing in common with that of the training but the shapes of the bones.

What a network has learned about bone should carry over to it; what it learned about the renderer will not. Numpy and
scipy only, in the frequency domain where the other works in space:

* limbs are smooth hulls of their bones, with muscles as the cells of a Voronoi diagram and fat along the cell walls;
* bone is a shell of one density that fades linearly into spongy bone made of anisotropic band-passed noise;
* the scanner is a modulation transfer function times the ideal spectrum, its noise has the spectrum of filtered
  backprojection (rising with frequency, then cut off by the kernel; Riederer et al. 1978).
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
from scipy import fft, ndimage
from scipy.spatial import KDTree

from KneeSegLib.anatomy import STRUCTURES, Side
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.cases import SyntheticCase
from KneeSegLib.training.synthesis.distractors import mirror_classes
from KneeSegLib.training.synthesis.subjects import PreparedSubject

LABEL_OF_CLASS = {entry.key: entry.label_value for entry in STRUCTURES}


def simulate(subject: PreparedSubject, spacing_mm: float, side: Side, seed: int) -> SyntheticCase:
    """Simulate the CT of the whole box of a prepared subject, voxels of ``spacing_mm``; its truth is the shape."""
    random = np.random.default_rng(seed)
    distance, nearest, cortex_mm, hull = _sample_fields(subject, spacing_mm)
    perfect = _make_body(hull, distance, spacing_mm, random)
    inside = np.clip(0.5 - distance / spacing_mm, 0, 1)
    perfect += inside * (_make_bone(distance, cortex_mm, spacing_mm, random) - perfect)
    hu = _scan(perfect, spacing_mm, random)
    labels = np.zeros(len(CLASSES), np.uint8)
    if side == "left":
        hu, distance, nearest = hu[..., ::-1], distance[..., ::-1], mirror_classes(nearest.flip(-1))
    for index, name in enumerate(CLASSES):
        labels[index] = LABEL_OF_CLASS.get(name, 0)
    truth = np.where(distance < 0, labels[nearest.numpy()], 0).astype(np.uint8)

    def make_image(array: np.ndarray) -> sitk.Image:
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing([spacing_mm] * 3)
        return image

    return SyntheticCase(
        make_image(np.clip(np.rint(hu), -1024, 3071).astype(np.int16)), make_image(truth), subject.name, "test"
    )


def _sample_fields(
    subject: PreparedSubject, spacing_mm: float
) -> tuple[np.ndarray, torch.Tensor, np.ndarray, np.ndarray]:
    """Return distance, nearest class, cortex and far distance on a grid over the whole box, unwarped."""
    axes = [torch.arange(0, extent - spacing_mm, spacing_mm) for extent in subject.extent_mm]
    scene = subject.sample(torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1), spacing_mm)
    return scene.distance_mm.numpy(), scene.nearest, scene.cortex_mm.numpy(), scene.far_mm.numpy()


def _make_body(hull_mm: np.ndarray, distance: np.ndarray, spacing: float, random: np.random.Generator) -> np.ndarray:
    """Return HU of limb and air: skin at a constant distance from the smoothed bones, muscles as Voronoi cells."""
    coarse = np.asarray(ndimage.zoom(hull_mm, spacing / 4.0, order=1))
    smooth = ndimage.gaussian_filter(coarse, 4.0)
    skin = np.asarray(ndimage.zoom(smooth, np.array(hull_mm.shape) / np.array(smooth.shape), order=1))
    depth = random.uniform(22, 45) - skin
    size_mm = np.array(hull_mm.shape) * spacing
    seeds = random.uniform(0, 1, (60, 3)) * size_mm * [3.0, 1.0, 1.0] - size_mm * [1.0, 0, 0]
    grid = np.stack(np.meshgrid(*(np.arange(0, s, 2.0) for s in size_mm), indexing="ij"), axis=-1)
    near, cell = map(np.asarray, KDTree(seeds * [0.25, 1, 1]).query(grid.reshape(-1, 3) * [0.25, 1, 1], k=2))
    wall = (near[:, 1] - near[:, 0]).reshape(grid.shape[:-1])
    tone = random.uniform(35, 75, len(seeds))[cell[:, 0]].reshape(grid.shape[:-1])
    lean = np.where(wall < random.uniform(0.8, 2.5), random.uniform(-115, -80), tone)
    lean = np.asarray(ndimage.zoom(lean, np.array(hull_mm.shape) / np.array(lean.shape), order=1))
    fat_mm = random.uniform(3, 14)
    body = np.where(depth > fat_mm, lean, -100.0)
    body = np.where((distance > 0) & (distance < 1.5), 60.0, body)  # capsule and periosteum
    return np.where(depth > 1.5, body, np.where(depth > 0, 30.0, -1000.0)).astype(np.float32)


def _make_bone(distance: np.ndarray, cortex_mm: np.ndarray, spacing: float, random: np.random.Generator) -> np.ndarray:
    """Return HU inside bone."""
    shell = random.uniform(1100, 1750)
    thickness = np.maximum(cortex_mm * random.uniform(0.7, 1.2), 0.4)
    spongy = random.uniform(60, 330) + random.uniform(40, 140) * _draw_banded_noise(distance.shape, spacing, random)
    marrow = np.clip((cortex_mm - 1.8) / 1.5, 0, 1)
    spongy = spongy * (1 - marrow) + random.uniform(-90, -20) * marrow
    depth = np.clip((-distance - thickness + 0.4) / 0.8, 0, 1)
    return shell * (1 - depth) + spongy * depth


def _draw_banded_noise(shape: tuple[int, ...], spacing: float, random: np.random.Generator) -> np.ndarray:
    """Draw noise of structures about 1.5 mm apart, drawn out along the limb, standard deviation 1."""
    f = _compute_frequencies(shape, spacing, stretch=(2.5, 1.0, 1.0))
    white = fft.rfftn(random.standard_normal(shape).astype(np.float32))
    noise = np.asarray(fft.irfftn(white * np.exp(-(((f - 0.5) / 0.25) ** 2)), shape))
    return noise / noise.std()


def _scan(perfect: np.ndarray, spacing: float, random: np.random.Generator) -> np.ndarray:
    """Return an image after the scanner's transfer function, with its noise."""
    in_plane, along = random.uniform(0.45, 0.9), random.uniform(0.35, 0.8)  # cycles per mm at half height
    f = _compute_frequencies(perfect.shape, spacing, stretch=(in_plane / along, 1.0, 1.0))
    boost = 1.0 + random.uniform(0.0, 0.5) * np.exp(-(((f - 0.4) / 0.2) ** 2))
    transfer = boost * np.exp(-np.log(2.0) * (f / in_plane) ** 2)
    sharp = np.asarray(fft.irfftn(fft.rfftn(perfect) * transfer, perfect.shape))
    ramp = _compute_frequencies(perfect.shape[1:], spacing, stretch=(1.0, 1.0))
    spectrum = ramp * np.exp(-np.log(2.0) * (ramp / in_plane) ** 2)
    white = fft.rfft2(random.standard_normal(perfect.shape).astype(np.float32))
    noise = np.asarray(fft.irfft2(white * spectrum, perfect.shape[1:]))
    return sharp + random.uniform(8, 40) * noise / noise.std()


def _compute_frequencies(shape: tuple[int, ...], spacing: float, stretch: tuple[float, ...]) -> np.ndarray:
    """Return the radial frequency in cycles per mm on the grid of a real transform; axes may be stretched."""
    axes = [fft.fftfreq(size, spacing) for size in shape[:-1]] + [fft.rfftfreq(shape[-1], spacing)]
    squares = [(s * axis) ** 2 for s, axis in zip(stretch, axes)]
    return np.sqrt(sum(np.ix_(*squares))).astype(np.float32) if len(shape) > 1 else np.sqrt(squares[0])
