"""Whole femora: what the source renders, what a tiny V-Net trains on, and what its bundle says."""

from dataclasses import replace

import pytest
import torch

from KneeSegLib.bundles.spec import ModelSpec
from KneeSegLib.errors import InputError, ModelError
from KneeSegLib.training.ct_volumes import FemurVolumeSource
from KneeSegLib.training.export import export_bundle
from KneeSegLib.training.loop import Training
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.subjects import PreparedSubject

TINY = {
    "joints": ["knee"],
    "spacing_mm": 4.0,
    "shapes": [[32, 16, 16]],
    "widths": [2, 4],
    "pool": 8,
    "volume": {"finest_spacing_mm": 4.0, "per_render": 3},
}


def tiny(name="ct-femur-vnet", **changes):
    return read_recipe(name, **{**TINY, **changes})


def test_crops_show_the_femur_in_its_box_and_the_others_show_less_of_it(geometric_knee):
    samples = FemurVolumeSource(tiny(), [PreparedSubject(geometric_knee)]).render(
        (32, 16, 16), torch.Generator().manual_seed(0)
    )
    assert samples.inputs.shape == (3, 1, 32, 16, 16)
    for seen, femur in zip(samples.inputs, samples.labels.occupancy):
        assert float(seen.min()) == 0.0 and float(seen.max()) == 1.0
        rows = (femur > 0.5).flatten(1).any(1).nonzero()[:, 0]
        assert 0.5 * len(femur) < len(rows) <= len(femur)
    assert set(samples.labels.classes.unique().tolist()) == {1}


def test_a_left_femur_comes_in_a_mirror(geometric_knee):
    """The same anatomy called a left one gives mirrored images of what it gives as a right one, drawn for drawn."""
    left = replace(geometric_knee, nearest=geometric_knee.nearest.copy())
    right_index, left_index = CLASSES.index("femur_right"), CLASSES.index("femur_left")
    left.nearest[left.nearest == right_index] = left_index
    source = FemurVolumeSource(tiny(), [PreparedSubject(geometric_knee)])
    mirrored = FemurVolumeSource(tiny(), [PreparedSubject(left)])
    for seed in range(8):
        first = torch.Generator().manual_seed(seed)
        if float(torch.rand(2, generator=first)[1]) >= 0.5:
            continue  # drawn as a right one
        a, b = (each.render((32, 16, 16), torch.Generator().manual_seed(seed)) for each in (source, mirrored))
        assert torch.allclose(a.labels.occupancy, b.labels.occupancy.flip(-1), atol=1e-5)
        return
    raise AssertionError("no left leg was drawn")


def test_it_trains_with_either_input_and_the_bundle_remembers_which(tmp_path, geometric_knee):
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    for group in ("train", "validation"):
        replace(geometric_knee, group=group).save(prepared / f"{group}.npz")
    for name, wanted in (("ct-femur-vnet", "gradient"), ("ct-femur-vnet-plain", "image")):
        recipe = tiny(name, steps=1, volume={**TINY["volume"], "input": wanted})
        Training(recipe, prepared, tmp_path / name).run(report=lambda line: None)
        bundle = export_bundle(recipe, tmp_path / name, prepared, tmp_path / "bundles" / wanted / recipe.name)
        assert bundle.spec.require_volume().input == wanted
        assert bundle.spec.require_volume().shape == (32, 16, 16)
        assert bundle.spec.classes == ("background", "femur")
        assert "Grid: 32 x 16 x 16 voxels over the box" in (bundle.path / "docs" / "README.md").read_text()
        assert ("gradient" in bundle.spec.channels[0]) == (wanted == "gradient")


def test_the_recipes_that_ship_differ_in_what_the_network_sees_alone():
    gradient, plain = read_recipe("ct-femur-vnet"), read_recipe("ct-femur-vnet-plain")
    assert (gradient.volume.input, plain.volume.input) == ("gradient", "image")
    assert replace(plain, volume=gradient.volume) == gradient


@pytest.mark.parametrize("changes", [{"widths": [4, 8, 12]}, {"shapes": [[32, 16, 16], [64, 16, 16]]}])
def test_a_recipe_that_makes_no_vnet_is_refused(changes):
    with pytest.raises(InputError, match="one shape and two to five widths"):
        tiny(**changes)


def test_a_description_that_asks_for_another_input_is_refused(tmp_path):
    metadata = {
        "version": "1",
        "kneeseg": {
            "name": "x", "kind": "ct-volume", "classes": ["background", "femur"], "spacing_mm": [1, 1, 1],
            "sha256": "0", "channels": {}, "recipe": {}, "figures": {}, "sources": [], "training_statement": "x",
            "volume": {"shape": [32, 16, 16], "input": "laplacian"},
        },
    }  # fmt: skip
    with pytest.raises(ModelError, match="volume.input is 'laplacian', expected one of gradient, image"):
        ModelSpec.of_metadata(metadata)
    del metadata["kneeseg"]["volume"]
    with pytest.raises(ModelError, match="does not say which grid and which input"):
        ModelSpec.of_metadata(metadata).require_volume()
