"""MONAI without the modules that a command does not use.

``import monai`` runs through all of MONAI and tries packages that it works without: more seconds than torch takes, for
a tenth that is used. It has no switch for that. In a process of its own, where nobody else uses MONAI, the command line
takes the ``__init__.py`` of MONAI's packages as tables of contents: a module is imported when one of its names is asked
for. In anybody else's process MONAI is imported as MONAI means to be.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from KneeSegLib.compatibility import SERIES

PACKAGE = "monai"
TRIED_PACKAGES = ("ignite", "matplotlib", "scipy.signal")
"""Packages that MONAI imports where they are installed, and that nothing of ours goes through."""


def import_monai_leanly() -> None:
    """Have MONAI imported module by module from now on; a MONAI of a series that we do not know stays as it is."""
    try:
        installed = version(PACKAGE)
    except PackageNotFoundError:
        return  # said where it is needed
    if PACKAGE not in sys.modules and ".".join(installed.split(".")[:2]) in {series.monai for series in SERIES}:
        sys.meta_path.insert(0, _MonaiFinder(installed))


class _MonaiFinder(MetaPathFinder):
    """Finds MONAI's modules as always, and packages whose code is not run."""

    def __init__(self, installed: str) -> None:
        self._version = installed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != PACKAGE:
            return None
        if fullname == PACKAGE:
            for name in TRIED_PACKAGES:
                sys.modules.setdefault(name, None)  # pyright: ignore[reportArgumentType]  # import says: not there
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.submodule_search_locations is not None and spec.origin is not None:
            spec.loader = _PackageLoader(_read_contents(fullname, Path(spec.origin)), self._version)
        return spec


class _PackageLoader(Loader):
    """Loads a package without running it.

    Args:
        contents: by the names that the package offers, the module that has each and its name there.
        installed: the version, which MONAI's modules ask the package for.
    """

    def __init__(self, contents: Mapping[str, tuple[str, str]], installed: str) -> None:
        self._contents = contents
        self._version = installed

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        def find_name(name: str) -> Any:
            if name in self._contents:
                owner, original = self._contents[name]
                found = getattr(import_module(owner), original)
            elif not name.startswith("_") and PathFinder.find_spec(f"{module.__name__}.{name}", module.__path__):
                found = import_module(f"{module.__name__}.{name}")
            else:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            setattr(module, name, found)
            return found

        module.__dict__.update(__getattr__=find_name, __version__=self._version)


def _read_contents(package: str, file: Path) -> dict[str, tuple[str, str]]:
    """Return what ``from .module import name as offered`` in a package's file says: offered -> (module, name)."""
    statements = ast.parse(file.read_text(encoding="utf-8")).body
    return {
        alias.asname or alias.name: (f"{package}.{statement.module}", alias.name)
        for statement in statements
        if isinstance(statement, ast.ImportFrom) and statement.level == 1 and statement.module
        for alias in statement.names
    }
