"""From an image to a case: the one function for everyone. Importing this loads no torch."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.pipelines.request import Request, require_device
from KneeSegLib.pipelines.table import AUTO
from KneeSegLib.progress import Progress, no_progress, split_progress

if TYPE_CHECKING:
    import SimpleITK as sitk

    from KneeSegLib.case import Case


def segment(
    input: str | Path | sitk.Image, pipeline: str = AUTO, progress: Progress = no_progress, **options: Any
) -> Case:
    """Segment bones, and in MR of the knee cartilages and menisci.

    Args:
        input: folder of DICOM slices, image file (DICOM, NRRD, NIfTI, MetaImage) or image.
        pipeline: a key of :data:`KneeSegLib.pipelines.table.PIPELINES`.
        progress: told how far the work is; may raise ``Cancelled``.
        options: ``side``, ``quality``, ``device``, ``series``, ``modality``, ``stop_after``: see
            :class:`KneeSegLib.pipelines.request.Request`.

    Raises:
        InputError: the image or an option cannot be used.
        AnatomyNotFoundError: the image does not show what was asked for.
        ModelError: weights are missing or damaged.
        ResourceError: not enough memory, or no such device.
        Cancelled: raised by ``progress``.
    """
    request = Request(pipeline=pipeline, **options)
    require_device(request.device)
    from KneeSegLib.io.volume import read_volume
    from KneeSegLib.pipelines.choice import choose_pipeline, create_pipeline

    reading, running, finishing = split_progress(progress, (5, 90, 5))
    reading(0.0, "Reading the image")
    started = time.perf_counter()
    volume = read_volume(input, request.series, request.known_modality, request.presumed_modality)
    seconds = {"read": time.perf_counter() - started}
    info = choose_pipeline(request, volume)
    if volume.modality is None and request.pipeline == AUTO:
        open_question = f"Nothing says whether '{volume.source}' is a CT or an MR; it was taken for a {info.modality}."
        volume = replace(volume, notes=(*volume.notes, f"{open_question} If it is an MR, choose --pipeline mr-knee."))
    # torch and MONAI take seconds to import: not before the image is known to be fit.
    findings = create_pipeline(info, request).segment(volume, running)
    from KneeSegLib.assembly import add_cartilage, assemble_case

    started = time.perf_counter()
    finishing(0.0, "Putting the labels on the image's grid")
    case = assemble_case(volume, findings)
    assembled = time.perf_counter()
    finishing(0.3, "Surfaces and cartilage thickness")
    add_cartilage(case)
    seconds_after = {"assemble": assembled - started, "cartilage": time.perf_counter() - assembled}
    case.provenance["timings"] = {**seconds, **case.provenance["timings"], **seconds_after}
    case.provenance["options"] |= {
        "pipeline": request.pipeline,
        "series": request.series,
        "modality": request.modality,
    }
    finishing(1.0, "Segmented")
    return case
