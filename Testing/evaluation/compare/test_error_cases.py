"""Error maps of the worst cases, whatever images lie beside their references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.evaluation.compare.cases import find_cases
from KneeSegLib.evaluation.compare.error_cases import draw_error_cases
from KneeSegLib.evaluation.compare.running import Comparison, run_all
from KneeSegLib.evaluation.compare.systems import parse_system
from KneeSegLib.progress import no_progress


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


@pytest.mark.parametrize("slices", [12, 8])
def test_errors_are_drawn_without_an_image_that_has_other_voxels(tmp_path, slices):
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[3:9, 3:9, 3:9] = structure("femur_right").label_value
    write(tmp_path / "cases/labels/anna.nrrd", labels)
    write(tmp_path / "found/anna.nrrd", np.roll(labels, 1, axis=2))
    image = np.random.default_rng(0).integers(0, 1000, (slices, 12, 12)).astype(np.int16)
    write(tmp_path / "cases/images/anna.nrrd", image)
    systems = [parse_system(str(tmp_path / "found"))]
    comparison = Comparison(find_cases(tmp_path / "cases"), systems, tmp_path / "out")
    (drawn,) = draw_error_cases(comparison, run_all(comparison, no_progress), no_progress)
    ((_, pictures),) = drawn.regions[0].rows
    greys = sitk.GetArrayFromImage(read_png(pictures[0].png, tmp_path))[..., 0]
    assert (len(np.unique(greys)) > 10) == (slices == 12)


def read_png(content: bytes, folder: Path) -> sitk.Image:
    (folder / "picture.png").write_bytes(content)
    return sitk.ReadImage(str(folder / "picture.png"))
