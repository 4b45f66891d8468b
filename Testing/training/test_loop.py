import sys
from dataclasses import replace

import pytest
import torch

from KneeSegLib.errors import InputError
from KneeSegLib.training.bundle_files import write_bundle
from KneeSegLib.training.export import describe_bundle, read_averaged_weights
from KneeSegLib.training.initialisation import build_network, initialise_network
from KneeSegLib.training.loop import Training
from KneeSegLib.training.optimisation import compute_learning_rate_factor, update_average
from KneeSegLib.training.recipe_files import read_recipe
from Testing.networks.plain_networks import by_old_names, plain_network


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, geometric_knee):
    folder = tmp_path_factory.mktemp("prepared")
    for group in ("train", "validation"):
        replace(geometric_knee, group=group).save(folder / f"{group}.npz")
    return folder


def tiny(name: str, **changes):
    shapes = {
        "slices": [[64, 64]],
        "localiser": [[16, 16, 16]],
        "naming": [[32, 32, 32]],
        "patches": [[16, 16, 16]],
    }[read_recipe(name).kind]
    return read_recipe(
        name, joints=["knee"], shapes=shapes, widths=[4, 6, 8, 8], batch=2, pool=12, validate_every=1000, **changes
    )


def test_a_few_steps_teach_the_slice_network_to_find_bone(tmp_path, prepared):
    plain = {"slab_slices": 4, "neighbour_offsets_mm": [-2.0, 2.0], "losses": {"cross_entropy": 1.0}}
    recipe = tiny("ct-knee", steps=60, learning_rate=0.01, ema=0.9, seed=4, **plain)
    training = Training(recipe, prepared, tmp_path)
    training.run(report=lambda line: None)
    dice = training.validate()  # a network that finds nothing has .82 for the background
    assert max(dice["dice_femur"], dice["dice_tibia"]) > 0.3, dice  # .39 to .55 with three seeds


@pytest.mark.parametrize("name", ["ct-localiser", "ct-naming", "ct-refine"])
def test_the_networks_in_3d_train_and_save(tmp_path, prepared, name):
    training = Training(tiny(name, steps=2), prepared, tmp_path)
    training.run(report=lambda line: None)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="links take a right there")
def test_checkpoint_is_not_written_through_a_link_that_lies_in_its_way(tmp_path, prepared):
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt.part").symlink_to(tmp_path / "thesis.txt")
    Training(tiny("ct-naming", steps=1), prepared, tmp_path / "run").save()
    assert (tmp_path / "thesis.txt").read_text() == "mine" and (tmp_path / "run" / "checkpoint.pt").is_file()


def test_training_goes_on_where_it_was_stopped(tmp_path, prepared):
    recipe = tiny("ct-knee", steps=4, slab_slices=2, neighbour_offsets_mm=[])
    first = Training(recipe, prepared, tmp_path)
    first.run(report=lambda line: None)
    again = Training(replace(recipe, steps=6), prepared, tmp_path)
    assert again.step == 4
    for a, b in zip(first.average.state_dict().values(), again.average.state_dict().values()):
        assert torch.equal(a, b)
    again.run(report=lambda line: None)
    assert again.step == 6


def test_a_checkpoint_of_before_with_the_old_names_of_its_weights_goes_on_the_same(tmp_path, prepared):
    recipe = tiny("ct-knee", steps=3, slab_slices=2, neighbour_offsets_mm=[])
    Training(recipe, prepared, tmp_path / "now").run(report=lambda line: None)
    state = torch.load(tmp_path / "now" / "checkpoint.pt", weights_only=True)
    plain = plain_network(**recipe.network_config)
    for part in ("network", "average"):
        state[part] = by_old_names(state[part], plain)
    (tmp_path / "before").mkdir()
    torch.save(state, tmp_path / "before" / "checkpoint.pt")
    now, before = (Training(replace(recipe, steps=5), prepared, tmp_path / name) for name in ("now", "before"))
    for training in (now, before):
        assert training.step == 3
        training.run(report=lambda line: None)
    for a, b in zip(now.network.state_dict().values(), before.network.state_dict().values()):
        assert torch.equal(a, b)
    for a, b in zip(now.average.state_dict().values(), before.average.state_dict().values()):
        assert torch.equal(a, b)


def test_what_is_exported_is_the_moving_average_of_the_weights(tmp_path, prepared):
    """After steps 0 and 1 the average keeps 1/10 and then 2/11 of itself, and takes the rest from the network."""
    recipe = tiny("ct-knee", steps=2, slab_slices=2, neighbour_offsets_mm=[], learning_rate=0.05)
    expected, _ = initialise_network(recipe)
    training = Training(recipe, prepared, tmp_path)
    states = [{name: tensor.clone() for name, tensor in expected.state_dict().items()}]
    step = training._train_step

    def remembering(learning_rate_factor: float) -> float:
        loss = step(learning_rate_factor)
        states.append({name: tensor.clone() for name, tensor in training.network.state_dict().items()})
        return loss

    training._train_step = remembering
    training.run(report=lambda line: None)
    first, second, third = states
    averaged, _, _ = read_averaged_weights(tmp_path)
    for name, tensor in averaged.items():
        if tensor.is_floating_point():
            after_one = first[name] / 10.0 + second[name] * 9.0 / 10.0
            assert torch.allclose(tensor, after_one * 2.0 / 11.0 + third[name] * 9.0 / 11.0, atol=1e-5), name
    weight = "encoder.0.0.conv.weight"
    assert not torch.allclose(averaged[weight], third[weight], atol=1e-3)


def test_the_average_follows_ever_more_slowly_until_the_decay_asked_for():
    average, network = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    for step, kept in ((0, 0.1), (8, 0.5), (10_000, 0.9)):
        torch.nn.init.zeros_(average.weight)
        torch.nn.init.ones_(network.weight)
        update_average(average, network, 0.9, step)
        assert average.weight.item() == pytest.approx(1.0 - kept)


def test_an_empty_folder_of_subjects_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no prepared train subjects for knee"):
        Training(tiny("ct-knee"), tmp_path, tmp_path / "run")


def test_the_learning_rate_rises_then_falls():
    factors = [compute_learning_rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] < 0.1 and max(factors) == pytest.approx(1.0) and factors[-1] < 0.02
    assert factors.index(max(factors)) < 40


def test_a_network_with_one_class_more_starts_from_a_bundle(tmp_path, prepared):
    small = tiny("ct-knee", steps=1, slab_slices=2, neighbour_offsets_mm=[])
    old = build_network(replace(small, joints=("hip",)))  # fewer classes
    facts = describe_bundle(replace(small, joints=("hip",)), 0, [{"name": "n", "licence": "l", "use": "u"}], {"a": 1})
    config = replace(small, joints=("hip",)).network_config
    bundle = write_bundle(tmp_path / "old" / "ct-knee", old, config, old.state_dict(), facts)
    training = Training(small, prepared, tmp_path / "run", start=bundle.path)
    assert training.origin == f"ct-knee {bundle.sha256}"
    first = training.network.state_dict()["encoder.0.0.conv.weight"]
    assert torch.allclose(first, old.state_dict()["encoder.0.0.conv.weight"], atol=2e-3)  # bundles hold half precision
    head, grown = old.state_dict()["head.conv.weight"], training.network.state_dict()["head.conv.weight"]
    assert grown.shape[0] == head.shape[0] + 2
    assert torch.allclose(grown[: len(head)], head, atol=2e-3) and grown[len(head) :].abs().sum() > 0
    training.run(report=lambda line: None)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["origin"] == training.origin


def test_a_bundle_with_other_layers_is_refused_as_a_start(tmp_path, prepared):
    deep = tiny("ct-knee", steps=1)
    flat = replace(deep, widths=(4, 6))
    network = build_network(flat)
    facts = describe_bundle(flat, 0, [{"name": "n", "licence": "l", "use": "u"}], {"a": 1})
    bundle = write_bundle(tmp_path / "flat" / "ct-knee", network, flat.network_config, network.state_dict(), facts)
    with pytest.raises(InputError, match="other layers"):
        Training(deep, prepared, tmp_path / "run", start=bundle.path)


def test_a_constant_learning_rate_neither_rises_nor_falls():
    assert {compute_learning_rate_factor(step, 100, "constant") for step in (0, 1, 50, 99)} == {1.0}
