"""The side of labels that tell none: chosen by the user, named by the DICOM header, or told from the anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import BONES, Side, as_side
from KneeSegLib.ct.sides import infer_sides
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.geometry.masks import label_components
from KneeSegLib.nnunet.settings import CLEAR_OFFSET_MM, LEAST_SLOPE, SECOND_LEG_FRACTION, SEPARATE_LEGS_MM

UNCERTAIN, SURE = 0.0, 1.0
"""How certain a side is, as :class:`~KneeSegLib.quality.features.QualityFeatures` has it."""


@dataclass(frozen=True)
class Sides:
    """Where the right leg ends and the left one begins, or which one leg it is.

    Attributes:
        only: the side of everything; None where two legs are in view.
        middle_mm: between two legs, from side to side in the scan's axes.
        certainty: 0 where nothing tells the side of one leg.
        sentences: for the user.
    """

    only: Side | None
    middle_mm: float = 0.0
    certainty: float = SURE
    sentences: tuple[str, ...] = ()

    def assign(self, labels: np.ndarray, grid: Grid) -> np.ndarray:
        """Return int8 ``(z, y, x)``: 1 right, 2 left, by connected components of one label, 0 outside.

        Args:
            labels: of tissues whose side is open, each with a number of its own.
        """
        if self.only is not None:
            return np.where(labels != 0, 1 if self.only == "right" else 2, 0).astype(np.int8)
        sides = np.zeros(labels.shape, np.int8)
        for value in np.unique(labels[labels != 0]):
            components, voxels = label_components(labels == value)
            _, centers = _find_centers_mm(components, voxels, grid)
            side_of = np.concatenate([[0], np.where(centers > self.middle_mm, 2, 1)]).astype(np.int8)
            sides += side_of[components]
        return sides


def find_sides(regions: Mapping[str, np.ndarray], grid: Grid, named: Side | None) -> Sides:
    """Tell legs apart, and the side of one leg.

    Args:
        regions: mask ``(z, y, x)`` of each tissue, by its key; ``medial`` and ``lateral`` of parts of a knee.
        named: by the user or the DICOM header, which decides.
    """
    if named is not None:
        return Sides(named)
    bones = {key: mask for key, mask in regions.items() if key in BONES}
    if (middle_mm := _find_middle(bones, grid)) is not None:
        return Sides(None, middle_mm)
    told = {**_tell_from_compartments(regions, grid), **infer_sides(bones, grid, None)}
    sides = sorted(set(told.values()))
    if len(sides) == 1:
        side = as_side(sides[0])
        return Sides(side, sentences=(f"The labels of the model tell no side; the bones are those of a {side} leg.",))
    found = "contradict each other" if sides else "do not tell it either"
    return Sides(
        "right",
        certainty=UNCERTAIN,
        sentences=(
            f"The labels of the model tell no side and the bones {found}; it was taken for a right leg: give --side "
            "if you know it.",
        ),
    )


def _find_middle(bones: Mapping[str, np.ndarray], grid: Grid) -> float | None:
    """Return the middle between two legs; None where only one is in view."""
    middles = []
    for mask in bones.values():
        components, voxels = label_components(mask)
        if len(voxels) < 3:
            continue
        first, second = np.argsort(voxels[1:])[::-1][:2]
        if voxels[1:][second] < SECOND_LEG_FRACTION * voxels[1:][first]:
            continue
        heights, ends = (centers[[first, second]] for centers in _find_centers_mm(components, voxels, grid))
        apart, above = (float(abs(np.diff(places)[0])) for places in (ends, heights))
        if apart > max(SEPARATE_LEGS_MM, LEAST_SLOPE * above):
            middles.append(float(ends.mean()))
    return float(np.median(middles)) if middles else None


def _tell_from_compartments(regions: Mapping[str, np.ndarray], grid: Grid) -> dict[str, Side]:
    """Medial of a right knee is towards the patient's left."""
    if not all(name in regions and regions[name].any() for name in ("medial", "lateral")):
        return {}
    x = grid.x.positions_mm
    medial, lateral = ((regions[name].sum(axis=(0, 1)) @ x) / regions[name].sum() for name in ("medial", "lateral"))
    if abs(medial - lateral) < CLEAR_OFFSET_MM:
        return {}
    side: Side = "right" if medial > lateral else "left"
    return {"The medial parts lie as": side}


def _find_centers_mm(components: np.ndarray, voxels: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean position of each component along the leg, and from side to side."""
    flat = components.ravel()
    places = (grid.z.positions_mm[:, None, None], grid.x.positions_mm)
    along, across = (
        np.bincount(flat, weights=np.broadcast_to(place, components.shape).ravel(), minlength=len(voxels))
        for place in places
    )
    return along[1:] / voxels[1:], across[1:] / voxels[1:]
