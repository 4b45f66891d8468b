import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.networks.shape_layer import POSE_PARAMETERS
from KneeSegLib.training.recipe import RECIPES_FOLDER, read_recipe


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES_FOLDER.glob("*.yaml")))
def test_every_shipped_recipe_reads_and_names_its_bundle(name):
    recipe = read_recipe(name)
    assert recipe.name == name.removesuffix("-finish")
    config = recipe.network_config
    outputs = config["modes"] + POSE_PARAMETERS if recipe.kind == "mr-shape" else config["out_channels"]
    assert len(recipe.classes) == outputs


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"colour": 3}, "'colour' is unknown"),
        ({"steps": "many"}, "steps is 'many'"),
        ({"shapes": [[150, 150]]}, r"\[150, 150\] was found, expected 2 sizes that are multiples of 32"),
        ({"losses": {"tversky": 1.0}}, "'tversky' is unknown"),
        ({"kind": "tiles"}, "expected one of slices, localiser, naming, patches"),
        ({"joints": ["elbow"]}, "one joint of hip, knee, ankle"),
        ({"synthesis": {"warp": {"scale": 1.0}}}, "scale is 1.0, expected a list"),
    ],
)
def test_a_wrong_entry_is_named(change, complaint):
    with pytest.raises(InputError, match=complaint):
        read_recipe("ct-knee", **change)


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(InputError, match="ct-ankle.*ct-hip"):
        read_recipe("ct-elbow")


def test_synthesis_ingredients_are_switched_from_the_recipe():
    recipe = read_recipe("ct-knee", synthesis={"scanner": {"metal_probability": 0.0}})
    assert recipe.synthesis.scanner.metal_probability == 0.0
    assert recipe.synthesis.scanner.blur_mm == read_recipe("ct-knee").synthesis.scanner.blur_mm
