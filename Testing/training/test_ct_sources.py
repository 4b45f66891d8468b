"""What the sources call the bones that they show."""

import pytest

from KneeSegLib.training.ct_sources import LocaliserSource, NamingSource, SliceSource
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.anatomy_file import CLASSES


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
