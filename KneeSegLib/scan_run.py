"""One scan, from a volume to a case: which pipeline works on it, its run, and a second opinion."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from KneeSegLib.errors import AnatomyNotFoundError
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import AUTO
from KneeSegLib.progress import Progress, split_progress

if TYPE_CHECKING:
    from KneeSegLib.anatomy import Side
    from KneeSegLib.case import Case
    from KneeSegLib.io.volume import Volume
    from KneeSegLib.pipelines.pipeline import ModelLoader
    from KneeSegLib.pipelines.table import PipelineInfo


class ScanRun:
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
        case = run_pipeline(request, self.info, self.volume, running, self.load)
        if other is not None:
            same_networks = other.models == request.models
            add_opinion(case, (request, self.info), other, asking, self.load if same_networks else None)
        return case


def run_pipeline(
    request: Request, info: PipelineInfo, volume: Volume, progress: Progress, load: ModelLoader | None
) -> Case:
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


def add_opinion(
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
