"""Every number of the measurements that was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

THICKNESS_STEP_MM = 0.1
"""Cartilage is looked for at this distance along a bone's normal; its surfaces are interpolated between two samples."""

THICKNESS_FROM_MM = -0.8
"""Samples begin so far within the bone: labels and surface may disagree by a voxel of 0.8 mm."""

THICKNESS_TO_MM = 8.0
"""Samples end here, beyond the thickest cartilage of a knee."""

CONTACT_MM = 0.8
"""Cartilage that begins farther than this from the bone is not the bone's own but that of the bone opposite; one voxel
between a bone and its own cartilage may be missing."""

CENTRAL_DEGREES = 45.0
"""The part of the femur's cartilage within this angle of straight down is central: what bears weight in standing."""

OPINION_LIMITS_MM: Mapping[str, float] = MappingProxyType({"bone": 3.0, "cartilage": 2.5, "meniscus": 3.0})
"""Two opinions on a structure are flagged where their surfaces lie farther apart somewhere, by kind of tissue: a cut
planned on one of them would be off by as much. Less is what two good segmentations differ by at the rim of a joint
surface. Not measured."""

SHAFT_END_MM = 30.0
"""Length of shaft at the end of a block by which it is told in which direction the bone leaves it. Not measured."""

SHAFT_REACHES_BORDER_MM = 6.0
"""A bone that ends this near to the first or last slice is cut there; its surface may be cleaned off by a slice or two.
Not measured."""

BEND_LIMITS_DEGREES = (8.0, 14.0)
"""A shaft that bends by more, seen from the front or from the side, on the way between two blocks is not that of a
patient who lay still: the femur's bow of 1 m radius bends by 9 degrees on 150 mm. Not measured."""
