"""Numbers of exported bundles. Those of the slice stages that a bundle repeats are read from their rooms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PACKAGES: Mapping[str, str] = MappingProxyType({"nibabel": "5.0", "pytorch-ignite": "0.5", "fire": "0.5"})
"""What a bundle needs beside MONAI and torch, and from which version on: to read NIfTI, for the evaluator, and for
MONAI's command line. The lower bounds of our own tests."""

SLICES_AT_ONCE = 4
"""Slices in one batch of the inferer: little memory, and larger batches were no faster on a processor."""

MEMORY_BYTES = 12
"""What a run takes for each voxel and class beside 1 GB. Measured on a real knee MR of 512 x 512 x 80 voxels and nine
classes, 3.0 GB, and on synthetic CT."""
