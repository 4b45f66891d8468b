"""Habits of the source that a reader relies on: functions take few parameters, and only commands print.

The source is read, nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "KneeSegLib"

MOST_PARAMETERS = 6
"""More than this many parameters say that some of them belong together in a class."""

COMMANDS = ("KneeSegLib/cli/", "KneeSegLib/training/commands/")
"""Folders of the command line: one parameter for each option there is, and printing is what they are for."""

LONG_FOR_NOW: frozenset[str] = frozenset()
"""Functions that still take more parameters. THIS SET ONLY SHRINKS."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every source file of the package: its path below the repository, and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def long_functions(tree: ast.AST) -> list[str]:
    """Names of the functions and methods that take more than ``MOST_PARAMETERS``, without ``self`` and ``cls``."""
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and len(_parameters(node)) > MOST_PARAMETERS
    ]


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    taken = function.args
    rest = [argument for argument in (taken.vararg, taken.kwarg) if argument is not None]
    named = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *rest)]
    return [name for name in named if name not in ("self", "cls")]


def printing_lines(tree: ast.AST) -> list[int]:
    """Lines that call ``print``."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def can_be_run(tree: ast.Module) -> bool:
    """Whether the module is a command by itself: it asks at its top level whether it is the one that is run."""
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body)


def test_no_function_takes_more_than_six_parameters():
    found = {
        f"{path}:{name}" for path, tree in sources() if not path.startswith(COMMANDS) for name in long_functions(tree)
    }
    assert sorted(found - LONG_FOR_NOW) == [], "too many parameters"
    assert sorted(LONG_FOR_NOW - found) == [], "mended: take these out of LONG_FOR_NOW"


def test_only_commands_print():
    found = [
        f"{path}:{line}"
        for path, tree in sources()
        if not path.startswith(COMMANDS) and not can_be_run(tree)
        for line in printing_lines(tree)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, b, c, d, e, g): ...", []),
        ("def f(a, b, c, d, e, g, h): ...", ["f"]),
        ("def f(a, /, b, c, *d, e, g, **h): ...", ["f"]),
        ("class C:\n    def f(self, a, b, c, d, e, g): ...", []),
        ("def f():\n    async def g(a, b, c, d, e, h, i): ...", ["g"]),
    ],
)
def test_parameters_of_every_kind_are_counted(source, expected):
    assert long_functions(ast.parse(source)) == expected


def test_calls_of_print_are_found():
    assert printing_lines(ast.parse("x = 1\nif x:\n    print(x)\nconsole.print(x)")) == [3]


@pytest.mark.parametrize(
    ("source", "expected"),
    [("if __name__ == '__main__':\n    main()", True), ("def f():\n    return __name__", False)],
)
def test_modules_that_can_be_run_are_told(source, expected):
    assert can_be_run(ast.parse(source)) is expected
