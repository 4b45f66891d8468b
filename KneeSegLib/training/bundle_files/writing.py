"""Write a bundle: weights, metadata, and what a reader of the folder needs to know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.bundles.bundle import METADATA, WEIGHTS, Bundle
from KneeSegLib.io.writing import write_folder
from KneeSegLib.training.bundle_files.documents import (
    DATA_LICENSE,
    LICENSE,
    LICENSE_FILE,
    README,
    as_json,
    data_license,
    readme,
    write_text,
)
from KneeSegLib.training.bundle_files.metadata import check_facts, complete_metadata

if TYPE_CHECKING:
    import torch


def write_bundle(
    folder: str | Path,
    network: torch.nn.Module,
    network_config: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    metadata: Mapping[str, Any],
) -> Bundle:
    """Write the bundle ``folder``, whose name is the bundle's, and return it verified; an existing one is replaced.

    Args:
        folder: for example ``Resources/Models/ct-knee``.
        network: what ``network_config`` builds.
        network_config: ``{"_target_": "KneeSegLib.networks.SliceUNet", "in_channels": ..., "out_channels": ..., ...}``.
        state: the weights to ship (the network's own or averaged ones).
        metadata: ``name``, ``kind`` (``slices``, ``localiser``, ``naming`` or ``patches``), ``channels`` (a table; for
            slices with ``neighbour_offsets_mm``), ``spacing_mm`` (x, y, z), ``classes`` (names, background first),
            ``recipe``, ``training_statement``, ``sources`` (each with ``name``, ``licence``, ``use``), ``figures``; if
            wanted ``version``, ``description`` and whatever else the pipeline has to know. JSON values only.

    Raises:
        ValueError: metadata, network and weights do not fit each other.
        OutputError: the folder cannot be written; an earlier bundle is untouched then.
    """
    from KneeSegLib.bundles.weights import state_as_bytes

    folder = Path(folder).resolve()
    network_config = dict(network_config)
    check_facts(metadata, folder.name, network_config)
    _check_network(network, network_config, state)
    weights = state_as_bytes(state)
    described = complete_metadata(
        metadata, network_config, hashlib.sha256(weights).hexdigest(), _spatial_shape(network, state)
    )
    with write_folder(folder, overwrite=True) as partial:
        for name in ("configs", "models", "docs"):
            (partial / name).mkdir()
        (partial / WEIGHTS).write_bytes(weights)
        write_text(partial / METADATA, as_json(described))
        write_text(partial / README, readme(described))
        write_text(partial / DATA_LICENSE, data_license(described))
        write_text(partial / LICENSE_FILE, LICENSE)
    bundle = Bundle(folder)
    bundle.network()
    return bundle


def _check_network(network: torch.nn.Module, config: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    from KneeSegLib.bundles.weights import network_from

    built = {name: tuple(tensor.shape) for name, tensor in network_from(config).state_dict().items()}
    for given, what in ((network.state_dict(), "network"), (state, "state")):
        if {name: tuple(tensor.shape) for name, tensor in given.items()} != built:
            raise ValueError(f"The {what} has other parameters than the network that {dict(config)} builds.")


def _spatial_shape(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> list[str]:
    """Sizes that a network takes, in MONAI's notation: the one size, multiples of its stride, or any."""
    from torch.nn import MaxPool3d

    halvings = sum(isinstance(module, MaxPool3d) for module in network.modules())  # of MONAI's own networks
    stride, only_size = int(getattr(network, "stride", 2**halvings)), getattr(network, "input_size", None)
    size = str(only_size) if only_size else f"{stride}*n" if stride > 1 else "*"
    return [size] * (max(tensor.dim() for tensor in state.values()) - 2)
