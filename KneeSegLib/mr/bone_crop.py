"""A bone in the crop that shapes are fitted and measured in, of a left knee in a mirror."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from KneeSegLib.anatomy import Side
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.bones import KneeBones
from KneeSegLib.mr.crops import crop_centre
from KneeSegLib.mr.optimisation import distance_at, measure_surface_distance
from KneeSegLib.mr.settings import OPTIMISATION, SPACING_MM
from KneeSegLib.networks.shape_regressor import INPUT_SIZE


@dataclass(frozen=True)
class BoneCrop:
    """The probability of one bone in the crop that hangs from its end, of a left knee in a mirror.

    Attributes:
        probability: ``(D, H, W)`` float32 on ``grid``.
        distance_mm: ``(D, H, W)`` to the bone's surface, negative inside.
        centre_mm: of the crop, x, y, z in mm of the scan.
        mirror: factors of x, y, z from the crop to the scan.
        within_mm: lowest and highest x, y, z from the centre, in the crop's own directions, that lie well in the scan.
    """

    grid: Grid
    probability: torch.Tensor
    distance_mm: np.ndarray
    centre_mm: np.ndarray
    mirror: np.ndarray
    within_mm: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of_bone(cls, bones: KneeBones, bone: str, side: Side) -> BoneCrop:
        """Cut out one bone."""
        centre = crop_centre(bones.places_mm(bone), bone).double().numpy()
        half = (INPUT_SIZE - 1) / 2.0 * SPACING_MM
        grid = Grid(*(Axis(float(middle) - half, SPACING_MM, INPUT_SIZE) for middle in centre[::-1]))
        grid = grid.mirrored() if side == "left" else grid
        own = resample_to(bones.probability[bone], bones.grid, grid)
        mirror = np.array([-1.0 if side == "left" else 1.0, 1.0, 1.0])
        low, high = np.array(bones.scan.grown(-OPTIMISATION.border_mm))[::-1].T - centre
        within = (low, high)
        if side == "left":
            within = (np.array([-high[0], *low[1:]]), np.array([-low[0], *high[1:]]))
        return cls(grid, own, measure_surface_distance((own > 0.5).numpy()), centre, mirror, within)

    def read(self, probability: torch.Tensor, bones: KneeBones) -> torch.Tensor:
        """Return another bone's probability in the crop."""
        return resample_to(probability, bones.grid, self.grid)

    def to_scan(self, points_mm: np.ndarray) -> np.ndarray:
        """Return points (N, 3), from the crop's centre, in mm of the scan."""
        return points_mm * self.mirror + self.centre_mm

    def measure_residual(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the distance (N,) of points (N, 3) from the bone's surface; NaN of those not well in the scan."""
        low, high = self.within_mm
        in_view = ((points_mm > low) & (points_mm < high)).all(axis=1)
        away = distance_at(torch.from_numpy(self.distance_mm), torch.from_numpy(points_mm).float()).numpy()
        return np.where(in_view, away, np.nan)
