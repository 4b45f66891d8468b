"""The blocks of one scan, each segmented on its own grid: one case, of one leg where they do not agree on its side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from KneeSegLib.errors import AnatomyNotFoundError, InputError
from KneeSegLib.pipelines.request import Request
from KneeSegLib.progress import Progress, split_progress
from KneeSegLib.scan_run import ScanRun

if TYPE_CHECKING:
    from KneeSegLib.anatomy import Side
    from KneeSegLib.case import Case
    from KneeSegLib.io.volume import Volume
    from KneeSegLib.pipelines.pipeline import ModelLoader


def prepare_blocks(
    volumes: Sequence[Volume], request: Request, other: Request | None, load: ModelLoader | None
) -> tuple[list[ScanRun], list[str]]:
    """Return what is to be done with the blocks of one scan, and sentences on those that no pipeline can work on.

    Raises:
        InputError: none of them can be segmented; what is wrong with the first.
    """
    runs: list[ScanRun] = []
    failures: list[str] = []
    first: InputError | None = None
    for volume in volumes:
        try:
            runs.append(ScanRun(volume, request, other, load))
        except InputError as error:
            first = first or error
            failures += [*volume.notes, str(error)]
    if first is not None and not runs:
        raise first
    return runs, failures


def segment_blocks(runs: Sequence[ScanRun], failures: Sequence[str], progress: Progress) -> Case:
    """Segment the blocks of one scan, each on its own grid; a block in which nothing is found is said.

    Args:
        failures: sentences on other blocks of the scan.

    Raises:
        AnatomyNotFoundError: nothing was found in any of them.
    """
    from KneeSegLib.joining import find_odd_sides, join_cases

    parts = split_progress(progress, [run.volume.image.GetSize()[2] for run in runs])
    cases: list[Case] = []
    found: list[tuple[ScanRun, Progress]] = []
    sentences = list(failures)
    first: AnatomyNotFoundError | None = None
    for run, part in zip(runs, parts):
        try:
            cases.append(run.segment(part))
            found.append((run, part))
        except AnatomyNotFoundError as error:
            first = first or error
            sentences += [*run.volume.notes, str(error)]
    if first is not None and not cases:
        raise first
    odd = find_odd_sides(cases)
    remark = _take_one_side(cases, found, *odd) if odd else None
    case = join_cases(cases, sentences)
    if remark is not None:
        case.warnings.append(remark)
    return case


def _take_one_side(cases: list[Case], found: Sequence[tuple[ScanRun, Progress]], side: Side, odd: Sequence[int]) -> str:
    """Segment the blocks ``odd`` anew as parts of the leg on ``side``, and return the sentence that says so.

    A block in which nothing is found of that leg keeps what it had.
    """
    kept = 0
    for number in odd:
        run, progress = found[number]
        try:
            cases[number] = run.segment(progress, side)
        except AnatomyNotFoundError:
            kept += 1
    of_others = f"; in {kept} of them nothing was found of that leg, and what they show kept its side" if kept else ""
    return (
        f"The blocks did not agree on the side of the leg; it was taken for the {side} one in all of them, as "
        f"the surest of them says{of_others}. Check the side, or give it with --side."
    )
