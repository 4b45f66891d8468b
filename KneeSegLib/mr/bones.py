"""Which of the places that slices take for bone is the bone: the main component of each, on a coarse grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.errors import AnatomyNotFoundError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.masks import label_components, measure_distance_mm
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.settings import AROUND_VOXELS, LEAST_CM3, NEAR_MM, SPACING_MM
from KneeSegLib.mr.slices import KneeProbabilities


@dataclass(frozen=True)
class KneeBones:
    """The bones of a knee, coarsely.

    Attributes:
        grid: of cubic voxels over the whole scan, and the black frame that networks need around it.
        scan: the outer faces of the scan.
        probability: bone -> ``(D, H, W)`` float32 in and just around its main component, zero elsewhere.
        inside: bone -> bool ``(D, H, W)``, the main component.
    """

    grid: Grid
    scan: Box
    probability: dict[str, torch.Tensor]
    inside: dict[str, np.ndarray]

    def places_mm(self, bone: str) -> torch.Tensor:
        """Positions (N, 3) of the voxels in a bone: x, y, z in mm of the scan."""
        z, y, x = np.nonzero(self.inside[bone])
        positions = [axis.positions_mm[index] for axis, index in zip(reversed(self.grid), (x, y, z))]
        return torch.from_numpy(np.stack(positions, axis=1)).float()

    def volume_cm3(self, bone: str) -> float:
        """Of the main component; 0 without one."""
        if bone not in self.inside:
            return 0.0
        return float(np.count_nonzero(self.inside[bone])) * SPACING_MM**3 / 1000.0


def find_bones(probabilities: KneeProbabilities, scan: Grid) -> KneeBones:
    """Return the main component of every bone.

    Args:
        scan: the scan's own grid.
    """
    box = Box.of_grid(probabilities.grid)
    grid = Grid(*(Axis.covering(low, high, SPACING_MM) for low, high in box))
    probability, inside = {}, {}
    for bone in JOINT_BONES["knee"]:
        values = resample_to(probabilities.of(bone), probabilities.grid, grid)
        components, voxels = label_components((values > 0.5).numpy())
        if len(voxels) == 1:
            continue
        component = components == voxels[1:].argmax() + 1
        inside[bone] = component
        around = ndimage.binary_dilation(component, iterations=AROUND_VOXELS)
        probability[bone] = values * torch.from_numpy(around)
    return KneeBones(grid, Box.of_grid(scan), probability, inside)


def require_knee(bones: KneeBones, source: str) -> None:
    """Raise unless there are a femur and a tibia, one above the other and close to each other.

    Raises:
        AnatomyNotFoundError: the sentence says what was missing.
    """
    missing = [bone for bone, least in LEAST_CM3.items() if bones.volume_cm3(bone) < least]
    if missing:
        raise AnatomyNotFoundError(
            f"No knee was found in '{source}': no {' and no '.join(missing)} could be seen, expected an MR of the "
            "knee; check the image or choose another series."
        )
    gap_mm = measure_distance_mm(bones.inside["femur"], [SPACING_MM] * 3)[bones.inside["tibia"]].min()
    heights = [float(bones.places_mm(bone)[:, 2].mean()) for bone in ("femur", "tibia")]
    if gap_mm > NEAR_MM or heights[0] < heights[1]:
        raise AnatomyNotFoundError(
            f"No knee was found in '{source}': what looks like a femur and a tibia does not meet in a joint, expected "
            "an MR of the knee; check the image or choose another series."
        )
