"""What pip installs, held against the hashes in ``requirements/hashes.txt``.

pip's own ``--require-hashes`` takes neither an editable project nor the ``+cpu`` builds of torch that some indexes
offer, so the report that pip writes of an installation (``--report``) is read instead: a file of a known name that has
another hash ends ``make``; files that are not in the list (another platform or Python) are counted.

    python -m Testing.supply.hashes check REPORT...     # after an installation
    python -m Testing.supply.hashes write REPORT...     # after the constraints were renewed
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

HASHES = Path(__file__).parents[2] / "requirements" / "hashes.txt"
_LINE = re.compile(r"(?P<name>\S+)  --hash=sha256:(?P<sha256>[0-9a-f]{64})")


def read_report(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that pip took from an index, by its name."""
    found = {}
    for entry in json.loads(path.read_text(encoding="utf-8"))["install"]:
        source = entry["download_info"]
        sha256 = source.get("archive_info", {}).get("hashes", {}).get("sha256")
        if sha256:
            found[unquote(urlsplit(source["url"]).path).rpartition("/")[2]] = sha256
    return found


def read_hashes(text: str) -> dict[str, str]:
    """Return the SHA-256 of each file in the text of the list.

    Raises:
        ValueError: a line is none of the list.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"Line {number} is no file with its hash: {line!r}")
        found[match["name"]] = match["sha256"]
    return found


def find_differences(installed: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """Return a sentence for each file that has another hash than the list says."""
    return [
        f"{name} has the SHA-256 {sha256}, and requirements/hashes.txt says {known[name]}."
        for name, sha256 in sorted(installed.items())
        if name in known and known[name] != sha256
    ]


def main(arguments: list[str]) -> int:
    """Check or write; return 1 where a file is another one."""
    command, *reports = arguments
    installed = {name: sha256 for path in reports for name, sha256 in read_report(Path(path)).items()}
    if command == "write":
        _write(installed)
        return 0
    known = read_hashes(HASHES.read_text(encoding="utf-8"))
    differences = find_differences(installed, known)
    print("\n".join(differences), file=sys.stderr)
    matching = sum(known.get(name) == sha256 for name, sha256 in installed.items())
    print(f"{matching} of {len(installed)} installed files are those of requirements/hashes.txt.")
    return 1 if differences else 0


def _write(installed: Mapping[str, str]) -> None:
    lines: Iterable[str] = (f"{name}  --hash=sha256:{installed[name]}" for name in sorted(installed, key=str.lower))
    head = "# SHA-256 of the files that pip takes for constraints-test.txt; `make hashes` writes them anew.\n"
    HASHES.write_text(head + "\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
