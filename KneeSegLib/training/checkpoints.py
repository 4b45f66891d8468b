"""Files that a training goes on from: whole or not there, tensors and numbers only."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from KneeSegLib.io.writing import write_whole

CHECKPOINT_NAME = "checkpoint.pt"
"""What a training goes on from."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state; on a full disk the file that was there stays.

    Raises:
        OutputError: it could not be written.
    """
    content = io.BytesIO()  # torch's own writer hides that a disk is full
    torch.save(state, content)
    with write_whole(path) as unfinished:
        unfinished.write_bytes(content.getbuffer())


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote, tensors to a device."""
    return torch.load(path, map_location=device, weights_only=True)
