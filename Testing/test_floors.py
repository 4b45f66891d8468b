"""The house keeps its floors: no module imports from a higher floor, and no imports run in a circle.

The imports are read from the source, nothing is imported. Imports within functions count as those at the top of a file
do; what only a type checker imports counts for the floors and not for circles.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "KneeSegLib"
ROOT = Path(__file__).resolve().parents[1]

FLOORS: tuple[tuple[str, ...], ...] = (
    ("anatomy", "errors", "failures", "no_room", "progress", "memory", "compatibility", "plain_text", "schemas"),
    ("geometry",),
    ("io", "networks", "shape"),
    ("bundles",),
    ("inference",),
    ("ct", "mr", "nnunet", "cleaning", "edges", "quality", "surfaces", "measurements"),
    ("pipelines",),
    (
        "case",
        "assembly",
        "case_record",
        "case_reading",
        "output",
        "report",
        "second_opinion",
        "joining",
        "scan_run",
        "block_runs",
        "segmentation",
    ),
    ("batch", "exporting"),
    ("cli", "__init__", "__main__"),
)
"""The rooms of the library on each floor, from the ground. A room is a folder or a file directly below the package."""

BESIDE = ("training", "evaluation")
"""Stand beside the house: they may import from every floor, and no floor imports from them."""

DOORS = frozenset({"KneeSegLib.cli.extras"})
"""Modules that may name a module beside the house, as a string: it is imported when a command asks for it."""

UPWARD_FOR_NOW: frozenset[tuple[str, str]] = frozenset()
"""Imports (by, of) from a higher floor that are not yet mended. THIS SET ONLY SHRINKS."""


@dataclass(frozen=True)
class Import:
    """One module imports another; ``only_for_types`` where only a type checker does."""

    importer: str
    imported: str
    only_for_types: bool = False


@cache
def modules() -> dict[str, Path]:
    """The source files of the package by their dotted names; a folder's name is that of its ``__init__.py``."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import of one module of the package by another."""
    return tuple(
        found
        for name, path in modules().items()
        for found in _imports_below(ast.parse(path.read_text(encoding="utf-8")), name, only_for_types=False)
        if found.imported != name
    )


def _imports_below(tree: ast.AST, importer: str, only_for_types: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from _imports_below(ast.Module([statement], []), importer, only_for_types=True)
            continue
        yield from (Import(importer, imported, only_for_types) for imported in _imported_by(node))
        yield from _imports_below(node, importer, only_for_types)


def _imported_by(node: ast.AST) -> list[str]:
    """The modules of the package that a node of a syntax tree imports, or names in full as a string."""
    if isinstance(node, ast.Import):
        return [name for alias in node.names if (name := _module_of(alias.name))]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "the package has no relative imports"
        wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name for path in wanted if (name := _module_of(path))]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{PACKAGE}."):
        name = _module_of(node.value)
        return [name] if name else []
    return []


def _module_of(path: str) -> str | None:
    """The module that ``path`` is, or is a name of; None for other packages and for constants of the package itself."""
    parts = path.split(".")
    if parts[0] != PACKAGE:
        return None
    for length in range(len(parts), 1, -1):
        if (name := ".".join(parts[:length])) in modules():
            return name
    # `from KneeSegLib import __version__` takes what stands there as a constant, and imports nothing further.
    return f"{PACKAGE}.__init__" if len(parts) == 2 and parts[1] not in _constants() else None


@cache
def _constants() -> frozenset[str]:
    tree = ast.parse(modules()[f"{PACKAGE}.__init__"].read_text(encoding="utf-8"))
    return frozenset(target.id for node in tree.body if isinstance(node, ast.Assign)
                     for target in node.targets if isinstance(target, ast.Name))  # fmt: skip


def room_of(module: str) -> str:
    return module.split(".")[1]


def floor_of(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room_of(module) in rooms)


def _circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of nodes each of which reaches each other one (strongly connected components of more than one)."""
    reached = {name: _reached_from(name, graph) for name in graph}
    return {frozenset({name, *(other for other in reached[name] if name in reached[other])})
            for name in graph if name in reached[name]}  # fmt: skip


def _reached_from(start: str, graph: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        if (name := waiting.pop()) not in reached:
            reached.add(name)
            waiting.extend(graph[name])
    return reached


def test_every_room_has_its_floor():
    rooms = {room_of(name) for name in modules()}
    known = {room for floor in FLOORS for room in floor} | set(BESIDE)
    assert sorted(rooms - known) == []


def test_nothing_is_imported_from_a_higher_floor():
    upward = {
        (found.importer, found.imported)
        for found in imports()
        if room_of(found.importer) not in BESIDE and room_of(found.imported) not in BESIDE
        and floor_of(found.imported) > floor_of(found.importer)
    }  # fmt: skip
    assert sorted(upward - UPWARD_FOR_NOW) == [], "imports from a higher floor"
    assert sorted(UPWARD_FOR_NOW - upward) == [], "mended: take these out of UPWARD_FOR_NOW"


def test_no_modules_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for found in imports():
        if not found.only_for_types:
            graph[found.importer].add(found.imported)
    assert [sorted(circle) for circle in _circles(graph)] == []


def test_no_rooms_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {room_of(name): set() for name in modules() if room_of(name) not in BESIDE}
    for found in imports():
        rooms = (room_of(found.importer), room_of(found.imported))
        upward = (found.importer, found.imported) in UPWARD_FOR_NOW
        if not (found.only_for_types or upward or rooms[0] == rooms[1] or set(rooms) & set(BESIDE)):
            graph[rooms[0]].add(rooms[1])
    assert [sorted(circle) for circle in _circles(graph)] == []


def test_circles_are_found():
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == {frozenset("abc")}


def test_the_house_knows_nothing_of_training_and_evaluation():
    named = {
        found.importer
        for found in imports()
        if room_of(found.imported) in BESIDE and room_of(found.importer) not in BESIDE
    }
    assert sorted(named - DOORS) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from KneeSegLib.case import Case", [("KneeSegLib.case", False)]),
        ("from KneeSegLib import case", [("KneeSegLib.case", False)]),
        ("import KneeSegLib.case as c", [("KneeSegLib.case", False)]),
        ("def f():\n    from KneeSegLib.case import Case", [("KneeSegLib.case", False)]),
        ("import typing as t\nif t.TYPE_CHECKING:\n    from KneeSegLib.case import Case", [("KneeSegLib.case", True)]),
        ("found = import_module('KneeSegLib.case')", [("KneeSegLib.case", False)]),
        ("from KneeSegLib import segment", [("KneeSegLib.__init__", False)]),
        ("from KneeSegLib import __version__\nimport numpy", []),
    ],
)
def test_imports_of_every_form_are_read(source, expected):
    found = _imports_below(ast.parse(source), "KneeSegLib.errors", only_for_types=False)
    assert [(entry.imported, entry.only_for_types) for entry in found] == expected
