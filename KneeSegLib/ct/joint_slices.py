"""One joint's slice network on the transverse slices of one leg: class probabilities on the network's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch

from KneeSegLib.anatomy import JOINT_BONES, OTHER, Side
from KneeSegLib.bundles.model import Model
from KneeSegLib.ct.leg import JointRoi, Leg
from KneeSegLib.ct.rois import box_of_roi
from KneeSegLib.ct.settings import HU_RANGE, OUTSIDE_HU, THIN_SLICE_MM
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.scan import Scan
from KneeSegLib.inference.slices import SliceStack, predict_slices
from KneeSegLib.networks.ct_channels import slice_channels
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class JointProbabilities:
    """The prediction of a joint model for one leg.

    ``values`` is a float16 tensor ``(1 + bones, D, H, W)`` on ``grid``, background first, then the joint's bones in the
    order of :data:`KneeSegLib.anatomy.JOINT_BONES`; before fusion also a last channel, bones that are none of them. For
    left legs the grid's x axis runs from left to right.
    """

    roi: JointRoi
    grid: Grid
    values: torch.Tensor


def predict_joint(
    model: Model, scan: Scan, leg: Leg, roi: JointRoi, slice_step: int = 1, progress: Progress = no_progress
) -> JointProbabilities:
    """Apply a joint model to every ``slice_step``-th slice of its region of a leg (thick slices: to every one).

    Args:
        model: a slice network on :func:`~KneeSegLib.networks.ct_channels.slice_channels`.

    Raises:
        ModelError: the model has other classes than the joint's bones: a wrong order would be wrong labels.
        Cancelled: raised by ``progress`` between two slabs of slices.
    """
    _check_classes(roi.joint, model.spec.classes)
    x_mm, y_mm, z_mm = model.spec.spacing_mm
    grid = joint_grid(box_of_roi(roi, leg), scan.grid, (z_mm, y_mm, x_mm), model.stride, leg.side)
    return predict_on_grid(model, scan, grid, roi, slice_step, progress)


def predict_on_grid(
    model: Model, scan: Scan, grid: Grid, roi: JointRoi, slice_step: int = 1, progress: Progress = no_progress
) -> JointProbabilities:
    """Apply a joint model to the slices of ``grid``, see :func:`joint_grid` and :func:`predict_joint`."""
    step = slice_step if grid.z.spacing_mm < THIN_SLICE_MM else 1
    side = "left" if grid.x.step_mm < 0 else "right"
    stack = _stack_slices(model, scan, grid, step)
    values = predict_slices(model, stack, progress, f"{roi.joint.capitalize()}, {side}: slices")
    return JointProbabilities(roi, grid._replace(z=grid.z.thinned(step)), values)


def joint_grid(box: Box, scan: Grid, spacing_mm: Sequence[float], stride: int, side: Side) -> Grid:
    """Return the grid on which a joint model sees a leg.

    Args:
        box: what it has to see.
        spacing_mm: the network's (slice, row, column) spacing. Slices that the scan has further apart are taken as
            they are.
        stride: rows and columns are multiples of it.
        side: a left leg is shown in a mirror.
    """
    start, stop = scan.z.indices_within(*box.z)
    native = scan.z.part(start, max(stop, start + 1))
    z = (
        native
        if native.spacing_mm >= 0.99 * spacing_mm[0]
        else Axis.covering(native.low_mm, native.high_mm, spacing_mm[0])
    )
    y = Axis.covering(*box.y, spacing_mm[1], stride)
    x = Axis.covering(*box.x, spacing_mm[2], stride)
    grid = Grid(z, y, x)
    return grid.mirrored() if side == "left" else grid


def _stack_slices(model: Model, scan: Scan, grid: Grid, step: int) -> SliceStack:
    """The slices of ``grid``, and as many more beyond its ends as the network's neighbour channels reach to."""
    offsets_mm = model.spec.neighbour_offsets_mm
    reach = ceil(max((abs(offset) for offset in offsets_mm), default=0.0) / grid.z.spacing_mm)
    above, below = _spare_slices(grid.z, scan.grid.z, reach)
    z = Axis(grid.z.first_mm - below * grid.z.step_mm, grid.z.step_mm, grid.z.count + below + above)
    device = model.device.torch_name
    volume = resample_to(scan.values, scan.grid, grid._replace(z=z), outside=OUTSIDE_HU, clip=HU_RANGE, device=device)
    return SliceStack(
        torch.arange(below, below + grid.z.count, step),
        (grid.y.count, grid.x.count),
        lambda positions: slice_channels(volume, grid.z.spacing_mm, positions, offsets_mm),
    )


def _spare_slices(z: Axis, scan: Axis, wanted: int) -> tuple[int, int]:
    """How many further slices, up to ``wanted``, the scan has above and below."""
    above = int((scan.high_mm - z.high_mm) / z.step_mm + 1e-6)
    below = int((z.low_mm - scan.low_mm) / z.step_mm + 1e-6)
    return min(max(above, 0), wanted), min(max(below, 0), wanted)


def _check_classes(joint: str, classes: Sequence[str]) -> None:
    if tuple(classes[1:]) not in (JOINT_BONES[joint], (*JOINT_BONES[joint], OTHER)):
        raise ModelError(
            f"The bundle for the {joint} names the classes {', '.join(classes)}, expected background, "
            f"{', '.join(JOINT_BONES[joint])}; install the weights that belong to this version."
        )
