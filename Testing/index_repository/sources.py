"""What the extension's Python files import, and when."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from Testing.index_repository.settings import NETWORK_PACKAGES, SLICERS_OWN


def scripted_modules(folder: Path) -> list[Path]:
    """Return the files of the modules that Slicer shows: ``NAME/NAME.py`` with a class for Slicer's module factory."""
    files = (child / f"{child.name}.py" for child in sorted(folder.iterdir()) if child.is_dir())
    return [file for file in files if file.is_file() and "ScriptedLoadableModule" in file.read_text(encoding="utf-8")]


def foreign_imports(module: Path, folder: Path) -> Iterator[str]:
    """Say which packages are loaded with ``module`` that neither Python, Slicer nor the extension brings.

    Follows the extension's own imports at file scope; what stands in functions runs later and is not looked at.
    """
    seen, waiting = {module}, [module]
    while waiting:
        path = waiting.pop()
        for name in _imports_at_file_scope(_parse(path)):
            level = len(name) - len(name.lstrip("."))
            roots = (path.parents[level - 1],) if level else (module.parent, folder)
            own = [file for root in roots for file in _files_of(name.lstrip("."), root)]
            waiting += [file for file in own if file not in seen]
            seen.update(own)
            package = name.split(".")[0]
            if package and not own and package not in sys.stdlib_module_names and package not in SLICERS_OWN:
                yield f"{path.relative_to(folder).as_posix()} imports {package} at file scope"


def installs_torch(path: Path) -> bool:
    """Whether a file hands torch to ``pip_install`` itself, past the PyTorch extension."""
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Call) and _last_name(node.func) in ("pip_install", "pip_ensure"):
            words = [leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)]
            if any(isinstance(word, str) and word.strip().startswith("torch") for word in words):
                return True
    return False


def network_imports(path: Path) -> set[str]:
    """Return the packages by which a file could reach the network, wherever it imports them."""
    names = {name for node in ast.walk(_parse(path)) for name in _imported(node)}
    return {package for package in NETWORK_PACKAGES if any(f"{name}.".startswith(f"{package}.") for name in names)}


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _imports_at_file_scope(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING":
            continue
        yield from _imported(node)
        yield from _imports_at_file_scope(node)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        start = "." * node.level + (f"{node.module}." if node.module else "")
        yield from (f"{start}{alias.name}" for alias in node.names)


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """Yield what Python runs for ``import name`` below ``root``: each package on the way, then the module."""
    place = root
    for part in name.split("."):
        place = place / part
        for file in (place / "__init__.py", place.with_name(f"{part}.py")):
            if file.is_file():
                yield file
