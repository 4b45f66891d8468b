"""Which pipeline a volume goes through, and whether it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KneeSegLib.errors import InputError
from KneeSegLib.io.intensities import guess_modality, looks_like_hounsfield
from KneeSegLib.io.volume import Volume, check_ct, check_mr
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import AUTO, FEMUR_VNET_BUNDLE, NNUNET, PIPELINES, PipelineInfo

if TYPE_CHECKING:
    from KneeSegLib.pipelines.pipeline import Pipeline


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


def create_pipeline(info: PipelineInfo, request: Request) -> Pipeline:
    """Return what runs a pipeline; imports torch."""
    if info.name == NNUNET:
        from KneeSegLib.pipelines.nnunet import Nnunet

        return Nnunet(info, request)
    if info.modality == "MR":
        from KneeSegLib.pipelines.mr_knee import MrKnee

        return MrKnee(info, request)
    if FEMUR_VNET_BUNDLE in info.bundles:
        from KneeSegLib.pipelines.ct_femur_vnet import CtFemurVnet

        return CtFemurVnet(info, request)
    from KneeSegLib.pipelines.ct_leg import CtLeg

    return CtLeg(info, request)


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
