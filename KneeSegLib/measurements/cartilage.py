"""Thickness of cartilage on the surface of the bone that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import map_coordinates

from KneeSegLib.anatomy import CARTILAGES, SIDES, Structure, structure
from KneeSegLib.geometry.mesh import point_normals, points_of, polydata_with, triangles_of
from KneeSegLib.measurements.regions import REGIONS, number_regions
from KneeSegLib.measurements.settings import (
    CONTACT_MM,
    THICKNESS_FROM_MM,
    THICKNESS_STEP_MM,
    THICKNESS_TO_MM,
)

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

THICKNESS = "ThicknessMm"
REGION = "Region"
"""Names of the values on the points of a map; the region counts from 1, 0 is bare bone."""


@dataclass(frozen=True)
class RegionThickness:
    """One region of a joint surface.

    Attributes:
        name: as in :data:`~KneeSegLib.measurements.regions.REGIONS`.
        covered_mm2: area of bone under cartilage.
        mean_mm, sd_mm: thickness, every piece of covered area counting alike; NaN where nothing is covered.
    """

    name: str
    covered_mm2: float
    mean_mm: float
    sd_mm: float


@dataclass(frozen=True)
class CartilageMeasurement:
    """The cartilage of one bone: its regions, and the bone's surface with the thickness on its points."""

    bone: Structure
    cartilage: Structure
    regions: tuple[RegionThickness, ...]
    surface: vtkPolyData


def measure_cartilage(
    labels: sitk.Image, margins: Mapping[str, sitk.Image], surfaces: Mapping[str, vtkPolyData]
) -> list[CartilageMeasurement]:
    """Measure every bone that carries cartilage.

    Args:
        labels: values of :mod:`KneeSegLib.anatomy`.
        margins: by structure key, images on crops of the same grid, positive inside the structure; cartilage without
            one is measured from its labels.
        surfaces: by structure key, LPS, mm, of every structure that ``labels`` hold.
    """
    measured = []
    for side in SIDES:
        tibia = surfaces.get(structure("tibia", side).key)
        for bone, cartilage in CARTILAGES.items():
            own, cover = structure(bone, side), structure(cartilage, side)
            if own.key in surfaces and cover.key in surfaces:
                middle = surfaces[own.key] if bone == "patella" or tibia is None else tibia
                field = _make_field(margins.get(cover.key), labels, cover)
                measured.append(_measure_bone(own, surfaces[own.key], field, _find_middle_x_mm(middle)))
    return measured


def measure_thickness_mm(points: np.ndarray, normals: np.ndarray, field: sitk.Image) -> np.ndarray:
    """Return the thickness (P,) of cartilage over points of a bone, along the bone's normals; 0 on bare bone.

    Args:
        points: (P, 3) LPS mm on the bone's surface. normals: (P, 3), outward, of unit length.
        field: positive in cartilage and negative elsewhere, zero on its surface; outside it there is none.
    """
    offsets = np.arange(THICKNESS_FROM_MM, THICKNESS_TO_MM + THICKNESS_STEP_MM / 2, THICKNESS_STEP_MM)
    values = np.stack([_sample(field, points + offset * normals) for offset in offsets])
    inside = values > 0
    starts = inside.argmax(axis=0)
    found = inside.any(axis=0) & (offsets[starts] <= CONTACT_MM)
    after = inside & (np.arange(len(offsets))[:, None] >= starts)
    ended = (~inside) & (np.arange(len(offsets))[:, None] > starts)
    ends = np.where(ended.any(axis=0), ended.argmax(axis=0), len(offsets) - 1)
    column = np.arange(points.shape[0])
    first = offsets[starts] - THICKNESS_STEP_MM * _find_crossing(values, starts, np.maximum(starts - 1, 0), column)
    last = offsets[ends] - THICKNESS_STEP_MM * _find_crossing(values, ends, ends - 1, column)
    return np.where(found & after.any(axis=0), np.maximum(last - np.maximum(first, -CONTACT_MM), 0.0), 0.0)


def _measure_bone(bone: Structure, surface: vtkPolyData, field: sitk.Image, middle_x_mm: float) -> CartilageMeasurement:
    points, triangles = points_of(surface), triangles_of(surface)
    thickness = measure_thickness_mm(points, point_normals(points, triangles), field)
    covered = thickness > 0
    number = np.zeros(len(points))
    regions = []
    if covered.any():
        region = number_regions(bone.tissue.key, points, covered, bone.side, middle_x_mm)
        area = _measure_areas_mm2(points, triangles)
        for index, name in enumerate(REGIONS[bone.tissue.key]):
            regions.append(_measure_region(name, thickness, area, covered & (region == index)))
        number = np.where(covered, region + 1, 0)
    mapped = polydata_with(points, triangles, {THICKNESS: thickness, REGION: number})
    return CartilageMeasurement(bone, structure(CARTILAGES[bone.tissue.key], bone.side), tuple(regions), mapped)


def _measure_region(name: str, thickness: np.ndarray, area_mm2: np.ndarray, inside: np.ndarray) -> RegionThickness:
    weight, values = area_mm2[inside], thickness[inside]
    total = float(weight.sum())
    if total == 0.0:
        return RegionThickness(name, 0.0, float("nan"), float("nan"))
    mean = float((weight * values).sum() / total)
    return RegionThickness(name, total, mean, float(np.sqrt((weight * (values - mean) ** 2).sum() / total)))


def _measure_areas_mm2(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the area (P,) that belongs to each point: a third of its triangles'."""
    corners = points[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2.0
    return np.bincount(triangles.ravel(), np.repeat(area / 3.0, 3), len(points))


def _make_field(margin: sitk.Image | None, labels: sitk.Image, cover: Structure) -> sitk.Image:
    """Return a field that is positive in a structure: its margin where there is one, else its label."""
    if margin is not None:
        return margin
    return sitk.Cast(labels == cover.label_value, sitk.sitkFloat32) * 2.0 - 1.0


def _sample(field: sitk.Image, points: np.ndarray) -> np.ndarray:
    direction = np.array(field.GetDirection()).reshape(3, 3)
    index = (points - np.array(field.GetOrigin())) @ direction / np.array(field.GetSpacing())
    values = sitk.GetArrayViewFromImage(field)
    lowest = float(values.min())
    return map_coordinates(values, index.T[::-1], output=np.float32, order=1, mode="constant", cval=min(lowest, -1.0))


def _find_crossing(values: np.ndarray, at: np.ndarray, before: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return how far back from sample ``at`` towards ``before`` the field is zero, in steps (0..1)."""
    here, there = values[at, column], values[before, column]
    difference = here - there
    return np.where(difference != 0, here / np.where(difference == 0, 1.0, difference), 0.0)


def _find_middle_x_mm(surface: vtkPolyData) -> float:
    x = points_of(surface)[:, 0]
    return float((x.min() + x.max()) / 2.0)
