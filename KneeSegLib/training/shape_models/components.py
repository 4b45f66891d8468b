"""Principal components of corresponding points."""

from __future__ import annotations

import numpy as np

from KneeSegLib.training.shape_models.settings import KEPT_VARIANCE


def decompose(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean (P, 3), components (K, P, 3) and variances (K,) of aligned shapes (N, P, 3); K is N - 1 at most.

    The sign of a component is free; its largest coordinate is made positive, so that it is the same every time.
    """
    mean = shapes.mean(axis=0)
    deviations = (shapes - mean).reshape(len(shapes), -1)
    _, singular, components = np.linalg.svd(deviations, full_matrices=False)
    variances = singular[:-1] ** 2 / (len(shapes) - 1)
    components = components[:-1]
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], 1)
    components = components * np.sign(largest)
    return mean, components.reshape(-1, *mean.shape), variances


def count_kept(variances: np.ndarray) -> int:
    """Return how many components explain :data:`~.settings.KEPT_VARIANCE`."""
    explained = np.cumsum(variances) / variances.sum()
    return int(np.searchsorted(explained, KEPT_VARIANCE) + 1)
