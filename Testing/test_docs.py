"""The documentation keeps its promises: its examples run, and its pages name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from KneeSegLib.evaluation.cohorts import read_cohorts
from KneeSegLib.evaluation.tables import page_of

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_examples_of_the_python_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    namespace: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "docs/python.md", "exec"), namespace)
    shown = capsys.readouterr().out
    assert "Right Femur" in shown or "femur" in shown.lower()
    assert "case.json" in shown and "1.0 0.0" in shown
    assert "No ankle was found" in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not ((page.parent / link).exists() or (ROOT / link).exists())]
    named = re.findall(r"`((?:KneeSegLib|KneeSeg|Testing|Resources)/[\w/.]+\.(?:py|md|nrrd|yaml))`", text)
    missing += [name for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_the_measured_tables_are_those_of_the_benchmarks_files():
    files = sorted((ROOT / "docs" / "measured").glob("*.json"))
    assert {file.stem for file in files} >= {"knee_ct"}
    page = page_of({file.name: read_cohorts(file) for file in files})
    assert (ROOT / "docs" / "held_out.md").read_text(encoding="utf-8") == page


def test_the_site_is_built_without_a_warning(tmp_path):
    build = pytest.importorskip("mkdocs.commands.build")
    pytest.importorskip("mkdocstrings")
    from mkdocs.config import load_config

    build.build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    assert (tmp_path / "api" / "index.html").is_file()
