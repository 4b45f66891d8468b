"""What of each bone the blocks of one examination show, and how far apart they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import STRUCTURES, Side, Structure
from KneeSegLib.geometry.boxes import ArrayBox

if TYPE_CHECKING:
    from KneeSegLib.case import Case, ScanResult


@dataclass(frozen=True)
class BoneOverBlocks:
    """A bone of one leg, and what each block shows of it.

    Attributes:
        parts: for each scan its length from head to foot and how much is in view, in words; empty where it is not
            found in it.
    """

    structure: Structure
    parts: list[str]


@dataclass(frozen=True)
class LegOverBlocks:
    """The bones of one leg that the blocks show, in the order of the anatomy table."""

    side: Side
    bones: list[BoneOverBlocks]


def list_legs_over_blocks(case: Case) -> list[LegOverBlocks]:
    """Return which block each bone of a leg is in; nothing for a case of one scan."""
    if len(case.scans) < 2:
        return []
    found = [{entry.structure: entry for entry in scan.structures} for scan in case.scans]
    legs: dict[Side, list[BoneOverBlocks]] = {}
    for structure in STRUCTURES:
        if structure.tissue.kind != "bone" or not any(structure in entries for entries in found):
            continue
        parts = [
            f"{_measure_height_mm(scan.labels, entries[structure].box):.0f} mm, {entries[structure].extent}"
            if structure in entries
            else ""
            for scan, entries in zip(case.scans, found)
        ]
        legs.setdefault(structure.side, []).append(BoneOverBlocks(structure, parts))
    return [LegOverBlocks(side, bones) for side, bones in legs.items()]


def describe_gaps(scans: Sequence[ScanResult]) -> list[str]:
    """Return how much lies between each block and the next; blocks that could not be used may have shown it."""
    sentences = []
    for upper, lower in zip(scans, scans[1:]):
        gap_mm = min(_heights_mm(upper.labels)) - max(_heights_mm(lower.labels))
        if gap_mm > 0.0:
            sentences.append(f"Between the {upper.name} and the {lower.name} scan lie {gap_mm:.0f} mm that none shows.")
    return sentences


def _heights_mm(labels: sitk.Image) -> list[float]:
    columns, rows, slices = labels.GetSize()
    return _heights_of_box_mm(labels, (slice(0, slices), slice(0, rows), slice(0, columns)))


def _measure_height_mm(labels: sitk.Image, box: ArrayBox) -> float:
    heights = _heights_of_box_mm(labels, box)
    return max(heights) - min(heights)


def _heights_of_box_mm(labels: sitk.Image, box: ArrayBox) -> list[float]:
    """Return the heights (LPS, mm) of the outer corners of a box ``[k, j, i]``."""
    bounds = [(part.start - 0.5, part.stop - 0.5) for part in reversed(box)]
    corners = np.array(np.meshgrid(*bounds)).reshape(3, -1).T
    return [labels.TransformContinuousIndexToPhysicalPoint(corner.tolist())[2] for corner in corners]
