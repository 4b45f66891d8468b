"""Write a bundle: weights, metadata, the configuration for MONAI, and what a reader of the folder needs to know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.bundles import documents
from KneeSegLib.bundles.bundle import INFERENCE, METADATA, WEIGHTS, Bundle
from KneeSegLib.bundles.metadata import check_facts, complete_metadata
from KneeSegLib.io.writing import write_folder

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
            wanted ``version``, ``task``, ``description`` and whatever else the pipeline has to know. JSON values only.

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
        metadata,
        network=network_config,
        sha256=hashlib.sha256(weights).hexdigest(),
        spatial_dimensions=max(tensor.dim() for tensor in state.values()) - 2,
        stride=int(getattr(network, "stride", 1)),
        input_size=getattr(network, "input_size", None),
    )
    with write_folder(folder, overwrite=True) as partial:
        for name in ("configs", "models", "docs"):
            (partial / name).mkdir()
        (partial / WEIGHTS).write_bytes(weights)
        _write(partial / METADATA, _json(described))
        _write(partial / INFERENCE, _json(documents.inference_config(network_config)))
        _write(partial / "docs" / "README.md", documents.readme(described))
        _write(partial / "docs" / "data_license.txt", documents.data_license(described))
        _write(partial / "LICENSE", documents.LICENSE)
    bundle = Bundle(folder)
    bundle.network()
    return bundle


def _check_network(network: torch.nn.Module, config: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    from KneeSegLib.bundles.weights import network_from

    built = {name: tuple(tensor.shape) for name, tensor in network_from(config).state_dict().items()}
    for given, what in ((network.state_dict(), "network"), (state, "state")):
        if {name: tuple(tensor.shape) for name, tensor in given.items()} != built:
            raise ValueError(f"The {what} has other parameters than the network that {dict(config)} builds.")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
