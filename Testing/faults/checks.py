"""What must be true of a result however a run ended."""

from __future__ import annotations

import os
from pathlib import Path

from KneeSegLib.io.writing import reserve_folder
from Testing.faults.runs import NEW, OLD, Ended

NOTHING_WRITTEN, WRITTEN = "nothing was written", "had been written before and is complete"
AS_IT_WAS = "what was there before is as it was"


def find_faults(out: Path, ended: Ended, two_renames: bool = False) -> list[str]:
    """Return what is wrong after a run that should have replaced the old result ``out``; nothing if nothing is.

    Args:
        two_renames: names cannot be exchanged here, so that a kill between two renames leaves none until the next run.
    """
    faults = []
    found = read_or_none(out)
    if found not in (OLD, NEW, *([None] if two_renames and ended.status < 0 else [])):
        faults.append(f"the result is neither old nor new: {found}")
    if ended.status == 0 and found != NEW:
        faults.append("the run succeeded and the old result is there")
    if (NOTHING_WRITTEN in ended.said or AS_IT_WAS in ended.said) and found != OLD:
        faults.append(f"it was said that nothing was written: {ended.said}")
    if WRITTEN in ended.said and found != NEW:
        faults.append(f"it was said that the result is complete: {ended.said}")
    if "Traceback" in ended.said or "unexpected" in ended.said:
        faults.append(f"the end was not foreseen: {ended.said}")
    if ended.status > 0 and not ended.said:
        faults.append("nothing was said")
    return [*faults, *find_faults_of_next_run(out)]


def find_faults_of_next_run(out: Path) -> list[str]:
    """Return what is wrong after the next run has begun: files of the user are gone, or hidden ones are left."""
    with reserve_folder(out, overwrite=True):
        pass
    left = sorted(set(os.listdir(out.parent)) - {"out", "scan.nrrd"})
    faults = [f"beside the result is left: {left}"] if left else []
    found = read_or_none(out)
    if found not in (OLD, NEW):
        faults.append(f"after the next run the result is neither old nor new: {found}")
    return faults


def read_or_none(out: Path) -> dict[str, str] | None:
    """Return the text files of a result, or None where there is none."""
    from Testing.faults.runs import read_all

    return read_all(out) if out.is_dir() else None
