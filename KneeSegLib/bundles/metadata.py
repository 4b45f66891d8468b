"""What ``metadata.json`` of a bundle says: MONAI's entries (bundle specification) and our section ``kneeseg``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from KneeSegLib import __version__
from KneeSegLib.anatomy import KNEE_MR_CLASSES

FACTS = "kneeseg"

POSE_PARAMETERS = 9
"""Of a shape network, beside the modes of the shape model; this module is read without torch."""

REQUIRED = (
    "version",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "required_packages_version",
    "task",
    "description",
    "authorship",
    "copyright",
    "network_data_format",
    FACTS,
)
GIVEN_FACTS = (
    "name",
    "kind",
    "channels",
    "spacing_mm",
    "classes",
    "recipe",
    "training_statement",
    "sources",
    "figures",
)
"""What only the one who trained the network can say."""

OPTIONAL_FACTS = ("temperature", "calibration")
"""Of slice networks: what logits are divided by before the softmax (1 where it is absent), and how that was found."""

REQUIRED_FACTS = (*GIVEN_FACTS, "network", "sha256")

CHANNELS = {
    "slices": ("HU / 1000", "bone window, 200 to 1900 HU", "Laplacian of the bone window"),
    "localiser": ("soft-tissue window, -300 to 300 HU", "bone window, 100 to 1300 HU"),
    "naming": ("bone mask",),
    "patches": ("bone window, 200 to 1900 HU", "soft-tissue window, -200 to 400 HU", "probability of the bone so far"),
    "mr-slices": ("signal as a share of its 99th percentile",),
    "mr-patches": (
        "signal as a share of its 99th percentile",
        *(f"probability of {name} so far" for name in KNEE_MR_CLASSES[1:]),
    ),
    "mr-shape": ("probability of the bone", "probability of the other bones"),
}


def missing_entries(metadata: Any) -> list[str]:
    """Return the names of the required entries that ``metadata`` lacks, those of our section as ``kneeseg.<name>``."""
    if not isinstance(metadata, dict):
        return list(REQUIRED)
    facts = metadata.get(FACTS)
    facts = facts if isinstance(facts, dict) else {}
    missing = [key for key in REQUIRED if key not in metadata]
    return missing + [f"{FACTS}.{key}" for key in REQUIRED_FACTS if key not in facts]


def channel_names(facts: Mapping[str, Any]) -> list[str]:
    """Return what each input channel is: those of the network's ``kind``, then one per neighbouring slice."""
    offsets_mm = facts["channels"].get("neighbour_offsets_mm", ())
    own = CHANNELS[facts["kind"]]
    return [*own, *(f"{own[0]} of the slice at {offset:+g} mm" for offset in offsets_mm)]


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
    if facts["kind"] not in CHANNELS:
        raise ValueError(f"A bundle is of a kind out of {', '.join(CHANNELS)}; this one is of kind {facts['kind']!r}.")
    outputs = network["out_channels"] if "out_channels" in network else network["modes"] + POSE_PARAMETERS
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
    facts: Mapping[str, Any],
    network: Mapping[str, Any],
    sha256: str,
    spatial_dimensions: int,
    stride: int,
    input_size: int | None = None,
) -> dict[str, Any]:
    """Return the content of ``metadata.json``.

    Args:
        facts: what :func:`check_facts` has passed; ``version``, ``task`` and ``description`` become MONAI's
            entries, all others go to our section.
        network: class and arguments.
        sha256: of the weights.
        spatial_dimensions: 2 for slices, 3 for volumes.
        stride: sizes of the input are multiples of it.
        input_size: the only size that the network takes, if it takes but one.
    """
    own = {key: value for key, value in facts.items() if key not in ("version", "task", "description")}
    size = str(input_size) if input_size else f"{stride}*n" if stride > 1 else "*"
    shape = [size] * spatial_dimensions
    return {
        "version": facts.get("version", __version__),
        "changelog": {facts.get("version", __version__): "Weights of this version."},
        "monai_version": _installed("monai", otherwise="1.3.0"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {"kneeseglib": __version__, "safetensors": _installed("safetensors")},
        "name": facts["name"],
        "task": facts.get("task", f"Segmentation of {', '.join(facts['classes'][1:])}"),
        "description": facts.get("description", facts["training_statement"]),
        "intended_use": f"Research. {facts['training_statement']}",
        "authorship": "KneeSeg contributors",
        "copyright": "Copyright (c) KneeSeg contributors",
        "data_source": "; ".join(source["name"] for source in facts["sources"]),
        "network_data_format": {
            "inputs": {"image": _data_format("image", "magnitude", channel_names(facts), shape)},
            "outputs": {"pred": _data_format("image", "segmentation", facts["classes"], shape)},
        },
        FACTS: {**own, "network": dict(network), "sha256": sha256},
    }


def _data_format(kind: str, content: str, channels: Sequence[str], shape: list[str]) -> dict[str, Any]:
    return {
        "type": kind,
        "format": content,
        "num_channels": len(channels),
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(position): str(name) for position, name in enumerate(channels)},
    }


def _installed(package: str, otherwise: str = "unknown") -> str:
    try:
        return version(package).split("+")[0]
    except PackageNotFoundError:
        return otherwise
