"""Every bundle that KneeSeg ships is whole, verified and says where it comes from."""

from __future__ import annotations

import shutil

import pytest
import torch

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.bundles import Bundle, list_bundles
from KneeSegLib.bundles.bundle import WEIGHTS
from KneeSegLib.bundles.weights import state_from_bytes
from KneeSegLib.io.resources import models_folder
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.training.bundle_files import amend_bundle
from KneeSegLib.training.bundle_files.documents import DATA_LICENSE, LICENSE_FILE, README

SHIPPED = list_bundles()
LIMIT_MB = 35


@pytest.fixture(params=SHIPPED, ids=[bundle.name for bundle in SHIPPED])
def bundle(request):
    return request.param


def test_every_network_of_every_pipeline_ships():
    wanted = {name for pipeline in PIPELINES.values() for name in pipeline.bundles}
    assert wanted <= {bundle.name for bundle in SHIPPED}


def test_shipped_bundle_is_verified_and_loads(bundle):
    network = bundle.network()
    assert sum(parameter.numel() for parameter in network.parameters()) > 0


def test_shipped_weights_have_the_names_that_the_network_gives_them(bundle):
    stored = state_from_bytes((bundle.path / WEIGHTS).read_bytes())
    assert set(stored) == set(bundle.network().state_dict())


def test_shipped_bundle_names_sources_licences_figures_and_what_it_was_trained_on(bundle):
    facts = bundle.facts
    assert facts["name"] == bundle.name
    assert facts["training_statement"] == TRAINING_STATEMENT
    assert facts["sources"] and facts["recipe"]
    assert set(facts["figures"]) - {"note"}, "not measured yet"


def test_shipped_network_takes_and_gives_what_its_description_says(bundle):
    formats = bundle.metadata["network_data_format"]
    taken, given = formats["inputs"]["image"], formats["outputs"]["pred"]
    size = [eval(extent, {"n": 1}) for extent in taken["spatial_shape"]]  # MONAI's notation, as in "32*n"
    found = bundle.network()(torch.zeros(1, taken["num_channels"], *size))
    assert found.shape[1] == given["num_channels"] == len(given["channel_def"])
    assert found.ndim - 2 == len(given["spatial_shape"])
    with pytest.raises((RuntimeError, ValueError)):
        bundle.network()(torch.zeros(1, taken["num_channels"] + 1, *size))


def test_shipped_description_is_what_this_version_writes(bundle, tmp_path):
    copied = Bundle(shutil.copytree(bundle.path, tmp_path / bundle.name))
    rewritten = amend_bundle(copied).metadata
    versions = ("monai_version", "pytorch_version", "numpy_version", "required_packages_version")
    for name in set(rewritten) - set(versions):
        assert rewritten[name] == bundle.metadata[name], name
    for name in (README, DATA_LICENSE):
        assert (copied.path / name).read_bytes() == (bundle.path / name).read_bytes()


def test_shipped_bundle_says_how_to_use_it_and_under_which_licences(bundle):
    for name in (README, DATA_LICENSE, LICENSE_FILE):
        assert (bundle.path / name).is_file(), name


def test_shipped_bundle_has_no_leftover_of_a_run(bundle):
    suffixes = {path.suffix for path in bundle.path.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".md", ".txt", ""}


def test_all_bundles_together_stay_small():
    size_mb = sum(path.stat().st_size for path in models_folder().rglob("*") if path.is_file()) / 1e6
    assert size_mb < LIMIT_MB
