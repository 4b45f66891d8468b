"""What a comparison knows its files by, so that it measures anew what has changed."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.evaluation.compare.records import hash_path


@pytest.mark.parametrize("name", ["labels.mhd", "labels.nhdr", "labels.hdr", "labels.nrrd"])
def test_voxels_count_that_lie_beside_their_header(tmp_path, name):
    array = np.zeros((4, 5, 6), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name))
    before = hash_path(tmp_path / name)
    assert hash_path(tmp_path / name) == before
    array[1, 2, 3] = 1
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name))
    assert hash_path(tmp_path / name) != before


def test_a_damaged_file_is_known_by_its_content_too(tmp_path):
    (tmp_path / "labels.nrrd").write_text("NRRD0004\nsizes: many\n", encoding="utf-8")
    before = hash_path(tmp_path / "labels.nrrd")
    (tmp_path / "labels.nrrd").write_text("NRRD0004\nsizes: few\n", encoding="utf-8")
    assert hash_path(tmp_path / "labels.nrrd") != before
