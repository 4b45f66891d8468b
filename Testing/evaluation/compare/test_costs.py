"""How long a system's networks were trained, from their metadata."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from KneeSegLib.bundles import find_bundle
from KneeSegLib.bundles.bundle import METADATA
from KneeSegLib.errors import ModelError
from KneeSegLib.evaluation.compare.costs import find_training_seconds, summarize_costs
from KneeSegLib.evaluation.compare.process import Cost
from KneeSegLib.evaluation.compare.running import Run
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.training.log import TrainingLog, read_training_seconds


@pytest.fixture
def own_models(tmp_path):
    """The networks of the knee's pipeline, each trained for 100 s as its metadata say."""
    for name in PIPELINES["ct-knee"].bundles:
        try:
            metadata = json.loads(json.dumps(find_bundle(name).metadata))
        except ModelError:
            pytest.skip(f"no weights ship yet for {name}")
        metadata["kneeseg"]["training_seconds"] = 100.0
        (tmp_path / name / METADATA).parent.mkdir(parents=True)
        (tmp_path / name / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    return tmp_path


def test_the_training_of_all_networks_counts(own_models):
    system = System("ours", "ct-knee", {"models": str(own_models)})
    assert find_training_seconds(system) == 100.0 * len(PIPELINES["ct-knee"].bundles)


def test_of_a_network_trained_apart_its_own_training_counts(own_models):
    for name in PIPELINES["ct-knee"].bundles:
        if name != "ct-knee":
            shutil.rmtree(own_models / name)
    assert find_training_seconds(System("ours", "ct-knee", {"models": str(own_models)})) == 100.0


def test_a_network_without_a_record_leaves_it_open(own_models):
    path = own_models / "ct-knee" / METADATA
    metadata = json.loads(path.read_text(encoding="utf-8"))
    del metadata["kneeseg"]["training_seconds"]
    path.write_text(json.dumps(metadata), encoding="utf-8")
    assert math.isnan(find_training_seconds(System("ours", "ct-knee", {"models": str(own_models)})))
    assert math.isnan(find_training_seconds(System("nobody", "ct-knee", {"models": str(own_models / "nowhere")})))
    assert math.isnan(find_training_seconds(System("a model elsewhere", "nnunet")))


def test_runs_without_a_result_have_no_cost():
    system = System("ours", "ct-knee")
    took = Cost(3.0, 5.0, 2**30, "CPU, 2 threads", {})
    (cost,) = summarize_costs([system], [Run(system, "a", cost=took, reused=True), Run(system, "b", failure="No.")])
    assert (cost.runs, cost.failed, cost.reused, cost.device) == (2, 1, 1, "CPU, 2 threads")
    assert (cost.seconds.count, cost.seconds.mean, cost.peak_memory_mib.maximum) == (1, 3.0, 1024.0)


def test_the_time_of_a_training_goes_on_where_it_was_resumed(tmp_path):
    assert read_training_seconds(tmp_path) is None
    log = TrainingLog(tmp_path, ["dice"])
    log.write(100, loss=0.5, seconds=40.0)
    log.write(100, dice=0.6)
    log.write(200, loss=0.4, seconds=90.0)
    log.write(300, loss=0.3, seconds=45.0)  # resumed
    assert read_training_seconds(tmp_path) == 135.0
