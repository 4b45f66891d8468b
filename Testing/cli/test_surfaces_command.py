"""``kneeseg surfaces``."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.geometry.mesh import points_of, polydata_from, triangles_of
from KneeSegLib.surfaces import SMOOTHINGS, read_surface, write_surface
from KneeSegLib.surfaces.topology import topology_of
from Testing.phantoms.cases import knee_case


@pytest.mark.parametrize("format", ["stl", "ply", "obj", "vtp"])
@pytest.mark.parametrize("coordinates", ["LPS", "RAS"])
def test_each_structure_becomes_a_file_that_reads_back_in_place(kneeseg, label_file, tmp_path, format, coordinates):
    labels = label_file("labels.nrrd", "femur_right", "patella_left")
    options = ("--format", format, "--coordinates", coordinates, "--smoothing", "none")
    outcome = kneeseg("surfaces", labels, "-o", tmp_path / "out", *options, "--progress", "json")
    assert [entry["file"] for entry in outcome.events[-1]["surfaces"]] == [
        f"femur_right.{format}",
        f"patella_left.{format}",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"femur_right.{format}",
        f"patella_left.{format}",
    ]
    # the femur fills columns 4..13, rows 3..12 and slices 3..10 at 1 x 1 x 1.5 mm
    bounds = read_surface(tmp_path / "out" / f"femur_right.{format}").GetBounds()
    assert bounds == pytest.approx((3.5, 13.5, 2.5, 12.5, 3.75, 15.75), abs=0.01)


def test_person_is_told_the_files_and_the_coordinates(kneeseg, label_file, tmp_path):
    outcome = kneeseg("surfaces", label_file("labels.nrrd", "femur_right"), "-o", tmp_path / "out")
    assert str(tmp_path / "out" / "femur_right.stl") in outcome.out
    assert "LPS, mm" in outcome.out


def test_values_of_another_program_are_given_a_meaning(kneeseg, tmp_path):
    mask = np.zeros((14, 16, 20), np.uint8)
    mask[3:11, 3:13, 4:14] = 255
    sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / "mask.nii.gz"))
    outcome = kneeseg("surfaces", tmp_path / "mask.nii.gz", "-o", tmp_path / "out", "--progress", "none")
    assert outcome.status == 2 and '--labels "255=femur_right"' in outcome.err
    options = ("--labels", "255=patella_left", "--progress", "none")
    assert kneeseg("surfaces", tmp_path / "mask.nii.gz", "-o", tmp_path / "out", *options).err == ""
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["patella_left.stl"]


def test_numbers_that_were_assumed_are_told(kneeseg, label_file, tmp_path):
    outcome = kneeseg("surfaces", label_file("labels.nrrd", "hip_bone_right"), "-o", tmp_path / "out")
    assert "does not say what its values stand for" in outcome.err and "(1 Right hip bone)" in outcome.err


def test_help_names_every_smoothing(kneeseg):
    text = " ".join(kneeseg("surfaces", "--help").out.split()).replace("- ", "-")
    assert [name for name in SMOOTHINGS if name not in text] == []


def test_result_folder_gives_its_own_surfaces_but_of_what_was_edited(kneeseg, tmp_path):
    keys = ("femur_right", "tibia_right")
    knee_case().save(tmp_path / "result")
    segmentation = tmp_path / "result" / "segmentation.seg.nrrd"
    for key in keys:  # a surface that no mesh of the labels would be
        own = tmp_path / "result" / "surfaces" / f"{key}.stl"
        surface = read_surface(own)
        write_surface(polydata_from(points_of(surface) + (0, 0, 5.0), triangles_of(surface)), own, structure(key))
    labels = sitk.ReadImage(str(segmentation))
    array = sitk.GetArrayFromImage(labels)
    array[tuple(np.argwhere(array == structure("tibia_right").label_value)[0])] = 0
    edited = sitk.GetImageFromArray(array)
    for name in labels.GetMetaDataKeys():
        edited.SetMetaData(name, labels.GetMetaData(name))
    edited.CopyInformation(labels)
    sitk.WriteImage(edited, str(segmentation))

    assert kneeseg("surfaces", tmp_path / "result", "-o", tmp_path / "out", "--format", "ply").status == 0
    shift_mm = {}
    for key in keys:
        own = read_surface(tmp_path / "result" / "surfaces" / f"{key}.stl").GetBounds()
        shift_mm[key] = read_surface(tmp_path / "out" / f"{key}.ply").GetBounds()[5] - own[5]
    assert shift_mm == {"femur_right": pytest.approx(0.0, abs=1e-4), "tibia_right": pytest.approx(-5.0, abs=0.5)}


def test_lighter_mesh_has_as_many_triangles_as_its_edges_ask_for_and_lies_as_near_as_told(
    kneeseg, label_file, tmp_path
):
    labels = label_file("labels.nrrd", "femur_right")
    kneeseg("surfaces", labels, "-o", tmp_path / "full", "--smoothing", "none")
    options = ("--smoothing", "none", "--edge", "2", "--progress", "json")
    (told,) = kneeseg("surfaces", labels, "-o", tmp_path / "light", *options).events[-1]["surfaces"]
    area_mm2 = 2 * (10 * 10 + 10 * 12 + 10 * 12)
    assert told["triangles"] == pytest.approx(area_mm2 / (3**0.5 / 4 * 2.0**2), rel=0.15)
    full, light = (read_surface(tmp_path / folder / "femur_right.stl") for folder in ("full", "light"))
    assert light.GetNumberOfPolys() == told["triangles"] < full.GetNumberOfPolys() / 2
    assert topology_of(triangles_of(light)).is_watertight
    farthest_mm = max(np.abs(light.GetBounds() - np.array(full.GetBounds())))
    assert farthest_mm <= told["max_distance_from_full_mm"] + 1e-4
    assert told["max_distance_from_full_mm"] < 0.5


def test_result_folder_gives_its_own_surfaces_lighter(kneeseg, tmp_path):
    knee_case().save(tmp_path / "result")
    outcome = kneeseg("surfaces", tmp_path / "result", "-o", tmp_path / "out", "--edge", "4")
    assert outcome.out.count("mm of the full mesh") == len(list((tmp_path / "out").iterdir())) == 4
    own, light = (read_surface(tmp_path / folder / "femur_right.stl") for folder in ("result/surfaces", "out"))
    assert light.GetNumberOfPolys() < own.GetNumberOfPolys() / 4
    assert light.GetBounds() == pytest.approx(own.GetBounds(), abs=0.5)


@pytest.mark.parametrize(
    "arguments, status, complaint",
    [
        (("nowhere.nrrd", "-o", "out"), 2, "no file or folder"),
        (("empty.nrrd", "-o", "out"), 2, "holds no structure"),
        (("labels.nrrd", "-o", "out", "--smoothing", "heat"), 2, "volume-preserving"),
        (("labels.nrrd", "-o", "out", "--edge", "0"), 2, "--edge"),
        (("labels.nrrd", "-o", "existing"), 5, "--overwrite"),
    ],
)
def test_bad_input_writes_nothing(kneeseg, label_file, tmp_path, monkeypatch, arguments, status, complaint):
    label_file("labels.nrrd", "femur_right")
    label_file("empty.nrrd")
    (tmp_path / "existing").mkdir()
    monkeypatch.chdir(tmp_path)
    outcome = kneeseg("surfaces", *arguments, "--progress", "none")
    assert (outcome.status, len(outcome.err.splitlines())) == (status, 1)
    assert complaint in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.nrrd", "existing", "labels.nrrd"]
