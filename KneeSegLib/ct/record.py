"""What the localiser found, for the record of a case."""

from __future__ import annotations

from typing import Any

from KneeSegLib.ct.leg import Leg


def record_leg(leg: Leg) -> dict[str, Any]:
    """Return JSON-able facts; boxes are (low, high) in mm along the scan's z, y and x."""
    segmented = {roi.joint for roi in leg.rois}
    return {
        "side": leg.side,
        "side_confidence": round(leg.side_confidence, 3),
        "bones": {name: round(bone.confidence, 3) for name, bone in leg.bones.items()},
        "joints": {
            name: {
                "confidence": round(joint.confidence, 3),
                "box_mm": [[round(float(bound), 1) for bound in bounds] for bounds in joint.box],
                "segmented": name in segmented,
            }
            for name, joint in leg.joints.items()
        },
    }
