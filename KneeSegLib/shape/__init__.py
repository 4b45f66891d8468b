"""Statistical shape models as pipelines use them: the linear model of a bone, and its file.

    >>> read_shape_models("femur.safetensors")["femur"].shape([2.0])  # points (P, 3) in mm, mode 1 at +2 SD

Everything is in mm and LPS, always of a right knee; left ones are mirrored. Models are built by
``KneeSegLib.training.shape_models``.
"""

from __future__ import annotations

from KneeSegLib.shape.model import Provenance, ShapeModel
from KneeSegLib.shape.model_file import read_shape_models, write_shape_models

__all__ = ["Provenance", "ShapeModel", "read_shape_models", "write_shape_models"]
