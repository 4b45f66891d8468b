"""Numbers of inference."""

from __future__ import annotations

SLAB_PIXELS = 200_000
"""Pixels of the slices that are inferred on at a time; larger slabs were no faster on a processor."""

WINDOW_SLICES = 128
"""Length of a coarse network's window; a joint or a leg at 4 mm fits into one."""

WINDOW_OVERLAP = 0.25
"""Fraction of a window that neighbouring windows have in common. Not measured."""

WINDOW_SIGMA = 0.25
"""Standard deviation, as a fraction of a window's edge, of the Gaussian by which windows fade into each other. Half of
it, MONAI's default, makes a step in the middle of the overlap where windows disagree."""

PATCH_VOXELS = 150_000
"""Voxels of the patches that are inferred on at a time; larger batches were no faster on a processor."""

PATCH_BATCHES_AT_ONCE = 8
"""Batches between two merges. More keep all threads of a processor busy for longer, and hold more memory."""

WINDOW_RAMP = 0.25
"""Over this fraction of a patch's edge, from either side, its weight rises from zero to one. Not measured."""

FULL_WEIGHT = 0.5
"""Where the weights of all patches add up to less than this, they fade out. Not measured."""

LABEL_SLICES = 8
"""Slices of the scan that are labelled at a time: what bounds the memory of labelling."""

MARGIN_SCALE = 127
"""Margins are stored as int8: -127 stands for -1, 127 for 1."""

VOLUME_HU = (-1024.0, 3071.0)
"""Networks of whole bones see values clipped to these: one of padding or metal would set the scale of all others."""
