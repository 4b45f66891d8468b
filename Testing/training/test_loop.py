from dataclasses import replace

import pytest
import torch

from KneeSegLib.bundles import write_bundle
from KneeSegLib.errors import InputError
from KneeSegLib.training.export import bundle_description
from KneeSegLib.training.loop import Training, build_network, learning_rate_share
from KneeSegLib.training.recipe import read_recipe
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
    recipe = tiny("ct-knee", steps=60, learning_rate=0.02, ema=0.9, **plain)
    training = Training(recipe, prepared, tmp_path)
    training.run(report=lambda line: None)
    losses = [line.split(",")[1] for line in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert training.validate()["dice_background"] > 0.8
    assert float(losses[0]) < 1.0


@pytest.mark.parametrize("name", ["ct-localiser", "ct-naming", "ct-refine"])
def test_the_networks_in_3d_train_and_save(tmp_path, prepared, name):
    training = Training(tiny(name, steps=2), prepared, tmp_path)
    training.run(report=lambda line: None)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2


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


def test_an_empty_folder_of_people_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no prepared train people for knee"):
        Training(tiny("ct-knee"), tmp_path, tmp_path / "run")


def test_the_learning_rate_rises_then_falls():
    shares = [learning_rate_share(step, 1000) for step in range(1000)]
    assert shares[0] < 0.1 and max(shares) == pytest.approx(1.0) and shares[-1] < 0.02
    assert shares.index(max(shares)) < 40


def test_a_network_with_one_class_more_starts_from_a_bundle(tmp_path, prepared):
    small = tiny("ct-knee", steps=1, slab_slices=2, neighbour_offsets_mm=[])
    old = build_network(replace(small, joints=("hip",)))  # fewer classes
    facts = bundle_description(
        replace(small, joints=("hip",)), 0, [{"name": "n", "licence": "l", "use": "u"}], {"a": 1}
    )
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
    facts = bundle_description(flat, 0, [{"name": "n", "licence": "l", "use": "u"}], {"a": 1})
    bundle = write_bundle(tmp_path / "flat" / "ct-knee", network, flat.network_config, network.state_dict(), facts)
    with pytest.raises(InputError, match="other layers"):
        Training(deep, prepared, tmp_path / "run", start=bundle.path)
