"""Real scans, read here and by SimpleITK's own series reader: same voxels, same places."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import SimpleITK as sitk

from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.volume import check_ct, check_mr, read_volume

SHARED = Path(os.environ.get("KNEESEG_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    def unpack(name: str) -> Path:
        archive = SHARED / "real_images" / f"{name}_dicom.zip"
        if not archive.is_file():
            pytest.skip("the shared scans are not here")
        folder = tmp_path_factory.mktemp(name)
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(folder)
        return folder

    return unpack


def read_by_simpleitk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    (leaf,) = {path.parent for path in folder.rglob("*.dcm")}
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(leaf)))
    return reader.Execute()


# The body scan is compressed with JPEG 2000.
@pytest.mark.parametrize("name, size", [("ankle_wbct", (400, 400, 325)), ("body_ct", (512, 512, 20))])
def test_real_ct_is_read_as_by_simpleitk(name, size, unpacked):
    folder = unpacked(name)
    volume, expected = read_volume(folder), read_by_simpleitk(folder)
    assert volume.image.GetSize() == size
    assert volume.image.GetOrigin() == pytest.approx(expected.GetOrigin(), abs=1e-4)
    assert volume.image.GetSpacing() == pytest.approx(expected.GetSpacing(), abs=1e-6)
    assert volume.image.GetDirection() == pytest.approx(expected.GetDirection(), abs=1e-6)
    assert sitk.Hash(volume.image) == sitk.Hash(sitk.Cast(expected, sitk.sitkInt16))
    assert volume.notes == ()
    check_ct(volume)


def test_real_multi_echo_mr_gives_its_first_echo(unpacked):
    folder = unpacked("knee_mese_mr")
    assert [series.slices for series in list_series(folder)] == [24] * 8
    volume = read_volume(folder)
    assert volume.image.GetSize() == (256, 256, 24)
    assert volume.image.GetSpacing() == pytest.approx((0.625, 0.625, 4.0), abs=1e-4)
    assert volume.source.endswith("echo time 6.312 ms")
    check_mr(volume)
