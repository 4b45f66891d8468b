"""The oldest versions that pyproject.toml allows are those that `make test-lowest` runs with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_every_lower_bound_is_the_series_that_is_tried():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = dict(line.split(">=") for line in project["dependencies"])
    text = (ROOT / "requirements" / "constraints-lowest.txt").read_text(encoding="utf-8")
    tried = dict(re.findall(r"^([\w-]+)==([\d.]+)", text, flags=re.MULTILINE))
    assert set(bounds) <= set(tried)
    others = {
        name: (bound, tried[name]) for name, bound in bounds.items() if not f"{tried[name]}.".startswith(f"{bound}.")
    }
    assert others == {}
