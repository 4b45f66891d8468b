"""Images are written whole, in formats that are one file."""

from __future__ import annotations

import subprocess
import sys

import pytest
import SimpleITK as sitk

from KneeSegLib.errors import OutputError
from KneeSegLib.io.image_files import write_image


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
def test_formats_of_two_files_are_refused(name, tmp_path):
    with pytest.raises(OutputError, match="two files"):
        write_image(sitk.Image(4, 4, 4, sitk.sitkUInt8), tmp_path / name)


@pytest.mark.parametrize("name", ["a.xyz", "a"])
def test_unknown_format_is_refused_and_leaves_nothing(name, tmp_path):
    with pytest.raises(OutputError, match="choose .nrrd"):
        write_image(sitk.Image(4, 4, 4, sitk.sitkUInt8), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to stand for a full disk")
@pytest.mark.parametrize("name", ["a.nrrd", "a.nii", "a.nii.gz", "a.mha"])
def test_full_disk_leaves_the_old_file_and_nothing_else(name, tmp_path):
    """A limit on file size stands for the full disk; it holds for a process, so the writing happens in another one."""
    (tmp_path / name).write_text("old")
    script = f"""
import resource
import SimpleITK as sitk
from KneeSegLib.errors import OutputError
from KneeSegLib.io.image_files import write_image
noise = sitk.AdditiveGaussianNoise(sitk.Image(64, 64, 64, sitk.sitkInt16), standardDeviation=5000, seed=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_image(noise, {str(tmp_path / name)!r})
except OutputError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert (
        "larger than this process may write (0.0954 MB, ulimit -f)" in run.stdout and "disk is full" not in run.stdout
    )
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]
