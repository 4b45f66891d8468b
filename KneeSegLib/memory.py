"""Memory is checked before the work starts, so that the operating system does not end it half-way."""

from __future__ import annotations

from pathlib import Path

import psutil

from KneeSegLib.errors import ResourceError

_GIB = 2**30

# A container's own limit and use (control groups, version 2 and version 1); absent on Windows and macOS.
_CONTAINER_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def measure_available_memory() -> int:
    """Return the bytes that can still be taken without swapping: the machine's, or the container's if less."""
    available = psutil.virtual_memory().available
    for limit_file, use_file in _CONTAINER_FILES:
        try:
            limit, use = (int(Path(name).read_text()) for name in (limit_file, use_file))
        except (OSError, ValueError):  # no such file here, or "max": no limit
            continue
        available = min(available, max(limit - use, 0))
    return available


def require_memory(bytes_needed: float, purpose: str, advice: str = "close other programs or crop the scan") -> None:
    """Raise unless ``bytes_needed`` more bytes can be taken now.

    Args:
        purpose: begins the sentence, like ``"Segmenting 512 x 512 x 250 voxels"``.
        advice: ends it.

    Raises:
        ResourceError: with what is needed and what is free, in GB (2**30 bytes).
    """
    available = measure_available_memory()
    if bytes_needed > available:
        raise ResourceError(
            f"{purpose} needs about {bytes_needed / _GIB:.1f} GB of memory "
            f"and {available / _GIB:.1f} GB are free; {advice}."
        )
