"""The Python packages that the child process needs: which are missing, and how they get into Slicer's Python.

torch belongs to the PyTorch extension. MONAI is the one that goes with the torch that is there, installed without its
dependencies, since pip would otherwise replace torch or NumPy. Where torch is so old that it needs an older NumPy than
Slicer's (all of macOS today), that is asked for too.

Nothing here runs at import. Packages are looked up by their metadata, so torch is never imported to find out.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import slicer

from KneeSegLib.compatibility import SERIES, Misfit, find_misfits, limit_numpy
from KneeSegLib.errors import ResourceError
from KneeSegLib.pipelines.table import AUTO, NNUNET

REQUIREMENTS_FILE = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"
TORCH = f"torch>={SERIES[0].lowest_torch}"
OF_PIPELINES = {NNUNET: ("nnunetv2>=2.5",)}
"""What single pipelines need beside the file's; pyproject.toml has the same under ``optional-dependencies``."""


def findMissingPackages(pipeline: str = AUTO) -> list[str]:
    """Return the requirements of a pipeline that the installed packages do not meet, torch first."""
    torch = [] if _isMet(TORCH) else [TORCH]
    return [*torch, *(misfit.requirement for misfit in _findMisfits()), *_findUnmet(pipeline)]


def ensurePackages(pipeline: str = AUTO) -> None:
    """Install what is missing for a pipeline, after asking the user; call it from a button's handler.

    Raises:
        ResourceError: the user declined, the PyTorch extension is missing, an installation failed, or Slicer has to be
            restarted first.
    """
    if not _isMet(TORCH):
        _installTorch()
    misfits, unmet = _findMisfits(), _findUnmet(pipeline)
    if misfits or unmet:
        _install(misfits, unmet)
    requirePackages(pipeline)
    if any(not misfit.no_deps for misfit in misfits):
        raise ResourceError("NumPy was replaced by one that this PyTorch can use; restart Slicer and press Segment.")


def requirePackages(pipeline: str = AUTO) -> None:
    """Raise ``ResourceError`` if a package is missing that a pipeline needs."""
    missing = findMissingPackages(pipeline)
    if missing:
        raise ResourceError(
            f"Segmentation needs Python packages that are not installed ({', '.join(missing)}); "
            "press Segment in the KneeSeg module to install them."
        )


def _findMisfits() -> list[Misfit]:
    """Return which MONAI and NumPy the torch that is there needs instead of what is installed; none without torch."""
    torch = _readVersion("torch")
    if torch is None or not _isMet(TORCH):
        return []
    return find_misfits(torch, _readVersion("monai"), _readVersion("numpy"))


def _findUnmet(pipeline: str) -> list[str]:
    """Return what the installed packages do not meet of the requirements file's lines and of the pipeline's own."""
    lines = REQUIREMENTS_FILE.read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    return [line for line in (*wanted, *OF_PIPELINES.get(pipeline, ())) if not _isMet(line)]


def _readVersion(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _isMet(requirement: str) -> bool:
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:  # Slicer 5.10 has it only inside pip
        from pip._vendor.packaging.requirements import Requirement

    wanted = Requirement(requirement)
    version = _readVersion(wanted.name)
    return version is not None and wanted.specifier.contains(version, prereleases=True)


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        raise ResourceError(
            "Segmentation needs PyTorch: install the PyTorch extension in the Extensions Manager, restart Slicer and "
            "press Segment again."
        ) from None
    if _readVersion("torch") is not None:
        raise ResourceError(
            f"The installed PyTorch is too old ({TORCH} is needed); uninstall it in the PyTorch Utils module, restart "
            "Slicer and press Segment again."
        )
    try:
        torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=TORCH[len("torch") :]
        )
    except Exception as error:  # pip, network and loader errors of every kind
        raise ResourceError(f"PyTorch could not be installed ({error}); see the Python console for details.") from error
    if torch is None:
        raise ResourceError("Segmentation needs PyTorch, which was not installed; press Segment again to install it.")


def _install(misfits: list[Misfit], unmet: list[str]) -> None:
    alone = [misfit.requirement for misfit in misfits if misfit.no_deps]
    packages = [*(misfit.requirement for misfit in misfits if not misfit.no_deps), *unmet]
    limit = limit_numpy(_readVersion("torch") or "")
    if packages and limit is not None and limit not in packages:
        packages.insert(0, limit)  # what a package brings along may ask for a NumPy that this torch cannot use
    question = f"KneeSeg needs Python packages that Slicer does not have yet:\n\n{', '.join([*alone, *packages])}"
    if not slicer.util.confirmOkCancelDisplay(f"{question}\n\nInstall them now?", "Install Python packages?"):
        raise ResourceError("The Python packages were not installed; press Segment again to install them.")
    try:
        if alone:
            slicer.util.pip_install(["--no-deps", *alone])
        if packages:
            _pipInstall(packages)
    except Exception as error:  # pip and network errors of every kind
        sentence = f"Python packages could not be installed ({error}); see the Python console for details."
        raise ResourceError(sentence) from error


def _pipInstall(packages: list[str]) -> None:
    try:
        from slicer.packaging import pip_ensure
    except ImportError:  # Slicer 5.10
        slicer.util.pip_install(packages)
    else:
        pip_ensure(packages, prompt_install=False, requester="KneeSeg")
