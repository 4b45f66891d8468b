"""Whether the values around a bone can be Hounsfield units, and whether they were cut off."""

from __future__ import annotations

from math import nan

import numpy as np

from KneeSegLib.quality.settings import AIR_HU, LEAST_CUT_OFF_FRACTION


def measure_soft_tissue_hu(hu: np.ndarray, bones: np.ndarray) -> float:
    """Return the median of what is neither bone nor air: fat has -100 HU, muscle 50. NaN where there is no such voxel.

    Args:
        hu: (Z, Y, X), a bone's box and a little around.
        bones: bool, every bone.
    """
    soft = hu[~bones & (hu > AIR_HU)]
    return float(np.median(soft)) if soft.size else nan


def find_ceiling_hu(hu: np.ndarray, bone: np.ndarray) -> float:
    """Return the value at which the bone's own values were cut off; NaN where they were not.

    They were if many voxels have exactly the highest value, as no measured values do.
    """
    values = hu[bone]
    if not values.size:
        return nan
    highest = values.max()
    return float(highest) if np.mean(values == highest) >= LEAST_CUT_OFF_FRACTION else nan
