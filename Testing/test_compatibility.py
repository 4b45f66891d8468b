"""The table of MONAI and NumPy beside torch, against what the packages themselves declare."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pip
import pytest
from packaging.requirements import Requirement

from KneeSegLib import compatibility
from KneeSegLib.compatibility import SERIES, find_misfits


def requirements(*versions: str | None) -> list[str]:
    return [misfit.requirement for misfit in find_misfits(*versions)]


@pytest.mark.parametrize(
    ("torch", "monai", "numpy"),
    [
        ("2.2.2", "1.4.0", "1.26.4"),
        ("2.4.1", "1.5.2", "2.0.1"),
        ("2.13.0+cpu", "1.6.1", "2.4.6"),
        ("2.8.0", "1.5.2", "2.1.0"),
        ("2.13.0", "1.4.0", "1.26.4"),
        ("2.14.0.dev20260901+cu130", "1.7.0", "2.5.0"),
    ],
)
def test_what_goes_together_is_left_alone(torch, monai, numpy):
    assert find_misfits(torch, monai, numpy) == []


@pytest.mark.parametrize(
    ("torch", "monai"), [("2.2.2", "1.4"), ("2.4.0", "1.4"), ("2.4.1", "1.5"), ("2.7.1+cu126", "1.5"), ("2.8.0", "1.6")]
)
def test_missing_monai_is_the_newest_that_goes_with_torch(torch, monai):
    assert requirements(torch, None, "1.26.4") == [f"monai=={monai}.*"]


@pytest.mark.parametrize(
    ("versions", "wanted", "said"),
    [
        (("2.2.2", "1.4.0", "2.0.1"), ["numpy<2"], "torch 2.2.2 with MONAI 1.4 needs NumPy below 2, found 2.0.1"),
        (("2.3.1", "1.5.2", "1.26.4"), ["monai==1.4.*"], "MONAI 1.5.2 needs torch 2.4.1 or later, found 2.3.1"),
        (("2.5.1", "1.4.0", "2.0.1"), ["monai==1.5.*"], "MONAI 1.4.0 needs NumPy below 2, found 2.0.1"),
        (("2.8.0", "1.3.2", "1.26.4"), ["monai==1.6.*"], "MONAI 1.3.2 is too old, expected 1.4 or later"),
        (("1.13.1", "1.4.0", "1.26.4"), ["torch>=2.2"], "torch 1.13.1 is too old, expected 2.2 or later"),
    ],
)
def test_misfit_says_what_was_found_what_was_expected_and_what_to_install(versions, wanted, said):
    misfits = find_misfits(*versions)
    assert [misfit.requirement for misfit in misfits] == wanted
    assert misfits[0].sentence.startswith(said)
    assert all(f'"{misfit.requirement}"' in misfit.sentence for misfit in misfits if misfit.requirement[0] != "t")


def test_everything_wrong_is_told_at_once():
    assert requirements("2.2.2", "1.6.1", "2.4.6") == ["monai==1.4.*", "numpy<2"]


def test_only_monai_is_installed_without_its_dependencies():
    assert [misfit.no_deps for misfit in find_misfits("2.2.2", None, "2.0.1")] == [True, False]


def test_the_table_imports_nothing_but_the_standard_library():
    tree = ast.parse(Path(compatibility.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(("torch", "numpy"), [("2.2.2", "1.26.4"), ("2.7.1", "2.0.1"), ("2.13.0", "2.4.6")])
def test_installing_monai_changes_neither_torch_nor_numpy(tmp_path, torch, numpy):
    (misfit,) = find_misfits(torch, None, numpy)
    found = _dry_run(tmp_path, torch, numpy, *(["--no-deps"] if misfit.no_deps else []), misfit.requirement)

    assert [package["name"].lower() for package in found] == ["monai"]
    # The table says of this MONAI what it says of itself.
    (series,) = [series for series in SERIES if misfit.requirement == f"monai=={series.monai}.*"]
    declared = {
        need.name: need.specifier for need in map(Requirement, found[0]["requires_dist"]) if need.marker is None
    }
    assert torch in declared["torch"] and series.lowest_torch in declared["torch"]
    assert numpy in declared["numpy"] and series.numpy_below not in declared["numpy"]


def test_a_plain_installation_would_have_changed_numpy(tmp_path):
    found = _dry_run(tmp_path, "2.2.2", "2.0.1", "monai==1.4.*")
    assert {package["name"].lower() for package in found} == {"monai", "numpy"}


RUN_PIP = """
import runpy, sys
sys.path.insert(0, {pip!r})
import pip
sys.path[0] = {site!r}  # pip sees what is installed there, and nothing of what stands beside it
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def _dry_run(site: Path, torch: str, numpy: str, *arguments: str) -> list[dict]:
    """Return the metadata of what pip would install where these versions are; skips the test without an index."""
    for name, version in (("torch", torch), ("numpy", numpy)):
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    script = RUN_PIP.format(pip=str(Path(pip.__file__).parents[1]), site=str(site))
    report = site / "report.json"
    command = [sys.executable, "-I", "-S", "-c", script, "install", "--dry-run", "--quiet", "--report", str(report)]
    command += ["--retries", "0", "--timeout", "20"]
    done = subprocess.run([*command, *arguments], capture_output=True, encoding="utf-8")
    if done.returncode and ("from versions: none" in done.stderr or "onnection" in done.stderr):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    return [package["metadata"] for package in json.loads(report.read_text(encoding="utf-8"))["install"]]
