"""Which networks a bundle may ask for, and by which arguments: numbers within bounds and words of closed sets.

The classes build layers and do nothing else. Some of MONAI's others download weights from an address among their
arguments; none of those is here, and no argument here can hold an address.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from KneeSegLib.errors import ModelError
from KneeSegLib.plain_text import shorten

_MOST_CHANNELS, _MOST_LEVELS, _LARGEST_KERNEL = 4096, 16, 32
_WORDS = frozenset(
    ["relu", "leakyrelu", "prelu", "elu", "gelu", "swish", "mish", "sigmoid", "tanh", "softmax"]
    + ["instance", "batch", "group", "layer", "localresponse", "syncbatch"]
    + ["deconv", "nontrainable", "pixelshuffle", "deconvgroup", "default", "interp"]
    + ["linear", "bilinear", "trilinear", "nearest", "bicubic"]
)
"""Activations, norms and ways of up-sampling, as MONAI names them, in any case."""

_OPTIONS = frozenset(["inplace", "affine", "negative_slope", "eps", "momentum", "num_groups", "init", "alpha", "p"])
"""Of an activation, norm or dropout."""

Check = Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_CHANNELS


def _is_small(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_KERNEL


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= _MOST_CHANNELS


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.lower() in _WORDS


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, (list, tuple)) and len(value) <= _MOST_LEVELS and all(map(check, value))


def _any_of(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and key in _OPTIONS and _is_number(entry) for key, entry in value.items()
    )


def _is_layer(value: Any) -> bool:
    """``"relu"``, ``["relu", {"inplace": true}]``: a kind of layer and its options."""
    if _is_word(value):
        return True
    return isinstance(value, (list, tuple)) and len(value) == 2 and _is_word(value[0]) and _is_table(value[1])


_is_dropout = _any_of(lambda value: value is None, _is_number)
_is_kernel = _any_of(_is_small, _list_of(_any_of(_is_small, _list_of(_is_small))))
_OURS: dict[str, Check] = {"in_channels": _is_count, "out_channels": _is_count, "widths": _list_of(_is_count)}
_MONAI: dict[str, Check] = {
    "spatial_dims": lambda value: value in (2, 3),
    "in_channels": _is_count,
    "out_channels": _is_count,
    "act": _is_layer,
    "norm": _is_layer,
    "bias": _is_flag,
    "dropout": _is_dropout,
}

SIGNATURES: Mapping[str, Mapping[str, Check]] = MappingProxyType(
    {
        "KneeSegLib.networks.SliceUNet": _OURS,
        "KneeSegLib.networks.CoarseUNet3D": _OURS,
        "KneeSegLib.networks.VNet": {**_OURS, "act": _is_layer, "dropout": _is_dropout},
        "KneeSegLib.networks.ResNetUNet": {**_OURS, "stem_width": _is_count},
        "KneeSegLib.networks.ShapeRegressor": {
            "in_channels": _is_count,
            "modes": _is_count,
            "shapes": _is_small,
            "widths": _list_of(_is_count),
        },
        "monai.networks.nets.BasicUNet": {**_MONAI, "features": _list_of(_is_count), "upsample": _is_word},
        "monai.networks.nets.UNet": {
            **_MONAI,
            "channels": _list_of(_is_count),
            "strides": _is_kernel,
            "kernel_size": _is_kernel,
            "up_kernel_size": _is_kernel,
            "num_res_units": _is_small,
            "adn_ordering": lambda value: isinstance(value, str) and 0 < len(value) <= 3 and set(value) <= set("ADN"),
        },
        "monai.networks.nets.VNet": {
            **{key: check for key, check in _MONAI.items() if key not in ("norm", "dropout")},
            "dropout_prob": _is_dropout,
            "dropout_prob_down": _is_dropout,
            "dropout_prob_up": _any_of(_is_dropout, _list_of(_is_number)),
            "dropout_dim": _is_small,
        },
        "monai.networks.nets.SegResNet": {
            **{key: check for key, check in _MONAI.items() if key not in ("bias", "dropout")},
            "init_filters": _is_count,
            "dropout_prob": _is_dropout,
            "use_conv_final": _is_flag,
            "blocks_down": _list_of(_is_small),
            "blocks_up": _list_of(_is_small),
            "upsample_mode": _is_word,
        },
        "monai.networks.nets.DynUNet": {
            **{key: check for key, check in _MONAI.items() if key not in ("act", "norm", "bias")},
            "kernel_size": _is_kernel,
            "strides": _is_kernel,
            "upsample_kernel_size": _is_kernel,
            "filters": _list_of(_is_count),
            "norm_name": _is_layer,
            "act_name": _is_layer,
            "deep_supervision": _is_flag,
            "deep_supr_num": _is_small,
            "res_block": _is_flag,
            "trans_bias": _is_flag,
        },
    }
)
"""Of each network its arguments, and what each may be."""


def require_known_network(config: Any) -> tuple[str, dict[str, Any]]:
    """Return the dotted name of a network and its arguments.

    Args:
        config: ``_target_`` is its class, the other entries are its arguments.

    Raises:
        ModelError: the class is none of :data:`SIGNATURES`, or an argument is none that it may have.
    """
    if not isinstance(config, Mapping):
        raise ModelError("A model does not say which network it is (no table of class and arguments); do not use it.")
    target = config.get("_target_")
    if not isinstance(target, str) or target not in SIGNATURES:
        raise ModelError(
            f"A model asks for the network {shorten(target)}, which is none of KneeSeg's or MONAI's that it may have; "
            "do not use it."
        )
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    signature = SIGNATURES[target]
    for key, value in arguments.items():
        if key not in signature:
            raise ModelError(
                f"A model gives the network {target} the argument {shorten(key)}, expected some of "
                f"{', '.join(signature)}; do not use it."
            )
        if not signature[key](value):
            raise ModelError(
                f"A model gives the network {target} {key} = {shorten(value)}, which is no number or word that it may "
                "be; do not use it."
            )
    return target, arguments
