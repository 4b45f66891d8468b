"""What the sources call the bones that they show."""

import numpy as np
import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.training.ct_sources import LocaliserSource, NamingSource, SliceSource, read_subjects
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy


def names_of(source) -> dict[str, str]:
    channels = source.channel_of_class.tolist()
    return {name: source.recipe.classes[channel] for name, channel in zip(CLASSES, channels)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("talus_right", "talus"),
        ("talus_left", "other"),
        ("femur_right", "other"),
        ("other", "other"),
        ("none", "background"),
    ],
)
def test_slices_call_bones_of_other_joints_and_of_the_other_leg_other(name, expected):
    assert names_of(SliceSource(read_recipe("ct-ankle"), []))[name] == expected


def test_naming_knows_all_bones_of_the_right_leg():
    names = names_of(NamingSource(read_recipe("ct-naming"), []))
    assert names["femur_right"] == "femur" and names["femur_left"] == "other" and names["none"] == "other"


def test_the_localiser_tells_sides_apart():
    names = names_of(LocaliserSource(read_recipe("ct-localiser"), []))
    assert all(names[name] == name for name in CLASSES)


@pytest.fixture
def ankle() -> Anatomy:
    """A prepared ankle without any bone."""
    fine, coarse = (8, 8, 8), (2, 2, 2)
    return Anatomy(
        np.zeros(fine, np.uint8), np.full(fine, 127, np.int8), np.zeros(coarse, np.uint8), np.zeros(coarse, np.uint8),
        (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), "ankle", "train", "one", (),
    )  # fmt: skip


@pytest.mark.parametrize(
    "source", ["Visible Human lower limb, Andreassen et al. 2023 (CC BY 4.0)", "Visible Human Female lower limb"]
)
def test_training_refuses_a_subject_who_is_kept_for_tests(source, ankle, tmp_path):
    ankle.sources = (source,)
    ankle.save(tmp_path / "ankle_train_one.npz")
    with pytest.raises(InputError, match="Visible Human Female, who is kept for tests; prepare training anatomy again"):
        read_subjects(tmp_path, ("ankle",), "train")


def test_bones_of_the_visible_human_male_are_trained_on(ankle, tmp_path):
    ankle.sources = ("Visible Human Male lower limb, Andreassen et al. 2023 (CC BY 4.0)",)
    ankle.save(tmp_path / "ankle_train_one.npz")
    assert len(read_subjects(tmp_path, ("ankle",), "train")) == 1
