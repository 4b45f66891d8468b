"""Figures that need no reference labels, on shapes whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from KneeSegLib.surfaces.meshing import surface_of_mask
from Testing.benchmarks.real_figures import measure_edge_mm, measure_hole_mm, measure_spike_mm

SPACING_MM, COUNT, RADIUS_MM = 0.5, 80, 14.0


def distance_from_middle_mm() -> np.ndarray:
    along = (np.arange(COUNT) - (COUNT - 1) / 2) * SPACING_MM
    return np.sqrt(along[:, None, None] ** 2 + along[:, None] ** 2 + along**2)


def image_of(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((SPACING_MM,) * 3)
    image.SetOrigin((-30.0, 12.0, 7.0))
    return image


@pytest.mark.parametrize("drawn_too_small_mm", [0.0, 0.4])
def test_edge_of_a_shell_lies_where_it_was_put(drawn_too_small_mm):
    distance_mm = distance_from_middle_mm()
    shell = ((distance_mm < RADIUS_MM) & (distance_mm > RADIUS_MM - 2.0)) * 1200.0
    scan = image_of(ndimage.gaussian_filter(shell, 0.8).astype(np.float32))
    mask = distance_mm < RADIUS_MM - drawn_too_small_mm
    surface = surface_of_mask(image_of(mask.astype(np.uint8)))
    assert measure_edge_mm(surface, mask, mask.astype(np.uint8), scan) == pytest.approx(drawn_too_small_mm, abs=0.06)


def test_edge_is_not_told_where_the_image_shows_none():
    mask = distance_from_middle_mm() < RADIUS_MM
    surface = surface_of_mask(image_of(mask.astype(np.uint8)))
    scan = image_of(np.zeros(mask.shape, np.float32))
    assert measure_edge_mm(surface, mask, mask.astype(np.uint8), scan) is None


def test_spike_is_as_long_as_what_stands_out():
    mask = distance_from_middle_mm() < RADIUS_MM
    smooth = measure_spike_mm(mask, (SPACING_MM,) * 3)
    middle = COUNT // 2
    mask[middle, middle, middle : middle + int((RADIUS_MM + 5.0) / SPACING_MM)] = True
    assert smooth is not None and smooth < 1.0
    assert measure_spike_mm(mask, (SPACING_MM,) * 3) == pytest.approx(5.0, abs=1.0)


def test_hole_is_as_wide_as_what_is_missing_of_a_plate():
    plate = np.zeros((40, 60, 60), bool)
    plate[18:22, 5:55, 5:55] = True
    assert measure_hole_mm(plate, (SPACING_MM,) * 3) == 0.0
    plate[18:22, 28:34, 27:34] = False
    assert measure_hole_mm(plate, (SPACING_MM,) * 3) == pytest.approx(3.5, abs=0.6)
