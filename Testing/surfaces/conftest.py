"""Label images of shapes whose surface is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure

BONE = structure("femur_right")
LEFT_HANDED_OBLIQUE = (0.96, 0.28, 0.0, -0.28, 0.96, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture(scope="session")
def labelled() -> Callable[..., sitk.Image]:
    """``labelled(inside, spacing=..., direction=...)``: a bool array [z, y, x] as a label image of the right femur."""

    def image_of(
        inside: np.ndarray,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
        direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
    ) -> sitk.Image:
        image = sitk.GetImageFromArray(np.where(inside, BONE.label_value, 0).astype(np.uint8))
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction)
        return image

    return image_of


@pytest.fixture(scope="session")
def depth_in_ball() -> Callable[..., np.ndarray]:
    """``depth_in_ball(radius_mm, spacing)``: mm from each voxel centre out to the sphere, on a grid round its centre.

    The centre lies 0.3 voxel off the middle voxel, in x, y and z, so that nothing is symmetric by chance.
    """

    def depth(radius_mm: float, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
        half = [int(np.ceil(radius_mm / step)) + 3 for step in reversed(spacing)]
        axes = [(np.arange(-n, n + 1) - 0.3) * step for n, step in zip(half, reversed(spacing))]
        z, y, x = np.meshgrid(*axes, indexing="ij")
        return radius_mm - np.sqrt(x**2 + y**2 + z**2)

    return depth
