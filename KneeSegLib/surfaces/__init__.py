"""Surfaces of labelled structures: meshing, smoothing, quality, files.

    >>> femur = structure("femur_right")
    >>> surface = surface_of(case.labels, femur, case.margins.get(femur.key))
    >>> surface_quality(surface, case.labels == femur.label_value).problems
    ()
    >>> write_surface(surface, "out/femur_right.stl", femur)

Everything is in mm and LPS (x to the patient's left, y posterior, z superior), also where no sentence repeats it.
Importing this package loads VTK; importing ``KneeSegLib`` does not load this package.
"""

from __future__ import annotations

from KneeSegLib.surfaces.decimation import decimate
from KneeSegLib.surfaces.export import FORMATS, read_surface, surface_file_name, write_surface
from KneeSegLib.surfaces.meshing import surface_of
from KneeSegLib.surfaces.quality import SurfaceQuality, surface_quality
from KneeSegLib.surfaces.smoothing import DEFAULT_SMOOTHING, SMOOTHINGS, Movement, movement_of, smooth

__all__ = [
    "DEFAULT_SMOOTHING",
    "FORMATS",
    "SMOOTHINGS",
    "Movement",
    "SurfaceQuality",
    "decimate",
    "movement_of",
    "read_surface",
    "smooth",
    "surface_file_name",
    "surface_of",
    "surface_quality",
    "write_surface",
]
