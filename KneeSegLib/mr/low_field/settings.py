"""Numbers of low-field MR of the knee. "Not measured" says that a number was set by reasoning and not compared."""

from __future__ import annotations

from typing import Literal

ViewFusion = Literal["mean", "majority", "or", "and"]
"""How three views become one: mean probability, what most views, any view, or all views take for bone."""

CubeMerging = Literal["mean", "or"]
"""How overlapping cubes become one: mean probability, or what any of them takes for bone."""

WINDOW_VOXELS = 96
"""Edge of the windows that networks are applied to, but with the quality ``high``: larger than the cubes that they are
trained on, so that less of the work is done twice."""

WINDOW_OVERLAP = 0.25
"""Fraction of a window that neighbouring ones have in common. Not measured."""

CUBE_VOXELS = 64
"""Edge of the paper's cubes."""

CUBE_OVERLAP = 0.5
"""The paper's step is half a cube."""

AIR_LEVEL = 0.06
"""Fraction of the intensity percentile below which a block of the image is air. Not measured."""

AIR_GRID_MM = 4.0
"""Edge of these blocks: the noise of air averages out in them."""

LEAST_OF_LEG = 0.005
"""A component of what is not air belongs to the leg if it has this fraction of the largest one: tissue between them may
be as dark as air. Not measured."""

LEG_MARGIN_MM = 6.0
"""The leg's box grows by so much: skin may be dark. Not measured."""

BONES_MARGIN_MM = 12.0
"""The second and third view are predicted within the box of what the first takes for bone, and so much around it."""

LEAST_CM3 = {"femur": 10.0, "tibia": 8.0, "patella": 2.0}
"""Smaller components are no such bone, not even a child's in a small field of view. Not measured."""

SEPARATION_MM = (0.0, 1.0, 2.0, 3.0, 4.5)
"""Bones that touch are taken apart by erosion with the first of these radii that gives all three. Not measured."""

PATELLA_IN_FRONT_MM = 8.0
"""So much in front of the middle of the bone's end that is nearest the middle of a patella lies at least: that of a
flat one lies 25 mm in front. Not measured."""

BONE_END_MM = 40.0
"""Of femur and tibia, so much from the joint line is its end there."""

EDGE_VOXELS = 2
"""Probabilities count within so many voxels of a bone's component: its edge lies there."""

CLOSING_MM = 3.2
"""Radius of the ball that bones are closed with: the paper's 9 voxels of 0.352 mm."""
