"""Which device networks run on, and with how many threads."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil
import torch

from KneeSegLib.errors import ResourceError


@dataclass(frozen=True)
class Device:
    """A device that is there. ``torch_name`` is what torch calls it, ``description`` what a person does."""

    torch_name: str
    description: str
    threads: int


def find_device(wanted: str = "auto") -> Device:
    """Return the device called ``"cpu"``, ``"cuda"`` or ``"mps"``, or the fastest that is there for ``"auto"``.

    Raises:
        ResourceError: the device asked for is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name, available in there.items() if available) if wanted == "auto" else wanted
    if not there.get(name, False):
        found = ", ".join(name for name, available in there.items() if available)
        raise ResourceError(
            f"The device {wanted!r} is not available to torch on this machine (found: {found}); choose another."
        )
    threads = processor_threads()
    if name == "cuda":
        return Device(name, f"CUDA: {torch.cuda.get_device_name()}", threads)
    if name == "mps":
        return Device(name, "Apple graphics processor", threads)
    return Device(name, f"CPU, {threads} thread{'s' if threads > 1 else ''}", threads)


def processor_threads() -> int:
    """Physical cores that this process may use, or ``OMP_NUM_THREADS`` where that is set lower."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(min(cores, int(asked)) if asked.isdigit() and int(asked) > 0 else cores, 1)
