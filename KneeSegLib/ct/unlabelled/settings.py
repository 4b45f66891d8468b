"""Numbers of the search for bone without a label. "Not measured" says that a number was set by reasoning.

Chosen on five real CT (ankle, both legs, both feet, pelvis, abdomen) and rendered test subjects, on which what is
labelled rightly has to stay silent.
"""

from __future__ import annotations

GRID_MM = 2.0
"""Cubes to which scan and labels are averaged: the cortex of a fibula is as thick."""

BONE_HU = 200.0
"""The average of such a cube in bone; muscle, fluid and cartilage stay below 150."""

AROUND_LABELS_MM = 4.0
"""So near to a label lies its own rim, and what a joint's gap averages to."""

LEAST_CM3 = 5.0
"""Smaller components are sesamoids, calcified vessels or the rim of a bone."""

LEAST_EXPECTED_CM3 = 3.0
"""The same where anatomy demands a bone. Not measured."""

LEAST_SMALL_CM3 = 1.5
"""The same where it demands a fibula or a patella, of whose bone little is dense, and where the localiser itself sees a
bone of a leg. Not measured."""

MOST_NOTHING = 0.65
"""Components of which the localiser says with this mean probability that they are no bone are none: tables, vessels
and streaks of metal have .68 to .94, bones in view .27 to .61."""

OTHER_WEIGHT = 2.0
"""How much the localiser's probability of another bone counts against that of the bones it names: on its coarse grid
the two mix. Chosen on rendered hips, whose sacrum it half takes for a hip bone."""

OTHER_HALF_CM3 = 40.0
"""So much of the other half of the pelvis may be in view of a scan of one hip."""

BELOW_HIP_MM = 30.0
"""Sacrum, coccyx and spine lie higher than this above the lowest point of a hip bone. Not measured."""

FOOT_MM = 230.0
"""Midfoot and toes lie no farther than this from talus or calcaneus: a long foot has 300 mm. Not measured."""

FOOT_FROM_MM = 16.0
"""Some bone of the midfoot lies as near as this to talus or calcaneus: navicular and cuboid. Not measured."""

FOOT_GAP_VOXELS = 1
"""Its bones are no farther apart than twice this many cubes. Not measured."""

FOOT_CM3 = 150.0
"""Midfoot and toes have no more dense bone: those of a real foot have 104 cm3, and with those of the other foot, whose
toes touch, 273."""

FIBULA_BELOW_MM = 4.0
"""A fibula ends so far below the tibial plateau at least. Not measured."""

FOOT_BEHIND_MM = 45.0
"""The forefoot of a foot that is pulled up lies so far above the talus along the shank at most. Not measured."""

BESIDE_THIGH_MM = 15.0
"""Forearm and hand lie this far to the outer side of a femur or hip bone. Not measured."""

BEFORE_THIGH_MM = 60.0
"""Or this far in front of it: farther than a patella. Not measured."""

HAND_BELOW_MM = 100.0
"""Hands reach no lower than this below the end of a femur. Not measured."""

END_MM = 40.0
"""The end of a long bone is so long. Not measured."""

AT_BORDER_MM = 8.0
"""A bone that ends no farther than this from the border of the scan may go on beyond it. Not measured."""

REACH_MM = {"tibia": 30.0, "fibula": 30.0, "femur": 25.0, "hip_bone": 25.0, "talus": 14.0, "calcaneus": 14.0}
"""How far from a bone its neighbour in the joint is looked for. Not measured."""

MIRRORED_FRACTION = 0.25
"""A hip bone of the other side is in view where so much of this one's mirror image is bone without a label.
Not measured."""

SAME_LEG_MM = 60.0
"""A component nearer than this to a labelled bone belongs to its leg. Not measured."""

LOOK_AROUND_MM = 30.0
"""The second look sees so much around a component. Not measured."""

LOOK_ALONG_MM = 60.0
"""And so much along the leg: slices of the labelled neighbour help to name what lies beside it. Not measured."""

MOST_LOOKS = 4
"""So many components are looked at again, the largest first: more are no oversight but another part of the body.
Not measured."""
