"""Samples of knee MR: shapes, truth of two classes a voxel, weights near boundaries; both kinds train."""

import math
from dataclasses import replace

import pytest
import torch

from KneeSegLib.errors import InputError
from KneeSegLib.networks.mr_channels import intensity_percentile, mr_slice_channels, scale_signal
from KneeSegLib.networks.ready import ready_for_inference
from KneeSegLib.training.bone_source import BoneSource
from KneeSegLib.training.bundle_files import write_bundle
from KneeSegLib.training.export import describe_bundle, export_bundle
from KneeSegLib.training.initialisation import build_network, select_learning_parameters
from KneeSegLib.training.loop import Training
from KneeSegLib.training.losses import compute_loss, weigh_boundary
from KneeSegLib.training.mr_sources import MrPatchSource, MrSliceSource, find_largest_two
from KneeSegLib.training.prepared_sources import list_sources
from KneeSegLib.training.recipe import Losses
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.samples import SoftLabels
from KneeSegLib.training.synthesis.mr.settings import MrSynthesis
from KneeSegLib.training.synthesis.mr.structures import CLASSES
from Testing.phantoms.mr_knees import cylinder_knee, cylinder_knee_subject, cylinder_knee_template


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    cylinder_knee_template().save(folder)
    for group in ("train", "validation"):
        cylinder_knee_subject(group).save(folder)
    return folder


def tiny(name: str, **changes):
    shapes = [[8, 16, 16]] if "patches" in name else [[48, 48]]
    return read_recipe(name, shapes=shapes, widths=[4, 6, 8], batch=2, pool=8, **changes)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_slices_come_with_their_neighbours_and_all_structures():
    recipe = tiny("mr-knee-slices", slab_slices=12)
    source = MrSliceSource(recipe, [cylinder_knee()])
    seen: set[int] = set()
    for seed in range(4):
        samples = source.render((48, 48), seeded(seed))
        assert samples.inputs.shape[1:] == (1 + len(recipe.neighbour_offsets_mm), 48, 48)
        assert torch.all((samples.labels.occupancy >= 0.5 - 1e-6) & (samples.labels.occupancy <= 1.0))
        assert samples.labels.weight.min() >= 1.0 and samples.labels.weight.max() > 3.0
        seen |= set(samples.labels.classes.unique().tolist())
    assert {CLASSES.index(name) for name in ("background", "femur", "tibia", "menisci")} <= seen


def test_patches_lie_where_cartilage_is():
    samples = MrPatchSource(tiny("mr-knee-patches"), [cylinder_knee()]).render((8, 16, 16), seeded(1))
    assert samples.inputs.shape == (12, len(CLASSES), 8, 16, 16)
    soft = samples.labels.classes >= CLASSES.index("femoral_cartilage")
    assert (soft.flatten(1).any(dim=1)).float().mean() > 0.9


@pytest.mark.parametrize("name", ["mr-knee-slices", "mr-knee-patches"])
def test_both_kinds_train_and_save(tmp_path, prepared, name):
    training = Training(tiny(name, steps=2, slab_slices=6), prepared, tmp_path)
    training.run(report=lambda line: None)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2


def test_layers_that_do_not_learn_keep_their_weights(tmp_path, prepared):
    recipe = replace(tiny("mr-knee-slices", steps=2, slab_slices=6), learning=("decoder.0.", "head."))
    first = build_network(recipe)
    facts = describe_bundle(recipe, 0, [], {})
    bundle = write_bundle(tmp_path / recipe.name, first, recipe.network_config, first.state_dict(), facts)
    start = bundle.network()
    training = Training(recipe, prepared, tmp_path / "run", start=tmp_path / recipe.name)
    training.run(report=lambda line: None)
    changed = {name for name, p in training.network.named_parameters() if not torch.equal(p, start.get_parameter(name))}
    assert changed == {name for name, _ in start.named_parameters() if name.startswith(recipe.learning)}


def test_some_layers_alone_learn_only_from_weights_that_exist(tmp_path, prepared):
    recipe = tiny("mr-knee-slices-finish")
    with pytest.raises(InputError, match="give the bundle to start from"):
        Training(recipe, prepared, tmp_path)


def test_a_layer_that_the_network_has_not_is_named():
    with pytest.raises(InputError, match="'middle.'"):
        select_learning_parameters(build_network(tiny("mr-knee-slices")), ("middle.",))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no prepared train subjects for mr-knee"):
        Training(tiny("mr-knee-slices"), tmp_path, tmp_path / "run")


def test_sources_of_the_subjects_are_found_for_the_bundle(prepared):
    assert [source["name"] for source in list_sources(prepared, ("mr-knee",))] == ["geometry"]


def test_two_classes_of_a_voxel_are_the_largest():
    fractions = torch.tensor([0.1, 0.6, 0.0, 0.3])
    first, fraction, second = find_largest_two(fractions)
    assert (int(first), int(second)) == (1, 3)
    assert fraction == pytest.approx(0.6 / 0.9)


def test_voxels_at_a_boundary_weigh_most():
    weight = weigh_boundary(torch.tensor([0.0, 1.5, 30.0]), gain=3.0, reach_mm=1.5)
    assert weight.tolist() == pytest.approx([4.0, 1.0 + 3.0 * math.exp(-0.5), 1.0])


def test_loss_of_a_voxel_of_two_structures_is_least_at_their_fractions():
    classes, rest = torch.tensor([[[1]]]), torch.tensor([[[2]]])
    labels = SoftLabels(classes, torch.full((1, 1, 1), 0.7), torch.ones(1, 1, 1), rest)

    def loss(first: float) -> float:
        logits = torch.tensor([1e-4, first, 1.0 - first]).log().reshape(1, 3, 1, 1)
        return float(compute_loss(logits, labels, Losses(dice=0.1)))

    assert loss(0.7) < loss(0.5) and loss(0.7) < loss(0.9)
    assert loss(0.7) < 0.75


def test_a_slice_between_two_is_interpolated_and_ends_are_repeated():
    volume = torch.arange(4.0)[:, None, None].expand(4, 2, 2)
    channels = mr_slice_channels(volume, 2.0, [0, 2], (-4.0, 1.0))
    assert channels[:, :, 0, 0].tolist() == [[0.0, 0.0, 0.5], [2.0, 0.0, 2.5]]


def test_the_scale_of_an_image_does_not_matter():
    image = torch.rand(4, 32, 32, generator=seeded())
    once, twice = (scale_signal(i, intensity_percentile(i)) for i in (image, 37.0 * image))
    assert torch.allclose(once, twice, atol=1e-5)


def test_mr_recipes_hold_mr_ingredients_and_no_other_joint():
    recipe = read_recipe("mr-knee-slices", synthesis={"disease": {"film_mm": [0.0, 0.1]}})
    assert isinstance(recipe.synthesis, MrSynthesis) and recipe.synthesis.disease.film_mm == (0.0, 0.1)
    plain = read_recipe("mr-knee-slices")
    assert replace(recipe, synthesis=plain.synthesis) == plain
    with pytest.raises(InputError, match="MR kinds are trained on"):
        read_recipe("mr-knee-slices", joints=["knee"])
    with pytest.raises(InputError, match="'scar_probability' is unknown"):
        read_recipe("mr-knee-slices", synthesis={"scar_probability": 0.5})


def tiny_bone(**changes):
    return read_recipe("mr-low-field", shapes=[[16, 16, 16]], widths=[2, 2, 2, 2, 2], batch=2, pool=8, **changes)


def test_cubes_of_bone_show_both_edges_in_every_view():
    samples = BoneSource(tiny_bone(spacing_mm=1.0), [cylinder_knee()]).render((16, 16, 16), seeded(4))
    assert samples.inputs.shape == (4, 1, 16, 16, 16) and samples.labels.occupancy.shape == (4, 2, 16, 16, 16)
    marrow, cortex = samples.labels.occupancy.unbind(dim=1)
    assert torch.all(marrow <= cortex + 1e-6)
    assert float(cortex.max()) > 0.99 and float(cortex.sum() - marrow.sum()) > 0.0


def test_a_network_of_bone_trains_and_becomes_a_bundle_of_monais_own_network(tmp_path, prepared):
    training = Training(tiny_bone(steps=2, validate_every=1000), prepared, tmp_path / "run")
    training.run(report=lambda line: None)
    assert set(training.validate()) == {"dice_marrow", "dice_cortex"}
    bundle = export_bundle(training.recipe, tmp_path / "run", prepared, tmp_path / "mr-low-field")
    assert bundle.metadata["kneeseg"]["network"]["_target_"] == "monai.networks.nets.BasicUNet"
    assert bundle.spec.kind == "mr-bone" and bundle.spec.classes == ("marrow", "cortex")
    ready = ready_for_inference(bundle.network(), "cpu")
    assert not any("BatchNorm" in type(module).__name__ for module in ready.modules())
