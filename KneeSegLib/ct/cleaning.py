"""Cleaning of a leg's labels: every bone is expected where the localiser saw it."""

from __future__ import annotations

import numpy as np

from KneeSegLib.anatomy import BONES, structure
from KneeSegLib.cleaning import clean_labels
from KneeSegLib.cleaning.slice_errors import cut_spikes, fill_clefts
from KneeSegLib.ct.leg import Leg
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.inference.scan import Scan


def clean_leg(labels: LegLabels, leg: Leg, scan: Grid) -> np.ndarray:
    """Return the labels of a leg with one component of each bone, without holes."""
    crop = scan.part(labels.place)
    structures = [structure(bone, leg.side) for bone in BONES]
    anchors = {structure(name, leg.side).key: crop.slices_within(bone.box) for name, bone in leg.bones.items()}
    return clean_labels(labels.labels, scan.spacing_mm, structures, anchors)


def mend_slices(labels: LegLabels, scan: Scan) -> np.ndarray:
    """Return the labels of a leg with the clefts filled and the spikes cut off that slices leave.

    The wings of a hip bone are as thin as spikes and are left alone by the second.
    """
    bones = {bone: structure(bone, labels.side) for bone in BONES}
    filled = fill_clefts(labels.labels, scan.values[labels.place], scan.grid.spacing_mm, list(bones.values()))
    return cut_spikes(filled, scan.grid.spacing_mm, [one for bone, one in bones.items() if bone != "hip_bone"])
