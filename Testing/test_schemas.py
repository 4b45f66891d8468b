"""What KneeSeg writes for programs is what its schemas say, and the documented exit statuses are those of the code."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest

from KneeSegLib import errors
from KneeSegLib.case_record import CASE_FORMAT_VERSION
from KneeSegLib.cli.standard_streams import BROKEN_PIPE_STATUS
from KneeSegLib.failures import UNEXPECTED_STATUS
from KneeSegLib.schemas import SCHEMA_NAMES, format_schema, list_format_versions, read_schema
from Testing.phantoms.blocks import blocks_case
from Testing.phantoms.cases import assessed_knee_case

jsonschema = pytest.importorskip("jsonschema")


def check(instance: object, schema: dict) -> None:
    jsonschema.Draft7Validator(schema).validate(instance)


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> list[dict]:
    """Of a case of one scan with quality, and of one of two scans."""
    home = tmp_path_factory.mktemp("cases")
    for name, case in (("one", assessed_knee_case()), ("two", blocks_case())):
        case.save(home / name)
    return [json.loads((home / name / "case.json").read_text(encoding="utf-8")) for name in ("one", "two")]


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schemas_are_sound_and_carry_their_version(name):
    schema = read_schema(name)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$id"].endswith(f"/{name}-{list_format_versions()[name]}.json")
    assert format_schema(name) == json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def test_the_version_of_case_json_is_that_of_its_schema():
    assert list_format_versions()["case"] == CASE_FORMAT_VERSION


def test_saved_cases_are_as_the_schema_says(records):
    for record in records:
        check(record, read_schema("case"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("structures"),
        lambda record: record.update(format_version=1),
        lambda record: record["structures"][0].update(side="middle"),
        lambda record: record["structures"][0]["surface"].pop("file"),
        lambda record: record["structures"][0]["quality"].update(level="perfect"),
        lambda record: record["input"].update(spacing_mm=[1.0, 1.0]),
        lambda record: record.update(scans=[]),
    ],
)
def test_a_record_that_is_not_as_the_schema_says_is_noticed(records, damage):
    record = copy.deepcopy(records[0])
    damage(record)
    with pytest.raises(jsonschema.ValidationError):
        check(record, read_schema("case"))


def test_every_field_of_a_record_is_described(records):
    """Fields may be added without a new version, and then they are to be described."""
    schema = read_schema("case")
    definitions, properties = schema["definitions"], schema["properties"]
    one, two = records
    assert set(one) | set(two) <= set(properties)
    assert set(one["input"]) == set(definitions["input"]["properties"])
    assert set(one["structures"][0]) == set(definitions["structure"]["properties"])
    assert set(one["structures"][0]["surface"]) == set(definitions["surface"]["properties"])
    assert set(two["scans"][0]) == set(properties["scans"]["items"]["properties"])


@pytest.mark.parametrize(
    ("event", "fits"),
    [
        ({"event": "progress", "fraction": 0.5, "message": "Reading"}, True),
        ({"event": "progress", "fraction": 1.5, "message": "Reading"}, False),
        ({"event": "error", "message": "No.", "exit_status": 2}, True),
        ({"event": "error", "message": "No."}, False),
        ({"event": "error", "message": "No.", "exit_status": 9}, False),
        ({"event": "a new one"}, True),
        ({"fraction": 0.5}, False),
    ],
)
def test_lines_of_progress_are_told_from_others(event, fits):
    validator = jsonschema.Draft7Validator(read_schema("progress"))
    assert validator.is_valid(event) == fits


def test_the_exit_statuses_of_the_docs_and_of_the_schema_are_those_of_the_code():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.KneeSegError]
    in_code = {kind.exit_status for kind in kinds} | {UNEXPECTED_STATUS}
    page = (Path(__file__).resolve().parents[1] / "docs" / "programs.md").read_text(encoding="utf-8")
    in_page = {int(status) for status in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    assert in_page == in_code | {0, BROKEN_PIPE_STATUS}
    error = read_schema("progress")["allOf"][2]["then"]["properties"]["exit_status"]["enum"]
    finding = read_schema("doctor")["properties"]["findings"]["items"]["properties"]["problem"]["anyOf"][0]
    assert set(error) == set(finding["properties"]["exit_status"]["enum"]) == in_code
