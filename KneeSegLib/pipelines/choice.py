"""Which pipeline a volume goes through, and whether it can."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from KneeSegLib.errors import InputError
from KneeSegLib.io.intensities import guess_modality, looks_like_hounsfield
from KneeSegLib.io.volume import Volume, check_ct, check_mr
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import AUTO, FEMUR_VNET_BUNDLE, NNUNET, PIPELINES, SPECIAL_OPTIONS, PipelineInfo

if TYPE_CHECKING:
    from KneeSegLib.pipelines.pipeline import ModelLoader, Pipeline


def choose_pipeline(request: Request, volume: Volume) -> PipelineInfo:
    """Return the pipeline that ``volume`` goes through, once it is sure that it can.

    Raises:
        InputError: as :func:`KneeSegLib.io.volume.check_ct` or :func:`KneeSegLib.io.volume.check_mr`.
    """
    info = PIPELINES[request.pipeline]
    if info.name == AUTO:
        if volume.modality is None:
            return _try_ct(volume)
        info = PIPELINES["mr-knee" if volume.modality == "MR" else "ct-leg"]
    if (info.modality or request.presumed_modality) == "MR":
        check_mr(volume)
    else:
        check_ct(volume)
    return info


def create_pipeline(info: PipelineInfo, request: Request, load: ModelLoader | None = None) -> Pipeline:
    """Return what runs a pipeline, with networks from ``load``; imports torch.

    Raises:
        InputError: an option was given that this pipeline does not heed, or an edge that it cannot draw.
    """
    create = _pipeline_class(info)
    pipeline = create(info, request, load=load) if load is not None else create(info, request)
    for option in fields(Request):
        if option.name in SPECIAL_OPTIONS and option.name not in pipeline.options:
            given = getattr(request, option.name)
            if given != option.default:
                raise InputError(
                    f"{option.name.replace('_', ' ')} {given} was asked for, which the pipeline {info.name} does not "
                    f"know; leave it out, or choose {' or '.join(SPECIAL_OPTIONS[option.name])}."
                )
    _require_edge(info, request)
    return pipeline


def _require_edge(info: PipelineInfo, request: Request) -> None:
    if request.edge is not None and request.edge not in info.edges:
        can = f"choose {' or '.join(info.edges)}" if info.edges else "its model decides where bones end: leave it out"
        raise InputError(f"The edge {request.edge} was asked for, which the pipeline {info.name} does not draw; {can}.")


def _pipeline_class(info: PipelineInfo) -> type[Pipeline]:
    if info.name == NNUNET:
        from KneeSegLib.pipelines.nnunet import Nnunet

        return Nnunet
    if info.name == "mr-low-field":
        from KneeSegLib.pipelines.mr_low_field import MrLowField

        return MrLowField
    if info.modality == "MR":
        from KneeSegLib.pipelines.mr_knee import MrKnee

        return MrKnee
    if FEMUR_VNET_BUNDLE in info.bundles:
        from KneeSegLib.pipelines.ct_femur_vnet import CtFemurVnet

        return CtFemurVnet
    from KneeSegLib.pipelines.ct_leg import CtLeg

    return CtLeg


def _try_ct(volume: Volume) -> PipelineInfo:
    """The CT pipeline, for an image that does not say what it is; what looks like no CT is not tried as anything else.

    Raises:
        InputError: too small or without content, or its values cannot be a CT's.
    """
    check_mr(volume)  # asks for nothing that does not hold for a CT as well
    try:
        check_ct(volume)
        if looks_like_hounsfield(volume.image) and guess_modality(volume.image) is None:
            raise InputError("Its dark values are not those of air.")
    except InputError:
        raise InputError(
            f"It cannot be told whether '{volume.source}' is a CT or an MR; for an MR of the knee choose "
            "--pipeline mr-knee, for a CT choose --pipeline ct-leg."
        ) from None
    return PIPELINES["ct-leg"]
