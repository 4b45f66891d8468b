"""The list of hashes is one, belongs to what the constraints pin, and a file of another content is noticed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from Testing.supply.hashes import HASHES, find_differences, main, read_hashes, read_report

CONSTRAINTS = Path(HASHES).with_name("constraints-test.txt")
KNOWN = read_hashes(HASHES.read_text(encoding="utf-8"))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_file_of_the_list_is_of_a_version_that_the_constraints_pin():
    pins = re.findall(r"^([\w.-]+)==([^;\s]+)", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    pinned = {(plain(name), version.partition("+")[0]) for name, version in pins}
    names = {name for name, _ in pinned}
    strange = []
    for file in KNOWN:
        name, version = re.match(r"(.+?)-(\d[^-]*?)(?:\.tar\.gz|\.zip|-.*)$", file).groups()
        if plain(name) in names and (plain(name), version.partition("+")[0]) not in pinned:
            strange.append(file)
    assert strange == []


def test_what_computes_is_in_the_list():
    names = {plain(file.partition("-")[0]) for file in KNOWN}
    assert {"numpy", "scipy", "simpleitk", "pydicom", "monai", "safetensors", "torch", "vtk"} <= names


def test_a_file_of_another_content_is_noticed(tmp_path, capsys):
    name = min(KNOWN)
    report = {"install": [_entry(name, "0" * 64), _entry("unknown-1.0-py3-none-any.whl", "1" * 64)]}
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert read_report(tmp_path / "report.json")[name] == "0" * 64
    assert main(["check", str(tmp_path / "report.json")]) == 1
    assert f"{name} has the SHA-256 {'0' * 64}" in capsys.readouterr().err
    assert find_differences({name: KNOWN[name]}, KNOWN) == []


def _entry(name: str, sha256: str) -> dict:
    return {"download_info": {"url": f"file:///index/{name}", "archive_info": {"hashes": {"sha256": sha256}}}}
