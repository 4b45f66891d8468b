"""Prepare anatomy for image synthesis: one file for each joint of each person.

``python -m KneeSegLib.synthesis.prepare --data ../shared/data --output work/prepared [--joint knee] [--limit N]``

Every case draws its random numbers from its own name, so that it comes out the same alone or among others; files that
exist are kept. People never cross from one group to another; the data pack's README files say who is who.
"""

from __future__ import annotations

import argparse
import importlib
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from KneeSegLib.progress import Progress, no_progress
from KneeSegLib.synthesis.voxels import CaseName

JOINTS = ("knee", "ankle", "hip", "body")


def prepare(
    data: Path,
    output: Path,
    joints: Sequence[str] = JOINTS,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write the missing files of each joint to ``output`` and return the paths of all that belong there.

    Args:
        data: folder of the data pack.
        limit: no more than so many cases of a joint, the first ones.
        seed: another seed draws other people.

    Raises:
        InputError: the data pack lacks a file.
    """
    cases = [(joint, name) for joint in joints for name in case_names(joint)[:limit]]
    paths = []
    for position, (joint, name) in enumerate(cases):
        path = output / name.file_name
        paths.append(path)
        if not path.exists():
            start = time.monotonic()
            anatomy = builder(joint).build(name, data, random_for(name, seed))
            anatomy.save(path)
            progress((position + 1) / len(cases), f"{name.file_name}: {time.monotonic() - start:.1f} s")
    return paths


def builder(joint: str):
    """The module that makes the cases of a joint: ``case_names()`` and ``build(name, data, random)``."""
    return importlib.import_module(f"KneeSegLib.synthesis.{joint}_cases")


def case_names(joint: str) -> list[CaseName]:
    """All cases of a joint, of every group."""
    return builder(joint).case_names()


def random_for(name: CaseName, seed: int) -> np.random.Generator:
    """The random numbers of a case: they depend on its joint, its subject and the seed, on nothing else."""
    return np.random.default_rng([seed, zlib.crc32(name.file_name.encode())])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m KneeSegLib.synthesis.prepare", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data pack")
    parser.add_argument("--output", type=Path, required=True, help="folder for the prepared files")
    parser.add_argument("--joint", choices=JOINTS, action="append", help="only this joint (may be repeated)")
    parser.add_argument("--limit", type=int, help="no more than so many cases of a joint")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)

    def log(fraction: float, message: str) -> None:
        print(f"{100 * fraction:5.1f} % {message}", flush=True)

    prepare(chosen.data, chosen.output, chosen.joint or JOINTS, chosen.limit, chosen.seed, log)


if __name__ == "__main__":
    main()
