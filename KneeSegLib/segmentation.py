"""From an image to a case: the one function for everyone. Importing this loads no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.bundles.own import list_own_bundles
from KneeSegLib.pipelines.request import Request, require_device
from KneeSegLib.pipelines.table import AUTO
from KneeSegLib.progress import Progress, no_progress, split_progress

if TYPE_CHECKING:
    import SimpleITK as sitk

    from KneeSegLib.case import Case
    from KneeSegLib.io.volume import Volume
    from KneeSegLib.pipelines.pipeline import ModelLoader


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
    other = _request_opinion(second_opinion, request, mapping)
    reading, running = split_progress(progress, (5, 95))
    reading(0.0, "Reading the image")
    started = time.perf_counter()
    volumes = _read(input, request)
    seconds = time.perf_counter() - started
    case = _segment(volumes, request, other, load, running)
    case.provenance["timings"] = {"read": seconds, **case.provenance["timings"]}
    progress(1.0, "Segmented")
    return case


def _request_opinion(second_opinion: str | None, request: Request, mapping: str | None) -> Request | None:
    if second_opinion is None:
        return None
    from KneeSegLib.second_opinion import request_second_opinion

    return request_second_opinion(second_opinion, request, mapping)


def _read(input: str | Path | sitk.Image, request: Request) -> list[Volume]:
    from KneeSegLib.io.volume import read_scans

    return read_scans(
        input,
        request.series,
        request.known_modality,
        request.presumed_modality,
        request.stated_geometry,
        request.keep_description,
    )


def _segment(
    volumes: Sequence[Volume], request: Request, other: Request | None, load: ModelLoader | None, progress: Progress
) -> Case:
    from KneeSegLib.block_runs import prepare_blocks, segment_blocks
    from KneeSegLib.scan_run import ScanRun

    if len(volumes) == 1:
        return ScanRun(volumes[0], request, other, load).segment(progress)
    runs, failures = prepare_blocks(volumes, request, other, load)
    return segment_blocks(runs, failures, progress)
