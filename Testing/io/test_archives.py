"""Zipped studies are read; what no scan can be is refused before it is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError, ResourceError
from KneeSegLib.io import archives
from KneeSegLib.io.archives import unpack_study
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.io.volume import read_volume
from Testing.io.dicom.conftest import write_series

NINE = range(0, 27, 3)


def zip_folder(folder: Path, archive: Path) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(folder.rglob("*")):
            opened.write(path, path.relative_to(folder.parent))
    return archive


@pytest.fixture
def study(tmp_path) -> Path:
    return zip_folder(write_series(tmp_path / "study", NINE), tmp_path / "sent" / "study.zip")


@pytest.mark.parametrize("as_folder", [False, True])
def test_zipped_study_is_read_as_its_folder(as_folder, study):
    path = study.parent if as_folder else study
    assert [series.slices for series in list_series(path)] == [9]
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(path).image)[:, 0, 0], [height - 24 for height in NINE])


def test_a_zipped_image_file_stands_for_the_file(tmp_path):
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(-900, 900, (9, 9, 9)).astype(np.int16))
    (tmp_path / "mine").mkdir()
    sitk.WriteImage(image, str(tmp_path / "mine" / "knee.nrrd"))
    path = zip_folder(tmp_path / "mine", tmp_path / "sent" / "scan.zip")
    volume = read_volume(path)
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), sitk.GetArrayFromImage(image))
    assert (volume.source, read_volume(path.parent).source) == ("scan.nrrd", "sent.nrrd")


def test_zipped_slice_images_are_read_with_a_spacing(tmp_path):
    (tmp_path / "slices").mkdir()
    for number in range(12):
        sitk.WriteImage(sitk.Image(16, 16, sitk.sitkUInt8) + number, str(tmp_path / "slices" / f"s{number}.png"))
    path = zip_folder(tmp_path / "slices", tmp_path / "sent" / "slices.zip")
    with pytest.raises(InputError, match=r"slices.zip holds no DICOM but 12 numbered images .*with --spacing COLUMNS"):
        read_volume(path)
    volume = read_volume(path, modality="MR", stated=StatedGeometry((0.5, 0.6, 0.7)))
    assert (volume.image.GetSize(), volume.image.GetSpacing()) == ((16, 16, 12), (0.5, 0.6, 0.7))
    assert (volume.source, volume.path) == ("slices.zip", None)
    (tmp_path / "slices" / "s5.png").unlink()
    path = zip_folder(tmp_path / "slices", tmp_path / "sent" / "slices.zip")
    with pytest.raises(InputError, match=r"slice images of slices.zip, numbered 0 to 11, 1 are missing \(5\)"):
        read_volume(path, stated=StatedGeometry((0.5, 0.6, 0.7)))


def test_messages_name_the_archive_and_no_temporary_folder(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("nothing", encoding="utf-8")
    path = zip_folder(tmp_path / "letters", tmp_path / "letters.zip")
    with pytest.raises(InputError) as refused:
        read_volume(path)
    assert "letters.zip holds 1 file but no image" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("../../evil.dcm", "would lie outside its folder"), ("a/C:evil.dcm", "with a colon in its name")],
)
def test_files_outside_the_folder_are_refused(name, sentence, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as opened:
        opened.writestr(name, b"x")
    with pytest.raises(InputError, match=sentence), unpack_study(tmp_path / "evil.zip"):
        pass
    assert not (tmp_path.parent / "evil.dcm").exists()


def test_links_are_left_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as opened:
        link = zipfile.ZipInfo("passwords")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
        opened.writestr("a.txt", "kept")
    with unpack_study(tmp_path / "link.zip") as folder:
        assert [path.name for path in folder.rglob("*") if path.is_file() or path.is_symlink()] == ["a.txt"]


def test_more_than_a_scan_can_be_is_refused_before_it_is_unpacked(study, monkeypatch):
    monkeypatch.setattr(archives, "MOST_UNPACKED_BYTES", 1000)
    with pytest.raises(InputError, match="more than a scan can be"):
        read_volume(study)


def test_a_list_that_lies_about_sizes_ends_the_unpacking(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.dcm", bytes(3 << 20))
    content = bytearray(path.read_bytes())
    listed = content.rindex(b"PK\x01\x02")
    content[listed + 24 : listed + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="bomb.zip"):
        read_volume(path)


def test_damaged_archive_is_named(study):
    content = bytearray(study.read_bytes())
    content[200:260] = bytes(60)
    study.write_bytes(content)
    with pytest.raises((InputError, ResourceError), match="study.zip"):
        read_volume(study)


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize("packed", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damage_of_every_way_of_packing_is_said_without_names_out_of_a_folder(packed, as_folder, tmp_path):
    (tmp_path / "sent").mkdir()
    path = tmp_path / "sent" / "Mueller.zip"
    with zipfile.ZipFile(path, "w", packed) as opened:
        opened.writestr("a.dcm", np.random.default_rng(0).bytes(5000))
    content = bytearray(path.read_bytes())
    content[35:300] = bytes([255]) * 265
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be unpacked to its end") as refused:
        read_volume(path.parent if as_folder else path)
    assert str(refused.value).startswith("sent (file 1 of 1)" if as_folder else "Mueller.zip")


def test_endings_of_archives_are_shown_only_where_they_are_known(tmp_path):
    (tmp_path / "scan.Mueller").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(200))
    with pytest.raises(InputError, match="holds 1 archive and no image beside"):
        read_volume(tmp_path)


def test_archives_of_other_kinds_are_said_truly(tmp_path):
    (tmp_path / "study.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(200))
    with pytest.raises(InputError, match=r"holds 1 archive \(.7z\).*unpack it"):
        read_volume(tmp_path)
