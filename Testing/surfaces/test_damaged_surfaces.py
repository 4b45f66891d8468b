"""Damaged surface files and full disks end in a sentence. VTK crashes of some, so each is tried in its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.mesh import points_of, polydata_from, triangles_of
from KneeSegLib.surfaces import FORMATS, read_surface, write_surface

TIBIA = structure("tibia_left")
TEXT_PLY = """ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
0 1 0
0 0 1
3 0 1 2
3 0 1 3
"""


def ball(rings: int = 60):
    """A closed surface of some thousand triangles."""
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    source = vtkSphereSource()
    source.SetThetaResolution(rings)
    source.SetPhiResolution(rings)
    source.Update()
    return polydata_from(points_of(source.GetOutput()), triangles_of(source.GetOutput()))


def read_elsewhere(path: Path) -> str:
    """Read a surface in a process of its own; return the sentence that it ends with."""
    script = (
        "import sys; from KneeSegLib.errors import InputError; from KneeSegLib.surfaces import read_surface\n"
        "try: read_surface(sys.argv[1])\n"
        "except InputError as error: print(error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, encoding="utf-8", timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-500:]
    return ended.stdout.strip()


@pytest.fixture
def ply(tmp_path) -> Path:
    write_surface(ball(), tmp_path / "ball.ply", TIBIA)
    return tmp_path / "ball.ply"


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.999])
def test_ply_that_was_cut_is_said(ply, kept):
    content = ply.read_bytes()
    ply.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match="ball.ply is damaged .*export the surface again"):
        read_surface(ply)


def test_ply_that_was_cut_does_not_end_the_program(ply):
    ply.write_bytes(ply.read_bytes()[:5000])
    assert "is damaged" in read_elsewhere(ply)


@pytest.mark.parametrize("index", [-1, 10**6, 2**31 - 1])
def test_ply_with_a_bad_index_is_said(ply, index):
    content = bytearray(ply.read_bytes())
    content[-4:] = np.array([index], "<i4").tobytes()
    ply.write_bytes(content)
    assert "names a point that is not among its" in read_elsewhere(ply)


def test_sound_ply_of_text_is_read(tmp_path):
    (tmp_path / "a.ply").write_text(TEXT_PLY)
    assert triangles_of(read_surface(tmp_path / "a.ply")).tolist() == [[0, 1, 2], [0, 1, 3]]


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("3 0 1 3", "3 0 1 4", "a point that is not among its 4"),
        ("3 0 1 3", "3 0 1 x", "no number"),
        ("3 0 1 3", "3 0 1", "ends within its 2 triangles"),
        ("3 0 1 3", "9 0 1 3", "different numbers of corners"),
        ("3 0 1 2", "-3 0 1 2", "-3 corners"),
        ("element face 2", "element face 2000000000", "ends within"),
        ("element vertex 4", "element vertex -4", "line 'element vertex -4'"),
        ("element vertex 4", "element vertex 2000000000", "ends within"),
        ("float x", "flaot x", "unknown type"),
        ("property list uchar int vertex_indices", "property list uchar", "line 'property list uchar'"),
        ("element face", "element feces", "not known"),
        ("ascii", "binary", "names no format"),
        ("end_header", "end", "no header"),
    ],
)
def test_what_is_wrong_in_a_ply_is_said(tmp_path, before, after, finding):
    (tmp_path / "a.ply").write_text(TEXT_PLY.replace(before, after))
    with pytest.raises(InputError, match=finding) as caught:
        read_surface(tmp_path / "a.ply")
    assert len(str(caught.value).splitlines()) == 1


def test_bad_index_in_another_format_is_said(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n")
    with pytest.raises(InputError, match="line 4 is no point, or a face that names a point which is not there"):
        read_surface(tmp_path / "a.obj")


def test_vtp_that_claims_more_than_fits_in_it_does_not_end_the_program(tmp_path):
    surface = ball(20)
    write_surface(surface, tmp_path / "a.vtp", TIBIA)
    count = f'NumberOfPolys="{surface.GetNumberOfPolys()}"'.encode()
    content = (tmp_path / "a.vtp").read_bytes()
    assert count in content
    (tmp_path / "a.vtp").write_bytes(content.replace(count, b'NumberOfPolys="99999999999"'))
    assert "is damaged (it says that it holds 1e+11 points and cells" in read_elsewhere(tmp_path / "a.vtp")


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
@pytest.mark.parametrize("ending", list(FORMATS))
def test_a_limit_on_files_ends_in_a_sentence_and_keeps_the_earlier_file(tmp_path, ending):
    path = tmp_path / f"tibia.{ending}"
    write_surface(ball(8), path, TIBIA)
    before = path.read_bytes()
    script = (
        "import resource, signal, sys\n"
        "from KneeSegLib.errors import OutputError\n"
        "from KneeSegLib.surfaces import write_surface\n"
        "from Testing.surfaces.test_damaged_surfaces import TIBIA, ball\n"
        "surface = ball()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "try: write_surface(surface, sys.argv[1], TIBIA)\n"
        "except OutputError as error: print(error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, encoding="utf-8", timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-500:]
    assert len(ended.stdout.splitlines()) == 1 and "ulimit -f" in ended.stdout
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
