import pytest

from KneeSegLib.bundles import find_bundle, list_bundles
from KneeSegLib.errors import InputError
from KneeSegLib.networks.shape_layer import POSE_PARAMETERS
from KneeSegLib.training.recipe_files import RECIPES_FOLDER, parse_recipe, read_recipe


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES_FOLDER.glob("*.yaml")))
def test_every_shipped_recipe_reads_and_names_its_bundle(name):
    recipe = read_recipe(name)
    plain = name.removeprefix("as-published-").removesuffix("-finish").removesuffix("-resnet").removesuffix("-plain")
    assert recipe.name == plain.replace("-both", "-femur")
    config = recipe.network_config
    shapes = config.get("shapes", 1)
    outputs = shapes * (config["modes"] + POSE_PARAMETERS) if recipe.kind == "mr-shape" else config["out_channels"]
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


@pytest.mark.parametrize("name", sorted(bundle.name for bundle in list_bundles()))
def test_recipes_in_bundles_that_ship_still_read(name):
    recipe = parse_recipe(find_bundle(name).spec.recipe, name)
    assert recipe.name == name


@pytest.mark.parametrize(("name", "entry"), [("ct-refine", "patches"), ("mr-knee-patches", "mr")])
def test_entries_that_had_other_names_are_still_read(name, entry):
    former = read_recipe(name, **{entry: {"errors": {"lump_mm": [1.0, 2.0]}}})
    assert former == read_recipe(name, **{entry: {"errors": {"component_mm": [1.0, 2.0]}}})
    assert getattr(former, entry).errors.component_mm == (1.0, 2.0)


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(InputError, match="ct-ankle.*ct-hip"):
        read_recipe("ct-elbow")


def test_synthesis_ingredients_are_switched_from_the_recipe():
    recipe = read_recipe("ct-knee", synthesis={"scanner": {"metal_probability": 0.0}})
    assert recipe.synthesis.scanner.metal_probability == 0.0
    assert recipe.synthesis.scanner.blur_mm == read_recipe("ct-knee").synthesis.scanner.blur_mm


def test_single_entries_are_set_at_any_depth():
    recipe = read_recipe("ct-femur-vnet", ["volume.input=image", "losses.dice=0.5", "widths=[2, 4]"], seed=3)
    assert (recipe.volume.input, recipe.losses.dice, recipe.widths, recipe.seed) == ("image", 0.5, (2, 4), 3)
    assert recipe.volume.per_render == read_recipe("ct-femur-vnet").volume.per_render


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("losses.dice", "sets no entry of a recipe; write ENTRY=VALUE"),
        ("losses.dice=[", "sets no entry of a recipe"),
        ("losses.focal=1", "entry 'focal' is unknown; known are cross_entropy"),
        ("widths.first=1", "'widths' is no table of entries"),
        ("volume.input=laplacian", "is 'laplacian', expected one of gradient, image"),
    ],
)
def test_what_sets_no_entry_is_refused(assignment, sentence):
    with pytest.raises(InputError, match=sentence):
        read_recipe("ct-femur-vnet", [assignment])


def test_the_low_field_network_as_published_is_the_papers():
    recipe = read_recipe("as-published-mr-low-field")
    network = recipe.network_config
    assert network["_target_"] == "monai.networks.nets.BasicUNet"
    assert network["features"][:5] == [64, 128, 256, 512, 1024] and (network["out_channels"], network["norm"]) == (
        1,
        "batch",
    )
    assert recipe.shapes == ((64, 64, 64),) and recipe.spacing_mm == 0.352 and recipe.batch == 10
    assert (recipe.learning_rate, recipe.schedule, recipe.weight_decay) == (1e-4, "constant", 0.0)
    assert len(recipe.mr.views) == 3 and recipe.losses.dice == 0.0


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("name: [", "is no YAML that can be read .line 1"),
        ("- a\n- b", "holds no table of entries"),
        ("1: 2\nname: x", "holds no table of entries"),
        ("a: &a [1]\nb: *a", "has an alias"),
        ("[" * 5000, "is no YAML that can be read"),
        ("name: \xff", "is no text in UTF-8"),
        ("steps: " + "9" * 5000, "is no YAML that can be read|without end|is unknown|is missing"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_in_a_sentence(text, finding, tmp_path):
    (tmp_path / "mine.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=f"Recipe mine.yaml.*{finding}"):
        read_recipe(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("assignment", "finding"),
    [
        ("batch=0", "batch is 0, expected a whole number from 1"),
        ("batch=0x" + "f" * 5000, "batch is a number without end"),
        ("learning_rate=.nan", "learning_rate is nan"),
        ("spacing_mm=-1.0", "spacing_mm is -1.0, expected a number above 0"),
        ("synthesis.bone.texture_hu=[3.0]", "expected a list of 2 values"),
        ("synthesis.bone.texture_hu=[3.0, 1.0]", "two bounds, the lower one first"),
        ("synthesis.bone.cyst_probability=7.0", "expected a number from 0 to 1"),
        ("name=../elsewhere", "name is '../elsewhere', expected letters"),
        ("widths=[]", "widths is .., expected 1 to 9 numbers"),
        ("widths=[1000000, 2]", "widths is .*, expected 1 to 9 numbers"),
        ("shapes=[[100000, 100000]]", "shapes is .*, expected sizes"),
        ("ema=1.0", "ema is 1.0"),
        ("steps=true", "steps is True, expected a value of type int"),
    ],
)
def test_a_value_that_nothing_can_be_trained_with_is_refused(assignment, finding):
    with pytest.raises(InputError, match=finding):
        read_recipe("ct-knee", [assignment])
