"""Coarse networks: a 3D network applied to a volume of any size, in overlapping windows where it is long."""

from __future__ import annotations

from math import ceil
from typing import cast

import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers.inferer import SlidingWindowInferer
from monai.transforms.croppad.array import DivisiblePad

from KneeSegLib.bundles.model import Model
from KneeSegLib.inference.settings import WINDOW_OVERLAP, WINDOW_SIGMA, WINDOW_SLICES
from KneeSegLib.progress import Progress, no_progress


def predict_volume(
    model: Model, channels: torch.Tensor, progress: Progress = no_progress, message: str = ""
) -> torch.Tensor:
    """Return class probabilities ``(K, D, H, W)``, float32 on the processor.

    A window is as wide as the volume and at most ``WINDOW_SLICES`` long; overlapping ones fade into each other.

    Args:
        channels: ``(C, D, H, W)``; zero has to mean "nothing there". The volume is padded with it, at its ends alone:
            the same shape always gives the same prediction, wherever the volume was cropped.

    Raises:
        Cancelled: raised by ``progress`` between two windows.
    """
    depth, height, width = channels.shape[1:]
    padded = cast("MetaTensor", DivisiblePad(model.stride, method="end")(channels)).as_tensor()[None]
    window = (min(WINDOW_SLICES, padded.shape[2]), *padded.shape[3:])
    infer = SlidingWindowInferer(
        roi_size=window,
        overlap=WINDOW_OVERLAP,
        mode="gaussian",
        sigma_scale=WINDOW_SIGMA,
        sw_device=model.device.torch_name,
        device="cpu",
    )
    step = int(window[0] * (1.0 - WINDOW_OVERLAP))
    count = ceil((padded.shape[2] - window[0]) / step) + 1
    done = 0

    def predict(windows: torch.Tensor) -> torch.Tensor:
        nonlocal done
        progress(min(done / count, 1.0), message)
        done += 1
        return model.network(windows).softmax(dim=1).float()

    probabilities = cast("torch.Tensor", infer(padded, predict))
    progress(1.0, message)
    return probabilities[0, :, :depth, :height, :width]
