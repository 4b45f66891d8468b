"""The shape layer: from the parameters of a shape model to landmarks in mm. It has nothing to train.

J. Schock, M. Kopaczka et al., *A Method for Semantic Knee Bone and Cartilage Segmentation with Deep 3D Shape Fitting
Using Data From the Osteoarthritis Initiative*, ShapeMI 2020, section 3.4.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

POSE_PARAMETERS = 9
"""Translation, rotation and scale, three each."""
_SMALLEST_ANGLE_SQUARED = 1e-12


class ShapeLayer(nn.Module):
    """Landmarks of a linear shape model: mean plus weighted components, then scaled, turned and shifted.

    The parameters of one shape are, in this order:

    - K weights in standard deviations,
    - translation (x, y, z) in mm,
    - a rotation vector about the mean's centre: axis times angle,
    - the logarithms of the scales along x, y and z, so that a scale is always positive.

    The paper does not say how rotation and scale are parametrised. Angles and logarithms are given here times the
    mean's radius (root mean square distance of its points from their centre): one unit of each of the nine moves
    landmarks by about one mm, as one unit of a weight does, and gradient descent treats all alike.

    Args:
        mean: (P, 3) mm, centred on the origin.
        components: (K, P, 3), orthonormal.
        variances: (K,) mm².

    Shapes: ``(N, K + 9)`` to ``(N, P, 3)`` mm. Zeros give the mean itself. The arrays are buffers that no state
    dictionary holds: they come from the shape model's file.
    """

    mean: torch.Tensor
    modes: torch.Tensor

    def __init__(
        self,
        mean: torch.Tensor | np.ndarray,
        components: torch.Tensor | np.ndarray,
        variances: torch.Tensor | np.ndarray,
    ) -> None:
        super().__init__()
        mean, components, variances = (torch.as_tensor(array).double() for array in (mean, components, variances))
        if components.shape != (len(variances), *mean.shape):
            raise ValueError(f"Components {tuple(components.shape)} do not fit a mean {tuple(mean.shape)}.")
        modes = components * variances.sqrt()[:, None, None]
        self.radius_mm = float((mean - mean.mean(dim=0)).square().sum(dim=1).mean().sqrt())
        self.register_buffer("mean", mean.float(), persistent=False)
        self.register_buffer("modes", modes.flatten(1).float(), persistent=False)

    @property
    def parameters_per_shape(self) -> int:
        """K + 9."""
        return len(self.modes) + POSE_PARAMETERS

    def forward(self, parameters: torch.Tensor) -> torch.Tensor:
        if parameters.shape[1] != self.parameters_per_shape:
            raise ValueError(f"{parameters.shape[1]} parameters were given; the shape has {self.parameters_per_shape}.")
        weights, translation, turn, growth = parameters.split([len(self.modes), 3, 3, 3], dim=1)
        shapes = self.mean + (weights @ self.modes).unflatten(1, self.mean.shape)
        scaled = shapes * torch.exp(growth / self.radius_mm)[:, None]
        return scaled @ rotation_matrices(turn / self.radius_mm).mT + translation[:, None]


def parameter_names(modes: int) -> tuple[str, ...]:
    """What each parameter of a shape is, in order."""
    pose = [f"{kind} {axis}" for kind in ("translation", "rotation", "scale") for axis in "xyz"]
    return (*(f"mode {number + 1}" for number in range(modes)), *pose)


def rotation_matrices(vectors: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (N, 3, 3) of rotation vectors (N, 3), right-handed, radians (Rodrigues' formula).

    Smooth everywhere: no angle is zero to the last bit, so that its root has a gradient.
    """
    angle = (vectors.square().sum(dim=1) + _SMALLEST_ANGLE_SQUARED).sqrt()[:, None, None]
    x, y, z = vectors.unbind(dim=1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).unflatten(1, (3, 3))
    one = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    half = torch.sin(angle / 2) / angle
    return one + torch.sin(angle) / angle * cross + 2 * half.square() * cross @ cross
