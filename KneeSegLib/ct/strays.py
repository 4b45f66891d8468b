"""Parts of bones that lie where no part of them can be: a region of interest follows the joint, not stray voxels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.ct.joints import FoundJoint
from KneeSegLib.ct.settings import BONE_REACH_MM
from KneeSegLib.geometry.grid import Grid


def drop_strays(
    regions: Mapping[str, np.ndarray], joints: Mapping[str, FoundJoint], grid: Grid
) -> dict[str, np.ndarray]:
    """Return per bone its region without what lies too far from every joint in view that the bone belongs to.

    Contrast medium in a bowel may be taken for a hip bone, and may touch the true one. A bone of which no joint is in
    view, or whose reach is not known (:data:`~KneeSegLib.ct.settings.BONE_REACH_MM`), is kept as it is.

    Args:
        regions: per bone a mask ``(D, H, W)`` on ``grid``.

    Returns:
        The same masks, but for bones that lose something.
    """
    kept = {}
    for bone, mask in regions.items():
        centers = [joint.center_mm for name, joint in joints.items() if bone in JOINT_BONES[name]]
        reach_mm = BONE_REACH_MM.get(bone)
        if not centers or reach_mm is None:
            kept[bone] = mask
            continue
        near = mask & _is_near(centers, reach_mm, grid)
        if np.array_equal(near, mask):
            kept[bone] = mask
        elif near.any():
            kept[bone] = near
    return kept


def _is_near(centers: list[tuple[float, float, float]], reach_mm: float, grid: Grid) -> np.ndarray:
    """Mark the voxels (D, H, W) within reach of any of some points (z, y, x)."""
    near = np.zeros(grid.shape, bool)
    for center in centers:
        z, y, x = ((axis.positions_mm - middle) ** 2 for axis, middle in zip(grid, center))
        near |= z[:, None, None] + y[:, None] + x <= reach_mm**2
    return near
