"""JSON schemas (draft 7) of what programs read: ``case.json``, the lines of ``--progress json``, ``doctor --json``.

The version of a format is in its schema's ``$id``. It is raised where a field changes its meaning or goes; new fields
do not raise it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SCHEMA_NAMES = ("case", "progress", "doctor")


def read_schema(name: str) -> dict[str, Any]:
    """Return a schema by its name, one of :data:`SCHEMA_NAMES`."""
    return json.loads(format_schema(name))


def format_schema(name: str) -> str:
    """Return the text of a schema by its name, one of :data:`SCHEMA_NAMES`."""
    return Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8")


def list_format_versions() -> dict[str, int]:
    """Return the version of every format by the name of its schema."""
    return {name: int(re.split(r"[-.]", read_schema(name)["$id"])[-2]) for name in SCHEMA_NAMES}
