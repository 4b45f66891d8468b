"""Keep the lists of files in CMakeLists.txt equal to the tree: what is not listed is not packaged with the extension.

``python Testing/update_cmake_lists.py`` writes the lists anew, ``--check`` only says what differs and exits with 1.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IGNORED = {"CMakeLists.txt", "__pycache__"}
NOT_FOR_SLICER = ("training", "evaluation")
"""Folders of the library that are an extra: a surgeon's Slicer does not get them."""
PREPARED_ANATOMY = ".npz"
"""What only the extra can render an image from."""


def files_below(folder: Path, *subfolders: str) -> list[str]:
    """Return the files below ``folder`` (below its ``subfolders``, if given) as POSIX paths relative to it."""
    paths = (path for start in (subfolders or (".",)) for path in (folder / start).rglob("*") if path.is_file())
    relative = (path.relative_to(folder) for path in paths)
    return sorted(path.as_posix() for path in relative if not (IGNORED & set(path.parts) or _hidden(path)))


def wanted_lists() -> dict[Path, dict[str, list[str]]]:
    """Return, per CMakeLists.txt, the lists it has to have."""
    wanted = {}
    for name in ("KneeSeg", "KneeSegLib"):
        files = [path for path in files_below(ROOT / name) if path.split("/")[0] not in NOT_FOR_SLICER]
        wanted[ROOT / name / "CMakeLists.txt"] = {
            "MODULE_PYTHON_SCRIPTS": [path for path in files if path.endswith(".py")],
            "MODULE_PYTHON_RESOURCES": [path for path in files if not path.endswith(".py")],
        }
    homes = ("LabelMappings", "Licences", "Models", "Samples", "ShapeModels", "Terminology")
    shared = files_below(ROOT / "Resources", *homes)
    shared = [path for path in shared if not path.endswith(PREPARED_ANATOMY)]
    wanted[ROOT / "KneeSegLib" / "CMakeLists.txt"]["SHARED_RESOURCES"] = shared
    return wanted


def listed(text: str, name: str) -> list[str]:
    """Return the entries of the CMake list ``name`` in ``text``, variables put in."""
    variables = dict(re.findall(r"^set\((\w+) (\S+)\)", text, flags=re.MULTILINE))
    entries = _block(name).search(text)
    if entries is None:
        raise SystemExit(f"There is no list set({name} ...) where one is needed.")
    words = (line.split("#")[0].strip() for line in entries["files"].splitlines())
    return [re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], word) for word in words if word]


def differences() -> Iterator[str]:
    """Say what is missing in the lists and what is too much."""
    for path, lists in wanted_lists().items():
        if not path.exists():
            yield f"{path.relative_to(ROOT).as_posix()} is missing"
            continue
        text = path.read_text(encoding="utf-8")
        for name, files in lists.items():
            found = set(listed(text, name))
            where = f"{path.relative_to(ROOT).as_posix()}, {name}"
            yield from (f"{where}: lacks {file}" for file in sorted(set(files) - found))
            yield from (f"{where}: lists {file}, which is not there" for file in sorted(found - set(files)))


def update() -> None:
    """Write all lists anew."""
    for path, lists in wanted_lists().items():
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        for name, files in lists.items():
            lines = "".join(f"  {file}\n" for file in files)
            text = _block(name).sub(lambda match, lines=lines: match["start"] + lines + match["end"], text)
        path.write_text(text, encoding="utf-8", newline="\n")


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<start>^set\({name}\n)(?P<files>[^)]*?)(?P<end>^ *\))", flags=re.MULTILINE)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts) or path.suffix == ".pyc"


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        update()
    problems = list(differences())
    print("\n".join(problems) or "CMakeLists.txt and tree agree.")
    sys.exit(bool(problems))
