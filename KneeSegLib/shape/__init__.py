"""Statistical shape models: registration of label maps, corresponding points, linear model, quality, file.

    >>> cases = read_cases(paths, ["femur"], spacing_mm=1.0)
    >>> made = build("femur", cases["femur"], sources=["my hospital (internal)"])
    >>> write_shape_models({"femur": made.model}, "femur.safetensors")
    >>> read_shape_models("femur.safetensors")["femur"].shape([2.0])  # points (P, 3) in mm, mode 1 at +2 SD

Everything is in mm and LPS, always of a right knee; left ones are mirrored.
"""

from __future__ import annotations

from KneeSegLib.shape.bone_image import BONES, BoneImage, bone_image
from KneeSegLib.shape.build import Build, CaseReport, build
from KneeSegLib.shape.cases import read_cases
from KneeSegLib.shape.model import Provenance, ShapeModel
from KneeSegLib.shape.model_file import read_shape_models, write_shape_models
from KneeSegLib.shape.quality import Quality
from KneeSegLib.shape.unusable import UnusableCase

__all__ = [
    "BONES",
    "BoneImage",
    "Build",
    "CaseReport",
    "Provenance",
    "Quality",
    "ShapeModel",
    "UnusableCase",
    "bone_image",
    "build",
    "read_cases",
    "read_shape_models",
    "write_shape_models",
]
