"""Python packages: what is missing, and how it is asked for. Nothing is installed here."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import slicer
from KneeSegModule import requirements
from slicer_support.mrml import REPOSITORY

from KneeSegLib.errors import ResourceError

IN_EVERY_SLICER = {"numpy", "scipy", "simpleitk", "pydicom", "vtk"}


class Packages:
    """What is installed, as far as the module can see."""

    def __init__(self, monkeypatch, **missing_or_old):
        self.versions = dict(missing_or_old)
        known = metadata.version
        monkeypatch.setattr(metadata, "version", lambda name: self._version(name, known))

    def _version(self, name, known):
        if name not in self.versions:
            return known(name)
        if self.versions[name] is None:
            raise metadata.PackageNotFoundError(name)
        return self.versions[name]


def pyTorchUtils(monkeypatch, installTorch):
    module = ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=installTorch)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)


def packaging(monkeypatch, pip_ensure):
    module = ModuleType("slicer.packaging")
    module.pip_ensure = pip_ensure
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)


def test_requirements_are_those_of_the_library_beside_what_slicer_brings():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {line for line in project["dependencies"] if re.match(r"[\w-]+", line)[0].lower() not in IN_EVERY_SLICER}
    listed = {
        line for line in requirements.REQUIREMENTS_FILE.read_text(encoding="utf-8").splitlines() if line[0] != "#"
    }
    assert listed | {requirements.TORCH} == wanted


def test_nothing_is_missing_where_the_library_is_installed():
    assert requirements.missingPackages() == []


def test_missing_and_old_packages_are_found(monkeypatch):
    Packages(monkeypatch, safetensors=None, rich="9.1")
    assert requirements.missingPackages() == ["safetensors>=0.4", "rich>=13"]


@pytest.mark.parametrize("version", ["2.2.2", "2.13.0+cpu", "2.6.0.dev20250101"])
def test_every_build_of_torch_from_2_0_will_do(monkeypatch, version):
    Packages(monkeypatch, torch=version)
    assert requirements.missingPackages() == []


def test_looking_for_packages_does_not_import_torch():
    script = (
        f"import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / 'KneeSeg')!r}]\n"
        "from KneeSegModule import requirements, run, panel, export\n"
        "assert requirements.missingPackages() == []\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(sys.executable).parent).returncode == 0


def test_torch_comes_through_the_pytorch_extension(monkeypatch):
    packages = Packages(monkeypatch, torch=None)

    def install(**options):
        asked.append(options)
        packages.versions.clear()
        return ModuleType("torch")

    asked: list[dict] = []
    pyTorchUtils(monkeypatch, install)
    requirements.ensurePackages()
    assert asked == [{"askConfirmation": True, "torchVersionRequirement": ">=2.0"}]


def test_missing_pytorch_extension_is_named_with_what_to_do(monkeypatch):
    Packages(monkeypatch, torch=None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(ResourceError, match="Extensions Manager"):
        requirements.ensurePackages()


def test_old_torch_is_not_replaced_behind_the_users_back(monkeypatch):
    Packages(monkeypatch, torch="1.13.1")
    pyTorchUtils(monkeypatch, lambda **options: pytest.fail("torch was to be installed"))
    with pytest.raises(ResourceError, match="too old"):
        requirements.ensurePackages()


def test_declined_torch_is_an_error(monkeypatch):
    Packages(monkeypatch, torch=None)
    pyTorchUtils(monkeypatch, lambda **options: None)
    with pytest.raises(ResourceError, match="was not installed"):
        requirements.ensurePackages()


def test_other_packages_are_ensured_by_slicer(monkeypatch):
    packages = Packages(monkeypatch, safetensors=None)
    asked = []

    def ensure(wanted, requester):
        asked.append((wanted, requester))
        packages.versions.clear()

    packaging(monkeypatch, ensure)
    requirements.ensurePackages()
    assert asked == [(["safetensors>=0.4"], "KneeSeg")]


def test_declined_packages_are_an_error(monkeypatch):
    def decline(wanted, requester):
        raise RuntimeError("User declined package installation")

    Packages(monkeypatch, safetensors=None)
    packaging(monkeypatch, decline)
    with pytest.raises(ResourceError, match="press Segment again"):
        requirements.ensurePackages()


def test_failed_installation_is_an_error_with_the_cause(monkeypatch):
    def fail(wanted, requester):
        raise subprocess.CalledProcessError(1, "pip install")

    Packages(monkeypatch, safetensors=None)
    packaging(monkeypatch, fail)
    with pytest.raises(ResourceError, match="pip install"):
        requirements.ensurePackages()


@pytest.mark.parametrize("agreed", [True, False])
def test_slicer_5_10_asks_before_it_installs(monkeypatch, agreed):
    packages = Packages(monkeypatch, safetensors=None, rich=None)
    installed = []

    def install(wanted):
        installed.extend(wanted)
        packages.versions.clear()

    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: agreed)
    monkeypatch.setattr(slicer.util, "pip_install", install)
    if agreed:
        requirements.ensurePackages()
        assert installed == ["safetensors>=0.4", "rich>=13"]
    else:
        with pytest.raises(ResourceError, match="not installed"):
            requirements.ensurePackages()
        assert installed == []
