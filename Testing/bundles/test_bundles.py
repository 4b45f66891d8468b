"""Bundles are written, found, verified and loaded; what is damaged or strange is refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch

from KneeSegLib.bundles import Bundle, find_bundle, list_bundles, load_model
from KneeSegLib.bundles.bundle import METADATA, WEIGHTS
from KneeSegLib.bundles.weights import network_from, state_as_bytes, state_from_bytes
from KneeSegLib.errors import ModelError
from KneeSegLib.networks import SliceUNet
from KneeSegLib.networks.device import find_device
from KneeSegLib.training.bundle_files import amend_bundle, write_bundle
from Testing.networks.plain_networks import by_old_names, plain_network

CONFIG = {"_target_": "KneeSegLib.networks.SliceUNet", "in_channels": 4, "out_channels": 3, "widths": [4, 6, 8]}
MONAI_ENTRIES = {
    "version",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "required_packages_version",
    "task",
    "description",
    "authors",
    "copyright",
    "network_data_format",
}
TENSOR_ENTRIES = {
    "type",
    "format",
    "num_channels",
    "spatial_shape",
    "dtype",
    "value_range",
    "is_patch_data",
    "channel_def",
}
FACTS = {
    "name": "ct-test",
    "kind": "slices",
    "channels": {"neighbour_offsets_mm": [-8.0]},
    "spacing_mm": [0.8, 0.8, 0.8],
    "classes": ["background", "femur", "tibia"],
    "recipe": {"steps": 1},
    "training_statement": "Trained on nothing; not a medical device.",
    "sources": [{"name": "Nobody", "licence": "CC0 1.0", "use": "none"}],
    "figures": {"dice": {"femur": 0.5}},
}


def random_network(seed: int = 0) -> SliceUNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SliceUNet(4, 3, (4, 6, 8))
        network.train()
        network(torch.randn(2, 4, 16, 16))  # running statistics that are not those of a fresh network
    return network.eval()


@pytest.fixture
def models(tmp_path, monkeypatch):
    folder = tmp_path / "resources with spaces" / "Models"
    folder.mkdir(parents=True)
    monkeypatch.setenv("KNEESEG_RESOURCES", str(folder.parent))
    return folder


@pytest.fixture
def bundle(models) -> Bundle:
    network = random_network()
    return write_bundle(models / "ct-test", network, CONFIG, network.state_dict(), FACTS)


def test_loaded_network_answers_like_the_one_written_up_to_half_precision(bundle):
    slices = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = random_network()(slices)
        found = find_bundle("ct-test").network()(slices)
    assert (found - expected).abs().max() < 0.01 * expected.abs().max()


def test_loaded_network_is_ready_for_inference(bundle):
    network = bundle.network("cpu")
    assert not network.training
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_bundle_of_before_with_the_old_names_of_its_weights_loads(bundle):
    network = bundle.network()
    path = bundle.path / WEIGHTS
    path.write_bytes(state_as_bytes(by_old_names(network.state_dict(), plain_network(**CONFIG))))
    described = (bundle.path / METADATA).read_text()
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checksum != bundle.sha256
    (bundle.path / METADATA).write_text(described.replace(bundle.sha256, checksum))
    old = Bundle(bundle.path).network()
    assert all(torch.equal(a, b) for a, b in zip(old.state_dict().values(), network.state_dict().values()))


def test_bundles_are_listed_by_name_and_other_folders_are_not(bundle, models):
    network = random_network()
    write_bundle(models / "a-first", network, CONFIG, network.state_dict(), {**FACTS, "name": "a-first"})
    (models / "notes").mkdir()
    (models / ".partial-1-ct-test" / METADATA).parent.mkdir(parents=True)
    (models / ".partial-1-ct-test" / METADATA).write_text("{}")
    assert [found.name for found in list_bundles()] == ["a-first", "ct-test"]


def test_unknown_name_is_an_error_that_lists_the_known(bundle):
    with pytest.raises(ModelError, match="'ct-elbow'.*only ct-test"):
        find_bundle("ct-elbow")


def test_changed_weights_are_refused_with_both_checksums(bundle):
    path = bundle.path / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for use in (bundle.verify, bundle.network):
        with pytest.raises(ModelError, match=f"{bundle.sha256[:12]}.*install KneeSeg again"):
            use()


def test_missing_weights_are_an_error(bundle):
    (bundle.path / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        bundle.verify()


@pytest.mark.parametrize("text", ["{", "[]", '{"version": "1"}'])
def test_damaged_metadata_are_an_error(bundle, text):
    (bundle.path / METADATA).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="description of the model ct-test"):
        Bundle(bundle.path).verify()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "torch.nn.Linear",
        "KneeSegLib.networksX.Evil",
        "KneeSegLib.networks.torch",
        "KneeSegLib.networks.coarse_unet.CoarseUNet3D",
        "monai.networks.nets.HoVerNet",  # downloads from an address among its arguments
        "monai.networks.utils.one_hot",
        "",
    ],
)
def test_only_known_networks_are_built(target):
    with pytest.raises(ModelError, match="do not use it"):
        network_from({"_target_": target, "in_features": 1, "out_features": 1})


def test_nothing_is_built_before_the_weights_are_verified(bundle, monkeypatch):
    monkeypatch.setattr("KneeSegLib.bundles.weights.network_from", lambda config: pytest.fail("built"))
    (bundle.path / WEIGHTS).write_bytes(b"other")
    with pytest.raises(ModelError, match="checksum"):
        bundle.network()


@pytest.mark.parametrize(
    ("target", "arguments", "finding"),
    [
        ("monai.networks.nets.UNet", {"pretrained_url": "http://127.0.0.1/x"}, "the argument 'pretrained_url'"),
        ("monai.networks.nets.BasicUNet", {"act": "os.system"}, "act = 'os.system'"),
        ("monai.networks.nets.BasicUNet", {"norm": ["batch", {"__class__": 1}]}, "norm = "),
        ("KneeSegLib.networks.SliceUNet", {"widths": [10**9]}, "widths = "),
        ("KneeSegLib.networks.SliceUNet", {"widths": [[4]]}, "widths = "),
        ("KneeSegLib.networks.SliceUNet", {"in_channels": float("nan")}, "in_channels = nan"),
        ("KneeSegLib.networks.SliceUNet", {"in_channels": True}, "in_channels = True"),
    ],
)
def test_only_numbers_and_known_words_are_arguments(target, arguments, finding):
    config = {"_target_": target, "in_channels": 1, "out_channels": 2, **arguments}
    with pytest.raises(ModelError, match=f"{finding}.*do not use it"):
        network_from(config)


def test_a_network_without_measure_is_refused_before_memory_is_taken():
    config = {"_target_": "KneeSegLib.networks.CoarseUNet3D", "in_channels": 4096, "out_channels": 2}
    with pytest.raises(ModelError, match="million weights, expected at most"):
        network_from({**config, "widths": [4096] * 4})


def test_networks_of_monai_are_built():
    pytest.importorskip("monai")
    config = {"_target_": "monai.networks.nets.BasicUNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2}
    assert type(network_from(config)).__name__ == "BasicUNet"


def test_weights_of_another_network_are_an_error(bundle):
    metadata = json.loads((bundle.path / METADATA).read_text(encoding="utf-8"))
    metadata["kneeseg"]["network"]["widths"] = [4, 6, 10]
    (bundle.path / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    with pytest.raises(ModelError, match="do not fit"):
        Bundle(bundle.path).network()


def test_weights_beyond_half_precision_keep_single_precision_and_integers_stay():
    state = {"large": torch.tensor([1e6, 1e-3]), "small": torch.tensor([0.5]), "count": torch.tensor(70000)}
    read = state_from_bytes(state_as_bytes(state))
    assert read["large"].tolist() == pytest.approx([1e6, 1e-3])
    assert read["small"].item() == 0.5
    assert read["count"].item() == 70000 and read["count"].dtype == torch.int64


def test_weights_that_left_the_range_of_half_precision_are_not_read():
    content = safetensors.torch.save({"norm.running_var": torch.tensor([7e4, 1.0]).half()})
    with pytest.raises(ModelError, match=r"The weights norm\.running_var hold NaN or infinity"):
        state_from_bytes(content)


def test_nan_in_the_weights_is_not_written(models):
    network = random_network()
    state = {**network.state_dict(), "head.conv.bias": torch.full((3,), float("nan"))}
    with pytest.raises(ValueError, match=r"head\.conv\.bias"):
        write_bundle(models / "ct-test", network, CONFIG, state, FACTS)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["background"]},
        {"channels": {}},
        {"kind": "naming"},
        {"kind": "other"},
        {"name": "ct-other"},
        {"sources": [{"name": "Nobody"}]},
    ],
    ids=["classes", "channels", "kind", "unknown kind", "name", "sources"],
)
def test_metadata_that_contradict_the_network_are_not_written(models, change):
    network = random_network()
    with pytest.raises(ValueError):
        write_bundle(models / "ct-test", network, CONFIG, network.state_dict(), {**FACTS, **change})


def test_network_other_than_its_description_is_not_written(models):
    network = random_network()
    with pytest.raises(ValueError, match="other parameters"):
        write_bundle(models / "ct-test", network, {**CONFIG, "widths": [4, 6, 10]}, network.state_dict(), FACTS)


def test_metadata_have_everything_that_monai_asks_for(bundle):
    """The mandatory entries of MONAI's bundle specification."""
    assert set(bundle.metadata) >= MONAI_ENTRIES
    formats = bundle.metadata["network_data_format"]
    assert list(formats["inputs"]["image"]["channel_def"]) == ["0", "1", "2", "3"]
    assert formats["inputs"]["image"]["channel_def"]["3"] == "HU / 1000 of the slice at -8 mm"
    assert formats["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "femur", "2": "tibia"}
    assert formats["inputs"]["image"]["spatial_shape"] == ["4*n", "4*n"]
    assert formats["inputs"]["image"]["modality"] == "CT"
    for tensor in (formats["inputs"]["image"], formats["outputs"]["pred"]):
        assert set(tensor) >= TENSOR_ENTRIES


def test_bundle_of_an_earlier_version_still_loads(bundle):
    metadata = json.loads((bundle.path / METADATA).read_text(encoding="utf-8"))
    metadata["authorship"] = metadata.pop("authors")
    (bundle.path / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    Bundle(bundle.path).network()
    assert "authors" in amend_bundle(Bundle(bundle.path)).metadata


def test_nothing_but_safetensors_is_read_and_nothing_is_executed(bundle, tmp_path):
    marker = tmp_path / "executed"
    touch = f"$__import__('pathlib').Path({str(marker)!r}).touch()"
    (bundle.path / "configs" / "inference.json").write_text(json.dumps({"network_def": touch}), encoding="utf-8")
    for name in ("model.pt", "model.ts"):
        (bundle.path / "models" / name).write_bytes(pickle.dumps(Touches(str(marker))))
    load_model(bundle.name, find_device("cpu"))
    (bundle.path / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_model(bundle.name, find_device("cpu"))
    assert not marker.exists()
    pickle.loads((bundle.path / "models" / "model.pt").read_bytes())
    assert marker.exists(), "whoever reads it executes it"


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_folder_tells_a_reader_sources_licences_and_figures(bundle):
    assert "not a medical device" in (bundle.path / "docs" / "README.md").read_text(encoding="utf-8")
    assert "CC0 1.0" in (bundle.path / "docs" / "data_license.txt").read_text(encoding="utf-8")
    assert "Apache License" in (bundle.path / "LICENSE").read_text(encoding="utf-8")


def test_writing_again_replaces_the_weights(bundle):
    network = random_network(seed=7)
    again = write_bundle(bundle.path, network, CONFIG, network.state_dict(), FACTS)
    assert again.sha256 != bundle.sha256
    assert [entry.name for entry in bundle.path.parent.iterdir()] == ["ct-test"]
