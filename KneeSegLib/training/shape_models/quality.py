"""How good a shape model is.

Compactness, generalisation and specificity as in R. Davies, C. Twining, C. Taylor, *Statistical Models of Shape*
(2008), chapter 9. Distances between two shapes are root mean squares over their corresponding points, in mm.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from KneeSegLib.training.shape_models.alignment import align, align_all
from KneeSegLib.training.shape_models.components import decompose
from KneeSegLib.training.shape_models.settings import MOST_LEFT_OUT, SPECIFICITY_SAMPLES


def measure_compactness(variances: np.ndarray) -> np.ndarray:
    """Return the fraction of the variance (K,) that the first 1, 2, ... K modes explain."""
    return np.cumsum(variances) / variances.sum()


def measure_generalisation(shapes: np.ndarray, per_subject: int = 1) -> np.ndarray:
    """Return the leave-one-out error in mm with 1, 2, ... modes, as many as there are without a subject.

    At most :data:`~.settings.MOST_LEFT_OUT` subjects are left out, evenly chosen.

    Args:
        shapes: (N, P, 3), need not be aligned.
        per_subject: so many in a row are of one subject, and are left out together.
    """
    subjects = len(shapes) // per_subject
    errors = []
    for subject in np.unique(np.linspace(0, subjects - 1, min(subjects, MOST_LEFT_OUT)).round().astype(int)):
        own = np.arange(subject * per_subject, (subject + 1) * per_subject)
        others = align_all(np.delete(shapes, own, axis=0))
        mean, components, _ = decompose(others)
        flat = components.reshape(len(components), -1)
        for shape in shapes[own]:
            deviation = (align(shape, mean) - mean).ravel()
            # What is left after each further, orthogonal component.
            left = np.sum(deviation**2) - np.cumsum((flat @ deviation) ** 2)
            errors.append(np.sqrt(np.maximum(left, 0) / len(mean)))
    return np.mean(errors, axis=0)


def measure_specificity(
    shapes: np.ndarray, components: np.ndarray, variances: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return how far, in mm (K,), random shapes with 1, ... K modes are from the nearest aligned shape of (N, P, 3)."""
    flat = (shapes - shapes.mean(axis=0)).reshape(len(shapes), -1)
    basis = components.reshape(len(components), -1)
    # Only what lies in the space of the components differs between the samples.
    coordinates = flat @ basis.T
    beyond = np.sum(flat**2, axis=1) - np.sum(coordinates**2, axis=1)
    samples = random.standard_normal((SPECIFICITY_SAMPLES, len(variances))) * np.sqrt(variances)
    distances = []
    for modes in range(1, len(variances) + 1):
        drawn = np.where(np.arange(len(variances)) < modes, samples, 0.0)
        squared = cdist(drawn, coordinates, "sqeuclidean") + np.maximum(beyond, 0)
        distances.append(np.sqrt(squared.min(axis=1) / shapes.shape[1]).mean())
    return np.array(distances)
