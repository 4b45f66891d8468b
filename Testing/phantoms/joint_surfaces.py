"""Bones under cartilage of known thickness, as cases with labels and margins but without any network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Side, structure
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.cartilage import CartilageMeasurement, measure_cartilage
from KneeSegLib.measurements.structures import measure_structures

BALL_MM = 20.0
COVER_MM = 2.5
COVERED_DEGREES = 70.0
PLATE_MM = (24.0, 16.0)


def positions(size: int = 64, spacing_mm: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z of the voxels of a cube around the origin, each indexed [z, y, x]."""
    axis = (np.arange(size) - (size - 1) / 2.0) * spacing_mm
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return x, y, z


def case_of_depths(depths: Mapping[str, np.ndarray], side: Side, margins: bool = True, spacing_mm: float = 1.0) -> Case:
    """Return a case of structures from their depth in mm, positive inside; of two at one place the first one counts."""
    labels = np.zeros(next(iter(depths.values())).shape, np.uint8)
    for name, depth in reversed(depths.items()):
        labels[depth > 0] = structure(name, side).label_value
    image = placed(labels, spacing_mm)
    fields = {
        structure(name, side).key: placed(np.tanh(d).astype(np.float32), spacing_mm) for name, d in depths.items()
    }
    provenance = {"version": "0", "pipeline": "mr-knee", "pipeline_title": "MR: knee", "timings": {}}
    signal = Volume(sitk.Cast(image, sitk.sitkInt16), "MR", "phantom")
    return Case([ScanResult(signal, image, fields if margins else {}, measure_structures(image))], [], provenance)


def measured_cartilage(case: Case) -> list[CartilageMeasurement]:
    """Return what is measured of the cartilage of a case."""
    return measure_cartilage(case.labels, case.margins, case.surfaces())


def placed(array: np.ndarray, spacing_mm: float = 1.0) -> sitk.Image:
    """An array of :func:`positions` as an image."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((spacing_mm,) * 3)
    image.SetOrigin([-(size - 1) / 2.0 * spacing_mm for size in array.shape[::-1]])
    return image


def ball_depths(bone: str, cartilage: str) -> dict[str, np.ndarray]:
    """A ball of bone that carries cartilage within :data:`COVERED_DEGREES` of straight down."""
    x, y, z = positions()
    radius = np.sqrt(x**2 + y**2 + z**2)
    shell = np.minimum(radius - BALL_MM, BALL_MM + COVER_MM - radius)
    aside = np.degrees(np.arccos(np.clip(-z / np.maximum(radius, 1e-6), -1.0, 1.0))) - COVERED_DEGREES
    return {bone: BALL_MM - radius, cartilage: np.minimum(shell, -np.radians(aside) * radius)}


def plate_depths(thickness_mm: float | np.ndarray = COVER_MM, from_x_mm: float = -PLATE_MM[0]) -> dict[str, np.ndarray]:
    """A tibia whose flat top at z = 0 carries cartilage from some x on towards the patient's left."""
    x, y, z = positions()
    half_x, half_y = PLATE_MM
    column = np.minimum(half_x - np.abs(x), half_y - np.abs(y))
    bone = np.minimum(column, np.minimum(-z, z + 20.0))
    cover = np.minimum(np.minimum(column - 2.0, x - from_x_mm), np.minimum(z, thickness_mm - z))
    return {"tibia": bone, "tibial_cartilage": cover}
