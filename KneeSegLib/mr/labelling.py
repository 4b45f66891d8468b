"""Last stage: probabilities of slices and patches are added on the scan's own grid, and the most probable class wins.

Beyond the paper, the odds of femur and tibia against the background are raised first, see
:data:`~KneeSegLib.mr.settings.BONE_ODDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from KneeSegLib.anatomy import JOINT_BONES, MENISCI, MENISCUS_OF_COMPARTMENT, Side
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.labels import LegLabels, label_blocks, label_window
from KneeSegLib.mr.bones import KneeBones
from KneeSegLib.mr.patches import FineProbabilities
from KneeSegLib.mr.settings import BONE_ODDS, LEAST_ODDS, POSSIBLE, SURROUNDINGS_MM
from KneeSegLib.mr.slices import KneeProbabilities
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class KneeLayout:
    """What tells the menisci of a knee apart: its side, and where along x of the scan medial and lateral part."""

    side: Side
    middle_x_mm: float

    @classmethod
    def of_bones(cls, side: Side, bones: KneeBones) -> KneeLayout:
        """Medial and lateral part at the middle of the tibia."""
        return cls(side, float(bones.places_mm("tibia")[:, 0].mean()))

    def medial_columns(self, x: Axis) -> torch.Tensor:
        """1 on the medial side, 0 on the lateral one, per column; medial of a right knee is to the left."""
        beyond = x.positions_mm > self.middle_x_mm
        return torch.from_numpy((beyond if self.side == "right" else ~beyond).astype(np.float32))


def label_knee(
    slices: KneeProbabilities,
    patches: FineProbabilities | None,
    scan: Grid,
    layout: KneeLayout,
    device: Device,
    progress: Progress = no_progress,
) -> LegLabels:
    """Label one knee.

    Args:
        patches: None for the slices alone.

    Raises:
        Cancelled: raised by ``progress`` between two blocks of slices.
    """
    boxes = {name: box for name in slices.classes[1:] if (box := _box_of(slices, patches, name)) is not None}
    tissues = {name: box for name, box in boxes.items() if name != MENISCI}
    if MENISCI in boxes:
        tissues |= dict.fromkeys(MENISCUS_OF_COMPARTMENT.values(), boxes[MENISCI])
    knee = LegLabels.empty(layout.side, scan, Box.enclosing(list(boxes.values())), tissues)
    crop = scan.part(knee.place)
    medial = layout.medial_columns(crop.x)

    def label_block(rows: slice) -> None:
        window = (rows, slice(0, crop.y.count), slice(0, crop.x.count))
        probabilities = apply_bone_odds(sum_probabilities(slices, patches, crop.part(window)), slices.classes)
        layers = {name: probabilities[slices.classes.index(name) - 1] for name in boxes}
        if MENISCI in layers:
            both = layers.pop(MENISCI)
            layers |= dict(zip(MENISCUS_OF_COMPARTMENT.values(), (both * medial, both * (1.0 - medial))))
        label_window(knee, window, torch.stack(list(layers.values())), list(layers))

    label_blocks(label_block, crop.z.count, device, progress)
    return knee


def sum_probabilities(slices: KneeProbabilities, patches: FineProbabilities | None, grid: Grid) -> torch.Tensor:
    """Probabilities ``(C - 1, *grid.shape)`` of all classes but the background.

    As in the paper those of slices and patches are added; divided by two, they sum to one again.
    """
    probabilities = resample_to(slices.values[1:], slices.grid, grid)
    if patches is None:
        return probabilities
    weight = resample_to(patches.weight, patches.grid, grid)
    return (probabilities + resample_to(patches.values[1:], patches.grid, grid)) / (1.0 + weight)


def apply_bone_odds(
    probabilities: torch.Tensor, classes: Sequence[str], odds: Mapping[str, float] = BONE_ODDS
) -> torch.Tensor:
    """Probabilities ``(C - 1, ...)`` in which the odds of bones against the background are raised by ``odds``.

    What bones and background have together stays the same, and so do cartilage and menisci.

    Args:
        probabilities: see :func:`sum_probabilities`.
        classes: the C names, background first.
    """
    bones = [classes.index(bone) - 1 for bone in JOINT_BONES["knee"]]
    background = (1.0 - probabilities.sum(dim=0)).clamp(min=0.0)
    factors = torch.tensor([odds.get(classes[bone + 1], 1.0) for bone in bones])[:, None, None, None]
    raised = probabilities[bones] * factors
    before = probabilities[bones].sum(dim=0) + background
    changed = probabilities.clone()
    changed[bones] = raised * (before / (raised.sum(dim=0) + background).clamp(min=LEAST_ODDS))
    return changed


def _box_of(slices: KneeProbabilities, patches: FineProbabilities | None, name: str) -> Box | None:
    """Around what may be of a class, and a little more; None where nothing may."""
    boxes = [Box.around((slices.of(name) > POSSIBLE).numpy(), slices.grid)]
    if patches is not None:
        seen = patches.values[slices.classes.index(name)] > POSSIBLE
        boxes.append(Box.around(seen.numpy(), patches.grid))
    found = [box.grown(SURROUNDINGS_MM) for box in boxes if box is not None]
    return Box.enclosing(found) if found else None
