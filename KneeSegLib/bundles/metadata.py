"""What ``metadata.json`` of a bundle says: MONAI's entries (bundle specification) and our section ``kneeseg``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from KneeSegLib.bundles.kinds import KINDS, SIGNAL, VOLUME_INPUTS

FACTS = "kneeseg"

REQUIRED = ("version", FACTS)
"""What KneeSeg itself reads; what MONAI's bundle specification asks for besides is only written."""

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

TRAINING_SECONDS = "training_seconds"
"""How long a training took, wall time; bundles that were trained before it was recorded lack it."""

REQUIRED_FACTS = (*GIVEN_FACTS, "network", "sha256")


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
    if "volume" in facts:
        return [VOLUME_INPUTS[facts["volume"]["input"]]]
    if facts.get("input") == "signal":
        return [SIGNAL]
    offsets_mm = facts["channels"].get("neighbour_offsets_mm", ())
    own = KINDS[facts["kind"]].channels
    return [*own, *(f"{own[0]} of the slice at {offset:+g} mm" for offset in offsets_mm)]
