"""The regions of a knee's joint surfaces. They follow the scan's axes, so a strongly turned knee shifts their borders.

Medial and lateral part at the tibia's middle on tibia and femur, at the patella's own middle on the patella. On the
femur the trochlea, the central (weight-bearing) and the posterior part are told apart by the direction from the middle
of the cartilage's outline seen from the side: within 45 degrees of straight down it is central. These are simple
geometric borders of our own and not those of a published scheme.
"""

from __future__ import annotations

import numpy as np

from KneeSegLib.anatomy import Side
from KneeSegLib.measurements.settings import CENTRAL_DEGREES

REGIONS: dict[str, tuple[str, ...]] = {
    "femur": (
        "medial trochlea",
        "lateral trochlea",
        "medial central",
        "lateral central",
        "medial posterior",
        "lateral posterior",
    ),
    "tibia": ("medial plateau", "lateral plateau"),
    "patella": ("medial facet", "lateral facet"),
}
"""Names of the regions of each bone, in the order of the numbers of :func:`number_regions`."""


def number_regions(bone: str, points: np.ndarray, covered: np.ndarray, side: Side, middle_x_mm: float) -> np.ndarray:
    """Return the number (P,) of the region of each point, an index of :data:`REGIONS`.

    Args:
        bone: a key of :data:`REGIONS`.
        points: (P, 3) LPS mm on its surface.
        covered: bool (P,), where there is cartilage; at least one.
        middle_x_mm: where medial and lateral part.
    """
    medial = points[:, 0] > middle_x_mm if side == "right" else points[:, 0] < middle_x_mm
    lateral = (~medial).astype(int)
    if bone != "femur":
        return lateral
    low, high = points[covered, 1:].min(axis=0), points[covered, 1:].max(axis=0)
    backward, upward = (points[:, 1:] - (low + high) / 2.0).T
    from_below = np.degrees(np.arctan2(backward, -upward))  # 0 straight down, 90 to the back
    part = np.where(np.abs(from_below) <= CENTRAL_DEGREES, 1, np.where(from_below < 0, 0, 2))
    return 2 * part + lateral
