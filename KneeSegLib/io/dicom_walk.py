"""The files in a folder and below it, each once, links followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Walk:
    """Walks through a folder; what it could not follow is counted.

    Attributes:
        broken_links: links whose file or folder is not there.
        closed: folders that may not be opened.
    """

    broken_links: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)

    def files_below(self, folder: Path) -> Iterator[Path]:
        """Yield every regular file in and below ``folder`` once, but for names that begin with a dot.

        A file or folder that several links lead to is met once, so links that run in a circle end.
        """
        seen: set[tuple[int, int]] = set()
        for parent, folders, files in os.walk(folder, followlinks=True, onerror=self._note_closed):
            here = os.stat(parent)
            if (here.st_dev, here.st_ino) in seen:
                folders.clear()
                continue
            seen.add((here.st_dev, here.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(parent, name)
                if name.startswith("."):
                    continue
                try:
                    found = path.stat()
                except OSError:
                    self.broken_links.append(path)
                    continue
                if path.is_file() and (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    yield path

    def _note_closed(self, error: OSError) -> None:
        if error.filename is not None:
            self.closed.append(Path(error.filename))
