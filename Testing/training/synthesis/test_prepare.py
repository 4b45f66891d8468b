"""Prepared subjects: who is in which group, the same every time, whole bones on the right side."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis import ankle_cases
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy
from KneeSegLib.training.synthesis.bone_fields import BoneVolume
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.feet import HINDFEET
from KneeSegLib.training.synthesis.hip_cases import SCANNED_FEMORA
from KneeSegLib.training.synthesis.knee_cases import BONES
from KneeSegLib.training.synthesis.pictures import list_class_colors
from KneeSegLib.training.synthesis.prepare import JOINTS, Selection, list_cases, prepare_subjects, seed_random
from KneeSegLib.training.synthesis.voxels import CaseName, assemble_anatomy


@pytest.fixture(scope="module")
def knee(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Anatomy:
    folder = tmp_path_factory.mktemp("prepared")
    (path,) = prepare_subjects(shared_data, folder, Selection(["knee"], limit=1))
    return Anatomy.load(path)


def test_every_joint_has_subjects_of_every_group_and_no_name_twice() -> None:
    for joint in JOINTS:
        names = list_cases(joint)
        assert {name.group for name in names} == {"train", "validation", "test"}
        assert len({name.file_name for name in names}) == len(names)


def test_no_scanned_ankle_or_hindfoot_crosses_from_one_group_to_another() -> None:
    groups: dict[str, set[str]] = {}
    for recipe in ankle_cases.list_recipes().values():
        # The other foot of the same patient has the same number in another series.
        for subject in filter(None, (recipe.ankle, recipe.hindfoot and recipe.hindfoot[0].removeprefix("Non"))):
            groups.setdefault(subject, set()).add(recipe.group)
    assert len(groups) == 26 + 7
    assert all(len(found) == 1 for found in groups.values()), groups


def test_calcanei_of_validation_ankles_are_never_those_of_the_feet_of_training() -> None:
    for recipe in ankle_cases.list_recipes().values():
        assert recipe.group != "validation" or recipe.hindfoot is not None


def test_the_visible_human_female_is_in_tests_alone_and_the_male_in_none() -> None:
    subjects = {(recipe.foot.split("_")[0], recipe.group) for recipe in ankle_cases.list_recipes().values()}
    assert subjects == {("male", "train"), ("male", "validation"), ("female", "test")}


def test_hindfeet_of_one_group_are_in_no_other() -> None:
    subjects = [{subject for subject, _ in HINDFEET[group]} for group in ("train", "validation", "test")]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 7


def test_both_femora_of_a_subject_are_in_one_group() -> None:
    for femur, group in SCANNED_FEMORA.items():
        assert {SCANNED_FEMORA[other] for other in SCANNED_FEMORA if other[:2] == femur[:2]} == {group}


def test_random_numbers_depend_on_the_case_alone() -> None:
    first, second = CaseName("knee", "train", "model01"), CaseName("knee", "train", "model02")
    assert seed_random(first, 0).random() == seed_random(first, 0).random()
    assert seed_random(first, 0).random() != seed_random(second, 0).random()
    assert seed_random(first, 0).random() != seed_random(first, 1).random()


def test_a_folder_without_the_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="llp26_left_linear"):
        prepare_subjects(tmp_path, tmp_path / "out", Selection(["knee"], limit=1))
    assert not list(tmp_path.rglob("*.npz"))


def test_a_knee_has_four_right_bones_in_their_places(knee: Anatomy) -> None:
    labels = knee.labels()
    assert set(np.unique(labels)) == {0, *(CLASSES.index(f"{bone}_right") for bone in BONES)}
    z, y, x = (
        {bone: np.argwhere(labels == CLASSES.index(f"{bone}_right")).mean(axis=0)[axis] for bone in BONES}
        for axis in range(3)
    )
    assert z["femur"] > z["tibia"]
    assert y["patella"] < y["femur"]
    assert x["fibula"] < x["tibia"]


def test_different_bones_never_touch(knee: Anatomy) -> None:
    labels = knee.labels()
    for axis in range(3):
        first, second = np.moveaxis(labels, axis, 0)[:-1], np.moveaxis(labels, axis, 0)[1:]
        touching = (first != second) & (first > 0) & (second > 0)
        # Gaps below a voxel may fall between two centres: few, and there the surfaces still do not overlap.
        assert touching.mean() < 1e-4


def test_far_continues_the_signed_distance(knee: Anatomy) -> None:
    middle = knee.sdf_mm[2::4, 2::4, 2::4]
    band = (middle > 2) & (middle < 9)
    assert np.abs(knee.far[band] - middle[band]).max() < 3.0
    assert knee.far[middle < -4].max() == 0
    assert knee.far.max() > 20


def test_files_that_exist_are_kept(shared_data: Path, tmp_path: Path) -> None:
    (name,) = list_cases("hip")[:1]
    (tmp_path / name.file_name).write_bytes(b"kept")
    assert prepare_subjects(shared_data, tmp_path, Selection(["hip"], limit=1)) == [tmp_path / name.file_name]
    assert (tmp_path / name.file_name).read_bytes() == b"kept"


@pytest.fixture
def planes_for_bones(monkeypatch: pytest.MonkeyPatch) -> list[CaseName]:
    """Two subjects of a joint whose femur fills the lower half of the box; preparing them needs no data."""
    names = [CaseName("knee", "train", "one"), CaseName("knee", "test", "two")]

    def build(name: CaseName, data: Path, random: np.random.Generator) -> Anatomy:
        grid = CubicGrid((0.0, 0.0, 0.0), 2.0, (40, 16, 16))
        depth = np.broadcast_to(np.clip(2.0 * (np.arange(40) - 19.5), -12.7, 12.7)[:, None, None], grid.shape)
        classes = np.array([0, CLASSES.index("femur_right")], np.uint8)
        bones = BoneVolume(grid, depth, np.ones(grid.shape, np.uint8))
        return assemble_anatomy(bones, classes, [lambda p: np.full(len(p), 2.0)], name, [])

    cases = SimpleNamespace(list_cases=lambda: names, build_case=build)
    monkeypatch.setattr("KneeSegLib.training.synthesis.prepare.import_cases", lambda joint: cases)
    return names


def test_a_picture_lies_beside_each_prepared_file(planes_for_bones: list[CaseName], tmp_path: Path) -> None:
    for path in prepare_subjects(tmp_path, tmp_path / "out", Selection(["knee"])):
        seen_from_the_left = np.asarray(Image.open(path.with_suffix(".png")))[:, -20]
        femur = tuple(list_class_colors()[CLASSES.index("femur_right")])
        assert {tuple(colour) for colour in seen_from_the_left[:145]} == {(0, 0, 0)}
        assert {tuple(colour) for colour in seen_from_the_left[155:]} == {femur}


def test_one_group_is_prepared_alone(planes_for_bones: list[CaseName], tmp_path: Path) -> None:
    prepare_subjects(tmp_path, tmp_path / "out", Selection(["knee"], group="test"))
    assert [path.name for path in (tmp_path / "out").glob("*.npz")] == [planes_for_bones[1].file_name]


def test_far_counts_millimetres_beyond_the_band() -> None:
    grid = CubicGrid((0.0, 0.0, 0.0), 2.0, (8, 8, 80))
    distance = np.broadcast_to(grid.coordinates()[0] - 10, grid.shape)
    numbers = (distance < 13).astype(np.uint8)
    anatomy = assemble_anatomy(
        BoneVolume(grid, np.clip(distance, -13, 13), numbers),
        np.array([0, 3], np.uint8),
        [lambda p: np.full(len(p), 2.0)],
        CaseName("knee", "train", "plane"),
        [],
    )
    centers = 2.0 * (4 * np.arange(20) + 1.5) - 10
    np.testing.assert_allclose(anatomy.far[1, 1], np.clip(centers, 0, 255), atol=1.0)
    assert np.all(anatomy.cortex == 40)
