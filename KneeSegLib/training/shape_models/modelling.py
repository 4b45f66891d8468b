"""From corresponding points to a shape model: Procrustes, principal components, quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KneeSegLib.shape.model import Provenance, Quality, ShapeModel
from KneeSegLib.training.shape_models.alignment import align_all
from KneeSegLib.training.shape_models.components import count_kept, decompose
from KneeSegLib.training.shape_models.quality import (
    measure_compactness,
    measure_generalisation,
    measure_specificity,
)


@dataclass(frozen=True)
class CorrespondingPoints:
    """Points that correspond on N cases of a bone, whichever way they came to do so.

    Attributes:
        bone: key of the tissue in :mod:`KneeSegLib.anatomy`.
        points: (N, P, 3) in mm on each case, in its own frame.
        triangles, cartilage: see :class:`~KneeSegLib.shape.model.ShapeModel`.
        start: the case that the mean lies like.
        per_subject: so many cases in a row are of one subject.
    """

    bone: str
    points: np.ndarray
    triangles: np.ndarray
    cartilage: np.ndarray
    start: int = 0
    per_subject: int = 1


@dataclass(frozen=True)
class PointErrors:
    """What is known of the error of corresponding points: entries of :class:`~KneeSegLib.shape.model.Quality`."""

    residual_mean_mm: float
    residual_most_mm: float
    overlap_mean: float | None = None
    overlap_least: float | None = None


def make_model(
    corresponding: CorrespondingPoints,
    provenance: Provenance,
    errors: PointErrors,
    seed: int = 0,
    most_modes: int | None = None,
) -> ShapeModel:
    """Make a model of points that correspond.

    Args:
        errors: of the points; they become part of the model's quality.
        seed: of the random shapes that specificity is measured with.
        most_modes: no more are kept; None for as many as :data:`~.settings.KEPT_VARIANCE` takes.
    """
    shapes = align_all(corresponding.points, start=corresponding.start)
    mean, components, variances = decompose(shapes)
    kept = min(count_kept(variances), most_modes or len(variances))
    random = np.random.default_rng(seed)
    return ShapeModel(
        bone=corresponding.bone,
        mean=mean,
        components=components[:kept],
        variances=variances[:kept],
        triangles=corresponding.triangles,
        cartilage=corresponding.cartilage,
        provenance=provenance,
        quality=Quality(
            compactness=tuple(measure_compactness(variances)[:kept].tolist()),
            generalisation_mm=tuple(measure_generalisation(shapes, corresponding.per_subject)[:kept].tolist()),
            specificity_mm=tuple(measure_specificity(shapes, components[:kept], variances[:kept], random).tolist()),
            overlap_mean=errors.overlap_mean,
            overlap_least=errors.overlap_least,
            residual_mean_mm=errors.residual_mean_mm,
            residual_most_mm=errors.residual_most_mm,
        ),
    )
