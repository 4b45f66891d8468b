"""Files that our own code cannot screen are read by another process: a library that crashes ends that one alone."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib import errors
from KneeSegLib.errors import InputError, KneeSegError, ResourceError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.settings import CHILD_BYTES, CHILD_SECONDS, DEFLATE_RATIO
from KneeSegLib.memory import limit_memory, measure_available_memory

if TYPE_CHECKING:
    import SimpleITK as sitk

_REFUSED = 3
_WORK, _STARTED, _NOTE, _DONE, _RESULT = "work.json", "started", "note", "done.json", "read.mha"

_ONE_THREAD = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Threads would take address space that counts as memory, and readers have no use for them."""

Work = Callable[..., Any]
"""A function of a module that another process runs: ``work(folder, *arguments)``, where it leaves files in the folder;
arguments and result are what JSON holds."""


class ChildEndedError(Exception):
    """The other process crashed or took too long.

    Attributes:
        note: what it had noted last by :func:`write_note`; empty where nothing.
        seconds: after which it was stopped; None where it crashed.
    """

    def __init__(self, note: str, seconds: float | None) -> None:
        super().__init__(note)
        self.note, self.seconds = note, seconds


@contextmanager
def run_in_child(
    work: Work, arguments: Sequence[Any], bytes_allowed: int, seconds: float = CHILD_SECONDS
) -> Iterator[tuple[Any, Path]]:
    """Yield what ``work`` returns that is called in another process, and the folder in which it left files.

    Args:
        bytes_allowed: memory that it may take beside that of the interpreter, where the system can limit it.
        seconds: after which it is stopped.

    Raises:
        ChildEndedError: it crashed, took more memory than it may, or took too long.
        ResourceError: it could not be started.
        KneeSegError: what ``work`` raised.
    """
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as name:
        folder = Path(name)
        task = {"work": f"{work.__module__}:{work.__qualname__}", "arguments": arguments, "bytes": bytes_allowed}
        (folder / _WORK).write_text(json.dumps(task), encoding="utf-8")
        # This package may have been found by a path of this process alone.
        environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", __name__, folder]
        status, told = _run(command, environment, seconds)
        if status not in (0, _REFUSED) and not (folder / _STARTED).exists():  # which is no fault of the file
            raise ResourceError(
                f"The process that decodes images could not be started ({told[:200]}); close other programs, or "
                "install KneeSeg again."
            )
        if status not in (0, _REFUSED):
            raise ChildEndedError(_read_note(folder), seconds if status is None else None)
        done = json.loads((folder / _DONE).read_text(encoding="utf-8"))
        if status == _REFUSED:
            raise getattr(errors, done["kind"])(done["message"])
        yield done, folder


def _run(command: Sequence[str | Path], environment: Mapping[str, str], seconds: float) -> tuple[int | None, str]:
    """Return the exit status of a process and the last line that it wrote; None where it was stopped or did not run."""
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, env=environment)
    except subprocess.TimeoutExpired:
        return None, f"not within {seconds:g} s"
    except OSError as error:
        return None, str(error.strerror)
    lines = ended.stderr.decode("utf-8", "replace").splitlines()
    return ended.returncode, lines[-1] if lines else "without a word"


def write_note(folder: Path, note: str) -> None:
    """Leave a note for whoever started this process: what it is at, in case that ends it."""
    (folder / _NOTE).write_text(note, encoding="utf-8")


def _read_note(folder: Path) -> str:
    path = folder / _NOTE
    return path.read_text(encoding="utf-8") if path.exists() else ""


def read_in_child(read: Callable[[Path, Path], sitk.Image], readable: Path, path: Path) -> sitk.Image:
    """Return ``read(readable, path)``, called in another process.

    Args:
        read: a function of a module.
        readable: the file under a name that libraries take.
        path: the file, for messages.

    Raises:
        InputError: the process crashed or took too long.
        KneeSegError: what ``read`` raised.
    """
    import SimpleITK as sitk

    arguments = [f"{read.__module__}:{read.__qualname__}", str(readable), str(path)]
    bytes_allowed = CHILD_BYTES + 2 * DEFLATE_RATIO * readable.stat().st_size
    try:
        with run_in_child(_read_image, arguments, bytes_allowed) as (_, folder):
            return sitk.ReadImage(str(folder / _RESULT))
    except ResourceError:
        if bytes_allowed > measure_available_memory():
            raise
        raise InputError(
            f"{shown_name(path)} says that it holds a larger image than a file of its length can; it is cut short or "
            "damaged: copy or export it again."
        ) from None
    except ChildEndedError as ended:
        what = (
            "is damaged in a way that ends the program which reads it"
            if ended.seconds is None
            else f"was not read within {ended.seconds:g} s: it is damaged"
        )
        raise InputError(f"{shown_name(path)} {what}; give the image as NRRD, NIfTI or MetaImage.") from None


def _read_image(folder: Path, read: str, readable: str, path: str) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(_find(read)(Path(readable), Path(path)), str(folder / _RESULT), False)


def _find(named: str) -> Any:
    module, _, name = named.partition(":")
    return getattr(importlib.import_module(module), name)


def _main(folder: Path) -> int:
    task = json.loads((folder / _WORK).read_text(encoding="utf-8"))
    work = _find(task["work"])  # with the libraries that it needs
    limit_memory(task["bytes"])
    (folder / _STARTED).touch()
    try:
        done, status = work(folder, *task["arguments"]), 0
    except KneeSegError as error:
        done, status = _describe(error), _REFUSED
    except OSError as error:
        words = f"Temporary files could not be written or read ({error.strerror}); free some space on the disk."
        done, status = _describe(ResourceError(words)), _REFUSED
    (folder / _DONE).write_text(json.dumps(done), encoding="utf-8")
    return status


def _describe(error: KneeSegError) -> dict[str, str]:
    return {"kind": type(error).__name__, "message": str(error)}


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
