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

IN_EVERY_SLICER = {"numpy", "scipy", "simpleitk", "vtk"}
CHOSEN_BY_TORCH = {"monai"}


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
    elsewhere = IN_EVERY_SLICER | CHOSEN_BY_TORCH
    wanted = {line for line in project["dependencies"] if re.match(r"[\w-]+", line)[0].lower() not in elsewhere}
    listed = {
        line for line in requirements.REQUIREMENTS_FILE.read_text(encoding="utf-8").splitlines() if line[0] != "#"
    }
    assert listed | {requirements.TORCH} == wanted


def test_what_nnunet_needs_is_asked_for_only_by_its_pipeline(monkeypatch):
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    Packages(monkeypatch, nnunetv2=None)
    assert requirements.findMissingPackages("nnunet") == project["optional-dependencies"]["nnunet"]
    assert requirements.findMissingPackages("ct-leg") == []


def test_nothing_is_missing_where_the_library_is_installed():
    assert requirements.findMissingPackages() == []


def test_missing_and_old_packages_are_found(monkeypatch):
    Packages(monkeypatch, safetensors=None, rich="9.1")
    assert requirements.findMissingPackages() == ["safetensors>=0.4", "rich>=13"]


@pytest.mark.parametrize("version", ["2.2.2", "2.13.0+cpu", "2.6.0.dev20250101"])
def test_every_build_of_torch_from_2_0_will_do(monkeypatch, version):
    Packages(monkeypatch, torch=version, monai="1.4.0", numpy="1.26.4")
    assert requirements.findMissingPackages() == []


@pytest.mark.parametrize(
    ("torch", "numpy", "missing"),
    [
        ("2.2.2", "2.0.1", ["monai==1.4.*", "numpy<2"]),
        ("2.7.1+cu126", "2.4.6", ["monai==1.5.*"]),
        ("2.13.0", "2.4.6", ["monai==1.6.*"]),
    ],
)
def test_monai_and_numpy_are_those_that_go_with_the_torch_that_is_there(monkeypatch, torch, numpy, missing):
    Packages(monkeypatch, torch=torch, numpy=numpy, monai=None)
    assert requirements.findMissingPackages() == missing


def test_looking_for_packages_does_not_import_torch():
    script = (
        f"import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / 'KneeSeg')!r}]\n"
        "from KneeSegModule import requirements, run, panel, export\n"
        "assert requirements.findMissingPackages() == []\n"
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
    assert asked == [{"askConfirmation": True, "torchVersionRequirement": ">=2.2"}]


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


@pytest.fixture
def pip(monkeypatch):
    """Slicer 5.12 whose user agrees to everything; what is asked for counts as installed."""
    asked = SimpleNamespace(installed=[], questions=[], agrees=True)

    def confirm(text, title):
        asked.questions.append(text)
        return asked.agrees

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(slicer.util, "pip_install", asked.installed.append)
    packaging(monkeypatch, lambda wanted, prompt_install, requester: asked.installed.append((wanted, requester)))
    return asked


def fulfil(packages: Packages, monkeypatch) -> None:
    """Let the installation of the test succeed: after it, everything is there."""
    install = requirements._install
    monkeypatch.setattr(requirements, "_install", lambda *what: (install(*what), packages.versions.clear()))


def test_other_packages_are_ensured_by_slicer(monkeypatch, pip):
    fulfil(Packages(monkeypatch, safetensors=None), monkeypatch)
    requirements.ensurePackages()
    assert pip.installed == [(["safetensors>=0.4"], "KneeSeg")]


def test_monai_is_installed_without_its_dependencies_and_torch_is_left_as_it_is(monkeypatch, pip):
    fulfil(Packages(monkeypatch, torch="2.7.1+cu126", monai=None, safetensors=None), monkeypatch)
    requirements.ensurePackages()
    assert pip.installed == [["--no-deps", "monai==1.5.*"], (["safetensors>=0.4"], "KneeSeg")]
    assert len(pip.questions) == 1 and "monai==1.5.*, safetensors>=0.4" in pip.questions[0]


def test_numpy_is_lowered_where_torch_is_old_and_slicer_has_to_be_restarted(monkeypatch, pip):
    fulfil(Packages(monkeypatch, torch="2.2.2", monai="1.4.0", numpy="2.0.1"), monkeypatch)
    with pytest.raises(ResourceError, match="restart Slicer and press Segment"):
        requirements.ensurePackages()
    assert pip.installed == [(["numpy<2"], "KneeSeg")]
    requirements.ensurePackages()
    assert len(pip.installed) == 1


def test_numpy_is_not_raised_by_other_packages_where_torch_is_old(monkeypatch, pip):
    fulfil(Packages(monkeypatch, torch="2.2.2", monai="1.4.0", numpy="1.26.4", highdicom=None), monkeypatch)
    requirements.ensurePackages()
    assert pip.installed == [(["numpy<2", "highdicom>=0.28"], "KneeSeg")]


def test_declined_packages_are_an_error_and_nothing_is_installed(monkeypatch, pip):
    Packages(monkeypatch, monai=None, safetensors=None)
    pip.agrees = False
    with pytest.raises(ResourceError, match="press Segment again"):
        requirements.ensurePackages()
    assert pip.installed == []


def test_failed_installation_is_an_error_with_the_cause(monkeypatch, pip):
    def fail(wanted, prompt_install, requester):
        raise subprocess.CalledProcessError(1, "pip install")

    Packages(monkeypatch, safetensors=None)
    packaging(monkeypatch, fail)
    with pytest.raises(ResourceError, match="pip install"):
        requirements.ensurePackages()


def test_installation_that_changed_nothing_is_an_error(monkeypatch, pip):
    Packages(monkeypatch, safetensors=None)
    with pytest.raises(ResourceError, match="not installed .safetensors>=0.4"):
        requirements.ensurePackages()


def test_slicer_5_10_installs_what_was_agreed_to(monkeypatch, pip):
    fulfil(Packages(monkeypatch, monai=None, safetensors=None, rich=None, torch="2.8.0"), monkeypatch)
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    requirements.ensurePackages()
    assert pip.installed == [["--no-deps", "monai==1.6.*"], ["safetensors>=0.4", "rich>=13"]]
