"""What a label map holds, before it is said what its values stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from KneeSegLib.io.label_maps import OpenedLabelMap, open_label_map


@dataclass(frozen=True)
class LabelMapContents:
    """The values of a label map (``values``, without 0), and what its file calls them where it does (``names``)."""

    values: tuple[int, ...]
    names: Mapping[int, str]


def read_contents(path: str | Path) -> LabelMapContents:
    """Return the values and names in a label map, as a user numbers them in ``--labels``.

    Raises:
        InputError: it cannot be read as a label map.
    """
    return list_contents(open_label_map(path))


def list_contents(opened: OpenedLabelMap) -> LabelMapContents:
    """Return the values and names in a label map that was opened."""
    if opened.segments:
        return LabelMapContents(
            tuple(sorted(segment.number for segment in opened.segments)),
            {segment.number: segment.name or segment.identity for segment in opened.segments},
        )
    return LabelMapContents(tuple(int(value) for value in np.unique(opened.layers[0]) if value != 0), {})
