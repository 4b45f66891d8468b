"""What it costs to import the library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "monai", "vtk", "vtkmodules", "SimpleITK", "scipy", "jinja2", "slicer", "qt")


@pytest.mark.parametrize(
    "module",
    [
        "KneeSegLib",
        "KneeSegLib.anatomy",
        "KneeSegLib.bundles",
        "KneeSegLib.io.terminology",
        "KneeSegLib.pipelines.table",
    ],
)
def test_import_loads_nothing_heavy(module):
    program = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
