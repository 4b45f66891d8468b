"""Thickness and regions of cartilage on balls and plates, where both are known."""

import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy

from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.geometry.mesh import points_of
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.cartilage import REGION, THICKNESS, measure_thickness_mm
from KneeSegLib.measurements.regions import REGIONS, number_regions
from KneeSegLib.measurements.settings import CONTACT_MM
from KneeSegLib.measurements.structures import measure_structures
from Testing.phantoms.joint_surfaces import (
    BALL_MM,
    COVER_MM,
    COVERED_DEGREES,
    PLATE_MM,
    ball_depths,
    case_of_depths,
    measured_cartilage,
    placed,
    plate_depths,
    positions,
)

UP = np.array([0.0, 0.0, 1.0])
RADIUS_MM, SHELL_MM, SPACING_MM = 18.0, 2.3, 0.7


def values_of(entry, name):
    return vtk_to_numpy(entry.surface.GetPointData().GetArray(name))


def layer(low_mm, high_mm):
    """A field that is positive between two heights."""
    _, _, z = positions(48, 0.5)
    return placed(np.minimum(z - low_mm, high_mm - z).astype(np.float32), 0.5)


def over(field, height_mm=-0.03):
    """Thickness over some points of a flat bone; by default no step along the normals ends on a surface."""
    points = np.array([[x, y, height_mm] for x in (-5.3, 0.0, 4.1) for y in (-6.2, 0.7)])
    return measure_thickness_mm(points, np.tile(UP, (len(points), 1)), field)


def covered_ball(side="right"):
    """A femur as a ball whose lower half carries an even shell of cartilage, with exact margins."""
    x, y, z = positions(70, SPACING_MM)
    radius = np.sqrt(x**2 + y**2 + z**2)
    bone = radius < RADIUS_MM
    shell = ~bone & (radius < RADIUS_MM + SHELL_MM) & (z < 0)
    femur, cartilage = structure("femur", side), structure("femoral_cartilage", side)
    labels = np.zeros(radius.shape, np.uint8)
    labels[bone], labels[shell] = femur.label_value, cartilage.label_value
    depths = {
        femur.key: RADIUS_MM - radius,
        cartilage.key: np.minimum(np.minimum(radius - RADIUS_MM, RADIUS_MM + SHELL_MM - radius), -z),
    }
    margins = {
        key: placed(np.clip(depth / SPACING_MM, -1, 1).astype(np.float32), SPACING_MM) for key, depth in depths.items()
    }
    image = placed(labels, SPACING_MM)
    return Case([ScanResult(Volume(image), image, margins, measure_structures(image))], [], {})


@pytest.fixture(scope="module")
def ball():
    (measured,) = measured_cartilage(case_of_depths(ball_depths("femur", "femoral_cartilage"), "right"))
    return measured


@pytest.mark.parametrize("thickness", [0.6, 1.0, 2.5, 6.0])
def test_a_layer_on_the_bone_is_as_thick_as_it_is(thickness):
    assert over(layer(0.0, thickness)) == pytest.approx(thickness, abs=0.05)


def test_a_step_that_ends_on_the_surface_is_no_exception():
    assert over(layer(0.0, 2.5), height_mm=0.0) == pytest.approx(2.5, abs=0.01)


def test_bare_bone_has_no_thickness():
    assert (over(layer(-6.0, -3.0)) == 0.0).all()


@pytest.mark.parametrize(("gap_mm", "own"), [(CONTACT_MM - 0.3, True), (CONTACT_MM + 0.3, False)])
def test_cartilage_that_begins_too_far_from_the_bone_is_not_its_own(gap_mm, own):
    assert over(layer(gap_mm, gap_mm + 2.0)) == pytest.approx(2.0 if own else 0.0, abs=0.05)


def test_only_the_first_of_two_layers_counts():
    _, _, z = positions(48, 0.5)
    both = np.maximum(np.minimum(z, 2.0 - z), np.minimum(z - 3.5, 5.0 - z))  # layers up to 2 mm, and from 3.5 on
    assert over(placed(both.astype(np.float32), 0.5)) == pytest.approx(2.0, abs=0.05)


def test_beyond_the_field_there_is_no_cartilage():
    far = np.array([[200.0, 0.0, 0.0]])
    assert measure_thickness_mm(far, UP[None], layer(0.0, 2.0)).tolist() == [0.0]


def test_cartilage_on_a_ball_is_as_thick_as_it_was_made(ball):
    points, thickness = points_of(ball.surface), values_of(ball, THICKNESS)
    aside = np.degrees(np.arccos(-points[:, 2] / np.linalg.norm(points, axis=1)))
    well_inside = aside < COVERED_DEGREES - 10.0
    assert thickness[well_inside] == pytest.approx(COVER_MM, abs=0.3)
    assert thickness[well_inside].mean() == pytest.approx(COVER_MM, abs=0.1)
    assert (thickness[aside > COVERED_DEGREES + 8.0] == 0.0).all()


def test_the_covered_area_is_that_of_the_cap(ball):
    cap = 2.0 * np.pi * BALL_MM**2 * (1.0 - np.cos(np.radians(COVERED_DEGREES)))
    assert sum(region.covered_mm2 for region in ball.regions) == pytest.approx(cap, rel=0.05)


@pytest.mark.parametrize("side", ["right", "left"])
def test_all_regions_of_an_even_shell_are_as_thick_as_it_was_made(side):
    (measured,) = measured_cartilage(covered_ball(side))
    assert (measured.bone, measured.cartilage) == (structure("femur", side), structure("femoral_cartilage", side))
    regions = [region for region in measured.regions if region.covered_mm2 > 50.0]
    assert len(regions) >= 4
    for region in regions:
        assert region.mean_mm == pytest.approx(SHELL_MM, abs=0.12), region.name
        assert region.sd_mm < 0.5, region.name
    medial, lateral = (region.covered_mm2 for region in measured.regions[2:4])
    assert medial == pytest.approx(lateral, rel=0.05)


def test_regions_on_the_map_are_numbered_from_one_and_bare_bone_is_zero(ball):
    number, thickness = values_of(ball, REGION), values_of(ball, THICKNESS)
    assert np.array_equal(number == 0, thickness == 0)
    assert set(number) - {0} <= set(range(1, 1 + len(REGIONS["femur"])))
    behind_and_left = points_of(ball.surface)[number == 1 + REGIONS["femur"].index("medial posterior")]
    assert (behind_and_left[:, 0] > 0).all() and (behind_and_left[:, 1] > 0).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_cartilage_on_the_patients_left_of_a_plateau_is_medial_in_a_right_knee(side):
    (measured,) = measured_cartilage(case_of_depths(plate_depths(from_x_mm=2.0), side))
    assert (measured.bone, measured.cartilage) == (structure("tibia", side), structure("tibial_cartilage", side))
    regions = {region.name: region for region in measured.regions}
    covered, bare = ("medial plateau", "lateral plateau") if side == "right" else ("lateral plateau", "medial plateau")
    assert regions[bare].covered_mm2 == 0.0 and np.isnan(regions[bare].mean_mm)
    area = (PLATE_MM[0] - 4.0) * 2.0 * (PLATE_MM[1] - 2.0)
    assert regions[covered].covered_mm2 == pytest.approx(area, rel=0.1)
    assert regions[covered].mean_mm == pytest.approx(COVER_MM, abs=0.1)


def test_labels_alone_give_the_thickness_to_half_a_voxel():
    (measured,) = measured_cartilage(case_of_depths(plate_depths(3.0), "right", margins=False))
    points, thickness = points_of(measured.surface), values_of(measured, THICKNESS)
    inner = (
        (np.abs(points[:, 0]) < PLATE_MM[0] - 6.0) & (np.abs(points[:, 1]) < PLATE_MM[1] - 6.0) & (points[:, 2] > -2)
    )
    assert thickness[inner] == pytest.approx(3.0, abs=0.5)


def test_a_bone_without_cartilage_is_not_measured():
    depths = plate_depths()
    assert measured_cartilage(case_of_depths({"tibia": depths["tibia"]}, "right")) == []


def test_the_patella_is_parted_at_its_own_middle():
    (measured,) = measured_cartilage(case_of_depths(ball_depths("patella", "patellar_cartilage"), "left"))
    medial, lateral = measured.regions
    assert (medial.name, lateral.name) == ("medial facet", "lateral facet")
    assert medial.covered_mm2 == pytest.approx(lateral.covered_mm2, rel=0.05)


def ring(x_mm: float = 10.0) -> np.ndarray:
    """Points of a circle seen from the side, in steps of ten degrees from straight down to the back."""
    angle = np.radians(np.arange(0.0, 360.0, 10.0))
    return np.stack([np.full(len(angle), x_mm), 20.0 * np.sin(angle), -20.0 * np.cos(angle)], axis=1)


@pytest.mark.parametrize(
    ("side", "x_mm", "part"),
    [("right", 10.0, "medial"), ("right", -10.0, "lateral"), ("left", 10.0, "lateral"), ("left", -10.0, "medial")],
)
def test_the_trochlea_is_in_front_and_the_weight_is_borne_below(side, x_mm, part):
    points = ring(x_mm)
    region = number_regions("femur", points, np.ones(len(points), bool), side, 0.0)
    named = [REGIONS["femur"][number] for number in region]
    for degrees, expected in ((0, "central"), (40, "central"), (320, "central"), (60, "posterior"), (90, "posterior"),
                              (300, "trochlea"), (270, "trochlea"), (200, "trochlea")):  # fmt: skip
        assert named[degrees // 10] == f"{part} {expected}", degrees


def test_borders_on_the_femur_hang_from_its_cartilage_and_not_from_its_shaft():
    points = ring()
    shaft = np.array([[10.0, y, z] for y in (-15.0, 15.0) for z in np.arange(30.0, 120.0, 10.0)])
    both = np.concatenate([points, shaft])
    covered = np.arange(len(both)) < len(points)
    alone = number_regions("femur", points, np.ones(len(points), bool), "right", 0.0)
    assert np.array_equal(number_regions("femur", both, covered, "right", 0.0)[covered], alone)


def test_the_middle_that_parts_medial_from_lateral_is_given():
    points = np.array([[x, 0.0, 0.0] for x in (-10.0, 3.0, 7.0, 20.0)])
    covered = np.ones(4, bool)
    assert number_regions("tibia", points, covered, "right", 5.0).tolist() == [1, 1, 0, 0]
    assert number_regions("patella", points, covered, "left", 5.0).tolist() == [0, 0, 1, 1]
