"""An installed wheel is complete: away from the checkout it finds its models and segments."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.bundles import list_bundles
from KneeSegLib.pipelines.table import PIPELINES

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KNEESEG_RESOURCES")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the checkout so that nothing is left in it."""
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("the licence in pyproject.toml needs setuptools 77")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "LICENSE.txt", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for name in ("KneeSegLib", "Resources"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    target = tmp_path_factory.mktemp("wheel")
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", target)
    run(sys.executable, "-m", "pip", "wheel", *options, source, cwd=target)
    (built,) = target.glob("kneeseglib-*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment with the wheel in it; the other packages are those of this one.

    They come in over a path file, which does not pull in an editable installation of the checkout.
    """
    environment = tmp_path_factory.mktemp("environment with space")
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    folder = environment / ("Scripts" if os.name == "nt" else "bin")
    (site_packages,) = environment.rglob("site-packages")
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "packages.pth").write_text("\n".join(sorted(packages)) + "\n", encoding="utf-8")
    install = ("install", "--no-deps", "--no-index", "--force-reinstall", wheel)
    run(sys.executable, "-m", "pip", "--python", folder / "python", *install, cwd=environment)
    return folder


def files_of(name: str, *subfolders: str) -> set[str]:
    starts = [ROOT / name / subfolder for subfolder in subfolders] or [ROOT / name]
    paths = (path.relative_to(ROOT / name) for start in starts for path in start.rglob("*") if path.is_file())
    ignored = {"__pycache__", "CMakeLists.txt"}
    return {
        path.as_posix()
        for path in paths
        if not (ignored & set(path.parts) or any(part.startswith(".") for part in path.parts))
    }


def test_wheel_holds_every_file_of_library_and_resources_and_no_other(wheel):
    expected = {f"KneeSegLib/{path}" for path in files_of("KneeSegLib")}
    shared = files_of("Resources", "LabelMappings", "Licences", "Models", "Samples", "ShapeModels", "Terminology")
    expected |= {f"KneeSegLib/Resources/{path}" for path in shared}
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert sorted(found) == sorted(expected)


def test_wheel_holds_the_training_world_and_its_extra_only_names_packages(wheel):
    """Recipes are in it too; without the extra its commands say how to get it."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        required = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist:")]
    assert {"KneeSegLib/training/loop.py", "KneeSegLib/training/recipes/ct-knee.yaml"} <= set(names)
    assert [line for line in required if "pyyaml" in line.lower() and "extra == " not in line] == []
    assert any("pyyaml" in line.lower() and "training" in line for line in required)


def test_installed_wheel_finds_its_own_models_and_terminology(programs, tmp_path):
    program = "from KneeSegLib.io.resources import *; print(models_folder()); print(terminology_file())"
    models, terminology = run(programs / "python", "-c", program, cwd=tmp_path).splitlines()
    assert Path(models).is_relative_to(programs.parent.resolve())
    assert Path(terminology).is_file() and Path(terminology).is_relative_to(programs.parent.resolve())


def test_installed_program_lists_its_pipelines(programs, tmp_path):
    assert "ct-knee" in run(programs / "kneeseg", "pipelines", cwd=tmp_path)


def test_installed_library_runs_as_a_module(programs, tmp_path):
    assert "segment" in run(programs / "python", "-m", "KneeSegLib", "--help", cwd=tmp_path)


GENERATE = """
import SimpleITK
from KneeSegLib.training.synthesis.demonstration import synthesize_demonstration
case = synthesize_demonstration("knee", spacing_mm=1.6)
SimpleITK.WriteImage(case.image, "ct.nrrd")
SimpleITK.WriteImage(case.labels, "truth.nrrd")
"""


def test_installed_program_segments_a_knee(programs, tmp_path):
    missing = set(PIPELINES["ct-knee"].bundles) - {bundle.name for bundle in list_bundles()}
    if missing:
        pytest.skip(f"no weights ship yet for {', '.join(sorted(missing))}")
    run(programs / "python", "-c", GENERATE, cwd=tmp_path)
    options = ("--pipeline", "ct-knee", "--device", "cpu", "--progress", "none")
    run(programs / "kneeseg", "segment", "ct.nrrd", "-o", "result", *options, cwd=tmp_path)
    truth, found = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name))) == structure("femur", "right").label_value
        for name in ("truth.nrrd", "result/segmentation.seg.nrrd")
    )
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.9
    assert list((tmp_path / "result" / "surfaces").glob("*.stl"))
