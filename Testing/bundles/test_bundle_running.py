"""`python -m monai.bundle` runs a bundle of ours as it runs any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from KneeSegLib.bundles import Bundle, find_bundle, list_bundles, running, write_bundle
from KneeSegLib.bundles.bundle import INFERENCE, METADATA
from KneeSegLib.errors import InputError
from KneeSegLib.networks import CoarseUNet3D, SliceUNet

ROOT = Path(__file__).resolve().parents[2]
FACTS = {
    "channels": {},
    "recipe": {},
    "training_statement": "Trained on nothing; not a medical device.",
    "sources": [{"name": "Nobody", "licence": "CC0 1.0", "use": "none"}],
    "figures": {},
}


@pytest.fixture(scope="module")
def slice_bundle(tmp_path_factory) -> Bundle:
    """A network that calls a pixel bone where its second channel (the bone window) is above one half."""
    network = SliceUNet(3, 2, (2, 2))
    for parameter in network.parameters():
        parameter.data.zero_()
    first, second = (convolution.conv for convolution in network.decoder[0])
    encoder_first, encoder_second = (convolution.conv for convolution in network.encoder[0])
    encoder_first.weight.data[0, 1, 1, 1] = 1.0
    for convolution in (encoder_second, first, second):
        convolution.weight.data[0, 0, 1, 1] = 1.0
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.fill_(1.0)
    network.head.conv.weight.data[1, 0] = 1.0
    network.head.conv.bias.data[1] = -0.5
    config = {"_target_": "KneeSegLib.networks.SliceUNet", "in_channels": 3, "out_channels": 2, "widths": [2, 2]}
    facts = {
        **FACTS,
        "name": "ct-test",
        "kind": "slices",
        "spacing_mm": [1.0, 1.0, 1.0],
        "classes": ["background", "bone"],
    }
    return write_bundle(tmp_path_factory.mktemp("with space") / "ct-test", network, config, network.state_dict(), facts)


@pytest.fixture(scope="module")
def volume_bundle(tmp_path_factory) -> Bundle:
    network = CoarseUNet3D(2, 3, (4, 4))
    config = {"_target_": "KneeSegLib.networks.CoarseUNet3D", "in_channels": 2, "out_channels": 3, "widths": [4, 4]}
    facts = {
        **FACTS,
        "name": "ct-coarse",
        "kind": "localiser",
        "spacing_mm": [4.0, 4.0, 4.0],
        "classes": ["none", "femur", "tibia"],
    }
    return write_bundle(tmp_path_factory.mktemp("models") / "ct-coarse", network, config, network.state_dict(), facts)


def monai_bundle(verb: str, bundle: Bundle, *options: str, cwd: Path) -> None:
    pytest.importorskip("monai")
    pytest.importorskip("fire")
    files = ["--config_file", str(bundle.path / INFERENCE), "--meta_file", str(bundle.path / METADATA)]
    command = [sys.executable, "-m", "monai.bundle", verb, *files, "--bundle_root", str(bundle.path), *options]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", env=_with_checkout())
    assert done.returncode == 0, done.stderr[-2000:]


def _with_checkout() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def test_monai_runs_a_slice_network_on_an_array(slice_bundle, tmp_path):
    channels = np.zeros((3, 13, 17), np.float32)
    channels[1, 4:9, 5:12] = 1.0
    np.save(tmp_path / "channels.npy", channels)
    monai_bundle("run", slice_bundle, "--input", "channels.npy", "--output_dir", "out", cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "prediction.npy")[0], channels[1])


def test_monai_runs_a_coarse_network_on_generated_numbers(volume_bundle, tmp_path):
    monai_bundle("run", volume_bundle, "--output_dir", str(tmp_path / "out"), cwd=tmp_path)
    assert np.load(tmp_path / "out" / "prediction.npy").shape == (1, 4, 4, 4)


@pytest.mark.parametrize("name", ["slice_bundle", "volume_bundle"])
def test_monai_finds_inputs_and_outputs_as_the_metadata_describe_them(name, request):
    bundle_tools = pytest.importorskip("monai.bundle")
    bundle = request.getfixturevalue(name)
    bundle_tools.verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle.path / METADATA),
        config_file=str(bundle.path / INFERENCE),
        device="cpu",
        p=2,
        n=2,
        any=8,
    )


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SLP"])
def test_slice_network_labels_bone_of_a_ct_on_its_own_grid(slice_bundle, tmp_path, orientation):
    hu = np.full((4, 20, 24), 40, np.int16)
    hu[1:3, 6:12, 8:15] = 1900
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((1.0, 1.0, 1.0))
    image.SetOrigin((-30.0, 12.0, 100.0))
    image = sitk.DICOMOrient(image, orientation)
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    network = slice_bundle.network()
    labels = sitk.ReadImage(str(running.run(network, slice_bundle.path, tmp_path / "ct.nrrd", tmp_path / "out")))
    assert labels.GetDirection() == image.GetDirection() and labels.GetSize() == image.GetSize()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(image) == 1900)


def test_array_of_another_shape_is_an_error_that_names_the_channels(slice_bundle, tmp_path):
    np.save(tmp_path / "two.npy", np.zeros((2, 16, 16), np.float32))
    with pytest.raises(InputError, match="HU / 1000, bone window"):
        running.run(slice_bundle.network(), slice_bundle.path, tmp_path / "two.npy", tmp_path / "out")


def test_pickled_array_is_refused(slice_bundle, tmp_path):
    np.save(tmp_path / "objects.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match="NumPy array"):
        running.run(slice_bundle.network(), slice_bundle.path, tmp_path / "objects.npy", tmp_path / "out")


@pytest.mark.parametrize("bundle", list_bundles(), ids=lambda bundle: bundle.name)
def test_every_shipped_network_answers_generated_numbers(bundle, tmp_path):
    answer = np.load(running.run(bundle.network(), bundle.path, "", tmp_path))
    outputs = len(bundle.facts["classes"])
    if bundle.facts["kind"] == "mr-shape":
        assert answer.shape == (1, outputs) and np.isfinite(answer).all()
    else:
        assert answer.dtype == np.uint8 and answer.max() < outputs


def test_a_shape_network_names_the_one_size_it_takes(tmp_path):
    bundle = find_bundle("mr-shape-femur")
    np.save(tmp_path / "crop.npy", np.zeros((2, 40, 40, 40), np.float32))
    with pytest.raises(InputError, match="40 x 40 x 40 voxels, expected 88"):
        running.run(bundle.network(), bundle.path, tmp_path / "crop.npy", tmp_path)
    assert bundle.metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == ["88"] * 3
