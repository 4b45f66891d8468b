"""The Python packages that the child process needs: which are missing, and how they get into Slicer's Python.

Nothing here runs at import. Packages are looked up by their metadata, so torch is never imported to find out.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import slicer

from KneeSegLib.errors import ResourceError

REQUIREMENTS_FILE = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"
TORCH = "torch>=2.0"


def missingPackages() -> list[str]:
    """Return the requirements that the installed packages do not meet, torch first."""
    lines = REQUIREMENTS_FILE.read_text(encoding="utf-8").splitlines()
    requirements = [TORCH] + [line for line in lines if line and not line.startswith("#")]
    return [requirement for requirement in requirements if not _isMet(requirement)]


def ensurePackages() -> None:
    """Install what is missing, after asking the user; call it from a button's handler.

    Raises:
        ResourceError: the user declined, the PyTorch extension is missing, or an installation failed.
    """
    if not _isMet(TORCH):
        _installTorch()
    missing = missingPackages()
    if missing:
        _install(missing)
    requirePackages()


def requirePackages() -> None:
    """Raise ``ResourceError`` if a package is missing."""
    missing = missingPackages()
    if missing:
        raise ResourceError(
            f"Segmentation needs Python packages that are not installed ({', '.join(missing)}); "
            "press Segment in the KneeSeg module to install them."
        )


def _isMet(requirement: str) -> bool:
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:  # Slicer 5.10 has it only inside pip
        from pip._vendor.packaging.requirements import Requirement

    wanted = Requirement(requirement)
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        raise ResourceError(
            "Segmentation needs PyTorch: install the PyTorch extension in the Extensions Manager, restart Slicer and "
            "press Segment again."
        ) from None
    try:
        metadata.version("torch")
    except metadata.PackageNotFoundError:
        pass
    else:
        raise ResourceError(
            f"The installed PyTorch is too old ({TORCH} is needed); uninstall it in the PyTorch Utils module, restart "
            "Slicer and press Segment again."
        )
    try:
        torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.0")
    except Exception as error:  # pip, network and loader errors of every kind
        raise ResourceError(f"PyTorch could not be installed ({error}); see the Python console for details.") from error
    if torch is None:
        raise ResourceError("Segmentation needs PyTorch, which was not installed; press Segment again to install it.")


def _install(packages: list[str]) -> None:
    try:
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # Slicer 5.10
            _pipInstallIfConfirmed(packages)
        else:
            pip_ensure(packages, requester="KneeSeg")
    except RuntimeError as error:  # how both say that the user declined
        raise ResourceError("The Python packages were not installed; press Segment again to install them.") from error
    except Exception as error:  # pip and network errors of every kind
        sentence = f"Python packages could not be installed ({error}); see the Python console for details."
        raise ResourceError(sentence) from error


def _pipInstallIfConfirmed(packages: list[str]) -> None:
    question = f"KneeSeg needs Python packages that Slicer does not have yet:\n\n{', '.join(packages)}"
    if not slicer.util.confirmOkCancelDisplay(f"{question}\n\nInstall them now?", "Install Python packages?"):
        raise RuntimeError("declined")
    slicer.util.pip_install(packages)
