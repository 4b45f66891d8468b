"""The entry of the extensions index: which file it is, and what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from Testing.index_repository.settings import BRANCH, CATEGORY, SCHEMA, TIER


def read_cmake_variables(folder: Path) -> dict[str, str]:
    """Return the quoted variables ``EXTENSION_*`` of the top-level CMakeLists.txt, and PROJECT, the project's name."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    # As strict as the index, which finds no name after a blank and no value before one.
    variables = dict(re.findall(r'\bset\s*\((EXTENSION_\w+)\s*"([^"]*)"\)', text))
    project = re.search(r"\bproject\s*\(\s*([^\s)]+)", text)
    return variables | ({"PROJECT": project[1].strip("\"'")} if project else {})


def describe_extension(variables: dict[str, str]) -> dict[str, object]:
    """Return the entry for the index that fits what CMakeLists.txt says."""
    dependencies = [
        name for name in re.split(r"[;\s]+", variables.get("EXTENSION_DEPENDS", "NA").strip()) if name not in ("", "NA")
    ]
    return {
        "$schema": SCHEMA,
        "build_dependencies": dependencies,
        "build_subdirectory": ".",
        "category": CATEGORY,
        "scm_revision": BRANCH,
        "scm_url": variables.get("EXTENSION_HOMEPAGE", ""),
        "tier": TIER,
    }


def write_description(path: Path, description: dict[str, object]) -> None:
    """Write the entry as the index keeps it: JSON, two spaces, line feeds only."""
    path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8", newline="\n")
