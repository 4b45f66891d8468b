"""Last stage: probabilities of slices and patches are added on the scan's own grid, and the likeliest class wins.

Beyond the paper, femur and tibia take from the background what is theirs first, see :data:`BONE_ODDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from KneeSegLib.anatomy import JOINT_BONES, MENISCI, Side
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.device import in_order
from KneeSegLib.inference.labels import LegLabels, empty_margin, label_window
from KneeSegLib.mr.patches import FineProbabilities
from KneeSegLib.mr.slices import KneeProbabilities
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress

MENISCUS_OF_SIDE = ("medial_meniscus", "lateral_meniscus")

BONE_ODDS: Mapping[str, float] = MappingProxyType({"femur": 1.5, "tibia": 1.5})
"""How much more likely against the background a bone is than the networks say.

Slices draw the tibia too small in 14 of 19 scans of validation people, and a temperature moves no edge. Chosen
among 1, 1.25, 1.4, 1.6 and 2 on these scans by both simulators: 1.4 and 1.6 gained the tibia 0.0015 and 0.0017 of Dice
and the femur 0.001, and did no good to patella and fibula."""

_SURROUNDINGS_MM = 3.0
_LIKELY = 1.0 / 3.0
_HARDLY = 1e-6
_BLOCK_SLICES = 8


def label_knee(
    slices: KneeProbabilities,
    patches: FineProbabilities | None,
    scan: Grid,
    side: Side,
    middle_x_mm: float,
    device: Device,
    progress: Progress = no_progress,
    message: str = "Labelling",
) -> LegLabels:
    """Label one knee.

    Args:
        patches: None for what slices say alone.
        side: of the knee.
        middle_x_mm: where medial and lateral part, along x of the scan: the middle of the tibia.

    Raises:
        Cancelled: raised by ``progress`` between two blocks of slices.
    """
    boxes = {name: _box_of(slices, patches, name) for name in slices.classes[1:]}
    boxes = {name: box for name, box in boxes.items() if box is not None}
    place = scan.slices_within(Box.enclosing(list(boxes.values())))
    crop = scan.part(place)
    tissues = [name for name in boxes if name != MENISCI]
    margins = {name: empty_margin(boxes[name], crop) for name in tissues}
    if MENISCI in boxes:
        margins |= {name: empty_margin(boxes[MENISCI], crop) for name in MENISCUS_OF_SIDE}
    leg = LegLabels(side, np.zeros(crop.shape, np.uint8), place, margins)
    medial = _medial(crop.x, middle_x_mm, side)
    starts = range(0, crop.z.count, _BLOCK_SLICES)

    def label_block(start: int) -> None:
        rows = slice(start, min(start + _BLOCK_SLICES, crop.z.count))
        window = (rows, slice(0, crop.y.count), slice(0, crop.x.count))
        likely = with_bone_odds(likely_at(slices, patches, crop.part(window)), slices.classes)
        layers = {name: likely[slices.classes.index(name) - 1] for name in boxes}
        if MENISCI in layers:
            both = layers.pop(MENISCI)
            layers |= dict(zip(MENISCUS_OF_SIDE, (both * medial, both * (1.0 - medial))))
        label_window(leg, window, torch.stack(list(layers.values())), list(layers))

    for done, _ in enumerate(in_order(label_block, starts, device), start=1):
        progress(done / len(starts), message)
    return leg


def likely_at(slices: KneeProbabilities, patches: FineProbabilities | None, grid: Grid) -> torch.Tensor:
    """Probabilities ``(C - 1, *grid.shape)`` of all classes but the background.

    As in the paper those of slices and patches are added; divided by two, they sum to one again.
    """
    likely = resample_to(slices.values[1:], slices.grid, grid)
    if patches is None:
        return likely
    share = resample_to(patches.share, patches.grid, grid)
    return (likely + resample_to(patches.values[1:], patches.grid, grid)) / (1.0 + share)


def with_bone_odds(likely: torch.Tensor, classes: Sequence[str], odds: Mapping[str, float] = BONE_ODDS) -> torch.Tensor:
    """Probabilities ``(C - 1, ...)`` in which bones have taken from the background what is theirs by ``odds``.

    What bones and background have together stays the same, and so do cartilage and menisci.

    Args:
        likely: see :func:`likely_at`.
        classes: the C names, background first.
    """
    bones = [classes.index(bone) - 1 for bone in JOINT_BONES["knee"]]
    background = (1.0 - likely.sum(dim=0)).clamp(min=0.0)
    theirs = likely[bones] * torch.tensor([odds.get(classes[bone + 1], 1.0) for bone in bones])[:, None, None, None]
    scale = (likely[bones].sum(dim=0) + background) / (theirs.sum(dim=0) + background).clamp(min=_HARDLY)
    changed = likely.clone()
    changed[bones] = theirs * scale
    return changed


def _box_of(slices: KneeProbabilities, patches: FineProbabilities | None, name: str) -> Box | None:
    """Around what may be of a class, and a little more; None where nothing may."""
    boxes = [Box.around((slices.of(name) > _LIKELY).numpy(), slices.grid)]
    if patches is not None:
        seen = patches.values[slices.classes.index(name)] > _LIKELY
        boxes.append(Box.around(seen.numpy(), patches.grid))
    found = [box.grown(_SURROUNDINGS_MM) for box in boxes if box is not None]
    return Box.enclosing(found) if found else None


def _medial(x: Axis, middle_x_mm: float, side: Side) -> torch.Tensor:
    """1 on the medial side of a knee, 0 on the lateral one, per column; medial of a right knee is to the left."""
    beyond = x.positions_mm > middle_x_mm
    return torch.from_numpy((beyond if side == "right" else ~beyond).astype(np.float32))
