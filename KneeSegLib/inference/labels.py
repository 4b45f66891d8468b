"""From probabilities to labels on the scan's own grid, for CT and MR alike.

Probabilities, not labels, are brought to the scan's grid (hard labels of 0.8 mm would cap the accuracy), a few slices
at a time, and the most probable class is taken there. Beside the labels the margin of each structure over its strongest
rival is kept, whose zero level is the structure's surface to a fraction of a voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from KneeSegLib.anatomy import Side, structure
from KneeSegLib.geometry.boxes import ArrayBox, overlap_boxes
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.inference.device import map_in_order
from KneeSegLib.inference.settings import LABEL_SLICES, MARGIN_SCALE
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress


@dataclass
class Margin:
    """Probability of a structure less that of everything else, int8 ``(d, h, w)`` of ``place`` in the leg's crop."""

    values: np.ndarray
    place: ArrayBox


@dataclass
class LegLabels:
    """One leg on the scan's grid: ``labels`` uint8 label values of ``place`` in the scan; margins per tissue.

    A margin is positive exactly where the label is that structure.
    """

    side: Side
    labels: np.ndarray
    place: ArrayBox
    margins: dict[str, Margin]

    @classmethod
    def empty(cls, side: Side, scan: Grid, box: Box, tissues: Mapping[str, Box]) -> LegLabels:
        """Labels of nothing in a box of the scan, and margins that say "not here" in a box of each tissue."""
        place = scan.slices_within(box)
        crop = scan.part(place)
        margins = {}
        for tissue, around in tissues.items():
            within = crop.slices_within(around)
            margins[tissue] = Margin(np.full(crop.part(within).shape, -MARGIN_SCALE, np.int8), within)
        return cls(side, np.zeros(crop.shape, np.uint8), place, margins)


def label_blocks(
    label_block: Callable[[slice], None],
    slices: int,
    device: Device,
    progress: Progress = no_progress,
    message: str = "Labelling",
) -> None:
    """Label a crop of so many slices block by block, several at a time on a processor.

    Args:
        label_block: labels a range of the crop's slices.

    Raises:
        Cancelled: raised by ``progress`` between two blocks.
    """
    blocks = [slice(start, min(start + LABEL_SLICES, slices)) for start in range(0, slices, LABEL_SLICES)]
    for done, _ in enumerate(map_in_order(label_block, blocks, device), start=1):
        progress(done / len(blocks), message)


def label_window(leg: LegLabels, window: ArrayBox, probabilities: torch.Tensor, tissues: Sequence[str]) -> None:
    """Write the most probable structure into a window of the leg's crop, and the margins of all.

    Args:
        probabilities: ``(len(tissues), *window)``; what is missing to one is the background's.
        tissues: keys of :mod:`KneeSegLib.anatomy`; each has a margin in ``leg``.
    """
    background = 1.0 - probabilities.sum(dim=0)
    winner = torch.cat([background[None], probabilities]).argmax(dim=0)
    values = torch.tensor([0, *(structure(tissue, leg.side).label_value for tissue in tissues)], dtype=torch.uint8)
    leg.labels[window] = values[winner].numpy()
    for position, tissue in enumerate(tissues):
        overlap = overlap_boxes(window, leg.margins[tissue].place)
        if overlap is None:
            continue
        here, there = overlap
        rivals = torch.cat([background[None], probabilities[:position], probabilities[position + 1 :]])
        lead = probabilities[position][here] - rivals[(slice(None), *here)].amax(dim=0)
        scaled = lead.mul_(MARGIN_SCALE).round_()
        inside = winner[here] == position + 1
        leg.margins[tissue].values[there] = (
            torch.where(inside, scaled.clamp(min=1.0), scaled.clamp(max=-1.0)).to(torch.int8).numpy()
        )


def follow_cleaning(leg: LegLabels, cleaned: np.ndarray) -> None:
    """Take over cleaned labels; where a structure lost or won a voxel its margin changes sign, so that both agree."""
    for tissue, margin in leg.margins.items():
        value = structure(tissue, leg.side).label_value
        inside = cleaned[margin.place] == value
        changed = inside != (leg.labels[margin.place] == value)
        magnitude = np.maximum(np.abs(margin.values[changed]), 1)
        margin.values[changed] = np.where(inside[changed], magnitude, -magnitude)
    leg.labels = cleaned
