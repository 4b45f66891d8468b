"""Slices that a folder holds twice are left out once."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from KneeSegLib.io import dicom_doubles
from KneeSegLib.io.dicom_doubles import drop_doubles
from KneeSegLib.io.dicom_folder import read_folder
from Testing.io.dicom.conftest import write_enhanced_ct


def test_each_multi_frame_file_is_decoded_once(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 2000, (9, 32, 32)).astype(np.uint16)
    for number in range(3):  # of one place all of them, with the same pixels but for the first frame
        other = values.copy()
        other[0] += number
        write_enhanced_ct(tmp_path / f"{number}.dcm", other, range(0, 27, 3))
    read, decoded = sitk.ReadImage, []
    monkeypatch.setattr(dicom_doubles.sitk, "ReadImage", lambda *a, **k: decoded.append(a[0]) or read(*a, **k))
    kept, copies = drop_doubles(read_folder(tmp_path).slices)
    assert (len(kept), copies) == (9 + 2, 16)
    assert len(decoded) == len(set(decoded)) == 3
