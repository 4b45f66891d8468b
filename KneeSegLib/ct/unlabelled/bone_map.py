"""Image, labels and the localiser's prediction of a whole scan on one coarse grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from KneeSegLib.anatomy import BONES, SIDES, structure
from KneeSegLib.ct.localise import CoarseProbabilities, average_scan
from KneeSegLib.ct.unlabelled.settings import AROUND_LABELS_MM, BONE_HU, GRID_MM
from KneeSegLib.geometry.boxes import find_label_boxes
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.inference.scan import Scan


@dataclass(frozen=True)
class BoneMap:
    """What is known of the bone in a scan.

    Attributes:
        grid: cubes.
        labelled: points (N, 3) in mm, z, y, x, of each labelled bone, by the key of its structure.
        unlabelled: bool ``(D, H, W)``: bone-like, and not beside a label.
        bone: ``(D, H, W)``, the localiser's probability of any bone of a leg; ``other`` and ``none`` likewise.
    """

    grid: Grid
    labelled: dict[str, np.ndarray]
    unlabelled: np.ndarray
    bone: np.ndarray
    other: np.ndarray
    none: np.ndarray

    def points_mm(self, mask: np.ndarray) -> np.ndarray:
        """Return the centres (N, 3) of the voxels of a mask, z, y, x."""
        return np.stack([axis.positions_mm[index] for axis, index in zip(self.grid, np.nonzero(mask))], axis=1)

    @property
    def voxel_cm3(self) -> float:
        """The volume of a voxel."""
        return float(np.prod(self.grid.spacing_mm)) / 1000.0


def map_bones(scan: Scan, legs: Sequence[LegLabels], coarse: CoarseProbabilities) -> BoneMap:
    """Return the map of a scan of which ``legs`` are labelled and the localiser said ``coarse``."""
    hu, grid = average_scan(scan, GRID_MM)
    labelled = _find_labelled(legs, scan.grid, grid)
    taken = np.zeros(grid.shape, bool)
    for points in labelled.values():
        taken[tuple(_indices_on(points[:, axis], own) for axis, own in enumerate(grid))] = True
    near = np.asarray(ndimage.binary_dilation(taken, iterations=round(AROUND_LABELS_MM / GRID_MM)), bool)
    predicted = np.stack([sum(coarse.bones[side].sum(axis=0) for side in SIDES), coarse.other, coarse.none])
    bone, other, none = resample_to(torch.from_numpy(predicted.astype(np.float32)), coarse.grid, grid).numpy()
    none = np.where(bone + other + none > 0.0, none, 1.0)  # beyond the body, where the localiser was not asked
    return BoneMap(grid, labelled, (hu.numpy() > BONE_HU) & ~near, bone, other, none)


def _find_labelled(legs: Sequence[LegLabels], scan: Grid, grid: Grid) -> dict[str, np.ndarray]:
    """The labelled points of each bone, one for each voxel of the coarse grid that holds any of it."""
    found: dict[str, np.ndarray] = {}
    for leg in legs:
        crop = scan.part(leg.place)
        boxes = find_label_boxes(leg.labels)
        for bone in BONES:
            value = structure(bone, leg.side).label_value
            if value not in boxes:
                continue
            part = crop.part(boxes[value])
            inside = np.nonzero(leg.labels[boxes[value]] == value)
            flat = np.ravel_multi_index(
                tuple(_indices_on(own.positions_mm[index], axis) for own, index, axis in zip(part, inside, grid)),
                grid.shape,
            )
            index = np.unravel_index(np.unique(flat), grid.shape)
            points = np.stack([axis.positions_mm[at] for axis, at in zip(grid, index)], axis=1)
            key = structure(bone, leg.side).key
            found[key] = np.concatenate([found[key], points]) if key in found else points
    return found


def _indices_on(positions_mm: np.ndarray, axis: Axis) -> np.ndarray:
    return np.clip(np.rint((positions_mm - axis.first_mm) / axis.step_mm).astype(int), 0, axis.count - 1)
