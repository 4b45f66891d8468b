"""The part of a knee that a shape network sees. Training and inference call the same functions.

A crop is a cube of 88 voxels along the patient's axes (z, y, x), always of a right knee. The paper scales each bone to
the cube; here all are seen at one scale, so that a network can tell large bones from small ones, and the cube hangs
from the bone's end at the knee, which is in every field of view.
"""

from __future__ import annotations

import torch

from KneeSegLib.mr.settings import END_TO_CENTRE_MM, UPWARD, WITHIN_MM


def crop_centre(places_mm: torch.Tensor, bone: str) -> torch.Tensor:
    """Centre (3,) of the crop for places (N, 3) that are in a bone; x, y, z in mm along the patient's axes."""
    upward = UPWARD[bone]
    heights = upward * places_mm[:, 2]
    end = heights.min()
    near = places_mm[heights < end + WITHIN_MM]
    middle = (near.amin(dim=0) + near.amax(dim=0)) / 2.0
    return torch.stack([middle[0], middle[1], upward * (end + END_TO_CENTRE_MM)])
