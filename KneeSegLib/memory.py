"""Memory is checked before the work starts, so that the operating system does not end it half-way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

from KneeSegLib.errors import ResourceError

_GIB = 2**30

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")

_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
"""Names of the limit's file, of the use's file, and of the entry of ``memory.stat`` that can be given back at once."""


def measure_available_memory() -> int:
    """Return the bytes that can still be taken without swapping: the machine's, or what a limit leaves if that is less.

    Containers and job schedulers limit a program by control groups (version 1 or 2; Linux only), each within another
    one, or by the process's own limits (``ulimit -v``, ``-d``); the lowest of these counts.
    """
    available = min(psutil.virtual_memory().available, *_measure_left_of_own_limits())
    for folder, names in _list_control_groups():
        left = _measure_left(folder, names)
        if left is not None:
            available = min(available, left)
    return available


def _measure_left_of_own_limits() -> list[int]:
    """Return what the limits of this process leave; the largest of numbers where there are none, as on Windows."""
    left = [sys.maxsize]
    for limit, used in _list_own_limits():
        allowed = limit[0]
        if allowed >= 0:  # -1 stands for no limit
            left.append(max(allowed - used, 0))
    return left


def find_own_limit() -> int | None:
    """Return the lowest limit of this process on memory, bytes; None where there is none below what the machine has."""
    machine = psutil.virtual_memory().total
    return min((limit[0] for limit, _ in _list_own_limits() if 0 <= limit[0] < machine), default=None)


def _list_own_limits() -> Iterator[tuple[tuple[int, int], int]]:
    """Yield each limit of this process on memory with how much of it is used."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = psutil.Process().memory_info()
    yield resource.getrlimit(resource.RLIMIT_AS), used.vms
    yield resource.getrlimit(resource.RLIMIT_DATA), getattr(used, "data", 0)


def limit_memory(bytes_more: int) -> None:
    """Let this process take no more than so many bytes beside what it has, nor more than there are, where that can be.

    It fails then instead of all others.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    allowed = psutil.Process().memory_info().vms + min(measure_available_memory(), bytes_more)
    _, highest = resource.getrlimit(resource.RLIMIT_AS)
    if highest < 0 or allowed < highest:
        resource.setrlimit(resource.RLIMIT_AS, (allowed, highest))


def _list_control_groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the folders of the control groups that this process is in, with the names of the files in them."""
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # Windows, macOS
        lines = []
    own = [fields for line in lines if len(fields := line.split(":", 2)) == 3]
    version_1 = [path for _, controllers, path in own if "memory" in controllers.split(",")]
    version_2 = [path for _, controllers, path in own if not controllers]
    # In a container the path may be that of the host, of which only the root is to be seen.
    for names, root, paths in (
        (_VERSION_1, _CGROUPS / "memory", version_1),
        (_VERSION_2, _CGROUPS, version_2),
        (_VERSION_2, _CGROUPS / "unified", version_2),
    ):
        inner = PurePosixPath((paths or ["/"])[0].lstrip("/"))
        for group in (inner, *inner.parents):
            if ".." not in group.parts:
                yield root / group, names


def _measure_left(folder: Path, names: tuple[str, str, str]) -> int | None:
    limit_name, use_name, reclaimable_name = names
    try:
        limit, use = (int((folder / name).read_text()) for name in (limit_name, use_name))
    except (OSError, ValueError):  # no such group here, or "max": no limit
        return None
    try:
        entries = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        reclaimable = int(entries.get(reclaimable_name, 0))
    except (OSError, ValueError):
        reclaimable = 0
    return max(limit - use + min(reclaimable, use), 0)


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


def measure_peak_memory() -> int:
    """Return the most bytes that this process has held at once; memory of a GPU and of child processes is not in it."""
    if sys.platform == "linux":  # not from `getrusage`, which begins with what the parent held
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
