"""Whether the labels of a bone lie where the localiser saw the bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from KneeSegLib.geometry.grid import Grid

_ONE_VOXEL_AROUND = np.ones((3, 3, 3), bool)


def compute_tolerant_dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Dice overlap of two masks (Z, Y, X) in which a voxel also counts as common beside the other mask.

    A bone that is thinner than a voxel of the grid loses nothing by where its voxel came to lie. 0 where one of the
    masks is empty.
    """
    total = np.count_nonzero(first) + np.count_nonzero(second)
    if not first.any() or not second.any():
        return 0.0
    common = np.count_nonzero(first & ndimage.binary_dilation(second, _ONE_VOXEL_AROUND))
    common += np.count_nonzero(second & ndimage.binary_dilation(first, _ONE_VOXEL_AROUND))
    return common / total


def measure_region_agreement(mask: np.ndarray, grid: Grid, region: np.ndarray, coarse: Grid) -> float:
    """Return the tolerant Dice, 0..1, of a mask and a coarse region, where the mask's grid reaches.

    Args:
        mask: bool (Z, Y, X) on ``grid``.
        region: bool on ``coarse``; outside ``grid`` along z, where nothing was segmented, it does not count.
    """
    indices = [np.rint((axis.positions_mm - own.first_mm) / own.step_mm).astype(int) for axis, own in zip(coarse, grid)]
    within = [(index >= 0) & (index < size) for index, size in zip(indices, mask.shape)]
    seen = np.zeros(region.shape, bool)
    seen[np.ix_(*within)] = mask[np.ix_(*(index[inside] for index, inside in zip(indices, within)))]
    segmented = within[0]
    return compute_tolerant_dice(seen[segmented], region[segmented])
