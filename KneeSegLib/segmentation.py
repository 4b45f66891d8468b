"""From an image to a case: the one function for everyone. Importing this loads no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.bundles.own import list_own_bundles
from KneeSegLib.errors import AnatomyNotFoundError, InputError
from KneeSegLib.pipelines.request import Request, require_device
from KneeSegLib.pipelines.table import AUTO
from KneeSegLib.progress import Progress, no_progress, split_progress

if TYPE_CHECKING:
    import SimpleITK as sitk

    from KneeSegLib.anatomy import Side
    from KneeSegLib.case import Case
    from KneeSegLib.io.volume import Volume
    from KneeSegLib.pipelines.pipeline import ModelLoader
    from KneeSegLib.pipelines.table import PipelineInfo


def segment(
    input: str | Path | sitk.Image,
    pipeline: str = AUTO,
    progress: Progress = no_progress,
    second_opinion: str | None = None,
    load: ModelLoader | None = None,
    **options: Any,
) -> Case:
    """Segment bones, and in MR of the knee cartilages and menisci.

    A CT series of several blocks (hip, knee and ankle of a planning protocol) gives one case of as many scans.

    Args:
        input: folder of DICOM slices, image file (DICOM, NRRD, NIfTI, MetaImage) or image.
        pipeline: a key of :data:`KneeSegLib.pipelines.table.PIPELINES`.
        progress: told how far the work is; may raise ``Cancelled``.
        second_opinion: another pipeline, or the folder of a trained nnU-Net model, that segments the image too: the
            case says how far they agree, and structures on which they do not are flagged.
        load: where networks come from, such as :class:`KneeSegLib.bundles.kept.KeptModels`; None reads them anew.
        options: those of :class:`KneeSegLib.pipelines.request.Request`: ``side``, ``quality``, ``device``, ``series``,
            ``modality`` and others that only some pipelines or inputs know.

    Raises:
        InputError: the image or an option cannot be used.
        AnatomyNotFoundError: the image does not show what was asked for.
        ModelError: weights are missing or damaged.
        ResourceError: not enough memory, or no such device.
        Cancelled: raised by ``progress``.
    """
    # A mapping is of the first model's labels, or else of the second's.
    mapping = None if second_opinion is None or options.get("nnunet") else options.pop("mapping", None)
    request = Request(pipeline=pipeline, **options)
    require_device(request.device)
    if request.models is not None:
        list_own_bundles(request.models)  # a wrong folder is said before anything is read
    from KneeSegLib.io.volume import read_scans

    other = None
    if second_opinion is not None:
        from KneeSegLib.second_opinion import request_second_opinion

        other = request_second_opinion(second_opinion, request, mapping)
    reading, running = split_progress(progress, (5, 95))
    reading(0.0, "Reading the image")
    started = time.perf_counter()
    volumes = read_scans(
        input,
        request.series,
        request.known_modality,
        request.presumed_modality,
        request.stated_geometry,
        request.keep_description,
    )
    seconds = time.perf_counter() - started
    if len(volumes) == 1:
        case = _Run(volumes[0], request, other, load).segment(running)
    else:
        runs, failures = _prepare_blocks(volumes, request, other, load)
        case = _segment_blocks(runs, failures, running)
    case.provenance["timings"] = {"read": seconds, **case.provenance["timings"]}
    progress(1.0, "Segmented")
    return case


class _Run:
    """What is to be done with one scan.

    Raises:
        InputError: no pipeline that was asked for can work on it.
    """

    def __init__(self, volume: Volume, request: Request, other: Request | None, load: ModelLoader | None) -> None:
        from KneeSegLib.pipelines.choice import choose_pipeline

        self.request, self.other, self.load = request, other, load
        self.info = choose_pipeline(request, volume)
        if other is not None:
            choose_pipeline(other, volume)  # before the first one runs for nothing
        if volume.modality is None and request.pipeline == AUTO:
            question = (
                f"Nothing says whether '{volume.source}' is a CT or an MR; it was taken for a {self.info.modality}. "
                "If it is an MR, choose --pipeline mr-knee."
            )
            volume = replace(volume, notes=(*volume.notes, question))
        self.volume = volume

    def segment(self, progress: Progress, side: Side | None = None) -> Case:
        """Return the case of the scan; of the leg on ``side`` where others decided which one it shows."""
        request, other = self.request, self.other
        if side is not None:
            request, other = replace(request, side=side), replace(other, side=side) if other is not None else None
        running, asking = split_progress(progress, (1, 1 if other else 0))
        case = _run(request, self.info, self.volume, running, self.load)
        if other is not None:
            same_networks = other.models == request.models
            _ask(case, (request, self.info), other, asking, self.load if same_networks else None)
        return case


def _prepare_blocks(
    volumes: Sequence[Volume], request: Request, other: Request | None, load: ModelLoader | None
) -> tuple[list[_Run], list[str]]:
    """Return what is to be done with the blocks of one scan, and sentences on those that no pipeline can work on.

    Raises:
        InputError: none of them can be segmented; what is wrong with the first.
    """
    runs: list[_Run] = []
    failures: list[str] = []
    first: InputError | None = None
    for volume in volumes:
        try:
            runs.append(_Run(volume, request, other, load))
        except InputError as error:
            first = first or error
            failures += [*volume.notes, str(error)]
    if first is not None and not runs:
        raise first
    return runs, failures


def _segment_blocks(runs: Sequence[_Run], failures: Sequence[str], progress: Progress) -> Case:
    """Segment the blocks of one scan, each on its own grid; a block in which nothing is found is said.

    Args:
        failures: sentences on other blocks of the scan.

    Raises:
        AnatomyNotFoundError: nothing was found in any of them.
    """
    from KneeSegLib.joining import find_odd_sides, join_cases

    parts = split_progress(progress, [run.volume.image.GetSize()[2] for run in runs])
    cases: list[Case] = []
    found: list[tuple[_Run, Progress]] = []
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


def _take_one_side(cases: list[Case], found: Sequence[tuple[_Run, Progress]], side: Side, odd: Sequence[int]) -> str:
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


def _run(request: Request, info: PipelineInfo, volume: Volume, progress: Progress, load: ModelLoader | None) -> Case:
    """Run one pipeline on a volume that fits it."""
    # torch and MONAI take seconds to import: not before the image is known to be fit.
    from KneeSegLib.pipelines.choice import create_pipeline

    running, finishing = split_progress(progress, (90, 5))
    findings = create_pipeline(info, request, load).segment(volume, running)
    from KneeSegLib.assembly import add_cartilage, assemble_case

    started = time.perf_counter()
    finishing(0.0, "Putting the labels on the image's grid")
    case = assemble_case(volume, findings)
    assembled = time.perf_counter()
    finishing(0.3, "Surfaces and cartilage thickness")
    add_cartilage(case)
    seconds_after = {"assemble": assembled - started, "cartilage": time.perf_counter() - assembled}
    case.provenance["timings"] = {**case.provenance["timings"], **seconds_after}
    case.provenance["options"] |= {
        "pipeline": request.pipeline,
        "series": request.recorded_series,
        "modality": request.modality,
    }
    return case


def _ask(
    case: Case,
    first: tuple[Request, PipelineInfo],
    request: Request,
    progress: Progress,
    load: ModelLoader | None,
) -> None:
    """Run a second pipeline on the scan of a case and say in the case how far they agree."""
    from KneeSegLib.assembly import assemble_case
    from KneeSegLib.pipelines.choice import choose_pipeline, create_pipeline
    from KneeSegLib.second_opinion import add_second_opinion, list_known_tissues

    info = choose_pipeline(request, case.volume)
    sides = {found.structure.side for found in case.structures}
    if info.modality != "CT" and request.side == "auto" and len(sides) == 1:
        # The first one decides the side of a knee that has none: another side would leave nothing to compare.
        request = replace(request, side=sides.pop())
    running, comparing = split_progress(progress, (9, 1))
    started = time.perf_counter()
    try:
        findings = create_pipeline(info, request, load).segment(case.volume, running)
        second: Case | str = assemble_case(case.volume, findings)
        title = second.provenance.get("model", {}).get("title", info.title)
    except AnatomyNotFoundError as error:
        second, title = str(error), info.title
    comparing(0.0, "Comparing the two opinions")
    known = list_known_tissues(first[1], first[0]) & list_known_tissues(info, request)
    add_second_opinion(case, second, title, known)
    case.provenance["timings"]["second opinion"] = time.perf_counter() - started
