"""Thickness of cartilage against shells whose thickness is known."""

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.util.numpy_support import vtk_to_numpy

from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case, structures_of
from KneeSegLib.measurements import cartilage_regions, measure_cartilage, thickness_mm
from KneeSegLib.measurements.cartilage import REGION, THICKNESS
from KneeSegLib.measurements.regions import REGIONS
from KneeSegLib.volume import Volume

RADIUS_MM, SHELL_MM, SPACING_MM = 18.0, 2.3, 0.7
SIZE = 70


def image_of(array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((SPACING_MM,) * 3)
    image.SetOrigin((-(SIZE - 1) / 2 * SPACING_MM,) * 3)
    return image


def ball():
    """Distances from the middle, and heights z, of every voxel."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.sqrt(x**2 + y**2 + z**2), z


def covered_ball(side="right"):
    """A femur as a ball whose lower half carries an even shell of cartilage, with exact margins."""
    radius, z = ball()
    bone = radius < RADIUS_MM
    shell = ~bone & (radius < RADIUS_MM + SHELL_MM) & (z < 0)
    femur, cartilage = structure("femur", side), structure("femoral_cartilage", side)
    labels = np.zeros(radius.shape, np.uint8)
    labels[bone], labels[shell] = femur.label_value, cartilage.label_value
    slope = np.minimum(np.minimum(radius - RADIUS_MM, RADIUS_MM + SHELL_MM - radius), -z) / SPACING_MM
    margins = {
        femur.key: image_of(np.clip((RADIUS_MM - radius) / SPACING_MM, -1, 1).astype(np.float32)),
        cartilage.key: image_of(np.clip(slope, -1, 1).astype(np.float32)),
    }
    image = image_of(labels)
    return Case(Volume(image), image, margins, structures_of(image), [], {})


@pytest.mark.parametrize("side", ["right", "left"])
def test_an_even_shell_is_as_thick_as_it_is_made(side):
    (measured,) = measure_cartilage(covered_ball(side))
    assert measured.cartilage.key == f"femoral_cartilage_{side}"
    means = [region.mean_mm for region in measured.regions if region.covered_mm2 > 50]
    assert len(means) >= 4
    assert means == pytest.approx([SHELL_MM] * len(means), abs=0.12)
    covered = sum(region.covered_mm2 for region in measured.regions)
    assert covered == pytest.approx(2 * np.pi * RADIUS_MM**2, rel=0.05)


def test_bare_bone_has_no_thickness_and_no_region():
    (measured,) = measure_cartilage(covered_ball())
    values = {n: vtk_to_numpy(measured.surface.GetPointData().GetArray(n)) for n in (THICKNESS, REGION)}
    points = vtk_to_numpy(measured.surface.GetPoints().GetData())
    bare = points[:, 2] > SPACING_MM
    assert bare.any() and not values[THICKNESS][bare].any() and not values[REGION][bare].any()
    below = points[:, 2] < -2.0
    assert (values[REGION][below] >= 1).all()


def test_labels_alone_give_a_rough_thickness():
    case = covered_ball()
    case.margins.clear()
    (measured,) = measure_cartilage(case)
    central = [region.mean_mm for region in measured.regions if "central" in region.name]
    assert central == pytest.approx([SHELL_MM] * 2, abs=0.5)


def test_cartilage_away_from_the_bone_is_not_its_own():
    field = image_of(np.where(ball()[0] > RADIUS_MM + 3.0, 1.0, -1.0).astype(np.float32))
    points = np.array([[0.0, 0.0, -RADIUS_MM]])
    assert thickness_mm(points, points / RADIUS_MM, field) == pytest.approx([0.0])


def test_medial_is_towards_the_other_leg_and_the_trochlea_in_front():
    points = np.array([[10.0, 0.0, -30.0], [-10.0, -30.0, 0.0], [-10.0, 30.0, 0.0]])
    covered = np.ones(3, bool)
    names = {
        side: [REGIONS["femur"][n] for n in cartilage_regions("femur", points, covered, side, 0.0)]
        for side in ("right", "left")
    }
    assert names["right"] == ["medial central", "lateral trochlea", "lateral posterior"]
    assert names["left"] == ["lateral central", "medial trochlea", "medial posterior"]
    assert list(cartilage_regions("tibia", points, covered, "right", 0.0)) == [0, 1, 1]
