"""Networks with their weights and all there is to know about them: MONAI bundles, found, verified and loaded.

    >>> from KneeSegLib.bundles import find_bundle, list_bundles
    >>> network = find_bundle("ct-knee").network("cpu")            # doctest: +SKIP

One bundle is a folder::

    ct-knee/configs/metadata.json       what MONAI asks for, and the section "kneeseg" with what KneeSeg needs
            configs/inference.json      for `python -m monai.bundle run`
            models/model.safetensors    weights, half precision; no pickle anywhere
            docs/README.md, docs/data_license.txt, LICENSE
"""

from __future__ import annotations

from KneeSegLib.bundles.amending import amend_bundle
from KneeSegLib.bundles.bundle import Bundle, find_bundle, list_bundles
from KneeSegLib.bundles.model import Model, load_model
from KneeSegLib.bundles.spec import ModelSpec, PatchSpec
from KneeSegLib.bundles.writing import write_bundle

__all__ = [
    "Bundle",
    "Model",
    "ModelSpec",
    "PatchSpec",
    "amend_bundle",
    "find_bundle",
    "list_bundles",
    "load_model",
    "write_bundle",
]
