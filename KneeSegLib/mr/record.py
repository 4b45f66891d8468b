"""What was found of a knee, for the record of a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from KneeSegLib.mr.patches import FineProbabilities
from KneeSegLib.mr.shape_fit import FittedShape, SideFound


def record_knee(
    found: SideFound, shapes: Mapping[str, FittedShape], patches: FineProbabilities | None
) -> dict[str, Any]:
    """Return JSON-able facts about the side, the fitted shapes and the patches."""
    return {
        "side": found.side,
        "side_known": found.known,
        "side_certainty": round(found.certainty, 3),
        "shape_residual_as_mm": {side: round(value, 2) for side, value in found.residual_mm.items()},
        "shapes": {
            bone: {
                "weights_sd": [round(float(weight), 3) for weight in fit.weights],
                "residual_mm": round(fit.mean_residual_mm, 2),
                "optimised": fit.optimised,
            }
            for bone, fit in shapes.items()
        },
        "patches": 0 if patches is None else len(patches.centers_mm),
    }
