"""The linear model of a bone's shape: a mean and the principal components of what differs between subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import CARTILAGES

CARTILAGE_SHARE = 0.5

BONES = tuple(CARTILAGES)
"""The bones that shape models are made of: those of the knee that carry cartilage."""


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from.

    Attributes:
        sources: one line for each, "name (licence)", as the builder gave them.
        cases: how many bones went into it. Their names are left out: file names may be names of patients.
        spacing_mm: voxel edge at which they were registered.
        version: of KneeSeg.
        date: ISO 8601.
    """

    sources: tuple[str, ...]
    cases: int
    spacing_mm: float
    version: str
    date: str


@dataclass(frozen=True)
class Quality:
    """Figures of a model. The tuples have one entry for each number of modes, from one to all.

    Attributes:
        compactness: fraction of the variance explained.
        generalisation_mm: how far, on average, a case stays from a model made without it.
        specificity_mm: how far, on average, a random shape of the model is from the most similar case.
        overlap_mean, overlap_least: Dice of the cases with the reference after registration; None where points
            correspond without one.
        residual_mean_mm, residual_most_mm: distance of the warped points from the surface of the case they lie on: the
            mean, and the largest mean of a case.
    """

    compactness: tuple[float, ...]
    generalisation_mm: tuple[float, ...]
    specificity_mm: tuple[float, ...]
    overlap_mean: float | None
    overlap_least: float | None
    residual_mean_mm: float
    residual_most_mm: float


@dataclass(frozen=True)
class ShapeModel:
    """P corresponding points on the surface of one right bone and K components of their variation.

    Attributes:
        bone: key of the tissue in :mod:`KneeSegLib.anatomy`, ``"femur"``.
        mean: (P, 3) mm, point p of it being point p of every other shape; centred on the origin, axes near LPS.
        components: (K, P, 3), orthonormal.
        variances: (K,) mm², descending.
        triangles: (T, 3) with the points as corners, outward; open where a shaft was cut.
        cartilage: (P,) fraction (0..1) of the cases with cartilage labels in which the point carries cartilage.
        quality: what was measured on it; None where nothing was.
    """

    bone: str
    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    triangles: np.ndarray
    cartilage: np.ndarray
    provenance: Provenance
    quality: Quality | None = None

    @property
    def carries_cartilage(self) -> np.ndarray:
        """Boolean (P,): points that carry cartilage in at least half of the cases that tell."""
        return self.cartilage >= CARTILAGE_SHARE

    def shape(self, weights: np.ndarray) -> np.ndarray:
        """Points (P, 3) in mm for weights (up to K of them) in standard deviations."""
        weights = np.asarray(weights, float)
        scaled = weights * np.sqrt(self.variances[: len(weights)])
        return self.mean + np.tensordot(scaled, self.components[: len(weights)], 1)

    def weights_of(self, points: np.ndarray) -> np.ndarray:
        """Weights (K,) in standard deviations of the shape nearest to points (P, 3) aligned to the mean."""
        return np.tensordot(self.components, points - self.mean, 2) / np.sqrt(self.variances)
