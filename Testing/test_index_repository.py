"""What is written for Slicer's extensions index is one commit; each of the index's rules is kept or named."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from Testing.index_repository import rules
from Testing.index_repository.__main__ import main

PICTURES = "https://raw.githubusercontent.com/Somebody/SlicerShin/main/Pictures"
CMAKE = f"""
project(Shin)
set(EXTENSION_HOMEPAGE "https://github.com/Somebody/SlicerShin")
set(EXTENSION_CONTRIBUTORS "Somebody")
set(EXTENSION_DESCRIPTION "Segments shins.")
set(EXTENSION_ICONURL "{PICTURES}/Icon.png")
set(EXTENSION_SCREENSHOTURLS "{PICTURES}/Shot.png")
set(EXTENSION_DEPENDS "PyTorch")
add_subdirectory(Shin)
"""
MODULE = """
import os
import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule
from ShinModule import panel

def load():
    import torch
    SampleData.SampleDataLogic.registerCustomSampleDataSource(sampleName="Shin")
"""
README = """
# Shin

![A shin](Pictures/Shot.png)

## Modules

- **Shin**: finds the shin in a CT.

## In Slicer

1. Load *Shin* from *Sample Data*.
2. Press the button.
3. Look at the shin.

## How to cite

See CITATION.cff. Apache License 2.0.
"""


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


FILES = {
    "CMakeLists.txt": CMAKE,
    "Shin/Shin.py": MODULE,
    "Shin/ShinModule/__init__.py": "",
    "Shin/ShinModule/panel.py": "from __future__ import annotations\nimport qt\n",
    "Pictures/Icon.png": png(128, 128),
    "Pictures/Shot.png": png(640, 480),
    "LICENSE.txt": "Apache License\nVersion 2.0",
    "CITATION.cff": "cff-version: 1.2.0",
    "README.md": README,
}


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def write(folder: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Write files; None removes one."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def tree(tmp_path) -> Path:
    """A small extension that keeps every rule."""
    folder = tmp_path / "tree"
    write(folder, FILES)
    return folder


@pytest.fixture
def repository(tree) -> Path:
    """The same with a commit of history behind it."""
    git(tree, "init", "--quiet")
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "First")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "Second")
    return tree


def test_repository_is_one_commit_of_the_tree_and_its_entry(repository, tmp_path, capsys):
    (repository / "not committed.txt").touch()
    assert main(["--tree", str(repository), "--output", str(tmp_path / "out")]) == 0
    written = tmp_path / "out" / "SlicerShin"
    assert git(written, "rev-list", "--count", "--all").strip() == "1"
    assert git(written, "rev-parse", "main^{tree}") == git(repository, "rev-parse", "HEAD^{tree}")
    entry = json.loads((tmp_path / "out" / "Shin.json").read_text(encoding="utf-8"))
    assert entry["scm_url"] == "https://github.com/Somebody/SlicerShin"
    assert entry["build_dependencies"] == ["PyTorch"]
    assert "missing" not in capsys.readouterr().out


def test_what_is_missing_is_printed_and_is_the_exit_status(repository, tmp_path, capsys):
    git(repository, "rm", "--quiet", "CITATION.cff")
    git(repository, "commit", "--quiet", "--message", "Third")
    assert main(["--tree", str(repository), "--output", str(tmp_path / "out")]) == 1
    assert "missing  citation: There is no CITATION.cff." in capsys.readouterr().out.splitlines()


def replaced(name: str, old: str, new: str) -> dict[str, str]:
    text = FILES[name]
    assert isinstance(text, str) and old in text
    return {name: text.replace(old, new)}


FAULTS: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "repository's name": (replaced("CMakeLists.txt", "/SlicerShin", "/Shin"), "has to start with Slicer"),
    "extension's name": (replaced("CMakeLists.txt", "project(Shin)", "project(SlicerShin)"), "must not start with"),
    "no description": (replaced("CMakeLists.txt", "EXTENSION_DESCRIPTION", "DESCRIPTION"), "EXTENSION_DESCRIPTION"),
    "no screenshot": (replaced("CMakeLists.txt", "SCREENSHOTURLS", "SHOTS"), "EXTENSION_SCREENSHOTURLS"),
    "picture of another branch": (
        replaced("CMakeLists.txt", "main/Pictures/Shot", "old/Pictures/Shot"),
        "no raw address",
    ),
    "picture that is not there": ({"Pictures/Shot.png": None}, "Pictures/Shot.png, which is not in the tree"),
    "picture that is none": ({"Pictures/Shot.png": "text"}, "Pictures/Shot.png is no PNG"),
    "large icon": ({"Pictures/Icon.png": png(256, 256)}, "256 x 256 pixels"),
    "no licence": ({"LICENSE.txt": None}, "There is no LICENSE.txt"),
    "rare licence": ({"LICENSE.txt": "All rights reserved"}, "none of the recommended licences"),
    "licence not named": (replaced("README.md", "Apache License 2.0", "Free"), "does not name the licence"),
    "no citation": ({"CITATION.cff": None}, "There is no CITATION.cff"),
    "citation not told": (replaced("README.md", "How to cite", "Thanks"), "how to cite"),
    "no picture in README": (replaced("README.md", "Shot.png", "Lost.png"), "shows no picture"),
    "module without a sentence": (
        replaced("README.md", "finds the shin in a CT.", "new"),
        "no sentence about the module Shin",
    ),
    "no tutorial": (replaced("README.md", "3. Look", "- Look"), "has a tutorial"),
    "tutorial without data": (replaced("README.md", "*Sample Data*", "disk"), "where its sample data come from"),
    "no sample data": (replaced("Shin/Shin.py", "registerCustomSampleDataSource", "other"), "registers no sample data"),
    "foreign package": (replaced("Shin/Shin.py", "import os", "import torch"), "Shin/Shin.py imports torch"),
    "foreign package further down": (
        {"Shin/ShinModule/panel.py": "try:\n    import rich\nexcept ImportError:\n    pass\n"},
        "Shin/ShinModule/panel.py imports rich",
    ),
    "foreign package by a relative import": (
        {"Shin/ShinModule/panel.py": "from . import more", "Shin/ShinModule/more.py": "import typer"},
        "Shin/ShinModule/more.py imports typer",
    ),
    "pip of torch": (
        {"Shin/ShinModule/panel.py": 'def f():\n    pip_install(["torch>=2"])\n'},
        "installs torch itself",
    ),
    "network": ({"Shin/ShinModule/panel.py": "def f():\n    from urllib import request\n"}, "imports urllib.request"),
}


def problems(submission: rules.Submission) -> list[str]:
    return [sentence for check in rules.RULES.values() for sentence in check(submission)]


def test_a_tree_that_keeps_every_rule_has_no_problem(tree):
    assert problems(rules.read_submission(tree)) == []


@pytest.mark.parametrize(("changes", "complaint"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_named(tree, changes, complaint):
    write(tree, changes)
    assert complaint in "\n".join(problems(rules.read_submission(tree)))


def test_history_counts_with_the_files(repository, monkeypatch):
    submission = rules.read_submission(repository)
    history = sum(path.stat().st_size for path in (repository / ".git").rglob("*") if path.is_file())
    assert submission.size_mb * 2**20 == history + sum(len(content) for content in FILES.values())
    monkeypatch.setattr(rules, "TARGET_MB", submission.size_mb / 2)
    assert "the index takes 100" in "".join(rules.check_size(submission))


def test_our_own_icon_and_screenshot_lie_where_the_catalogue_looks():
    ours = rules.read_submission(Path(__file__).resolve().parents[1])
    for check in (rules.check_names, rules.check_pictures, rules.check_licence, rules.check_sources):
        assert list(check(ours)) == []
