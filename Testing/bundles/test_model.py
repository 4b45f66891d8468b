"""What KneeSeg reads of a bundle's description, and a model that is ready to be applied."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from KneeSegLib.bundles import Bundle, ModelSpec, PatchSpec, find_bundle, list_bundles, load_model
from KneeSegLib.bundles.bundle import METADATA
from KneeSegLib.errors import ModelError
from KneeSegLib.networks.device import Device

CPU = Device("cpu", "CPU", 1)


@pytest.fixture
def metadata():
    return copy.deepcopy(find_bundle("ct-refine").metadata)


def test_every_shipped_description_is_understood():
    for bundle in list_bundles():
        spec = bundle.spec
        assert spec.name == bundle.name and spec.sha256 == bundle.sha256
        assert len(spec.channels) == bundle.metadata["network_data_format"]["inputs"]["image"]["num_channels"]
        assert (spec.patch is not None) == (spec.kind in ("patches", "mr-patches"))
        assert (spec.bone is not None) == (spec.shape_variances_mm2 is not None) == (spec.kind == "mr-shape")


def test_entries_arrive_as_they_are_written(metadata):
    spec = ModelSpec.of_metadata(metadata)
    assert spec.classes == ("background", "bone") and spec.spacing_mm == (0.8, 0.8, 0.8)
    assert spec.patch == PatchSpec((32, 32, 32), (0.35, 0.8))
    assert spec.neighbour_offsets_mm == () and spec.temperature == 1.0
    metadata["kneeseg"] |= {"temperature": 1.25, "channels": {"neighbour_offsets_mm": [-8, 8]}}
    spec = ModelSpec.of_metadata(metadata)
    assert spec.temperature == 1.25 and spec.neighbour_offsets_mm == (-8.0, 8.0)
    assert spec.channels[-1] == "bone window, 200 to 1900 HU of the slice at +8 mm"


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"spacing_mm": [0.8, 0.8]}, "spacing_mm"),
        ({"spacing_mm": [0.8, 0.8, -0.8]}, "spacing_mm"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"classes": []}, "classes"),
        ({"classes": "background"}, "classes"),
        ({"kind": "elbow"}, "kind"),
        ({"channels": {"neighbour_offsets_mm": ["8"]}}, "channels.neighbour_offsets_mm"),
        ({"patches": {"shape": [32, 32]}}, "patches.shape"),
        ({"patches": {"shape": [32, 32, 32]}}, "patches.spacing_range_mm"),
        ({"sources": ["somebody"]}, "sources"),
        ({"recipe": "none"}, "recipe"),
        ({"sha256": None}, "sha256"),
    ],
)
def test_an_entry_that_cannot_be_is_named(metadata, changes, named):
    metadata["kneeseg"] |= changes
    with pytest.raises(ModelError, match=f"ct-refine says {named} is .*, expected .*install KneeSeg again"):
        ModelSpec.of_metadata(metadata)


def test_patches_are_as_fine_as_pixels_where_the_network_knows_them():
    patch = PatchSpec((32, 32, 32), (0.35, 0.8))
    assert [patch.spacing_mm(pixel_mm) for pixel_mm in (0.2, 0.5, 1.0)] == [0.35, 0.5, 0.8]


def test_a_loaded_model_predicts_as_its_bundle_and_has_no_batch_normalisation_left():
    model = load_model("ct-naming", CPU)
    volume = torch.rand(1, 1, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = find_bundle("ct-naming").network()(volume)
        assert torch.allclose(model.network(volume), expected, atol=1e-4)
    assert not any("BatchNorm" in type(module).__name__ for module in model.network.modules())
    assert model.stride == 16 and model.spec.name == "ct-naming" and model.device is CPU


def test_a_description_that_cannot_be_ends_loading(tmp_path, monkeypatch):
    bundle = find_bundle("ct-refine")
    metadata = copy.deepcopy(bundle.metadata)
    metadata["kneeseg"]["spacing_mm"] = "fine"
    path = tmp_path / "Models" / "ct-refine" / METADATA
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(metadata), encoding="utf-8")
    assert Bundle(path.parent.parent).metadata["kneeseg"]["spacing_mm"] == "fine"
    monkeypatch.setenv("KNEESEG_RESOURCES", str(tmp_path))
    with pytest.raises(ModelError, match="spacing_mm"):
        load_model("ct-refine", CPU)
