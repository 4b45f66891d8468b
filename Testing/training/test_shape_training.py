"""A shape network from its recipe to the bundle that the pipeline reads."""

import math

import pytest
import torch

from KneeSegLib.errors import InputError
from KneeSegLib.networks import ShapeRegressor
from KneeSegLib.networks.shape_layer import parameter_names
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.training.export import export_bundle
from KneeSegLib.training.loop import Training
from KneeSegLib.training.objectives import LandmarkObjective
from KneeSegLib.training.recipe_files import read_recipe
from Testing.phantoms.mr_landmarks import cylinder_modes, prepared_folder

MODES = 2


def tiny(bone: str = "tibia", **changes):
    options = {"batch": 1, "pool": 2, "steps": 2, "reuse": 2.0, "widths": [2, 2, 2, 2, 2]}
    return read_recipe(f"mr-shape-{bone}", shape={"bone": bone, "modes": MODES}, **{**options, **changes})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prepared):
    folder = tmp_path_factory.mktemp("trained")
    training = Training(tiny(), prepared, folder)
    training.run(report=lambda line: None)
    return training


def test_a_few_steps_are_taken_measured_and_saved(trained):
    state = torch.load(trained.folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    assert float(state["network"]["head.conv.bias"].abs().max()) > 0.0  # it began with zeros
    header, *lines = (trained.folder / "log.csv").read_text().splitlines()
    assert "landmark_mm" in header.split(",")
    figure = float(lines[-1].split(",")[header.split(",").index("landmark_mm")])
    assert math.isfinite(figure) and 0.0 < figure < 60.0


def test_training_goes_on_where_it_was_stopped(trained, prepared):
    again = Training(tiny(), prepared, trained.folder)
    assert again.step == 2 and isinstance(again.objective, LandmarkObjective)
    for first, second in zip(trained.average.state_dict().values(), again.average.state_dict().values()):
        assert torch.equal(first, second)


def test_a_bundle_says_which_shape_model_it_belongs_to(trained, prepared, tmp_path):
    bundle = export_bundle(tiny(), trained.folder, prepared, tmp_path / "mr-shape-tibia")
    facts = bundle.metadata["kneeseg"]
    variances = cylinder_modes("tibia")[2]
    assert facts["shape_model"]["variances_mm2"] == pytest.approx(variances[:MODES].tolist())
    assert facts["bone"] == "tibia" and facts["kind"] == "mr-shape" and facts["spacing_mm"][0] == 1.25
    assert tuple(facts["classes"]) == parameter_names(MODES)
    assert bundle.spec.shape_variances_mm2 == pytest.approx(variances[:MODES].tolist())
    network = bundle.network()
    assert isinstance(network, ShapeRegressor) and network.modes == MODES


def test_both_shapes_are_learned_from_grey_values_and_their_bundle_says_so(prepared, tmp_path):
    recipe = read_recipe(
        "as-published-mr-shape-both",
        shape={"bone": "both", "modes": MODES, "input": "signal", "view_mm": [[60.0, 60.0]] * 3},
        **{"spacing_mm": 3.0, "batch": 1, "pool": 1, "steps": 1, "widths": [2, 2, 2, 2, 2]},
    )
    training = Training(recipe, prepared, tmp_path / "run")
    training.run(report=lambda line: None)
    spec = export_bundle(recipe, training.folder, prepared, tmp_path / "mr-shape-femur").spec
    assert (spec.bone, spec.input, len(spec.channels)) == ("both", "signal", 1)
    variances = [value for bone in ("femur", "tibia") for value in cylinder_modes(bone)[2][:MODES]]
    assert spec.shape_variances_mm2 == pytest.approx(variances)
    assert spec.classes[0] == "femur mode 1" and spec.classes[-1] == "tibia scale z"


def test_a_recipe_of_shapes_has_a_name_for_each_parameter():
    recipe = read_recipe("mr-shape-femur")
    assert len(recipe.classes) == recipe.shape.modes + 9 and recipe.in_channels == 2
    assert recipe.classes[0] == "mode 1" and recipe.classes[-1] == "scale z"
    assert recipe.network_config["modes"] == recipe.shape.modes
    assert recipe.shapes == ((INPUT_SIZE,) * 3,)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"shapes": [[64, 64, 64]]}, "multiples of 88"), ({"joints": ["knee"]}, "MR kinds are trained on"),
     ({"shape": {"bones": 2}}, "'bones' is unknown"), ({"neighbour_offsets_mm": [1.0]}, "no neighbouring slices")],
)  # fmt: skip
def test_a_wrong_recipe_of_shapes_is_named(changes, complaint):
    with pytest.raises(InputError, match=complaint):
        read_recipe("mr-shape-tibia", **changes)


def test_a_folder_without_landmarks_cannot_be_trained_on(tmp_path, prepared):
    people = tmp_path / "people"
    people.mkdir()
    for path in prepared.glob("*.npz"):
        if "landmarks" not in path.name:
            (people / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="holds no landmarks of prepared knees"):
        Training(tiny(), people, tmp_path / "run")
