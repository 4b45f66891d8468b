"""Which classes the plans of an nnU-Net model may name. Plans are text, and nnunetv2 imports what they name."""

from __future__ import annotations

from typing import Any

from KneeSegLib.errors import ModelError

_UNETS = "dynamic_network_architectures.architectures"
_BLOCKS = "dynamic_network_architectures.building_blocks.residual"

NETWORKS = frozenset(
    {
        f"{_UNETS}.unet.PlainConvUNet",
        f"{_UNETS}.unet.ResidualEncoderUNet",
        f"{_UNETS}.unet.ResidualUNet",
        f"{_UNETS}.residual_unet.ResidualEncoderUNet",
    }
)
"""What nnU-Net plans by itself: plain U-Nets and those with residual encoders."""

LAYERS = frozenset(
    {
        *(f"torch.nn.modules.conv.Conv{d}d" for d in (2, 3)),
        *(f"torch.nn.modules.instancenorm.InstanceNorm{d}d" for d in (2, 3)),
        *(f"torch.nn.modules.batchnorm.BatchNorm{d}d" for d in (2, 3)),
        *(f"torch.nn.modules.dropout.Dropout{d}d" for d in (2, 3)),
        *(f"torch.nn.{name}{d}d" for name in ("Conv", "InstanceNorm", "BatchNorm", "Dropout") for d in (2, 3)),
        *(f"torch.nn.{prefix}{name}" for prefix in ("", "modules.activation.") for name in ("LeakyReLU", "ReLU")),
        f"{_BLOCKS}.BasicBlockD",
        f"{_BLOCKS}.BottleneckD",
    }
)
"""What these networks are built of."""

NAMED: dict[str, frozenset[str]] = {
    "preprocessor_name": frozenset({"DefaultPreprocessor"}),
    "resampling_fn_data": frozenset({"resample_data_or_seg_to_shape", "resample_torch_fornnunet"}),
    "resampling_fn_seg": frozenset({"resample_data_or_seg_to_shape", "resample_torch_fornnunet"}),
    "resampling_fn_probabilities": frozenset({"resample_data_or_seg_to_shape", "resample_torch_fornnunet"}),
}
"""What a configuration may name elsewhere, by field."""

NORMALIZATIONS = frozenset(
    {"CTNormalization", "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization", "RGBTo01Normalization"}
)


def check_plans(plans: dict[str, Any], title: str) -> None:
    """Raise ``ModelError`` where plans name a class or function that nnU-Net does not plan by itself.

    Args:
        plans: content of ``plans.json``; every configuration is looked at, since they inherit from each other.
        title: of the model, for the sentence.
    """
    _require(str(plans.get("label_manager", "LabelManager")), frozenset({"LabelManager"}), title)
    for configuration in plans.get("configurations", {}).values():
        for field, known in NAMED.items():
            if field in configuration:
                _require(str(configuration[field]), known, title)
        for name in configuration.get("normalization_schemes", ()):
            _require(str(name), NORMALIZATIONS, title)
        architecture = configuration.get("architecture")
        if architecture is None:
            if "UNet_class_name" in configuration:
                _require(
                    str(configuration["UNet_class_name"]), frozenset({"PlainConvUNet", "ResidualEncoderUNet"}), title
                )
            continue
        _require(str(architecture.get("network_class_name")), NETWORKS, title)
        arguments = architecture.get("arch_kwargs", {})
        for name in architecture.get("_kw_requires_import", ()):
            if arguments.get(name) is not None:
                _require(str(arguments[name]), LAYERS, title)


def _require(name: str, known: frozenset[str], title: str) -> None:
    if name not in known:
        raise ModelError(
            f"The plans of {title} name {name}, which nnU-Net does not plan by itself; nothing of it was imported. If "
            "you know where the model is from, give --trust-checkpoint."
        )
