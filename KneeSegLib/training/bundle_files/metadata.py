"""What is written into the ``metadata.json`` of a bundle, and what is asked of the one who trained the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed_version
from typing import Any

from KneeSegLib import __version__
from KneeSegLib.bundles.kinds import KINDS
from KneeSegLib.bundles.metadata import FACTS, GIVEN_FACTS, channel_names
from KneeSegLib.networks.shape_layer import POSE_PARAMETERS


def check_facts(facts: Mapping[str, Any], name: str, network: Mapping[str, Any]) -> None:
    """Check what the trainer says about a network against what the network is.

    Raises:
        ValueError: an entry of :data:`GIVEN_FACTS` is missing, the bundle is called otherwise, channels or classes are
            not as many as the network's, the temperature is no positive number, or a source lacks its name, licence or
            use.
    """
    missing = [key for key in GIVEN_FACTS if key not in facts]
    if missing:
        raise ValueError(f"The metadata of a bundle needs {', '.join(GIVEN_FACTS)}; missing are {', '.join(missing)}.")
    if facts["name"] != name:
        raise ValueError(f"The folder is called {name} and the bundle {facts['name']}; they need one name.")
    if facts["kind"] not in KINDS:
        raise ValueError(f"A bundle is of a kind out of {', '.join(KINDS)}; this one is of kind {facts['kind']!r}.")
    if "out_channels" in network:
        outputs = network["out_channels"]
    else:
        outputs = network.get("shapes", 1) * (network["modes"] + POSE_PARAMETERS)
    for names, argument, count in (
        (channel_names(facts), "in_channels", network["in_channels"]),
        (facts["classes"], "out_channels", outputs),
    ):
        if len(names) != count:
            raise ValueError(f"The metadata name {', '.join(names)}, but {argument} of the network is {count}.")
    temperature = facts.get("temperature", 1.0)
    if not (isinstance(temperature, (int, float)) and 0.0 < temperature < math.inf):
        raise ValueError(f"A temperature is a positive number, not {temperature!r}.")
    for source in facts["sources"]:
        if not {"name", "licence", "use"} <= set(source):
            raise ValueError(f"A source needs name, licence and use; this one has {', '.join(source)}.")


def complete_metadata(
    facts: Mapping[str, Any], network: Mapping[str, Any], sha256: str, spatial_shape: Sequence[str]
) -> dict[str, Any]:
    """Return the content of ``metadata.json``.

    Args:
        facts: what :func:`check_facts` has passed; ``version`` and ``description`` become MONAI's entries, all others
            go to our section.
        network: class and arguments.
        sha256: of the weights.
        spatial_shape: of the input in MONAI's notation, for example ``("32*n", "32*n")``.
    """
    own = {key: value for key, value in facts.items() if key not in ("version", "description")}
    version = facts.get("version", __version__)
    return {
        "version": version,
        "changelog": {version: "Weights of this version."},
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {"kneeseglib": __version__, "safetensors": _installed("safetensors")},
        "name": facts["name"],
        "task": _task(facts),
        "description": facts.get("description", facts["training_statement"]),
        "intended_use": f"Research. {facts['training_statement']}",
        "authors": "KneeSeg contributors",
        "copyright": "Copyright (c) KneeSeg contributors",
        "data_source": "; ".join(source["name"] for source in facts["sources"]),
        "network_data_format": {
            "inputs": {"image": _input_format(facts, spatial_shape)},
            "outputs": {"pred": _output_format(facts, spatial_shape)},
        },
        FACTS: {**own, "network": dict(network), "sha256": sha256},
    }


def describe_without_kneeseg(metadata: Mapping[str, Any], packages: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a network that is to run without KneeSeg; ``packages`` and versions that it needs."""
    facts = {key: value for key, value in metadata[FACTS].items() if key != "network"}
    return {**metadata, "required_packages_version": dict(packages), FACTS: facts}


def _task(facts: Mapping[str, Any]) -> str:
    if KINDS[facts["kind"]].gives == "latent":
        return f"Fit of a shape model to the {facts['bone']}"
    return f"Segmentation of {', '.join(facts['classes'][1:])}"


def _input_format(facts: Mapping[str, Any], spatial_shape: Sequence[str]) -> dict[str, Any]:
    kind = KINDS[facts["kind"]]
    return {
        "type": "image",
        "format": "magnitude",
        "modality": kind.modality,
        **_tensor(channel_names(facts), spatial_shape, kind.value_range),
    }


def _output_format(facts: Mapping[str, Any], spatial_shape: Sequence[str]) -> dict[str, Any]:
    if KINDS[facts["kind"]].gives == "latent":
        return {"type": "tuples", "format": "latent", **_tensor(facts["classes"], (), ())}
    return {"type": "image", "format": "labels", **_tensor(facts["classes"], spatial_shape, ())}


def _tensor(channels: Sequence[str], spatial_shape: Sequence[str], value_range: Sequence[float]) -> dict[str, Any]:
    return {
        "num_channels": len(channels),
        "spatial_shape": list(spatial_shape),
        "dtype": "float32",
        "value_range": list(value_range),
        "is_patch_data": True,
        "channel_def": {str(position): str(name) for position, name in enumerate(channels)},
    }


def _installed(package: str) -> str:
    return installed_version(package).split("+")[0]
