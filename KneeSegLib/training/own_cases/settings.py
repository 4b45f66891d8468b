"""Numbers chosen for training on a user's own cases.

Those for which no measurement is named were set by judgement and never tuned.
"""

from __future__ import annotations

SAME_SPACING = 1e-3
"""Relative difference of spacings, and difference of direction cosines, below which two grids are one: NIfTI rounds."""
SAME_PLACE_VOXELS = 0.1
"""Two grids whose first voxels are nearer than this part of a voxel are one."""
SAME_DISTANCE_MM = 3.0
"""Bones of the two legs, or fibula and tibia, tell left from right only if their middles are so far apart."""

TOUCHING_BONES_MM = 45.0
"""Femur and tibia, or tibia and talus, whose ends are nearer than this meet in a joint: a gap, and half a talus."""
CROP_MARGIN_MM = 45.0
"""Around the bones of a joint set so much is kept in a slice: sample windows hang over the bones."""
SHAFT_MARGIN_MM = 12.0
"""Beyond the last slice of a joint set so much is kept: neighbouring slices are inputs."""

VALIDATION_FRACTION = 0.2
"""Fraction of the subjects that a training is validated on, at least one, where nothing says which."""
VALIDATIONS = 10
"""A training is validated so often at least: the best of its checkpoints is kept."""
FINE_TUNING_RATE = 0.25
"""Factor of the recipe's learning rate for a training that starts from weights: full steps would undo them."""
SYNTHETIC_FRACTION = 0.5
"""Fraction of synthetic samples where prepared subjects are given and no fraction: half keeps what was learned."""
CALIBRATION_RENDERS = 12
"""Slabs of validation cases on which the temperature of the finished network is fitted."""

SCALE = (0.92, 1.09)
"""Bounds of the factor by which an own case is larger or smaller in a sample."""
GEOMETRY_PROBABILITY = 0.8
"""Of a sample that is turned, sheared and bent within its slices."""
TURN_RADIANS = 0.35
"""Largest rotation, 20 degrees: limbs lie turned by as much."""
SHEAR = 0.04
"""Largest shear: bodies are not parallelepipeds, and shear stands for small tilts."""
BEND_PIXELS = (0.0, 1.5)
"""Bounds of the standard deviation of the bend, on a grid of every :data:`BEND_GRID_PIXELS` pixels."""
BEND_GRID_PIXELS = 32
"""Distance of the places whose displacements are drawn: larger than a cortex is thick, smaller than a condyle."""
BEND_VOXELS = (0.0, 2.0)
"""The same for 3D samples, smoothed over :data:`BEND_SIGMA_VOXELS`."""
BEND_SIGMA_VOXELS = (6.0, 9.0)
"""Bounds of the extent of a 3D sample's bend."""

CT_SCALE = 0.08
"""Values above air are scaled by up to this fraction: scanners' calibrations and tube voltages differ."""
CT_SHIFT_HU = 30.0
"""And shifted by up to so many HU."""
CT_NOISE_HU = 45.0
"""Highest standard deviation of noise that is added, as in the recipes of synthesis."""
MR_GAMMA = (0.7, 1.5)
"""Bounds of the exponent that changes contrast; the sequence stays recognisable."""
MR_BIAS = 0.25
"""Largest coefficient of the polynomial of a coil's shading."""
MR_NOISE = 0.05
"""Highest standard deviation of noise that is added, as a fraction of the 99th percentile."""
BLUR_PIXELS = (0.25, 0.9)
"""Bounds of the standard deviation of a blur."""
CONTRAST_PROBABILITY = 0.6
"""Of each change of contrast, and of noise."""
BLUR_PROBABILITY = 0.25
"""Of a blur: own scans are blurred as they will be."""

CUBE_OVERLAP = 0.5
"""Overlap of neighbouring cubes that 3D samples are taken from, as a fraction of their edge (the low-field paper)."""
BOUNDARY_REACH_MM = 6.0
"""Distances to boundaries are needed up to here: the weights of MR recipes have faded by then."""
