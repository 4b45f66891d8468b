"""Meshes of bones: sides, sampling, thin sheets, splices."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.bones import Bone, Splice
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.legs import find_cut_triangles
from KneeSegLib.training.synthesis.limb_model import thicken_sheets
from KneeSegLib.training.synthesis.meshes import (
    Mesh,
    join_meshes,
    read_mesh,
    rotation,
    sample_surface,
    transform_points,
    translation,
)


def volume(mesh: Mesh) -> float:
    a, b, c = mesh.vertices[mesh.triangles].transpose(1, 0, 2)
    return float(np.einsum("tx,tx->", a, np.cross(b, c)) / 6)


def box(low: tuple[float, ...], high: tuple[float, ...], cuts: int = 4) -> Mesh:
    """A box of triangles with outward normals, each face cut into ``cuts * cuts`` squares."""
    steps = np.linspace(0, 1, cuts + 1)
    parts = []
    for axis in range(3):
        for end in (0, 1):
            u, v = np.meshgrid(steps, steps, indexing="ij")
            corners = np.empty((u.size, 3))
            corners[:, axis], corners[:, (axis + 1) % 3], corners[:, (axis + 2) % 3] = end, u.ravel(), v.ravel()
            index = np.arange(u.size).reshape(u.shape)
            a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
            triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
            parts.append(Mesh(corners, triangles if end else triangles[:, ::-1]))
    whole = join_meshes(parts)
    vertices, places = np.unique(whole.vertices, axis=0, return_inverse=True)
    return Mesh(np.array(low) + vertices * (np.array(high) - low), places.ravel()[whole.triangles])


def test_a_mirrored_bone_is_still_outside_out() -> None:
    block = box((1, 2, 3), (3, 5, 9))
    assert volume(block) == pytest.approx(36)
    mirrored = block.mirror()
    assert volume(mirrored) == pytest.approx(36)
    assert mirrored.vertices[:, 0].max() == -1


def test_turning_is_right_handed_about_its_centre() -> None:
    turn = rotation(np.array([0, 0, 2.0]), 90, np.array([1.0, 0, 0]))
    np.testing.assert_allclose(transform_points(turn, np.array([[2.0, 0, 5]])), [[1, 1, 5]], atol=1e-12)
    np.testing.assert_allclose(transform_points(translation(np.array([1, 2, 3])), np.zeros(3)), [1, 2, 3])


def test_surface_points_leave_no_hole() -> None:
    block = box((0, 0, 0), (10, 10, 10), cuts=1)
    points, owners = sample_surface(block, 0.8)
    assert owners.max() < len(block.triangles)
    targets = np.random.default_rng(0).uniform(0, 10, (400, 3))
    targets[:, 2] = 10
    gaps = np.linalg.norm(targets[:, None] - points, axis=2).min(axis=1)
    assert gaps.max() < 0.6 * 0.8


def test_a_sheet_turned_inside_out_becomes_thick_again() -> None:
    sheet = box((0, 0, 0), (40, 40, 1.0), cuts=16)
    inverted = Mesh(sheet.vertices * (1, 1, -1), sheet.triangles)
    middle = np.all(np.abs(sheet.vertices[:, :2] - 20) < 12, axis=1)
    thick = thicken_sheets(inverted, 2.0)
    upward = inverted.normals()[:, 2] > 0
    heights = thick.vertices[:, 2]
    assert np.all(heights[middle & upward].min() - heights[middle & ~upward].max() > 1.9)


def test_the_flat_cap_of_a_cut_shaft_is_found() -> None:
    shaft = box((0, 0, 0), (10, 10, 40), cuts=5)
    cut = find_cut_triangles(shaft, np.array([0, 0, 1.0]))
    assert cut.sum() == 2 * 5 * 5
    assert np.all(shaft.vertices[shaft.triangles[cut]][..., 2] == 40)


def test_a_splice_is_the_scanned_end_at_the_joint_and_the_model_beyond_the_cut() -> None:
    up = np.array([0, 0, 1.0])
    model, scanned = box((-10, -10, -50), (10, 10, 80)), box((-12, -12, -50), (12, 12, 20))
    splice = Splice(scanned, find_cut_triangles(scanned, up), np.array([0, 0, 20.0]), up, 15.0)
    bone = Bone("tibia", model, np.array([[0, 0, 80.0], [0, 0, -50.0]]), splice)
    found = bone.measure_distance(CubicGrid((5.0, 0.0, -10.0), 1.0, (60, 1, 12)))
    assert found is not None
    distance, _ = found
    # Along x at y = 0, from x = 5: where the distance passes zero is the wall.
    wall = 5 + np.array([np.interp(0, row, np.arange(12)) for row in distance[:, 0]])
    heights = -10 + np.arange(60)
    np.testing.assert_allclose(wall[heights < 2], 12, atol=0.05)
    np.testing.assert_allclose(wall[heights > 20], 10, atol=0.05)
    assert np.all(np.diff(wall) < 0.01)


def test_cortex_is_thin_at_both_ends_and_thick_in_the_shaft() -> None:
    femur = Bone("femur", box((-10, -10, 0), (10, 10, 440)), np.array([[0, 0, 440.0], [0, 0, 0.0]]))
    along = femur.cortex_mm(np.array([[3.0, 0, 435], [3, 0, 395], [3, 0, 220], [3, 0, 5]]))
    assert 0.4 <= along[0] <= 1.0 and 0.4 <= along[3] <= 1.0
    assert 1.0 <= along[1] <= 2.5
    assert 4.0 <= along[2] <= 8.0


def test_an_absent_mesh_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.ply does not exist"):
        read_mesh("nowhere.ply")
