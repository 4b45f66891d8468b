"""Signal of tissue: what water and what fat contribute, which a scanner treats differently."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from KneeSegLib.training.synthesis.fields import blur


@dataclass(frozen=True)
class Signal:
    """Signal of water and of fat, ``(D, H, W)`` each."""

    water: torch.Tensor
    fat: torch.Tensor

    @classmethod
    def of_water(cls, like: torch.Tensor, level: float) -> Signal:
        """Return water of one level all over a volume like another."""
        return cls(torch.full_like(like, level), torch.zeros_like(like))

    def mix(self, other: Signal, fraction: torch.Tensor) -> Signal:
        """Return the mixture with another tissue, which takes ``fraction`` (0..1) of each voxel."""
        return Signal(torch.lerp(self.water, other.water, fraction), torch.lerp(self.fat, other.fat, fraction))

    def blend_slices(self, sigma_slices: float) -> Signal:
        """Return the signal with neighbouring slices blurred into each other."""
        sigma = (sigma_slices, 0.0, 0.0)
        return Signal(blur(self.water, sigma), blur(self.fat, sigma))

    def add(self, other: Signal) -> Signal:
        """Return the sum of both."""
        return Signal(self.water + other.water, self.fat + other.fat)

    def scale(self, factor: torch.Tensor) -> Signal:
        """Return the signal times a factor ``(D, H, W)``."""
        return Signal(self.water * factor, self.fat * factor)
