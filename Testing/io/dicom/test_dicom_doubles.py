"""Slices that a folder holds twice are left out once."""

from __future__ import annotations

import numpy as np

from KneeSegLib.io import dicom_doubles
from KneeSegLib.io.dicom_doubles import drop_doubles
from KneeSegLib.io.dicom_folder import read_folder
from Testing.io.dicom.conftest import compress, write_enhanced_ct, write_series


def test_each_multi_frame_file_is_decoded_once(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 2000, (9, 32, 32)).astype(np.uint16)
    for number in range(3):  # of one place all of them, with the same pixels but for the first frame
        other = values.copy()
        other[0] += number
        write_enhanced_ct(tmp_path / f"{number}.dcm", other, range(0, 27, 3))
    read, decoded = dicom_doubles.read_native_frames, []
    monkeypatch.setattr(dicom_doubles, "read_native_frames", lambda path: decoded.append(path) or read(path))
    kept, copies = drop_doubles(read_folder(tmp_path).slices)
    assert (len(kept), copies) == (9 + 2, 16)
    assert len(decoded) == len(set(decoded)) == 3


def test_copies_that_are_compressed_are_known(tmp_path):
    write_series(tmp_path / "plain", range(0, 30, 3))
    for path in write_series(tmp_path / "packed", range(0, 30, 3)).iterdir():
        compress(path, "JPEG2000")
    kept, copies = drop_doubles(read_folder(tmp_path).slices)
    assert (len(kept), copies) == (10, 10)


def test_a_copy_that_cannot_be_decoded_is_none(tmp_path):
    write_series(tmp_path / "plain", range(0, 30, 3))
    for number, path in enumerate(sorted(write_series(tmp_path / "packed", range(0, 30, 3)).iterdir())):
        compress(path, "JPEG", spoil=lambda frame, damaged=number == 4: frame[:40] if damaged else frame)
    kept, copies = drop_doubles(read_folder(tmp_path).slices)
    assert (len(kept), copies) == (11, 9)
