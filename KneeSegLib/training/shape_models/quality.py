"""How good a shape model is.

Compactness, generalisation and specificity as in R. Davies, C. Twining, C. Taylor, *Statistical Models of Shape*
(2008), chapter 9. Distances between two shapes are root mean squares over their corresponding points, in mm.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from KneeSegLib.training.shape_models.alignment import aligned, generalised_procrustes
from KneeSegLib.training.shape_models.components import principal_components

_SAMPLES = 200
_LEFT_OUT = 48


def compactness(variances: np.ndarray) -> np.ndarray:
    """Share of the variance (K,) that the first 1, 2, ... K modes explain."""
    return np.cumsum(variances) / variances.sum()


def generalisation(shapes: np.ndarray, of_a_person: int = 1) -> np.ndarray:
    """Leave-one-out error in mm with 1, 2, ... modes, as many as there are without a person; for at most so many
    people as :data:`_LEFT_OUT`, evenly chosen.

    Args:
        shapes: (N, P, 3), need not be aligned.
        of_a_person: so many in a row are of one person, and are left out together.
    """
    people = len(shapes) // of_a_person
    errors = []
    for person in np.unique(np.linspace(0, people - 1, min(people, _LEFT_OUT)).round().astype(int)):
        own = np.arange(person * of_a_person, (person + 1) * of_a_person)
        others = generalised_procrustes(np.delete(shapes, own, axis=0))
        mean, components, _ = principal_components(others)
        flat = components.reshape(len(components), -1)
        for shape in shapes[own]:
            deviation = (aligned(shape, mean) - mean).ravel()
            # What is left after each further, orthogonal component.
            left = np.sum(deviation**2) - np.cumsum((flat @ deviation) ** 2)
            errors.append(np.sqrt(np.maximum(left, 0) / len(mean)))
    return np.mean(errors, axis=0)


def specificity(
    shapes: np.ndarray, components: np.ndarray, variances: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Distance in mm (K,) of random shapes with 1, 2, ... K modes to the nearest of the aligned shapes (N, P, 3)."""
    flat = (shapes - shapes.mean(axis=0)).reshape(len(shapes), -1)
    basis = components.reshape(len(components), -1)
    # Only what lies in the space of the components differs between the samples.
    coordinates = flat @ basis.T
    beyond = np.sum(flat**2, axis=1) - np.sum(coordinates**2, axis=1)
    samples = random.standard_normal((_SAMPLES, len(variances))) * np.sqrt(variances)
    distances = []
    for modes in range(1, len(variances) + 1):
        drawn = np.where(np.arange(len(variances)) < modes, samples, 0.0)
        squared = cdist(drawn, coordinates, "sqeuclidean") + np.maximum(beyond, 0)
        distances.append(np.sqrt(squared.min(axis=1) / shapes.shape[1]).mean())
    return np.array(distances)
