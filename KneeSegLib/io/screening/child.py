"""Files that our own code cannot screen are read by another process: a library that crashes ends that one alone."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from KneeSegLib import errors
from KneeSegLib.errors import InputError, KneeSegError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.settings import CHILD_SECONDS

if TYPE_CHECKING:
    import SimpleITK as sitk

_REFUSED = 3
_RESULT = "read.mha"


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

    name = shown_name(path)
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as folder:
        command = [sys.executable, "-m", __name__, f"{read.__module__}:{read.__qualname__}", readable, path, folder]
        # This package may have been found by a path of this process alone.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            ended = subprocess.run(
                command, capture_output=True, encoding="utf-8", errors="replace", timeout=CHILD_SECONDS, env=environment
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"{name} was not read within {CHILD_SECONDS} s: it is damaged; give the image as NRRD, NIfTI or "
                "MetaImage."
            ) from None
        if ended.returncode == _REFUSED:
            told = json.loads(ended.stdout.splitlines()[-1])
            raise getattr(errors, told["kind"])(told["message"])
        if ended.returncode != 0:
            raise InputError(
                f"{name} is damaged in a way that ends the program which reads it; give the image as NRRD, NIfTI or "
                "MetaImage."
            )
        return sitk.ReadImage(str(Path(folder, _RESULT)))


def _main(function: str, readable: str, path: str, folder: str) -> int:
    from KneeSegLib.memory import limit_memory

    limit_memory()
    module, _, name = function.partition(":")
    try:
        image = getattr(importlib.import_module(module), name)(Path(readable), Path(path))
    except KneeSegError as error:
        print(json.dumps({"kind": type(error).__name__, "message": str(error)}))
        return _REFUSED
    import SimpleITK as sitk

    sitk.WriteImage(image, str(Path(folder, _RESULT)), False)
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
