"""Files that a training goes on from: whole or not there, tensors and numbers only."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from KneeSegLib.errors import InputError
from KneeSegLib.io.torch_files import require_sound_checkpoint
from KneeSegLib.io.writing import write_whole

CHECKPOINT_NAME = "checkpoint.pt"
"""What a training goes on from."""

_ADVICE = "take it from a copy, or take it away to begin the training anew"


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
    """Read what :func:`write_checkpoint` wrote, tensors to a device.

    Raises:
        InputError: it is damaged or something else; nothing in it is executed.
    """
    require_sound_checkpoint(path, _ADVICE)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # a damaged pickle raises whatever it happens to run into
        state = None
    if not isinstance(state, dict):
        raise InputError(f"The checkpoint {path.name} is none that a training here has written; {_ADVICE}.")
    return state
