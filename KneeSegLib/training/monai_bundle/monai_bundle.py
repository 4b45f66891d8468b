"""Write a standard MONAI bundle: a folder that ``python -m monai.bundle run`` takes from NIfTI files to label maps.

KneeSeg's own bundles hold safetensors and are read by KneeSeg alone. What is written here holds the same weights as
MONAI reads them, and every step around the network in components of MONAI, torch and ignite.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from KneeSegLib.bundles import Bundle, list_bundles
from KneeSegLib.bundles.bundle import METADATA
from KneeSegLib.bundles.kinds import KINDS
from KneeSegLib.errors import InputError
from KneeSegLib.io.writing import write_folder
from KneeSegLib.networks.ready import ready_for_inference
from KneeSegLib.training.bundle_files.documents import DATA_LICENSE, LICENSE_FILE, README, as_json, write_text
from KneeSegLib.training.bundle_files.metadata import describe_without_kneeseg
from KneeSegLib.training.monai_bundle.readme import bundle_readme
from KneeSegLib.training.monai_bundle.settings import PACKAGES
from KneeSegLib.training.monai_bundle.workflow import inference_workflow

INFERENCE = Path("configs", "inference.json")
STATE = Path("models", "model.pt")
TORCHSCRIPT = Path("models", "model.ts")


def export_monai_bundle(bundle: Bundle, folder: str | Path, overwrite: bool = False) -> Path:
    """Write a network that labels images by itself as the MONAI bundle ``folder``, and return the folder.

    Raises:
        InputError: the network is a step of a pipeline and cannot make a label map from an image by itself.
        ModelError: the bundle is damaged.
        OutputError: the folder exists and ``overwrite`` is false, or it cannot be written; nothing is left behind.
    """
    _require_label_maps(bundle)
    folder = Path(folder).resolve()
    with write_folder(folder, overwrite) as partial:
        for name in ("configs", "models", "docs"):
            (partial / name).mkdir()
        network = bundle.network()
        entries = _write_weights(network, bundle.network_config, len(bundle.spec.channels), partial)
        workflow = inference_workflow(bundle.spec, int(getattr(network, "stride", 1)), entries)
        write_text(partial / INFERENCE, as_json(workflow))
        write_text(partial / METADATA, as_json(describe_without_kneeseg(bundle.metadata, PACKAGES)))
        write_text(partial / README, bundle_readme(bundle.spec))
        for name in (DATA_LICENSE, LICENSE_FILE):
            shutil.copyfile(bundle.path / name, partial / name)
    return folder


def _require_label_maps(bundle: Bundle) -> None:
    step = KINDS[bundle.spec.kind].step
    if step:
        able = ", ".join(other.name for other in list_bundles() if not KINDS[other.spec.kind].step)
        raise InputError(
            f"The model {bundle.name} is a step of KneeSeg's pipelines: it {step}, and makes no label map from an "
            f"image by itself. Export one of those that do: {able}."
        )


def _write_weights(network: torch.nn.Module, config: Mapping[str, Any], channels: int, folder: Path) -> dict[str, Any]:
    """Write the weights and return the entries of ``inference.json`` that load them."""
    if str(config["_target_"]).startswith("monai."):
        torch.save(network.state_dict(), folder / STATE)
        loaded = f"torch.load(@bundle_root + '/{STATE.as_posix()}', map_location=@device, weights_only=True)"
        return {"network_def": dict(config), "initialize": [f"$@network_def.load_state_dict({loaded})"]}
    with warnings.catch_warnings():  # TorchScript is deprecated, and the one format that MONAI runs without a class
        warnings.simplefilter("ignore", DeprecationWarning)
        size = 2 * int(getattr(network, "stride", 1))
        traced = torch.jit.trace(ready_for_inference(network, "cpu"), torch.zeros(1, channels, size, size))
        torch.jit.save(traced, folder / TORCHSCRIPT)
    file = f"$@bundle_root + '/{TORCHSCRIPT.as_posix()}'"
    return {"network_def": {"_target_": "torch.jit.load", "f": file, "map_location": "@device"}}
