from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError, OutputError
from KneeSegLib.geometry.mesh import enclosed_volume, points_of, polydata_from, triangles_of
from KneeSegLib.surfaces import FORMATS, export, movement_of, read_surface, surface_file_name, write_surface
from KneeSegLib.surfaces.smoothing import with_movement

TIBIA = structure("tibia_left")
POINTS = np.array(
    [[512.03125, -90.5, 1234.5625], [530.25, -90.5, 1234.5625], [512.03125, -70.75, 1234.5625], [512, -90, 1250]]
)
TRIANGLES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


@pytest.fixture
def tetrahedron():
    return polydata_from(POINTS, TRIANGLES)


@pytest.mark.parametrize("space", ["LPS", "RAS"])
@pytest.mark.parametrize("ending", list(FORMATS))
def test_surface_reads_back_where_it_was(tmp_path, tetrahedron, ending, space):
    path = tmp_path / surface_file_name(TIBIA, ending)
    write_surface(tetrahedron, path, TIBIA, space)
    found = read_surface(path)
    assert np.allclose(np.sort(points_of(found), axis=0), np.sort(POINTS, axis=0), atol=1e-4)
    assert enclosed_volume(points_of(found), triangles_of(found)) > 0
    assert [entry.name for entry in tmp_path.iterdir()] == [f"tibia_left.{ending}"]


@pytest.mark.parametrize("ending", ["stl", "ply", "obj"])
def test_header_names_structure_unit_and_coordinate_system(tmp_path, tetrahedron, ending):
    path = tmp_path / f"tibia.{ending}"
    write_surface(tetrahedron, path, TIBIA, "RAS")
    assert b"KneeSeg tibia_left SPACE=RAS mm" in path.read_bytes()[:200]


def test_stl_is_binary_and_does_not_begin_like_a_text_file(tmp_path, tetrahedron):
    path = tmp_path / "tibia.stl"
    write_surface(tetrahedron, path, TIBIA)
    content = path.read_bytes()
    assert not content.startswith(b"solid")
    assert len(content) == 84 + 50 * len(TRIANGLES)
    assert int.from_bytes(content[80:84], "little") == len(TRIANGLES)


def test_ras_file_holds_negated_x_and_y(tmp_path, tetrahedron):
    write_surface(tetrahedron, tmp_path / "tibia.obj", TIBIA, "RAS")
    vertices = [line.split()[1:] for line in (tmp_path / "tibia.obj").read_text().splitlines() if line.startswith("v ")]
    assert np.allclose(np.array(vertices, float), POINTS * (-1, -1, 1), atol=1e-4)


def test_vtp_keeps_how_far_smoothing_moved_the_surface(tmp_path, tetrahedron):
    with_movement(tetrahedron, "none", POINTS)
    write_surface(tetrahedron, tmp_path / "tibia.vtp", TIBIA)
    assert movement_of(read_surface(tmp_path / "tibia.vtp")).smoothing == "none"


def test_file_without_a_coordinate_system_is_taken_for_lps(tmp_path):
    (tmp_path / "other.obj").write_text("v 1 2 3\nv 2 2 3\nv 1 4 3\nf 1 2 3\n")
    assert points_of(read_surface(tmp_path / "other.obj"))[0].tolist() == [1, 2, 3]


def test_file_in_another_coordinate_system_is_refused(tmp_path):
    (tmp_path / "other.obj").write_text("# SPACE=LAS\nv 1 2 3\nv 2 2 3\nv 1 4 3\nf 1 2 3\n")
    with pytest.raises(InputError, match="LAS"):
        read_surface(tmp_path / "other.obj")


def test_file_that_reads_back_differently_is_not_kept(tmp_path, tetrahedron, monkeypatch):
    damaged = export.SurfaceFormat(
        "damaged",
        lambda polydata, path, title: export._write_stl(polydata_from(POINTS + 0.01, TRIANGLES), path, title),
        export._read_stl,
    )
    monkeypatch.setitem(export.FORMATS, "stl", damaged)
    with pytest.raises(OutputError, match="other bounds"):
        write_surface(tetrahedron, tmp_path / "tibia.stl", TIBIA)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_earlier_file(tmp_path, tetrahedron, monkeypatch):
    path = tmp_path / "tibia.stl"
    write_surface(tetrahedron, path, TIBIA)
    before = path.read_bytes()
    monkeypatch.setitem(export.FORMATS, "stl", export.SurfaceFormat("silent", lambda *_: None, export._read_stl))
    with pytest.raises(OutputError):
        write_surface(tetrahedron, path, TIBIA)
    assert path.read_bytes() == before


def test_unknown_ending_lists_the_known_ones(tmp_path, tetrahedron):
    with pytest.raises(InputError, match="stl, ply, obj, vtp"):
        write_surface(tetrahedron, tmp_path / "tibia.3mf", TIBIA)


def test_missing_and_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.stl"):
        read_surface(tmp_path / "nowhere.stl")
    (tmp_path / "empty.stl").write_bytes(bytes(84))
    with pytest.raises(InputError, match="no triangles"):
        read_surface(tmp_path / "empty.stl")


@pytest.mark.parametrize("space", ["LPS", "RAS"])
@pytest.mark.parametrize("ending", list(FORMATS))
def test_slicer_puts_the_surface_where_the_patient_is(tmp_path, tetrahedron, ending, space):
    slicer = pytest.importorskip("slicer")
    path = tmp_path / f"tibia.{ending}"
    write_surface(tetrahedron, path, TIBIA, space)
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLModelNode")
    storage = scene.AddNewNodeByClass("vtkMRMLModelStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    in_ras = POINTS * (-1, -1, 1)
    expected = np.stack([in_ras.min(axis=0), in_ras.max(axis=0)], axis=1).ravel()
    assert node.GetPolyData().GetBounds() == pytest.approx(expected, abs=1e-3)
