"""From an image to labels: one function for everyone, one file per way. Importing this loads no torch."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, cast

from KneeSegLib.errors import InputError
from KneeSegLib.pipelines.table import (
    AUTO,
    DEVICE_CHOICES,
    DEVICES_EVERYWHERE,
    MODALITY_CHOICES,
    PIPELINES,
    QUALITIES,
    SIDE_CHOICES,
    STAGES,
    Pipeline,
    Quality,
)
from KneeSegLib.progress import Progress, no_progress, parts

if TYPE_CHECKING:
    import SimpleITK as sitk

    from KneeSegLib.case import Case
    from KneeSegLib.io.intensities import Modality
    from KneeSegLib.io.volume import Volume
    from KneeSegLib.pipelines.ct_leg import CtLeg
    from KneeSegLib.pipelines.mr_knee import MrKnee

__all__ = [
    "AUTO",
    "DEVICE_CHOICES",
    "MODALITY_CHOICES",
    "PIPELINES",
    "QUALITIES",
    "SIDE_CHOICES",
    "STAGES",
    "Pipeline",
    "Quality",
    "require_device",
    "segment",
]


def segment(
    input: str | Path | sitk.Image,
    pipeline: str = AUTO,
    side: str = "auto",
    quality: str = "standard",
    device: str = "auto",
    series: str | None = None,
    modality: str = "auto",
    stop_after: str = STAGES[-1],
    progress: Progress = no_progress,
) -> Case:
    """Segment bones, and in MR of the knee cartilages and menisci, by one of :data:`PIPELINES`.

    Args:
        input: folder of DICOM slices, image file (DICOM, NRRD, NIfTI, MetaImage) or image.
        pipeline: a key of :data:`PIPELINES`.
        side: ``"right"`` or ``"left"`` for one leg, ``"both"`` to insist on two, ``"auto"`` for whatever is there.
        quality: a key of :data:`QUALITIES`.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` or ``"auto"``.
        series: which series of a DICOM folder, see :func:`KneeSegLib.io.volume.read_volume`.
        modality: ``"CT"`` or ``"MR"`` for an image whose file does not say it; ``"auto"`` reads it from DICOM, or
            recognises a CT by its values.
        stop_after: a stage of the MR pipeline, one of :data:`STAGES`, to look at what it comes to without those after
            it.
        progress: told how far the work is; may raise ``Cancelled``.

    Raises:
        InputError: the image or an option cannot be used.
        AnatomyNotFoundError: the image does not show what was asked for.
        ModelError: weights are missing or damaged.
        ResourceError: not enough memory, or no such device.
        Cancelled: raised by ``progress``.
    """
    _check_choice("pipeline", pipeline, PIPELINES)
    _check_choice("side", side, SIDE_CHOICES)
    _check_choice("quality", quality, QUALITIES)
    _check_choice("modality", modality, MODALITY_CHOICES)
    _check_choice("stage", stop_after, STAGES)
    require_device(device)
    from KneeSegLib.io.volume import read_volume

    reading, working = parts(progress, (5, 95))
    reading(0.0, "Reading the image")
    started = time.perf_counter()
    volume = read_volume(input, series, None if modality == "auto" else cast("Modality", modality))
    seconds = time.perf_counter() - started
    chosen = _fitting(PIPELINES[pipeline], volume)
    case = _runner(chosen, side, quality, stop_after, device).segment(volume, working)
    case.provenance["options"] |= {"pipeline": pipeline, "series": series, "modality": modality}
    case.provenance["timings"] = {"reading": seconds, **case.provenance["timings"]}
    return case


def require_device(device: str) -> None:
    """Raise unless networks can run on ``device``; torch, which knows, is asked only where the answer may be no.

    Raises:
        InputError: nothing is called that.
        ResourceError: this machine has no such device.
    """
    _check_choice("device", device, DEVICE_CHOICES)
    if device in DEVICES_EVERYWHERE:
        return
    from KneeSegLib.networks.device import find_device

    find_device(device)


def _check_choice(what: str, given: str, choices: Collection[str]) -> None:
    if given not in choices:
        raise InputError(f"There is no {what} {given!r}; choose one of {', '.join(choices)}.")


def _runner(pipeline: Pipeline, side: str, quality: str, stop_after: str, device: str) -> CtLeg | MrKnee:
    """What runs a pipeline. It brings torch, which takes seconds: not before the image is known to be fit."""
    if pipeline.modality == "MR":
        from KneeSegLib.pipelines.mr_knee import MrKnee

        return MrKnee(pipeline, side, stop_after, device)
    from KneeSegLib.pipelines.ct_leg import CtLeg

    return CtLeg(pipeline, side, QUALITIES[quality], device)


def _fitting(pipeline: Pipeline, volume: Volume) -> Pipeline:
    """Return the pipeline that ``volume`` goes through, once it is sure that it can.

    Raises:
        InputError: as :func:`KneeSegLib.io.volume.check_ct` or :func:`KneeSegLib.io.volume.check_mr`.
    """
    from KneeSegLib.io.volume import check_ct, check_mr

    if pipeline.name == AUTO:
        if volume.modality is None:
            return _fitting_unknown(volume)
        pipeline = PIPELINES["mr-knee" if volume.modality == "MR" else "ct-leg"]
    if pipeline.modality == "MR":
        check_mr(volume)
    else:
        check_ct(volume)
    return pipeline


def _fitting_unknown(volume: Volume) -> Pipeline:
    """The CT pipeline, for an image that does not say what it is; what looks like no CT is not tried as anything else.

    Raises:
        InputError: too small or without content, or its values cannot be a CT's.
    """
    from KneeSegLib.io.volume import check_ct, check_mr

    check_mr(volume)  # asks for nothing that does not hold for a CT as well
    try:
        check_ct(volume)
    except InputError:
        raise InputError(
            f"It cannot be told whether '{volume.source}' is a CT or an MR; for an MR of the knee choose "
            "--pipeline mr-knee, for a CT choose --pipeline ct-leg."
        ) from None
    return PIPELINES["ct-leg"]
