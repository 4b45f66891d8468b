"""Networks with their weights and all there is to know about them: MONAI bundles, found, verified and loaded.

    >>> from KneeSegLib.bundles import load_model
    >>> from KneeSegLib.networks.device import find_device
    >>> model = load_model("ct-knee", find_device("auto"))         # doctest: +SKIP

One bundle is a folder::

    ct-knee/configs/metadata.json       what MONAI asks for, and the section "kneeseg" with what KneeSeg needs
            models/model.safetensors    weights, half precision; no pickle anywhere
            docs/README.md, docs/data_license.txt, LICENSE

Nothing else in the folder is read, and nothing in it is executed: no ``model.pt``, no TorchScript, no
``inference.json``.
"""

from __future__ import annotations

from KneeSegLib.bundles.bundle import Bundle, find_bundle, list_bundles
from KneeSegLib.bundles.model import Model, load_model
from KneeSegLib.bundles.spec import ModelSpec, PatchSpec

__all__ = [
    "Bundle",
    "Model",
    "ModelSpec",
    "PatchSpec",
    "find_bundle",
    "list_bundles",
    "load_model",
]
