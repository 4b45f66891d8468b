"""Small cases of one's own: a geometric knee rendered as CT, written in the layouts that there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.cases import SyntheticCase, synthesize_case
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from Testing.cli.conftest import kneeseg as kneeseg
from Testing.phantoms.mr_images import MrPhantom, coarse_knee_mr

BONES = ("femur", "tibia", "patella", "fibula")


class KneeCases:
    """Rendered once for each seed and side, written wherever a test wants them."""

    def __init__(self, anatomy) -> None:
        self.subject = PreparedSubject(anatomy)
        self.rendered: dict[tuple[int, str], SyntheticCase] = {}

    def render(self, seed: int = 0, side: str = "right") -> SyntheticCase:
        key = (seed, side)
        if key not in self.rendered:
            self.rendered[key] = synthesize_case(self.subject, 2.0, None, side, seed)
        return self.rendered[key]

    def write(self, image: Path, labels: Path, seed: int = 0, side: str = "right", values=None) -> None:
        """Write one case; ``values`` are the label values by key of the structure, instead of ours."""
        case = self.render(seed, side)
        for path, what in ((image, case.image), (labels, renumber(case.labels, side, values))):
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(what, str(path))

    def write_plain(self, folder: Path, count: int = 3, **options) -> Path:
        for number in range(count):
            name = f"case{number}.nrrd"
            self.write(folder / "images" / name, folder / "labels" / name, seed=number, **options)
        return folder


def renumber(labels: sitk.Image, side: str, values: Mapping[str, int] | None) -> sitk.Image:
    if values is None:
        return labels
    ours = sitk.GetArrayFromImage(labels)
    theirs = np.zeros_like(ours)
    for key, value in values.items():
        tissue = key.removesuffix(f"_{side}")
        theirs[ours == structure(tissue, side).label_value] = value
    image = sitk.GetImageFromArray(theirs)
    image.CopyInformation(labels)
    return image


@pytest.fixture(scope="session")
def knees(geometric_knee) -> KneeCases:
    return KneeCases(geometric_knee)


@pytest.fixture(scope="session")
def knee_mr() -> MrPhantom:
    """A knee MR in voxels of 1 mm with all structures."""
    return coarse_knee_mr()


@pytest.fixture
def tiny_knee() -> Recipe:
    return read_recipe(
        "ct-knee",
        spacing_mm=2.0,
        shapes=[[48, 48]],
        widths=[4, 8, 8],
        slab_slices=3,
        neighbour_offsets_mm=[-2.0, 2.0],
        batch=2,
        pool=12,
        steps=2,
        validate_every=1,
    )


def write_json(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
