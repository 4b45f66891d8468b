"""``kneeseg doctor``: is everything there that a run needs, and is it whole?"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from KneeSegLib import __version__
from KneeSegLib.cli.console import open_console
from KneeSegLib.compatibility import find_misfits
from KneeSegLib.errors import KneeSegError, ModelError, ResourceError
from KneeSegLib.schemas import list_format_versions

PACKAGES = (
    "numpy",
    "scipy",
    "SimpleITK",
    "pydicom",
    "highdicom",
    "vtk",
    "torch",
    "safetensors",
    "typer",
    "rich",
    "jinja2",
    "pillow",
    "psutil",
)
"""MONAI is not among them: which one is needed depends on torch."""
LEAST_MEMORY_GIB = 3.0
"""What a knee CT of 512 x 512 x 250 voxels may take."""

_GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the examination; ``problem`` is the error that a run would meet, or None."""

    what: str
    found: str
    problem: KneeSegError | None = None


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object for a calling program: see kneeseg schema doctor.")
    ] = False,
) -> None:
    """Check that everything a run needs is there and whole.

    Versions, device, memory, disk, and the checksum of every network; the exit status is 0 if KneeSeg can be used.
    """
    findings = list(examine())
    problems = [finding.problem for finding in findings if finding.problem]
    if as_json:
        typer.echo(json.dumps(describe_findings(findings), indent=2))
    else:
        _show(findings)
    if len(problems) > 1:
        raise type(problems[0])(f"{len(problems)} problems, the first of them: {problems[0]}")
    if problems:
        raise problems[0]
    if not as_json:
        typer.echo("KneeSeg can be used.")


def describe_findings(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return an examination for a program, in the format of the schema ``doctor``."""
    return {
        "format": "KneeSeg doctor",
        "format_version": list_format_versions()["doctor"],
        "version": __version__,
        "usable": not any(finding.problem for finding in findings),
        "formats": list_format_versions(),
        "findings": [
            {
                "what": finding.what,
                "found": finding.found,
                "problem": {"message": str(finding.problem), "exit_status": finding.problem.exit_status}
                if finding.problem
                else None,
            }
            for finding in findings
        ],
    }


def _show(findings: Sequence[Finding]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "What", "Found"):
        table.add_column(heading, no_wrap=heading == "What")
    for finding in findings:
        mark = Text("problem", style="red") if finding.problem else Text("ok", style="green")
        table.add_row(mark, finding.what, Text(finding.found))
    open_console().print(table)


def examine() -> Iterator[Finding]:
    """Yield what was found, one finding after the other."""
    yield Finding("KneeSeg", __version__)
    yield Finding("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}, {sys.executable}")
    for package in PACKAGES:
        yield _package(package)
    yield from _versions_together()
    yield _looked_at("Device", _device)
    yield _looked_at("Memory", _memory)
    yield _disk()
    yield _looked_at("Terminology", _terminology)
    yield from _networks()


def _package(name: str) -> Finding:
    version = _installed_version(name)
    if version is not None:
        return Finding(name, version)
    error = ResourceError(f"The Python package {name} is missing; install it with: python -m pip install {name}")
    return Finding(name, "missing", error)


def _versions_together() -> Iterator[Finding]:
    """Whether MONAI and NumPy go with the torch that is there; nothing without torch, whose absence is a finding."""
    torch, monai, numpy = (_installed_version(name) for name in ("torch", "monai", "numpy"))
    if torch is None:
        return
    misfits = find_misfits(torch, monai, numpy)
    for misfit in misfits:
        yield Finding("Versions", misfit.sentence, ResourceError(misfit.sentence))
    if not misfits:
        yield Finding("Versions", f"MONAI {monai} and NumPy {numpy} go with torch {torch}")


def _installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _looked_at(what: str, look: Callable[[], str]) -> Finding:
    """Return what ``look`` found, or the problem that it met."""
    try:
        return Finding(what, look())
    except KneeSegError as error:
        return Finding(what, str(error), error)
    except ImportError as error:
        return Finding(what, f"cannot be examined: {error}", ResourceError(f"A package cannot be loaded: {error}."))


def _device() -> str:
    from KneeSegLib.networks.device import find_device

    return find_device("auto").description


def _memory() -> str:
    import psutil

    from KneeSegLib.memory import measure_available_memory

    available, total = measure_available_memory() / _GIB, psutil.virtual_memory().total / _GIB
    found = f"{available:.1f} GB available of {total:.1f} GB"
    if available < LEAST_MEMORY_GIB:
        raise ResourceError(f"{found}; a large scan needs {LEAST_MEMORY_GIB:.0f} GB: close other programs.")
    return found


def _disk() -> Finding:
    places = {"here": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    free = [f"{shutil.disk_usage(path).free / _GIB:.1f} GB free for {name}" for name, path in places.items()]
    return Finding("Disk", ", ".join(free))


def _terminology() -> str:
    from KneeSegLib.io.resources import terminology_file

    return str(terminology_file())


def _networks() -> Iterator[Finding]:
    from KneeSegLib.bundles import list_bundles
    from KneeSegLib.pipelines.table import PIPELINES, QUALITIES

    try:
        bundles = list_bundles()
    except ModelError as error:
        yield Finding("Networks", str(error), error)
        return
    for bundle in bundles:
        yield _looked_at(bundle.name, lambda bundle=bundle: _verified(bundle))
    installed = {bundle.name for bundle in bundles}
    needed = {name for choice in (*PIPELINES.values(), *QUALITIES.values()) for name in choice.bundles}
    for name in sorted(needed - installed):
        error = ModelError(f"The network {name} is missing; install KneeSeg again.")
        yield Finding(name, "missing", error)


def _verified(bundle) -> str:
    bundle.verify()
    megabytes = sum(file.stat().st_size for file in bundle.path.rglob("*") if file.is_file()) / 1e6
    return f"{megabytes:.1f} MB, SHA-256 {bundle.sha256[:12]}... verified"
