"""Shafts of long bones as rods, whole, torn or trembling."""

import numpy as np


def shaft(slices=60, lean=0.2, radius=12.0, jump_mm=0.0, jitter_mm=0.0, slice_mm=1.0) -> np.ndarray:
    """A leaning rod; above its middle it may stand aside, or each slice lies elsewhere."""
    random = np.random.default_rng(3)
    y, x = np.indices((80, 80))
    mask = np.zeros((slices, 80, 80), bool)
    for z in range(slices):
        centre = 30.0 + lean * slice_mm * z + jump_mm * (z >= slices // 2) + random.normal(0.0, jitter_mm)
        mask[z] = (y - 40) ** 2 + (x - centre) ** 2 < radius**2
    return mask
