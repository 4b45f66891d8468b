"""Numbers of cleaning. "Not measured" says that a number was set by reasoning and not compared with others."""

LARGEST_CANAL_MM2 = 600.0
"""A ring in one transverse slice of a long bone is filled up to this area: that of a wide medullary canal.
Not measured."""

LEAST_CARTILAGE_FRACTION = 0.1
"""Cartilage and menisci may be several plates: a component of this fraction of the main one's voxels stays.
Not measured."""

LEAST_ATTACHED_MM3 = 15.0
"""A component of cartilage or meniscus that is smaller than this is noise, or of no consequence. Not measured."""

LEAST_CONTACT = 0.1
"""Contact area, as a fraction of (volume of the component) ** (2/3), from which a spurious component belongs to the
bone that it touches: less is a component that merely grazes it. Not measured."""

LEAST_HEAD_MM3 = 8000.0
"""A femoral head of 48 mm holds 58 cm3: this is what streaks may leave of one, and more than is mislabelled by chance.
Not measured."""

LARGEST_HEAD_GAP_MM = 12.0
"""A severed head lies no farther than this from its shaft. Not measured."""

LEAST_SHAFT_FRACTION = 0.05
"""A component of less than this fraction of the main one's voxels is no part of a shaft. Not measured."""

LARGEST_SHAFT_GAP_MM = 30.0
"""Two parts of a shaft lie no farther apart than this inside the image. Not measured."""

LARGEST_GAP_OUTSIDE_MM = 150.0
"""The same where the bone was outside the image between them. Not measured."""

SHAFT_END_MM = 40.0
"""The direction of a part of a shaft is that of its voxels within this distance of the gap. Not measured."""

LARGEST_SHAFT_ANGLE_DEG = 30.0
"""Between the line across the gap and the direction of either part. Not measured."""

MOST_SHAFT_POINTS = 20_000
"""Points per component that shafts are compared by: enough for a direction, and quick. Not measured."""

FEWEST_SHAFT_POINTS = 4
"""An end of fewer voxels has no direction."""

MOST_SHIFTS = 10
"""Balls of up to so many voxels are closed with by shifts along the axes: 1.7 s of processor time where a distance
transform takes 12 s, for 286 x 448 x 448 voxels and a radius of 9. The squares of their shifts fit a byte twice."""

CLOSING_BLOCK = 4
"""Slices that are shifted at a time: they stay in a core's cache. Not measured."""

CLEFT_RADIUS_MM = 2.5
"""Clefts of up to five millimetres between parts of one bone are looked into: two or three slices of the networks."""

TALLEST_CLEFT_MM = 10.0
"""Along the leg, with bone above and below, clefts may be this tall: 8 mm on a real tibial plateau."""

LEAST_ENCLOSED = 0.75
"""A cleft is the bone's where this fraction of its faces touch the bone. On one synthetic ankle nearly all that is
filled so was bone, and without this and the next limit a fifth (the rest: concave places, the bone beyond a joint); on
another a fifth was bone, of 0.04 cm3 in a talus and in a calcaneus."""

LEAST_DENSITY = 0.6
"""As a fraction of the bone at its faces. Chosen with the number above: bone that slices missed has 0.7 to 0.9."""

CLEFT_HU = 100.0
"""The mean of bone that slices missed is above this; muscle, cartilage, tendon and fluid have up to 90."""

LEAST_CLEFT_MM3 = 2.0
"""A smaller part is the rounding of an edge. Not measured."""

LEAF_RADIUS_MM = 1.0
"""A ball of this radius does not fit into leaves of bone that slices add."""

LEAST_SPIKE_MM = 1.0
"""They are cut off where they are farther than this from where it fits; sharp edges of bone stay."""

LARGEST_SPIKE_MM3 = 60.0
"""Larger leaves stay. On two synthetic ankles leaves of up to 32 mm3 were wrong in 91 % of their voxels and more; one
of 198 mm3 on a synthetic knee was right, part of a plateau with a bay below it."""
