"""Networks of a user's own go before those that come with KneeSeg, and are said to."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.bundles import find_bundle, load_model
from KneeSegLib.bundles.bundle import METADATA
from KneeSegLib.bundles.own import list_own_bundles, require_own_bundles
from KneeSegLib.errors import InputError, ModelError
from KneeSegLib.io.volume import Volume
from KneeSegLib.networks.device import find_device
from KneeSegLib.pipelines.findings import Findings
from KneeSegLib.pipelines.pipeline import Pipeline
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.training.bundle_files import amend_bundle

STATEMENT = "Trained by its user on 5 cases of their own."


@pytest.fixture
def folder(tmp_path):
    """A folder with a network of one's own for the knee, in a sub-folder that is called otherwise."""
    shutil.copytree(find_bundle("ct-naming").path, tmp_path / "ct-naming")
    amend_bundle(list_own_bundles(tmp_path)["ct-naming"], training_statement=STATEMENT)
    (tmp_path / "ct-naming").rename(tmp_path / "naming of March")
    return tmp_path


def change(folder, **facts):
    path = next(folder.glob(f"*/{METADATA.as_posix()}"))
    content = json.loads(path.read_text(encoding="utf-8"))
    content["kneeseg"].update(facts)
    path.write_text(json.dumps(content), encoding="utf-8")


class TwoNetworks(Pipeline):
    """Asks for two networks and finds nothing."""

    options = ()
    bytes_per_voxel = bytes_anyway = 0.0

    def run(self, scan, request, steps):
        steps.plan(all=1)
        with steps("all", "Nothing"):
            self.model("ct-naming")
            self.model("ct-localiser")
        return Findings(scan=scan, legs=[], features={})


def segment(folder):
    image = sitk.GetImageFromArray(np.zeros((4, 4, 4), np.int16))
    request = Request(models=str(folder), device="cpu")
    return TwoNetworks(PIPELINES["ct-knee"], request).segment(Volume(image))


def test_own_network_goes_before_the_shipped_one_whatever_its_folder_is_called(folder):
    own = load_model("ct-naming", find_device("cpu"), folder)
    assert own.own and own.spec.training_statement == STATEMENT
    shipped = load_model("ct-localiser", find_device("cpu"), folder)
    assert not shipped.own and shipped.spec.training_statement == TRAINING_STATEMENT


def test_own_network_is_recorded_with_its_statement_and_said(folder):
    findings = segment(folder)
    records = {record["name"]: record for record in findings.provenance["bundles"]}
    assert records["ct-naming"]["own"] and records["ct-naming"]["training_statement"] == STATEMENT
    assert not records["ct-localiser"]["own"]
    assert STATEMENT in findings.provenance["statement"] and TRAINING_STATEMENT in findings.provenance["statement"]
    assert any("ct-naming is one of your own" in warning and STATEMENT in warning for warning in findings.warnings)


def test_a_single_bundle_can_be_given_itself(folder):
    assert list(list_own_bundles(folder / "naming of March")) == ["ct-naming"]


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no models, expected folders with configs/metadata.json"):
        list_own_bundles(tmp_path)
    with pytest.raises(InputError, match="There is no folder of models .*elsewhere"):
        list_own_bundles(tmp_path / "elsewhere")


def test_two_models_of_one_name_are_refused(folder):
    shutil.copytree(folder / "naming of March", folder / "naming of May")
    with pytest.raises(InputError, match="two models ct-naming, naming of March and naming of May"):
        list_own_bundles(folder)


def test_models_that_the_pipeline_does_not_take_are_refused(folder):
    with pytest.raises(InputError, match="holds the models ct-naming; this pipeline takes mr-knee-slices"):
        require_own_bundles(folder, ["mr-knee-slices"])


def test_a_model_with_other_classes_than_the_one_it_replaces_is_refused(folder):
    change(folder, classes=["other", "femur", *find_bundle("ct-naming").spec.classes[3:], "tibia"])
    with pytest.raises(ModelError, match=r"is of kind naming with the classes .* give it another name"):
        segment(folder)


@pytest.mark.parametrize(
    ("name", "facts", "taken"),
    [
        ("mr-shape-femur", {"bone": "both", "classes": ["femur mode 1"]}, True),
        ("mr-shape-femur", {"bone": "tibia"}, False),
        ("mr-low-field", {"classes": ["marrow"]}, True),
        ("mr-low-field", {"classes": ["skin"]}, False),
    ],
)
def test_networks_as_published_give_fewer_edges_or_more_bones_and_nothing_else(tmp_path, name, facts, taken):
    shutil.copytree(find_bundle(name).path, tmp_path / name)
    change(tmp_path, **facts)
    if taken:
        require_own_bundles(tmp_path, [name])
        return
    with pytest.raises(ModelError, match=f"The model {name} .* give it another name or train it by the recipe"):
        require_own_bundles(tmp_path, [name])


def test_a_shape_network_that_sees_what_nobody_knows_is_refused(tmp_path):
    shutil.copytree(find_bundle("mr-shape-femur").path, tmp_path / "mr-shape-femur")
    change(tmp_path, input="x-rays")
    with pytest.raises(ModelError, match="says input is 'x-rays', expected one of probabilities, signal"):
        require_own_bundles(tmp_path, ["mr-shape-femur"])


def test_a_damaged_model_of_ones_own_asks_for_another_remedy(folder):
    next(folder.glob(f"*/{METADATA.as_posix()}")).write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged; train it or copy it again"):
        list_own_bundles(folder)
