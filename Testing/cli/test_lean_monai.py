"""Commands import of MONAI what they use, get what MONAI means to give, and leave other processes alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEAN = "from KneeSegLib.cli.lean_monai import import_monai_leanly; import_monai_leanly()"
REPORT = """
import json, sys
import torch
import KneeSegLib.pipelines.ct_leg, KneeSegLib.pipelines.mr_knee
from KneeSegLib.networks import CoarseUNet3D, SliceUNet
report = {"modules": [name for name in sys.modules if name.startswith("monai.")]}
report["tried"] = [name for name in ("ignite", "matplotlib") if sys.modules.get(name)]
torch.manual_seed(1)
networks = {SliceUNet(3, 4, (4, 8)): (1, 3, 16, 16), CoarseUNet3D(2, 3, (4, 8)): (1, 2, 8, 8, 8)}
report["predicted"] = [network.eval()(torch.rand(shape)).sum().item().hex() for network, shape in networks.items()]
import monai
report["names"] = [monai.networks.nets.UNet.__module__, monai.transforms.Compose.__module__, monai.__version__]
report["nothing"] = [hasattr(monai, "nothing"), hasattr(monai.networks, "nothing")]
print(json.dumps(report))
"""
EACH_FIRST = """
import sys
for statement in sys.argv[1:]:
    for name in [name for name in sys.modules if name.partition(".")[0] == "monai"]:
        del sys.modules[name]
    exec(statement)
"""


def run(*statements: str, arguments: list[str] | None = None) -> str:
    command = [sys.executable, "-c", "\n".join(statements), *(arguments or [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def lean() -> dict:
    return json.loads(run(LEAN, REPORT))


@pytest.fixture(scope="module")
def whole() -> dict:
    return json.loads(run("import monai", REPORT))


def imports_of_monai() -> list[str]:
    """``from monai... import ...`` of every module of the library, each once."""
    statements = {
        ast.unparse(statement)
        for path in (ROOT / "KneeSegLib").rglob("*.py")
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("monai.")
    }
    return sorted(statements)


def test_pipelines_load_a_part_of_monai(lean, whole):
    assert 10 < len(lean["modules"]) < len(whole["modules"]) / 3


def test_packages_that_monai_only_tries_stay_out(lean):
    assert lean["tried"] == []


def test_networks_predict_the_same(lean, whole):
    assert lean["predicted"] == whole["predicted"]


def test_names_of_packages_are_those_of_their_modules(lean, whole):
    assert lean["names"] == whole["names"]


def test_a_name_that_monai_does_not_have_is_an_attribute_error(lean):
    assert lean["nothing"] == [False, False]


def test_each_import_of_the_library_works_as_the_first_one():
    statements = imports_of_monai()
    assert len(statements) > 5
    run(LEAN, EACH_FIRST, arguments=statements)


def test_a_monai_of_an_unknown_series_is_imported_as_it_means_to_be():
    unknown = "from KneeSegLib.cli import lean_monai; lean_monai.SERIES = (); lean_monai.import_monai_leanly()"
    assert (
        run(unknown, "import sys; print(any('Monai' in type(finder).__name__ for finder in sys.meta_path))")
        == "False\n"
    )


def test_a_command_called_in_a_process_of_others_leaves_monai_alone():
    called = "from KneeSegLib.cli import main; main(['pipelines'])"
    found = run(called, "import sys; print(any('Monai' in type(finder).__name__ for finder in sys.meta_path))")
    assert found.splitlines()[-1] == "False"
