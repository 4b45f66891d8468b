"""Cleaning of a leg's labels: every bone is expected where the localiser saw it."""

from __future__ import annotations

import numpy as np

from KneeSegLib.anatomy import BONES, structure
from KneeSegLib.cleaning import clean_labels
from KneeSegLib.ct.leg import Leg
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.labels import LegLabels


def clean_leg(labels: LegLabels, leg: Leg, scan: Grid) -> np.ndarray:
    """Return the labels of a leg with one component of each bone, without holes."""
    crop = scan.part(labels.place)
    structures = [structure(bone, leg.side) for bone in BONES]
    anchors = {structure(name, leg.side).key: crop.slices_within(bone.box) for name, bone in leg.bones.items()}
    return clean_labels(labels.labels, scan.spacing_mm, structures, anchors)
