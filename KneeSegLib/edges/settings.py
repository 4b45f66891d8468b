"""Numbers of the edge's conventions."""

from __future__ import annotations

LATTICE_MM = 1.0
"""Normals and distances between two edges vary over millimetres: they are kept on cells of about this size."""

NORMAL_SIGMA_MM = 1.0
"""Bones are blurred by this standard deviation before their normals are taken: less shows the steps of voxels."""

PROFILE_STEP_MM = 0.2
"""Half of the finest voxels that CT of bones has; between two samples a profile is straight."""

PROFILE_MM = (-3.2, 5.0)
"""A profile spans what the windows below may ask for from the farthest edges that are believed."""

CORTEX_MM = (-2.0, 0.8)
"""The brightest value here is the cortex's: the thickest cortex that still has its maximum near the surface, and as far
out as the cortex's maximum lies from an edge that is drawn too far in."""

OUTSIDE_MM = (1.6, 3.0)
"""The median here is what lies outside: beyond the blur of the edge, before the next structure."""

TOP_MM = (-0.6, 0.6)
"""The outer slope of the cortex begins at the brightest value here; from there on a rise is another structure."""

GAP_RISE = 0.25
"""A rise by this fraction of the contrast ends a gap: less is noise, more would miss gaps that blur has half filled."""

GAP_RISE_HU = 100.0
"""A smaller rise is noise or texture, whatever the contrast."""

LEAST_CONTRAST_HU = 300.0
"""With less between cortex and outside half-way is not told from texture: the cortex's edge is kept."""

DARKEST_OUTSIDE_HU = -150.0
"""Darker than fat is air or padding, which never lies against a bone in the body."""

OFFSETS_MM = (-1.0, 1.8)
"""A half-maximum farther from the cortex's edge is another structure's: its neighbours decide. Real bones had means of
0.1 mm (voxels of 0.4 mm) to 0.8 mm (slices of 3 mm)."""

NEIGHBOURS_SIGMA_MM = 2.5
"""Neighbours that say what is usual around a point of the surface."""

OUTLIER_MM = 0.5
"""A point that differs more from its neighbours takes their value."""

SMOOTHING_SIGMA_MM = 0.8
"""Offsets are smoothed by this along the surface: noise of single profiles goes, what a cortex does over 2 mm stays."""

TOLD_FRACTION = (0.25, 0.75)
"""Of the points around: with less the surface is kept, with more it is moved wholly, and between it passes from one to
the other over about a millimetre."""

MARGIN_SCALE = 127
"""Of int8 margins, as :mod:`KneeSegLib.inference.settings` has it."""

MARGIN_LIMIT = 0.99
"""As in meshing, margins are trusted up to here: beyond it lie rounding and overconfidence."""

FIELD_STEPS = 1000
"""Of a field, for one unit: whole numbers take half of the memory."""

AROUND_MM = 3.0
"""A bone's crop reaches so far beyond it: the farthest that an edge is moved, and the next voxels."""
