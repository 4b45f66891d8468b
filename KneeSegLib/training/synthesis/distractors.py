"""Distractors: bone that is not the one to be found, that is the other leg, ossicles, arms beside hips, spine and ribs.

Each function returns a scene with more bone in it; new bone carries the class ``other`` (or the other side's).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from KneeSegLib.training.synthesis.anatomy_file import BAND_MM, CLASSES
from KneeSegLib.training.synthesis.fields import uniform
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.settings import Warp
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.synthesis.warp import draw_points

OTHER = CLASSES.index("other")


def _make_swap_table() -> torch.Tensor:
    """Return for each class index that of the same bone on the other side (uint8)."""
    table = list(range(len(CLASSES)))
    for index, name in enumerate(CLASSES):
        if name.endswith("_right"):
            table[index] = CLASSES.index(name.replace("_right", "_left"))
        elif name.endswith("_left"):
            table[index] = CLASSES.index(name.replace("_left", "_right"))
    return torch.tensor(table, dtype=torch.uint8)


SIDES_SWAPPED = _make_swap_table()
"""Maps a class index to the same bone of the other side."""


def mirror_classes(nearest: torch.Tensor) -> torch.Tensor:
    """Return class indices with right and left exchanged."""
    return SIDES_SWAPPED[nearest.long()]


def merge_scenes(first: Scene, second: Scene) -> Scene:
    """Return both scenes in one: each voxel belongs to the nearer bone."""
    nearer = second.distance_mm < first.distance_mm
    return replace(
        first,
        distance_mm=torch.minimum(first.distance_mm, second.distance_mm),
        nearest=torch.where(nearer, second.nearest, first.nearest),
        cortex_mm=torch.where(nearer, second.cortex_mm, first.cortex_mm),
        far_mm=torch.minimum(first.far_mm, second.far_mm),
    )


def add_other_leg(
    scene: Scene, subject: PreparedSubject, centre_mm: torch.Tensor, warp: Warp, generator: torch.Generator
) -> Scene:
    """Add the subject's own leg, mirrored, on the medial side (larger x of a right leg)."""
    gap_mm = uniform((85.0, 150.0), generator)
    extent = subject.extent_mm
    # The grid's centre moves in the mirrored subject as far as it lies from that subject's middle, the other way round.
    mirrored_centre = torch.tensor(
        [
            float(centre_mm[0]) + uniform((-15.0, 15.0), generator),
            float(centre_mm[1]),
            extent[2] - float(centre_mm[2]) + gap_mm,
        ]
    )
    points = draw_points(scene.distance_mm.shape, scene.spacing_mm, mirrored_centre, warp, generator, mirrored=True)
    other = subject.sample(points, scene.spacing_mm)
    other = replace(other, nearest=mirror_classes(other.nearest), far_mm=torch.where(other.known, other.far_mm, 255.0))
    return merge_scenes(scene, other)


def add_ossicles(scene: Scene, generator: torch.Generator) -> Scene:
    """Add small round bones (fabella, os trigonum, loose bodies) near, but not in, the bones."""
    shape, spacing = scene.distance_mm.shape, scene.spacing_mm
    distance = torch.full(shape, BAND_MM)
    for _ in range(1 + int(uniform((0.0, 3.0), generator))):
        centre = [uniform((0.0, size * spacing), generator) for size in shape]
        radius = uniform((2.0, 6.0), generator)
        z, y, x = (torch.arange(size) * spacing - c for size, c in zip(shape, centre))
        ball = (z[:, None, None] ** 2 * 0.6 + y[None, :, None] ** 2 + x[None, None, :] ** 2).sqrt() - radius
        distance = torch.minimum(distance, ball)
    distance = torch.maximum(distance, 1.2 - scene.distance_mm)
    return merge_scenes(scene, _make_loose_bones(scene, distance, cortex_mm=0.6))


def add_torso(scene: Scene, pelvis_top: float, middle_x: float, generator: torch.Generator) -> Scene:
    """Add a spine and ribs above the pelvis.

    Args:
        pelvis_top: height of the iliac crests on the grid, mm from its first slice.
        middle_x: sagittal plane on the grid, mm from its first column.
    """
    depth, height, width = scene.distance_mm.shape
    spacing = scene.spacing_mm
    z = (torch.arange(depth) * spacing - pelvis_top)[:, None, None]
    y = (torch.arange(height) * spacing - height * spacing * uniform((0.55, 0.7), generator))[None, :, None]
    x = (torch.arange(width) * spacing - middle_x)[None, None, :]
    wave = torch.sin(2.0 * math.pi * z / uniform((30.0, 42.0), generator))
    body = ((y + 10.0) ** 2 + x**2).sqrt() - uniform((17.0, 26.0), generator) - 3.0 * wave
    process = torch.maximum(((y - 30.0) / 2.2) ** 2 + x**2 - 64.0, -(30.0 + 20.0 * wave)) / 16.0
    spine = torch.maximum(torch.minimum(body, process), -z - 40.0)
    a, b = uniform((110.0, 160.0), generator), uniform((75.0, 110.0), generator)
    shell = ((((x / a) ** 2 + ((y + 40.0) / b) ** 2).sqrt() - 1.0) * 90.0).abs() - 4.0
    ribs = torch.maximum(shell, (torch.sin(2.0 * math.pi * (z + 0.4 * y) / 27.0) - 0.1) * 6.0)
    ribs = torch.maximum(ribs, uniform((60.0, 160.0), generator) - z)
    distance = torch.minimum(spine, ribs).clamp(-BAND_MM, BAND_MM).expand(depth, height, width)
    distance = torch.maximum(distance, 3.0 - scene.distance_mm)
    added = _make_loose_bones(scene, distance, cortex_mm=1.0)
    trunk = (((x / (a + 25.0)) ** 2 + ((y + 40.0) / (b + 25.0)) ** 2).sqrt() - 1.0) * 90.0
    trunk = torch.maximum(trunk, -z - 60.0).expand(depth, height, width)
    added = replace(added, far_mm=torch.minimum(added.far_mm, (trunk + 8.0).clamp(min=3.0)))
    return merge_scenes(scene, added)


def add_arms(scene: Scene, subject: PreparedSubject, warp: Warp, generator: torch.Generator) -> Scene:
    """Add arms beside the body: legs upside down, at half to two thirds of their size."""
    extent = subject.extent_mm
    smaller = replace(warp, scale=(0.5, 0.7), tilt_degrees=(-20.0, 20.0))
    shape, spacing = scene.distance_mm.shape, scene.spacing_mm
    centre = torch.tensor([uniform((0.25, 0.75), generator) * extent[0], 0.5 * extent[1], 0.5 * extent[2]])
    points = draw_points(shape, spacing, centre, smaller, generator)
    points[..., 0] = extent[0] - points[..., 0]
    spread = uniform((60.0, 160.0), generator)
    points[..., 2] += torch.where(points[..., 2] > 0.5 * extent[2], -spread, spread)
    arms = subject.sample(points, spacing)
    distance = torch.where(arms.known, arms.distance_mm, BAND_MM)
    distance = torch.maximum(distance, 6.0 - scene.distance_mm)
    added = replace(
        arms, distance_mm=distance, nearest=torch.full_like(arms.nearest, OTHER),
        far_mm=torch.where(arms.known, arms.far_mm * 1.6, 255.0),
    )  # fmt: skip
    return merge_scenes(scene, added)


def _make_loose_bones(scene: Scene, distance_mm: torch.Tensor, cortex_mm: float) -> Scene:
    """Return a scene of nothing but unlabelled bones, given their distance and the thickness of their cortex."""
    return replace(
        scene,
        distance_mm=distance_mm,
        nearest=torch.full_like(scene.nearest, OTHER),
        cortex_mm=torch.full_like(scene.cortex_mm, cortex_mm),
        far_mm=distance_mm.clamp(min=0.0) + torch.where(distance_mm >= BAND_MM, 255.0, 0.0),
    )
