"""Numbers of running nnU-Net folders. "Not measured" says that a number was set by reasoning."""

from __future__ import annotations

CONFIGURATIONS = ("3d_cascade_fullres", "3d_fullres", "2d", "3d_lowres")
"""Of several trained configurations in a folder the first of these is taken: a cascade was trained because the image is
larger than one window; 3D sees more than 2D. Not measured."""

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
"""Of several checkpoints the first of these that a fold has is taken, as nnU-Net does; else any other."""

DEEPEST_FOLDER = 3
"""A model is looked for so many folders below the one given: archives wrap it in one or two."""

TILE_STEP = 0.5
"""Windows lie half a window apart, as in nnU-Net's own inference."""

LABEL_SLICES = 32
"""Logits become labels so many slices at a time, which bounds the memory that takes. Not measured."""

MARGIN_VOXELS = 4
"""Margins reach so many voxels beyond a structure: smoothing of surfaces looks no farther. Not measured."""

BYTES_PER_CLASS = 6.0
"""Memory for each voxel and class: half-precision logits of all windows, and float32 on the grid of the image."""

BYTES_BESIDE = 16.0
"""Memory for each voxel beside that: the image twice in float32, labels, components."""

BYTES_ANYWAY = 1.5e9
"""Memory for torch, nnunetv2 and a network. Not measured."""

# Sides of labels that tell none

SEPARATE_LEGS_MM = 60.0
"""Two large components of one bone whose centres lie farther apart from side to side belong to two legs: knees pressed
together lie 80 mm apart, and a bone broken in two lies along its leg. Not measured."""

LEAST_SLOPE = 0.5
"""They also lie at least this fraction as far apart from side to side as along the leg: where a network takes parts of
a femur for tibia, these lie on the slanting line of one leg (62 and 215 mm apart in a synthetic knee)."""

SECOND_LEG_FRACTION = 0.25
"""The second of them has at least this fraction of the first one's volume, or it is a fragment. Not measured."""

CLEAR_OFFSET_MM = 8.0
"""Medial and lateral parts of a knee whose centres differ less from side to side do not tell its side. Not measured."""
