"""A worn knee on a rendering grid: its parts where the deformity brings them, with osteophytes at their rims."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.anatomy_file import BAND_MM
from KneeSegLib.training.synthesis.fields import draw_smooth_noise, smoothstep, uniform
from KneeSegLib.training.synthesis.osteoarthritis.deformity import draw_deformity
from KneeSegLib.training.synthesis.osteoarthritis.parts import FEMUR, PARTS, PATELLA, SHANK, take_knee_apart
from KneeSegLib.training.synthesis.osteoarthritis.settings import (
    ABOVE_JOINT_MM,
    BELOW_JOINT_MM,
    BRIM_MM,
    CONTACT_GAP_MM,
    KNOB_MM,
    OUTSIDE_SLOPES,
    RIM_MM,
    SLACK_MM,
    SLOPE_MM,
    SPREAD_MM,
    Osteoarthritis,
)
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.subjects import PreparedSubject


def draw_worn_knee(
    subject: PreparedSubject,
    points_mm: torch.Tensor,
    spacing_mm: float,
    disease: Osteoarthritis,
    generator: torch.Generator,
) -> Scene:
    """Draw a knee with severe osteoarthritis; as it is where it shows no femur above a tibia, or no patella.

    Args:
        points_mm: ``(D, H, W, 3)``, places ``(z, y, x)`` in the subject's box, as for :meth:`PreparedSubject.sample`.
    """
    parts = take_knee_apart(subject)
    if parts is None:
        return subject.sample(points_mm, spacing_mm)
    deformity = draw_deformity(parts, disease, generator)
    height_mm = points_mm[..., 0] - parts.joint_mm[0]
    lowest, highest = height_mm.min(), height_mm.max()
    upper_points = _keep_in_box(deformity.find_in_femur(points_mm), subject)
    if lowest > ABOVE_JOINT_MM:
        return replace(subject.sample(upper_points, spacing_mm), known=_find_known(points_mm, subject))
    lower_points = _keep_in_box(deformity.find_in_shank(points_mm), subject)
    if highest < -BELOW_JOINT_MM:
        return replace(subject.sample(lower_points, spacing_mm), known=_find_known(points_mm, subject))
    upper, lower = subject.sample(upper_points, spacing_mm), subject.sample(lower_points, spacing_mm)
    femur = parts.measure_distance(FEMUR, upper_points, upper)
    patella = parts.measure_distance(PATELLA, deformity.find_in_patella(points_mm), upper)
    shank = parts.measure_distance(SHANK, lower_points, lower)
    below_mm, before_mm = _add_distances(femur, shank), _add_distances(femur, patella)
    beside = _find_outside(below_mm, spacing_mm), _find_outside(before_mm, spacing_mm)

    height = uniform(disease.osteophyte_mm, generator) * _draw_knobs(femur.shape, spacing_mm, generator)
    of_femur = torch.maximum(_find_rim(shank) * beside[0], _find_rim(patella) * beside[1])
    of_tibia = torch.where(lower.nearest == PARTS[SHANK][1], 0.0, _find_rim(femur) * beside[0])
    of_patella = _find_rim(femur) * beside[1]
    femur, patella, shank = (
        _grow(bone, height * rim) for bone, rim in ((femur, of_femur), (patella, of_patella), (shank, of_tibia))
    )
    above, behind = torch.minimum(femur, patella), torch.maximum(femur, patella)
    first, second = torch.minimum(above, shank), torch.minimum(behind, torch.maximum(above, shank))
    shortage = (uniform(CONTACT_GAP_MM, generator) - first - second).clamp(min=0.0)
    distance = (first + 0.5 * shortage).clamp(-BAND_MM, BAND_MM)

    below = shank < above
    of_shank = torch.where(torch.isin(lower.nearest, torch.tensor(PARTS[SHANK], dtype=torch.uint8)), lower.nearest, 0)
    of_shank = torch.where(of_shank == 0, PARTS[SHANK][0], of_shank)
    nearest = torch.where(below, of_shank, torch.where(patella < femur, PARTS[PATELLA][0], PARTS[FEMUR][0]))
    far = torch.lerp(lower.far_mm, upper.far_mm, smoothstep(height_mm, -15.0, 15.0))
    return Scene(
        distance_mm=distance,
        nearest=torch.where(distance < BAND_MM, nearest, 0).to(torch.uint8),
        cortex_mm=torch.where(below, lower.cortex_mm, upper.cortex_mm),
        far_mm=torch.where(distance < BAND_MM - 0.5, distance.clamp(min=0.0), far.clamp(min=BAND_MM - 0.5)),
        known=_find_known(points_mm, subject),
        spacing_mm=spacing_mm,
        joint_space_mm=torch.minimum(below_mm, before_mm),
    )


def _add_distances(one_mm: torch.Tensor, other_mm: torch.Tensor) -> torch.Tensor:
    """Return how far two bones are apart along the way through a place; the band where one of them is out of reach."""
    reached = torch.maximum(one_mm, other_mm) < BAND_MM - SLACK_MM
    return torch.where(reached, one_mm + other_mm, BAND_MM)


def _find_outside(space_mm: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """Return how much a place lies outside a joint, 0..1, from the sum of the distances to its two bones.

    Between two surfaces that face each other, and behind them, this sum stays the same; beside them it rises.
    """
    # Over some voxels at once: the distances of prepared files are in steps that a voxel's slope would show.
    step = [max(1, min(round(SLOPE_MM / spacing_mm), size // 2)) for size in space_mm.shape]
    filling = [-size % voxels for size, voxels in zip(space_mm.shape, step)]  # so that each step is whole
    pads = [pad for voxels in reversed(filling) for pad in (0, voxels)]
    coarse = functional.avg_pool3d(functional.pad(space_mm[None, None], pads, mode="replicate"), step)
    along = torch.gradient(coarse[0, 0], spacing=[spacing_mm * voxels for voxels in step])
    slope = torch.stack(along).square().sum(dim=0)
    filled = [size + voxels for size, voxels in zip(space_mm.shape, filling)]
    outside = functional.interpolate(slope[None, None], size=filled, mode="trilinear", align_corners=False)[0, 0]
    return smoothstep(outside[tuple(slice(size) for size in space_mm.shape)], *OUTSIDE_SLOPES)


def _find_rim(opposite_mm: torch.Tensor) -> torch.Tensor:
    """Return how much a place lies at the rim of a joint's surface, 0..1, from the distance to the opposite bone."""
    nearest, near, far, farthest = RIM_MM
    return smoothstep(opposite_mm, nearest, near) * (1.0 - smoothstep(opposite_mm, far, farthest))


def _draw_knobs(shape: torch.Size, spacing_mm: float, generator: torch.Generator) -> torch.Tensor:
    """Draw where osteophytes are, and how large beside the largest one."""
    knobs = smoothstep(draw_smooth_noise(shape, spacing_mm, uniform(KNOB_MM, generator), generator), -0.5, 1.0)
    return knobs * smoothstep(draw_smooth_noise(shape, spacing_mm, SPREAD_MM, generator), -0.6, 0.8)


def _grow(distance_mm: torch.Tensor, height_mm: torch.Tensor) -> torch.Tensor:
    """Return the distance to a bone that grew outward by ``height_mm``."""
    return torch.where(distance_mm < height_mm + BRIM_MM, distance_mm - height_mm, distance_mm)


def _keep_in_box(points_mm: torch.Tensor, subject: PreparedSubject) -> torch.Tensor:
    """Return the points, those above and below the prepared box on its end: shafts go on."""
    last_mm = subject.extent_mm[0] - subject.spacing_mm
    return torch.cat([points_mm[..., :1].clamp(0.0, last_mm), points_mm[..., 1:]], dim=-1)


def _find_known(points_mm: torch.Tensor, subject: PreparedSubject) -> torch.Tensor:
    """Return which points lie in the prepared box."""
    half = 0.5 * subject.spacing_mm
    return ((points_mm > -half) & (points_mm < torch.tensor(subject.extent_mm) - half)).all(dim=-1)
