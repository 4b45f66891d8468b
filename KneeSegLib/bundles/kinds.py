"""The kinds of network that bundles hold, and what each takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from KneeSegLib.anatomy import KNEE_MR_CLASSES


@dataclass(frozen=True)
class Kind:
    """What all networks of a kind take and give.

    Attributes:
        channels: what each input channel holds, before those of neighbouring slices.
        modality: ``CT``, ``MR`` or ``n/a``, as MONAI writes it.
        value_range: least and largest value of the input.
        gives: ``labels``, a channel for each class, or ``latent``, the parameters of a shape.
        step: what the network does as a step of a pipeline; empty where it labels an image by itself.
    """

    channels: tuple[str, ...]
    modality: str
    value_range: tuple[float, float]
    gives: str = "labels"
    step: str = ""


VolumeInput = Literal["gradient", "image"]
VOLUME_INPUTS: Mapping[VolumeInput, str] = MappingProxyType(
    {
        "gradient": "gradient magnitude of the full CT, down-sampled, scaled to 0..1",
        "image": "CT, down-sampled, scaled to 0..1",
    }
)
"""What a network of kind ``ct-volume`` sees, by the ``input`` in its metadata, and what its channel holds."""

MrInput = Literal["probabilities", "signal"]
MR_INPUTS: tuple[MrInput, ...] = ("probabilities", "signal")
"""What networks of the kinds ``mr-shape`` and ``mr-patches`` see, by the ``input`` in their metadata: what the slices
predict (patches beside the signal), which is meant where nothing is said, or grey values alone, as published."""

BOTH_BONES = "both"
"""The ``bone`` of a shape network that fits :data:`SHAPE_BONES` at once, in the whole MR."""
SHAPE_BONES = ("femur", "tibia")
"""The bones that there are shape networks of, in the order of such a network's outputs."""

SIGNAL = "signal as a fraction of its 99th percentile"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "slices": Kind(
            channels=("HU / 1000", "bone window, 200 to 1900 HU", "Laplacian of the bone window"),
            modality="CT",
            value_range=(-4.0, 4.0),
        ),
        "localiser": Kind(
            channels=("soft-tissue window, -300 to 300 HU", "bone window, 100 to 1300 HU"),
            modality="CT",
            value_range=(0.0, 1.0),
            step="finds legs and joints on a coarse grid",
        ),
        "naming": Kind(
            channels=("bone mask",),
            modality="n/a",
            value_range=(0.0, 1.0),
            step="tells the bones of a mask apart that joint models predict",
        ),
        "patches": Kind(
            channels=(
                "bone window, 200 to 1900 HU",
                "soft-tissue window, -200 to 400 HU",
                "probability of the bone so far",
            ),
            modality="CT",
            value_range=(0.0, 1.0),
            step="refines the predicted probability of one bone in patches along its surface",
        ),
        "ct-volume": Kind(
            channels=("CT or its gradient magnitude",),
            modality="CT",
            value_range=(0.0, 1.0),
            step="labels the femur in its box, which is brought to a grid of one size",
        ),
        "mr-slices": Kind(channels=(SIGNAL,), modality="MR", value_range=(0.0, 2.0)),
        "mr-patches": Kind(
            channels=(SIGNAL, *(f"probability of {name} so far" for name in KNEE_MR_CLASSES[1:])),
            modality="MR",
            value_range=(0.0, 2.0),
            step="refines predicted probabilities in patches where cartilage is",
        ),
        "mr-shape": Kind(
            channels=("probability of the bone", "probability of the other bones"),
            modality="n/a",
            value_range=(0.0, 1.0),
            gives="latent",
            step="fits a shape model to the predicted bone in a crop",
        ),
        "mr-bone": Kind(
            channels=(SIGNAL,),
            modality="MR",
            value_range=(0.0, 2.0),
            step="tells bone from everything else, in each of three views",
        ),
    }
)
