"""Shaded pictures of solids whose silhouette is known."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.report.shading import FROM_LEFT, FROM_RIGHT, FRONT, ColoredMesh, draw_meshes

ORANGE, BLUE = (230, 140, 40), (60, 110, 220)


def ball(center: tuple[float, float, float], radius: float, color=ORANGE, resolution: int = 60) -> ColoredMesh:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    source = vtkSphereSource()
    source.SetCenter(center)
    source.SetRadius(radius)
    source.SetThetaResolution(resolution)
    source.SetPhiResolution(resolution)
    source.Update()
    surface = source.GetOutput()
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return ColoredMesh(vtk_to_numpy(surface.GetPoints().GetData()).astype(float), triangles, color)


def picture(*meshes: ColoredMesh, view=FRONT, pixel_mm: float = 0.5) -> np.ndarray:
    return draw_meshes(meshes, view, np.zeros(3), (60.0, 40.0), pixel_mm)


def alpha(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 3] / 255


def is_like(pixel: np.ndarray, color: tuple[int, int, int]) -> bool:
    """Whether ``pixel`` has the hue of ``color``, lit or in shadow."""
    return np.argsort(pixel[:3]).tolist() == np.argsort(color).tolist()


@pytest.mark.parametrize("resolution", [12, 60, 300])
def test_a_ball_covers_the_area_of_a_disc_whatever_the_size_of_its_triangles(resolution):
    mesh = ball((0, 0, 0), 15.0, resolution=resolution)
    covered = alpha(picture(mesh)).sum() * 0.25
    corners = 2 * (resolution - 1)  # of the polygon that is seen
    assert covered == pytest.approx(corners / 2 * 15.0**2 * np.sin(2 * np.pi / corners), rel=0.005)


def test_the_picture_is_transparent_outside_and_has_no_holes_inside():
    pixels = picture(ball((0, 0, 0), 15.0, resolution=200))
    assert pixels.shape == (80, 120, 4)
    rows, columns = np.mgrid[0:80, 0:120] + 0.5
    distance_mm = np.hypot(rows - 40, columns - 60) * 0.5
    assert np.all(alpha(pixels)[distance_mm < 14.5] == 1)
    assert np.all(alpha(pixels)[distance_mm > 15.5] == 0)


def test_from_the_front_the_patient_s_right_is_on_the_left_and_the_head_is_up():
    pixels = picture(ball((-20, 0, 12), 5.0))  # LPS: to the right, up
    rows, columns = np.nonzero(alpha(pixels))
    assert columns.mean() * 0.5 == pytest.approx(10, abs=0.3)
    assert rows.mean() * 0.5 == pytest.approx(8, abs=0.3)


@pytest.mark.parametrize(("view", "column_mm"), [(FROM_LEFT, 10), (FROM_RIGHT, 50)])
def test_the_front_of_the_knee_points_where_the_letter_says(view, column_mm):
    pixels = picture(ball((0, -20, 0), 5.0), view=view)  # LPS: anterior
    assert np.nonzero(alpha(pixels))[1].mean() * 0.5 == pytest.approx(column_mm, abs=0.3)
    anterior_is_left = view.letters[2] == "A"
    assert anterior_is_left == (column_mm < 30)


@pytest.mark.parametrize("order", [1, -1])
def test_what_stands_nearer_hides_what_stands_behind(order):
    near, far = ball((0, -10, 0), 8.0, ORANGE), ball((0, 12, 0), 8.0, BLUE)
    center = picture(*[near, far][::order])[40, 60]
    assert is_like(center, ORANGE)
    from_behind_the_left = picture(*[near, far][::order], view=FROM_LEFT)
    assert is_like(from_behind_the_left[40, 40], ORANGE)  # 10 mm anterior: to the left
    assert is_like(from_behind_the_left[40, 84], BLUE)


def test_light_comes_from_above():
    pixels = picture(ball((0, 0, 0), 15.0)).astype(int)
    assert pixels[20, 60, 0] > pixels[60, 60, 0] + 40


def test_no_meshes_make_an_empty_picture():
    assert not alpha(picture()).any()
