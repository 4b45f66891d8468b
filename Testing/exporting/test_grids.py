"""Grids of sources are those on which scans are read, and axes are perpendicular where they have to be."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.exporting.grids import find_turn, index_matrix, make_perpendicular
from KneeSegLib.exporting.saved_case import read_saved_case
from KneeSegLib.exporting.source import find_source
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.dicom_stack import read_stack
from Testing.exporting.conftest import Grid, make_labels, save_small, write_source


@pytest.mark.parametrize("kind", ["rounded", "drifting", "both"])
def test_labels_as_they_were_made_have_the_voxels_of_their_source(tmp_path, kind):
    drift = Grid(lean_mm=(0.0, 0.0 if kind == "rounded" else 0.015, 0.0))
    folder = write_source(tmp_path / "source", drift, spacing_mm=(1.5, 1.5, 0.626))
    for path in folder.iterdir() if kind != "drifting" else ():
        header = pydicom.dcmread(path)
        header.ImagePositionPatient[2] = round(float(header.ImagePositionPatient[2]), 1)
        header.save_as(path)
    image = read_stack(list_series(folder)[0])[0]
    labels = make_labels()
    labels.CopyInformation(image)
    scan = read_saved_case(save_small(tmp_path / "case", labels, folder)).scans[0]
    grid = find_source(scan, None).grid
    turn = find_turn(labels, grid)
    assert turn is not None and turn.first == (0, 0, 0)
    assert np.allclose(index_matrix(grid), index_matrix(image), atol=1e-9)


def test_axes_that_are_nearly_perpendicular_are_made_so_and_others_refused():
    size = (40, 36, 18)
    matrix = index_matrix(make_labels())
    matrix[0, 2] += 0.002
    straight = make_perpendicular(matrix, size)
    products = straight[:3, :3].T @ straight[:3, :3]
    assert np.allclose(products, np.diag(np.diag(products)), atol=1e-9)
    assert np.allclose(straight, matrix, atol=0.003)
    matrix[0, 2] += 0.5
    with pytest.raises(InputError, match="not perpendicular, which DICOM segmentations cannot hold"):
        make_perpendicular(matrix, size)
