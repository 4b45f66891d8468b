"""Cleaning of a knee's labels."""

from __future__ import annotations

import numpy as np

from KneeSegLib.anatomy import CARTILAGES, JOINT_BONES, MENISCUS_OF_COMPARTMENT, structure
from KneeSegLib.cleaning import clean_labels
from KneeSegLib.cleaning.attached import keep_attached
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.mr.settings import MENISCUS_GAP_MM


def clean_knee(knee: LegLabels, scan: Grid) -> np.ndarray:
    """Return labels with one component of each bone, and cartilage and menisci only where they belong."""
    spacing_mm, side = scan.spacing_mm, knee.side
    labels = clean_labels(knee.labels, spacing_mm, [structure(bone, side) for bone in JOINT_BONES["knee"]])
    for bone, cartilage in CARTILAGES.items():
        mask = labels == structure(cartilage, side).label_value
        labels[mask & ~keep_attached(mask, labels == structure(bone, side).label_value, spacing_mm)] = 0
    covered = np.isin(labels, [structure(name, side).label_value for name in ("tibia", "tibial_cartilage")])
    for meniscus in MENISCUS_OF_COMPARTMENT.values():
        mask = labels == structure(meniscus, side).label_value
        labels[mask & ~keep_attached(mask, covered, spacing_mm, MENISCUS_GAP_MM)] = 0
    return labels
