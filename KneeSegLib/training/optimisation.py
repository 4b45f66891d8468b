"""What a training step does beside its gradient: learning rate, average of the weights, precision."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from KneeSegLib.training.settings import FINAL_LEARNING_RATE, WARM_UP


def compute_learning_rate_factor(step: int, steps: int, schedule: str = "cosine") -> float:
    """Return the factor of the learning rate: a linear rise, then half a cosine down to what is left at the end.

    Args:
        schedule: ``"cosine"``, or ``"constant"`` for 1 at every step.
    """
    if schedule == "constant":
        return 1.0
    rise = max(1, int(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    fall = 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
    return FINAL_LEARNING_RATE + (1.0 - FINAL_LEARNING_RATE) * fall


def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the exponential moving average of weights and statistics towards the network's.

    Args:
        average: of the same layers; changed in place.
        decay: what is kept of it, later on; in early steps less is, so that the first weights are soon forgotten.
        step: that was just taken, from 0.
    """
    kept = min(decay, (1.0 + step) / (10.0 + step))
    means, values = (list(module.state_dict().values()) for module in (average, network))
    floating = [place for place, mean in enumerate(means) if mean.dtype.is_floating_point]
    update = get_ema_multi_avg_fn(kept)
    update([means[i] for i in floating], [values[i] for i in floating], step)


def is_mixed_precision_faster(device: torch.device, planar: bool, compiled: bool) -> bool:
    """Return whether bfloat16 saves time: on GPUs, and on processors that compute with it themselves.

    There 3D convolutions take 0.6 of the time with it; 2D ones (``planar``) gain only once compiled.
    """
    return device.type == "cuda" or (_cpu_has_bfloat16() and (compiled or not planar))


def _cpu_has_bfloat16() -> bool:
    """True where the processor computes with bfloat16 itself (AVX-512 BF16); older torch cannot say and gets False."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
