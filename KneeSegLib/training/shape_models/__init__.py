"""Shape models built from label maps: registration, corresponding points, principal components, quality.

    >>> cases = read_cases(paths, ["femur"], spacing_mm=1.0)
    >>> built = build("femur", cases["femur"], sources=["my hospital (internal)"])
    >>> write_shape_models({"femur": built.model}, "femur.safetensors")

Everything is in mm and LPS, always of a right knee; left ones are mirrored.
"""

from __future__ import annotations

from KneeSegLib.training.shape_models.acceptance import CaseReport
from KneeSegLib.training.shape_models.bone_image import BoneImage, prepare_bone_image
from KneeSegLib.training.shape_models.build import Build, build
from KneeSegLib.training.shape_models.cases import read_cases
from KneeSegLib.training.shape_models.unusable import UnusableCase

__all__ = [
    "BoneImage",
    "Build",
    "CaseReport",
    "UnusableCase",
    "build",
    "prepare_bone_image",
    "read_cases",
]
