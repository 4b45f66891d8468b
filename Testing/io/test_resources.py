"""Models and terminology are found in every home, and their absence is said plainly."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from KneeSegLib.errors import ModelError
from KneeSegLib.io import resources

PACKAGE = Path(resources.__file__).parents[1]


@pytest.fixture
def package_copy(tmp_path):
    """A copy of the modules that find resources, without any resources, in a folder with a space and an umlaut."""
    package = tmp_path / "Anwendung für Knie" / "KneeSegLib"
    (package / "io").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "io/__init__.py", "io/resources.py"):
        shutil.copy(PACKAGE / name, package / name)
    return package


def found_from(package: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
        "from KneeSegLib.io.resources import models_folder, terminology_file\n"
        "sys.stdout.reconfigure(encoding='utf-8')\n"
        "print(models_folder()); print(terminology_file())"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, encoding="utf-8", errors="replace"
    )


def add_resources(folder: Path) -> list[str]:
    (folder / "Models").mkdir(parents=True)
    (folder / "Samples").mkdir()
    (folder / "Terminology").mkdir()
    (folder / "Terminology" / "KneeSeg.term.json").write_text("{}", encoding="utf-8")
    return [str(folder / "Models"), str(folder / "Terminology" / "KneeSeg.term.json")]


def test_checkout_has_its_resources_beside_the_package(package_copy, tmp_path):
    expected = add_resources(package_copy.parent / "Resources")
    assert found_from(package_copy, tmp_path).stdout.splitlines() == expected


def test_wheel_and_slicer_have_their_resources_inside_the_package(package_copy, tmp_path):
    add_resources(package_copy.parent / "Resources")
    expected = add_resources(package_copy / "Resources")
    assert found_from(package_copy, tmp_path).stdout.splitlines() == expected


def test_missing_resources_are_an_error_that_names_the_places(package_copy, tmp_path):
    error = found_from(package_copy, tmp_path).stderr
    assert "ModelError" in error
    assert str(package_copy / "Resources") in error


def test_environment_variable_names_another_folder(tmp_path, monkeypatch):
    expected = add_resources(tmp_path / "elsewhere")
    monkeypatch.setenv("KNEESEG_RESOURCES", str(tmp_path / "elsewhere"))
    assert [str(resources.models_folder()), str(resources.terminology_file())] == expected
    assert resources.samples_folder() == tmp_path / "elsewhere" / "Samples"


def test_environment_variable_with_a_wrong_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEESEG_RESOURCES", str(tmp_path))
    with pytest.raises(ModelError, match="KNEESEG_RESOURCES"):
        resources.resources_folder()


def test_missing_terminology_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "Models").mkdir()
    monkeypatch.setenv("KNEESEG_RESOURCES", str(tmp_path))
    with pytest.raises(ModelError, match="KneeSeg.term.json"):
        resources.terminology_file()
