"""Labels of an nnU-Net model as structures of KneeSeg, leg by leg, with margins between -1 and 1 beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import SIDES, Side, structure_of_label
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.boxes import find_label_boxes, find_mask_box, grow_box, uncrop_box
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.labels import LegLabels, Margin
from KneeSegLib.inference.settings import MARGIN_SCALE
from KneeSegLib.io.label_mapping import (
    MAPPING_FIELD,
    MAPPING_NAME,
    LabelMapping,
    Target,
    find_label_mapping,
    map_own_names,
    parse_label_mapping,
    read_label_mapping,
)
from KneeSegLib.nnunet.folder import ModelFolder
from KneeSegLib.nnunet.settings import MARGIN_VOXELS
from KneeSegLib.nnunet.sides import Sides

if TYPE_CHECKING:
    from KneeSegLib.nnunet.predictor import Logits


def choose_mapping(folder: ModelFolder, given: str | None) -> LabelMapping:
    """Return the mapping that the user gave, that lies beside the model, that KneeSeg brings, or that names imply.

    Raises:
        InputError: there is none, or it is none.
    """
    if given is not None:
        return read_label_mapping(given)
    for beside in (folder.path / MAPPING_NAME, folder.path.parent / MAPPING_NAME):
        if beside.is_file():
            return read_label_mapping(beside)
    if MAPPING_FIELD in folder.dataset:
        return parse_label_mapping(folder.dataset[MAPPING_FIELD], "dataset.json")
    found = find_label_mapping(folder.dataset_name) or map_own_names(folder.label_names, "dataset.json")
    if found is None:
        known = ", ".join(f"{value} {name}" for value, name in folder.label_names.items())
        raise InputError(
            f"What the labels of {folder.title} ({known}) are in KneeSeg's anatomy stands nowhere; say it in a mapping "
            "file and give that with --mapping (docs/nnunet.md shows one)."
        )
    return found


@dataclass(frozen=True)
class NamedLabels:
    """A model's label map along the patient's axes, and what its labels are.

    Attributes:
        values: uint16 ``(z, y, x)``, the model's own values.
        grid: of the scan.
        targets: what each value stands for.
    """

    values: np.ndarray
    grid: Grid
    targets: Mapping[int, Target]

    @property
    def open_regions(self) -> dict[str, np.ndarray]:
        """Masks of the tissues whose side is open, by key."""
        regions: dict[str, np.ndarray] = {}
        for value, target in self.targets.items():
            if target.side is None:
                mask = self.values == value
                if mask.any():
                    regions[target.tissue] = regions[target.tissue] | mask if target.tissue in regions else mask
        return regions

    def compartments(self, names: Mapping[int, str]) -> dict[str, np.ndarray]:
        """Masks of what the labels call medial and lateral."""
        found = {}
        for word in ("medial", "lateral"):
            values = [value for value in self.targets if word in names.get(value, "").lower()
                      or word in self.targets[value].tissue]  # fmt: skip
            found[word] = np.isin(self.values, values)
        return found

    def label_legs(self, sides: Sides | None) -> dict[Side, np.ndarray]:
        """Return for each side uint8 label values of our anatomy, of the whole scan; only sides that hold some.

        Args:
            sides: of labels that tell none; None where all do.
        """
        numbers = {tissue: number for number, tissue in enumerate(self._open_tissues(), start=1)}
        open_labels = np.zeros(self.values.shape, np.uint8)
        for value, target in self.targets.items():
            if target.side is None:
                open_labels[self.values == value] = numbers[target.tissue]
        assigned = None if sides is None else sides.assign(open_labels, self.grid)
        legs: dict[Side, np.ndarray] = {}
        for code, side in enumerate(SIDES, start=1):
            labels = np.zeros(self.values.shape, np.uint8)
            for value, target in self.targets.items():
                if target.side is None and assigned is not None:
                    labels[(self.values == value) & (assigned == code)] = target.on(side).label_value
                elif target.side == side:
                    labels[self.values == value] = target.on(side).label_value
            if labels.any():
                legs[side] = labels
        return legs

    def _open_tissues(self) -> list[str]:
        return sorted({target.tissue for target in self.targets.values() if target.side is None})


def crop_leg(side: Side, labels: np.ndarray) -> LegLabels:
    """Return the labels of a leg in the box that holds them and a little more, without margins."""
    box = find_mask_box(labels != 0)
    assert box is not None
    place = grow_box(box, (MARGIN_VOXELS,) * 3, labels.shape)
    return LegLabels(side, labels[place].copy(), place, {})


def add_margins(leg: LegLabels, logits: Logits, targets: Mapping[int, Target]) -> None:
    """Add to a leg the margin of each structure that it holds: positive exactly where its label is.

    Args:
        logits: along the scan's axes.
        targets: what each value of the model stands for.
    """
    for value, box in find_label_boxes(leg.labels).items():
        found = structure_of_label(value)
        own = [logits.channels[label] for label, target in targets.items() if target.on(leg.side) == found]
        place = grow_box(box, (MARGIN_VOXELS,) * 3, leg.labels.shape)
        lead = logits.lead(own, uncrop_box(place, leg.place))
        inside = leg.labels[place] == value
        scaled = np.rint(lead * MARGIN_SCALE)
        # Cleaning, and labels that were put together, may differ from the most probable channel.
        values = np.where(inside, np.maximum(scaled, 1), np.minimum(scaled, -1)).astype(np.int8)
        leg.margins[found.tissue.key] = Margin(values, place)
