"""Prepare anatomy for image synthesis: one file for each joint of each subject, and a picture of it.

Every case draws its random numbers from its own name, so that it comes out the same alone or among others; files that
exist are kept. Subjects never cross from one group to another; the README files of the data pack name them.
"""

from __future__ import annotations

import importlib
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from KneeSegLib.progress import Progress, no_progress
from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.pictures import write_picture
from KneeSegLib.training.synthesis.voxels import CaseName

JOINTS = ("knee", "ankle", "hip", "body")


@dataclass(frozen=True)
class Selection:
    """Which cases are prepared.

    Attributes:
        joints: of :data:`JOINTS`.
        group: only subjects of this group; None for all.
        limit: no more than so many cases of a joint, the first ones.
        seed: another seed draws other subjects.
    """

    joints: Sequence[str] = JOINTS
    group: Group | None = None
    limit: int | None = None
    seed: int = 0


def prepare_subjects(data: Path, output: Path, selection: Selection, progress: Progress = no_progress) -> list[Path]:
    """Write the missing files of each joint to ``output`` and return the paths of all that belong there.

    Beside each new file lies a picture, a PNG of the same name.

    Args:
        data: folder of the data pack.

    Raises:
        InputError: the data pack lacks a file.
    """
    names = [(joint, list_cases(joint, selection.group)[: selection.limit]) for joint in selection.joints]
    cases = [(joint, name) for joint, of_joint in names for name in of_joint]
    paths = []
    for position, (joint, name) in enumerate(cases):
        path = output / name.file_name
        paths.append(path)
        if not path.exists():
            start = time.monotonic()
            anatomy = import_cases(joint).build_case(name, data, seed_random(name, selection.seed))
            write_picture(anatomy, path.with_suffix(".png"))
            anatomy.save(path)
            progress((position + 1) / len(cases), f"{name.file_name}: {time.monotonic() - start:.1f} s")
    return paths


def import_cases(joint: str) -> ModuleType:
    """Return the module that makes the cases of a joint: ``list_cases()``, ``build_case(name, data, random)``."""
    return importlib.import_module(f"KneeSegLib.training.synthesis.{joint}_cases")


def list_cases(joint: str, group: Group | None = None) -> list[CaseName]:
    """Return all cases of a joint, of one group or of every group."""
    return [name for name in import_cases(joint).list_cases() if group in (None, name.group)]


def seed_random(name: CaseName, seed: int) -> np.random.Generator:
    """Return the random numbers of a case: they depend on its joint, group, subject and the seed alone."""
    return np.random.default_rng([seed, zlib.crc32(name.file_name.encode())])
