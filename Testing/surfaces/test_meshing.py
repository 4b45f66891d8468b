from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.mesh import enclosed_volume, face_normals, points_of, triangles_of
from KneeSegLib.surfaces import movement_of, surface_of, surface_quality
from KneeSegLib.surfaces.meshing import marching_cubes
from KneeSegLib.surfaces.topology import topology_of

BONE = structure("femur_right")
LEFT_HANDED_OBLIQUE = (0.96, 0.28, 0.0, -0.28, 0.96, 0.0, 0.0, 0.0, -1.0)
SUPERIOR_FIRST = (0.0, 0.0, -1.0, 0.8, 0.6, 0.0, 0.6, -0.8, 0.0)


def _center_of(image: sitk.Image) -> np.ndarray:
    middle = [(size - 1) / 2 + 0.3 for size in image.GetSize()]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(middle))


@pytest.mark.parametrize("radius_mm", [6.0, 12.0, 30.0])
def test_sphere_from_a_mask_keeps_radius_and_volume(labelled, depth_in_ball, radius_mm):
    inside = depth_in_ball(radius_mm) > 0
    image = labelled(inside)
    surface = surface_of(image, BONE)
    # Small balls of voxels have not quite the volume of the ball that they were drawn from.
    radius_of_voxels = (inside.sum() * 3 / 4 / math.pi) ** (1 / 3)
    error = np.linalg.norm(points_of(surface) - _center_of(image), axis=1) - radius_of_voxels
    assert abs(error.mean()) < 0.03
    assert error.std() < 0.13
    # What is missing is the difference between a polyhedron and a ball.
    assert enclosed_volume(points_of(surface), triangles_of(surface)) == pytest.approx(
        4 / 3 * math.pi * radius_mm**3, rel=0.025
    )


def test_surface_from_a_mask_has_no_staircase(labelled, depth_in_ball):
    """Normals of the unsmoothed mesh are 20 degrees off at the median."""
    image = labelled(depth_in_ball(30.0) > 0)
    surface = surface_of(image, BONE)
    points, triangles = points_of(surface), triangles_of(surface)
    normals = face_normals(points, triangles)
    outward = points[triangles].mean(axis=1) - _center_of(image)
    cosine = (normals * outward).sum(axis=1) / np.linalg.norm(normals, axis=1) / np.linalg.norm(outward, axis=1)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    assert np.median(angle) < 1.5
    assert np.percentile(angle, 99) < 6


@pytest.mark.parametrize("width_mm", [0.3, 0.8])
@pytest.mark.parametrize("stored_as", ["float", "int8"])
def test_margin_gives_sub_voxel_accuracy(labelled, depth_in_ball, width_mm, stored_as):
    depth = depth_in_ball(12.0)
    image = labelled(depth > 0)
    margin = np.tanh(depth / width_mm).astype(np.float32)
    if stored_as == "int8":
        rounded = np.round(margin * 127).astype(np.int8)
        margin = np.where((depth > 0) & (rounded == 0), 1, rounded).astype(np.int8)
    margin_image = sitk.GetImageFromArray(margin)
    error = np.linalg.norm(points_of(surface_of(image, BONE, margin_image)) - _center_of(image), axis=1) - 12.0
    assert abs(error).mean() < 0.02
    assert abs(error).max() < 0.1


def test_margin_may_be_a_crop_of_the_grid(labelled, depth_in_ball):
    depth = depth_in_ball(10.0, (0.8, 0.8, 1.2))
    image = labelled(depth > 0, (0.8, 0.8, 1.2), (-40.0, 3.0, 500.0), LEFT_HANDED_OBLIQUE)
    margin = sitk.GetImageFromArray(np.tanh(depth).astype(np.float32))
    margin.CopyInformation(image)
    whole = points_of(surface_of(image, BONE, margin))
    cropped = points_of(surface_of(image, BONE, margin[2:-2, 2:-1, 1:-2]))
    assert np.allclose(whole, cropped, atol=1e-4)


def test_labels_have_the_last_word_over_a_margin(labelled, depth_in_ball):
    depth = depth_in_ball(8.0)
    inside = depth > 0
    inside[:, :, : inside.shape[2] // 2] = False
    image = labelled(inside)
    margin = sitk.GetImageFromArray(np.tanh(depth).astype(np.float32))
    quality = surface_quality(surface_of(image, BONE, margin), image, with_self_intersections=True)
    assert quality.problems == ()
    assert quality.max_distance_from_mask_mm < 1.1


def test_margin_off_the_grid_is_refused(labelled, depth_in_ball):
    image = labelled(depth_in_ball(5.0) > 0)
    margin = sitk.GetImageFromArray(depth_in_ball(5.0).astype(np.float32))
    margin.SetOrigin((0.4, 0.0, 0.0))
    with pytest.raises(InputError, match="grid of the labels"):
        surface_of(image, BONE, margin)


@pytest.mark.parametrize("direction", [LEFT_HANDED_OBLIQUE, SUPERIOR_FIRST], ids=["left-handed", "right-handed"])
def test_any_direction_gives_outward_normals_in_the_right_place(labelled, depth_in_ball, direction):
    spacing = (0.7, 0.7, 1.1)
    image = labelled(depth_in_ball(9.0, spacing) > 0, spacing, (12.0, -80.0, 333.0), direction)
    surface = surface_of(image, BONE)
    points, triangles = points_of(surface), triangles_of(surface)
    assert np.allclose(points.mean(axis=0), _center_of(image), atol=0.05)
    assert enclosed_volume(points, triangles) == pytest.approx(4 / 3 * math.pi * 9**3, rel=0.02)
    outward = points[triangles].mean(axis=1) - _center_of(image)
    assert ((face_normals(points, triangles) * outward).sum(axis=1) > 0).all()


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (0.5, 0.5, 1.0), (0.5, 0.5, 3.0)])
def test_contract_holds_on_a_sphere(labelled, depth_in_ball, spacing):
    image = labelled(depth_in_ball(12.0, spacing) > 0, spacing)
    quality = surface_quality(surface_of(image, BONE), image, with_self_intersections=True)
    assert quality.problems == ()
    assert quality.components == 1
    if max(spacing) <= 0.5:
        assert quality.mean_distance_mm <= 0.1 and quality.max_distance_mm <= 0.5


def test_bone_cut_by_the_border_is_closed_by_a_flat_cap(labelled):
    y, x = np.mgrid[:40, :40] - 19.6
    shaft = np.broadcast_to(np.hypot(x, y) < 12, (30, 40, 40))
    image = labelled(shaft, (0.5, 0.5, 2.0))
    surface = surface_of(image, BONE)
    points = points_of(surface)
    quality = surface_quality(surface, image, with_self_intersections=True)
    assert quality.problems == ()
    # From half a voxel before the first slice to half a voxel after the last.
    assert points[:, 2].min() == pytest.approx(-1.0, abs=1e-5)
    assert points[:, 2].max() == pytest.approx(59.0, abs=1e-5)
    assert quality.volume_mm3 == pytest.approx(math.pi * 6**2 * 60, rel=0.02)
    cap = points[np.abs(points[:, 2] + 1.0) < 1e-5]
    assert len(cap) > 0.8 * math.pi * 12**2


def test_bone_that_fills_the_image_is_closed(labelled):
    image = labelled(np.ones((5, 6, 7), bool))
    quality = surface_quality(surface_of(image, BONE), image)
    assert quality.watertight
    assert quality.components == 1


@pytest.mark.parametrize("smoothing", ["none", "volume-preserving"])
def test_thickness_of_a_thin_plate_is_kept(labelled, smoothing):
    plate = np.zeros((10, 40, 40), bool)
    plate[4:6, 5:35, 5:35] = True
    image = labelled(plate)
    volume = surface_quality(surface_of(image, BONE, smoothing=smoothing), image).volume_mm3
    assert volume == pytest.approx(2 * 30 * 30, rel=0.05)


def test_ring_keeps_its_hole(labelled):
    z, y, x = np.mgrid[-8:9, -20:21, -20:21].astype(float)
    ring = (np.hypot(x, y) - 13) ** 2 + z**2 < 5.2**2
    topology = topology_of(triangles_of(surface_of(labelled(ring), BONE)))
    assert topology.is_watertight
    assert topology.euler_characteristic == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_any_mask_gives_a_manifold(labelled, share):
    """Noise has every kind of corner- and edge-touching voxels."""
    noise = np.random.default_rng(0).random((24, 24, 24)) < share
    topology = topology_of(triangles_of(surface_of(labelled(noise), BONE)))
    assert topology.non_manifold_edges == 0
    assert topology.is_watertight


def test_no_two_vertices_of_a_noisy_margin_coincide():
    field = np.random.default_rng(1).normal(size=(20, 20, 20)).astype(np.float32)
    field = np.where(field > 0, np.maximum(field, 0.005), np.minimum(field, -0.005))
    points, triangles = marching_cubes(np.pad(field, 1, constant_values=-1))
    assert len(np.unique(points.astype(np.float32), axis=0)) == len(points)
    assert topology_of(triangles).is_watertight


def test_single_voxel_has_a_closed_surface(labelled):
    voxel = np.zeros((5, 5, 5), bool)
    voxel[2, 2, 2] = True
    image = labelled(voxel)
    assert surface_quality(surface_of(image, BONE), image).watertight


def test_absent_structure_is_named_in_the_error(labelled):
    with pytest.raises(InputError, match="left tibia"):
        surface_of(labelled(np.ones((3, 3, 3), bool)), structure("tibia_left"))


def test_surface_carries_how_far_smoothing_moved_it(labelled, depth_in_ball):
    image = labelled(depth_in_ball(10.0) > 0)
    movement = movement_of(surface_of(image, BONE))
    assert movement.smoothing == "volume-preserving"
    assert 0.05 < movement.mean_mm < 0.3
    assert movement.volume_ratio == pytest.approx(1.0, abs=0.005)
    assert movement_of(surface_of(image, BONE, smoothing="none")).max_mm == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("name, label", [("dess_knee_right_label", 5), ("spl_knee_left_label", 97)])
def test_contract_holds_on_real_bones(shared_data, name, label):
    mask = sitk.ReadImage(str(shared_data / "knee_labels" / f"{name}.nrrd")) == label
    quality = surface_quality(surface_of(mask * BONE.label_value, BONE), mask, with_self_intersections=True)
    assert quality.problems == ()
    assert quality.components == 1
    assert quality.mean_distance_mm <= 0.1 and quality.max_distance_mm <= 0.5
