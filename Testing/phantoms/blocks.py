"""A case of two scans of one leg, made without any network."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from KneeSegLib.case import Case, ScanResult
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.structures import measure_structures
from Testing.phantoms.legs import leg_phantom


def blocks_case(**changes: object) -> Case:
    """Return the case of two blocks of one right leg, hip and knee, on different grids; both show a part of the femur.

    The knee's grid is turned against the body and its axes are stored in another order.
    """
    turn = sitk.Euler3DTransform((-100.0, 0.0, 500.0), 0.05, -0.04, 0.2)
    hip = leg_phantom(("right",), (700.0, 990.0), spacing_mm=(3.0, 2.0, 2.0))
    knee = leg_phantom(("right",), (380.0, 640.0), spacing_mm=(2.0, 1.5, 2.5))
    scans = []
    for name, phantom in (("hip", hip), ("knee", knee)):
        volume, labels = phantom.image, phantom.truth
        if name == "knee":
            volume, labels = (sitk.DICOMOrient(_turn_grid(image, turn), "SAR") for image in (volume, labels))
        scans.append(ScanResult(Volume(volume, "CT", f"CT {name}"), labels, {}, measure_structures(labels), name=name))
    provenance = {"version": "0.1.0", "pipeline": "ct-leg", "timings": {"reading": 0.5}, **changes}
    return Case(scans, ["The ankle is missing."], provenance)


def _turn_grid(image: sitk.Image, turn: sitk.Transform) -> sitk.Image:
    """Return an image sampled on its own grid turned in the patient; what lies beyond it is 0."""
    direction = np.reshape(turn.GetMatrix(), (3, 3)) @ np.reshape(image.GetDirection(), (3, 3))
    origin = turn.TransformPoint(image.GetOrigin())
    size, spacing_mm = image.GetSize(), image.GetSpacing()
    nearest = sitk.sitkNearestNeighbor
    return sitk.Resample(image, size, sitk.Transform(), nearest, origin, spacing_mm, direction.ravel())
