"""``kneeseg doctor`` and ``kneeseg pipelines`` on installations that are whole, damaged or empty."""

from __future__ import annotations

import json
import shutil

import pytest

from KneeSegLib.cli import doctor
from KneeSegLib.pipelines.table import PIPELINES, QUALITIES

BUNDLES = sorted({name for choice in (*PIPELINES.values(), *QUALITIES.values()) for name in choice.bundles})


@pytest.fixture(scope="session")
def whole_models(tmp_path_factory):
    """A models folder that has every network, each of them tiny."""
    from KneeSegLib.networks import SliceUNet
    from KneeSegLib.training.bundle_files import write_bundle

    kwargs = {"in_channels": 3, "out_channels": 2, "widths": [4, 8]}
    network = SliceUNet(**kwargs)
    folder = tmp_path_factory.mktemp("resources")
    (folder / "Terminology").mkdir()
    (folder / "Terminology" / "KneeSeg.term.json").write_text("{}")
    for name in BUNDLES:
        write_bundle(
            folder / "Models" / name,
            network,
            {"_target_": "KneeSegLib.networks.SliceUNet", **kwargs},
            network.state_dict(),
            {
                "name": name,
                "kind": "slices",
                "channels": {"neighbour_offsets_mm": []},
                "spacing_mm": [1.0, 1.0, 1.0],
                "classes": ["background", "bone"],
                "recipe": {},
                "training_statement": "Not trained.",
                "sources": [],
                "figures": {},
            },
        )
    return folder


@pytest.fixture
def installation(whole_models, tmp_path, monkeypatch):
    """A copy of that installation to do damage to."""
    folder = tmp_path / "resources"
    shutil.copytree(whole_models, folder)
    monkeypatch.setenv("KNEESEG_RESOURCES", str(folder))
    return folder


def test_whole_installation_can_be_used(kneeseg, installation):
    outcome = kneeseg("doctor")
    assert outcome.status == 0
    assert outcome.err == ""
    assert "KneeSeg can be used." in outcome.out
    assert outcome.out.count("verified") == len(BUNDLES)
    assert all(word in outcome.out for word in ("torch", "Device", "Memory", "Disk", "CPU"))


def test_a_program_is_told_as_the_schema_says(kneeseg, installation):
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft7Validator(json.loads(kneeseg("schema", "doctor").out))
    whole = json.loads(kneeseg("doctor", "--json").out)
    validator.validate(whole)
    assert (whole["usable"], whole["formats"]["case"]) == (True, 2)
    shutil.rmtree(installation / "Models" / BUNDLES[0])
    outcome = kneeseg("doctor", "--json")
    damaged = json.loads(outcome.out)
    validator.validate(damaged)
    (problem,) = [finding["problem"] for finding in damaged["findings"] if finding["problem"]]
    assert (damaged["usable"], problem["exit_status"], outcome.status) == (False, 4, 4)


def test_damaged_network_is_a_problem(kneeseg, installation):
    weights = installation / "Models" / BUNDLES[0] / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    outcome = kneeseg("doctor")
    assert outcome.status == 4
    assert len(outcome.err.splitlines()) == 1
    assert BUNDLES[0] in outcome.err
    assert "checksum" in outcome.err


def test_missing_network_is_a_problem(kneeseg, installation):
    shutil.rmtree(installation / "Models" / BUNDLES[0])
    shutil.rmtree(installation / "Models" / BUNDLES[1])
    outcome = kneeseg("doctor")
    assert outcome.status == 4
    assert outcome.err.startswith(f"Error: 2 problems, the first of them: The network {BUNDLES[0]} is missing")


def test_missing_package_is_a_problem(kneeseg, installation, monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    outcome = kneeseg("doctor")
    assert outcome.status == 6
    assert "no-such-package is missing" in outcome.err


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"torch": "2.2.2", "monai": "1.4.0", "numpy": "2.0.1"}, "needs NumPy below 2, found 2.0.1"),
        ({"torch": "2.3.1", "monai": "1.6.1", "numpy": "1.26.4"}, "MONAI 1.6.1 needs torch 2.8 or later, found 2.3.1"),
        (
            {"torch": "2.8.0", "monai": None},
            'MONAI is missing; install MONAI 1.6: python -m pip install --no-deps "monai==1.6.*"',
        ),
    ],
)
def test_packages_that_do_not_go_together_are_a_problem(kneeseg, installation, monkeypatch, versions, said):
    known = doctor._installed_version
    monkeypatch.setattr(doctor, "_installed_version", lambda name: versions.get(name, known(name)))
    outcome = kneeseg("doctor")
    assert outcome.status == 6
    assert said in outcome.err


def test_too_little_memory_is_a_problem(kneeseg, installation, monkeypatch):
    monkeypatch.setattr("KneeSegLib.memory.measure_available_memory", lambda: 1.5 * 2**30)
    outcome = kneeseg("doctor")
    assert outcome.status == 6
    assert "1.5 GB available" in outcome.err


def test_pipelines_say_what_they_do_and_that_they_are_available(kneeseg, installation, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("KneeSegLib.cli.pipelines.find_spec", lambda name: "found")
    outcome = kneeseg("pipelines")
    assert outcome.status == 0
    for pipeline in PIPELINES.values():
        assert f" {pipeline.name} " in outcome.out
        assert pipeline.description.split(",")[0] in outcome.out
    assert "missing" not in outcome.out
    assert "not a medical device" in outcome.out


def test_the_pipeline_of_an_extra_that_is_not_installed_says_so(kneeseg, installation, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("KneeSegLib.cli.pipelines.find_spec", lambda name: None)
    row = next(line for line in kneeseg("pipelines").out.splitlines() if line.startswith(" nnunet "))
    assert row.rstrip().endswith("no: extra nnunet missing")


def test_pipelines_without_their_networks_say_so(kneeseg, installation, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shutil.rmtree(installation / "Models" / "ct-hip")
    rows = {line.split()[0]: line for line in kneeseg("pipelines").out.splitlines() if line.startswith(" ct-")}
    assert rows["ct-hip"].rstrip().endswith("no: ct-hip missing")
    assert rows["ct-knee"].rstrip().endswith("yes")
