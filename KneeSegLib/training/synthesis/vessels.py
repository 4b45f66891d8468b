"""Arteries full of contrast medium: as bright as bone, beside it, along its whole length."""

from __future__ import annotations

import torch

from KneeSegLib.training.synthesis.fields import draw_smooth_noise, smoothstep, uniform
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.settings import ARTERY_SWAY, ARTERY_SWAY_MM, MOST_ARTERIES, SoftTissue

STEP_VOXELS = 2
"""An artery moves at most so many voxels sideways from a slice to the next."""
SMOOTHED_SLICES = 7
"""Slices over which its course is averaged, so that it does not step from voxel to voxel."""


def add_arteries(body: torch.Tensor, scene: Scene, tissue: SoftTissue, generator: torch.Generator) -> torch.Tensor:
    """Return the HU of soft tissue ``(D, H, W)`` with one to three arteries along the bones of a scene.

    Each keeps, but for a slow sway, the distance from bone that was drawn for it: it follows a shaft and winds around
    the ends of bones. Where there is no place at that distance in the scene's middle slice it is left out.
    """
    for _ in range(1 + int(uniform((0.0, float(MOST_ARTERIES)), generator)) % MOST_ARTERIES):
        radius_mm, hu = uniform(tissue.artery_mm, generator), uniform(tissue.contrast_hu, generator)
        depth_mm = radius_mm + uniform(tissue.artery_depth_mm, generator)
        course = _draw_course(scene, depth_mm, generator)
        if course is None:
            continue
        y, x = (torch.arange(size, dtype=torch.float32) for size in body.shape[1:])
        away = ((y[None, :, None] - course[:, 0, None, None]) ** 2 + (x - course[:, 1, None, None]) ** 2).sqrt()
        half = 0.5 * scene.spacing_mm
        inside = smoothstep(radius_mm - away * scene.spacing_mm, -half, half)
        body = torch.lerp(body, torch.full_like(body, hu), inside)
    return body


def _draw_course(scene: Scene, depth_mm: float, generator: torch.Generator) -> torch.Tensor | None:
    """Draw where an artery passes each slice: ``(D, 2)`` rows and columns, or None where it finds no place."""
    slices = scene.far_mm.shape[0]
    sway = draw_smooth_noise((slices, 1, 1), scene.spacing_mm, ARTERY_SWAY_MM, generator)[:, 0, 0]
    depths = depth_mm * (1.0 + ARTERY_SWAY * sway).clamp(0.4, 1.6)
    middle = slices // 2
    places = torch.nonzero((scene.far_mm[middle] - depths[middle]).abs() < scene.spacing_mm)
    if not len(places):
        return None
    start = places[int(torch.randint(len(places), (), generator=generator))]
    course = torch.zeros(slices, 2)
    course[middle] = start
    for path in (range(middle + 1, slices), range(middle - 1, -1, -1)):
        place = start
        for row in path:
            place = _follow(scene.far_mm[row], place, float(depths[row]))
            course[row] = place
    padded = torch.nn.functional.pad(course.T[None], (SMOOTHED_SLICES // 2,) * 2, mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, SMOOTHED_SLICES, stride=1)[0].T


def _follow(far_mm: torch.Tensor, place: torch.Tensor, depth_mm: float) -> torch.Tensor:
    """Return the place near ``place`` in a slice ``(H, W)`` whose distance from bone is nearest to ``depth_mm``."""
    low = (place - STEP_VOXELS).clamp(min=0)
    window = far_mm[low[0] : int(place[0]) + STEP_VOXELS + 1, low[1] : int(place[1]) + STEP_VOXELS + 1]
    y, x = (torch.arange(size) + first - middle for size, first, middle in zip(window.shape, low, place))
    moved = (y[:, None] ** 2 + x[None, :] ** 2).float()
    best = int(((window - depth_mm) ** 2 + 0.1 * moved).argmin())
    return low + torch.tensor([best // window.shape[1], best % window.shape[1]])
