"""From the specialists' probabilities to labels on the scan's own grid.

Probabilities, not labels, are brought to the scan's grid (hard labels of 0.8 mm would cap the accuracy), a few slices
at a time, and the likeliest class is taken there. Beside the labels the margin of each bone over its strongest rival is
kept, whose zero level is the bone's surface to a fraction of a voxel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch

from KneeSegLib.anatomy import BONES, Side, structure
from KneeSegLib.ct.merging import SURROUNDINGS_MM, box_of_bone, likely_bones
from KneeSegLib.ct.refinement import Correction
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.geometry.grid import Box, Grid, Slices
from KneeSegLib.inference.device import in_order
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress

MARGIN_SCALE = 127
"""Margins are stored as int8: -127 stands for -1, 127 for 1."""

_BLOCK_SLICES = 8
_NEAR_BONE = 0.15


@dataclass
class Margin:
    """How much more likely a structure is than everything else, int8 ``(d, h, w)`` of ``place`` in the leg's crop."""

    values: np.ndarray
    place: Slices


@dataclass
class LegLabels:
    """One leg on the scan's grid: ``labels`` uint8 label values of ``place`` in the scan; margins per tissue.

    A margin is positive exactly where the label is that structure.
    """

    side: Side
    labels: np.ndarray
    place: Slices
    margins: dict[str, Margin]


def label_leg(
    answers: Sequence[JointProbabilities],
    scan: Grid,
    side: Side,
    device: Device,
    progress: Progress = no_progress,
    message: str = "Labelling",
    corrections: Mapping[str, Correction] = MappingProxyType({}),
) -> LegLabels:
    """Bring the specialists' answers for one leg onto the scan's grid.

    Args:
        answers: see :func:`KneeSegLib.ct.fusion.fused`; neighbours fade into each other by the weights of
            their shares.
        scan: the scan's grid.
        corrections: what is added to the answers, per bone; see :func:`KneeSegLib.ct.refinement.refine_leg`.

    Raises:
        Cancelled: raised by ``progress`` between two blocks of slices.
    """
    place = scan.slices_within(Box.enclosing([Box.of_grid(answer.grid) for answer in answers]))
    crop = scan.part(place)
    boxes = {bone: box_of_bone(answers, bone) for bone in BONES}
    leg = LegLabels(
        side, np.zeros(crop.shape, np.uint8), place, {b: empty_margin(box, crop) for b, box in boxes.items() if box}
    )
    starts = range(0, crop.z.count, _BLOCK_SLICES)

    def label_block(start: int) -> None:
        rows = slice(start, min(start + _BLOCK_SLICES, crop.z.count))
        _label_block(answers, corrections, scan, rows, leg)

    for done, _ in enumerate(in_order(label_block, starts, device), start=1):
        progress(done / len(starts), message)
    return leg


def follow_cleaning(leg: LegLabels, cleaned: np.ndarray) -> None:
    """Take over cleaned labels; where a bone lost or won a voxel its margin changes sign, so that both agree."""
    for bone, margin in leg.margins.items():
        value = structure(bone, leg.side).label_value
        inside = cleaned[margin.place] == value
        changed = inside != (leg.labels[margin.place] == value)
        magnitude = np.maximum(np.abs(margin.values[changed]), 1)
        margin.values[changed] = np.where(inside[changed], magnitude, -magnitude)
    leg.labels = cleaned


def _label_block(
    answers: Sequence[JointProbabilities],
    corrections: Mapping[str, Correction],
    scan: Grid,
    rows: slice,
    leg: LegLabels,
) -> None:
    crop = scan.part(leg.place)
    z = crop.z.part(rows.start, rows.stop)
    boxes = [box for answer in answers if (box := _box_near(answer, z.low_mm, z.high_mm)) is not None]
    if not boxes:
        return
    window = (rows, *crop.slices_within(Box.enclosing(boxes))[1:])
    grid = crop.part(window)
    bones = list(leg.margins)
    likely = likely_bones(answers, bones, grid)
    if corrections:
        _correct(likely, bones, corrections, _moved(window, leg.place))
    label_window(leg, window, likely, bones)


def label_window(leg: LegLabels, window: Slices, likely: torch.Tensor, tissues: Sequence[str]) -> None:
    """Write the likeliest structure into a window of the leg's crop, and the margins of all.

    Args:
        likely: ``(len(tissues), *window)`` probabilities; what is missing to one is the background's.
        tissues: keys of :mod:`KneeSegLib.anatomy`; each has a margin in ``leg``.
    """
    background = 1.0 - likely.sum(dim=0)
    best, winner = torch.cat([background[None], likely]).max(dim=0)
    values = torch.tensor([0, *(structure(tissue, leg.side).label_value for tissue in tissues)], dtype=torch.uint8)
    leg.labels[window] = values[winner].numpy()
    for position, tissue in enumerate(tissues):
        overlap = _common(window, leg.margins[tissue].place)
        if overlap is None:
            continue
        here, there = overlap
        rivals = torch.cat([background[None], likely[:position], likely[position + 1 :]])[(slice(None), *here)]
        scaled = (likely[position][here] - rivals.amax(dim=0)).mul_(MARGIN_SCALE).round_()
        inside = winner[here] == position + 1
        leg.margins[tissue].values[there] = (
            torch.where(inside, scaled.clamp(min=1.0), scaled.clamp(max=-1.0)).to(torch.int8).numpy()
        )


def _correct(likely: torch.Tensor, bones: Sequence[str], corrections: Mapping[str, Correction], window: Slices) -> None:
    """Add to ``likely`` ``(bones, d, h, w)`` of ``window`` in the scan; bones and background still sum to one."""
    for layer, bone in zip(likely, bones):
        overlap = _common(window, corrections[bone].place) if bone in corrections else None
        if overlap is not None:
            here, there = overlap
            layer[here] += corrections[bone].values[there]
    likely.clamp_(min=0.0)
    likely /= likely.sum(dim=0).clamp(min=1.0)


def _box_near(answer: JointProbabilities, low_mm: float, high_mm: float) -> Box | None:
    """The box of what may be bone among the slices that matter for an interval of heights."""
    reach = answer.grid.z.spacing_mm
    start, stop = answer.grid.z.indices_within(low_mm - reach, high_mm + reach)
    if start == stop:
        return None
    part = answer.grid._replace(z=answer.grid.z.part(start, stop))
    box = Box.around((answer.values[0, start:stop] < 1.0 - _NEAR_BONE).numpy(), part)
    return None if box is None else box.grown(SURROUNDINGS_MM)


def empty_margin(box: Box, crop: Grid) -> Margin:
    """A margin that says "not here" in a box of the leg's crop."""
    place = crop.slices_within(box)
    return Margin(np.full(crop.part(place).shape, -MARGIN_SCALE, np.int8), place)


def _moved(window: Slices, place: Slices) -> Slices:
    """A window of a crop as a window of what ``place`` was cropped from."""
    return tuple(slice(a.start + b.start, a.stop + b.start) for a, b in zip(window, place))


def _common(window: Slices, place: Slices) -> tuple[Slices, Slices] | None:
    """The common part of two boxes of the same crop, as slices of either; None where they are apart."""
    here, there = [], []
    for a, b in zip(window, place):
        start, stop = max(a.start, b.start), min(a.stop, b.stop)
        if start >= stop:
            return None
        here.append(slice(start - a.start, stop - a.start))
        there.append(slice(start - b.start, stop - b.start))
    return tuple(here), tuple(there)
