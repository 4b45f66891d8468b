"""Label tables as a user types them, as label mappings."""

from __future__ import annotations

from collections.abc import Mapping

from KneeSegLib.anatomy import Structure
from KneeSegLib.io.label_mapping import LabelMapping, Target


def as_mapping(table: Mapping[int, Structure]) -> LabelMapping:
    """Return the mapping that says the same as a table of label values, such as ``--labels "5=femur_right"``."""
    return LabelMapping("--labels", {value: Target(entry.tissue.key, entry.side) for value, entry in table.items()})
