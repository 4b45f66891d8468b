"""What a batch was asked for, kept in its folder: so that the same command goes on where an earlier one stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from KneeSegLib import __version__
from KneeSegLib.batch.scans import BatchScan, describe_scan, make_name
from KneeSegLib.case_record import RECORD_NAME
from KneeSegLib.errors import InputError, OutputError
from KneeSegLib.io.documents import UnreadableDocument, read_json
from KneeSegLib.io.writing import write_whole
from KneeSegLib.pipelines.request import Request

PLAN_NAME = "batch.json"
CASES_NAME = "cases"
THUMBNAILS_NAME = "thumbnails"
PLAN_FORMAT = "KneeSeg batch"
PLAN_FORMAT_VERSION = 1


@dataclass(frozen=True)
class BatchPlan:
    """The scans of a batch with their final names, and the options of all of them.

    Attributes:
        folder: absolute; the same on every worker.
        options: of :func:`KneeSegLib.segmentation.segment`.
    """

    folder: Path
    scans: tuple[BatchScan, ...]
    options: Mapping[str, Any]

    def case_folder(self, name: str) -> Path:
        """Return where the case of a scan lies, or will."""
        return self.folder / CASES_NAME / name

    def is_done(self, name: str) -> bool:
        """Whether a scan has its case: a case's folder takes its name when it is whole."""
        return (self.case_folder(name) / RECORD_NAME).is_file()


def open_plan(folder: Path, found: Sequence[BatchScan], options: Mapping[str, Any]) -> BatchPlan:
    """Return the plan of a batch, new or continued, and keep it in ``folder``.

    A continued batch keeps the names that its scans have; scans that are new get names beside them, and those that are
    no longer given keep their cases and are left out.

    Raises:
        InputError: an option has a value that it does not know, or ``folder`` holds a batch with other options or of
            another version.
        OutputError: ``folder`` holds something else, or cannot be written to.
    """
    for scan in found:
        _check_options(scan, options)
    earlier = _read_earlier(folder)
    named: dict[tuple[str, str | None], str] = {}
    if earlier is not None:
        _require_same(folder, earlier, options)
        named = {(entry["source"], entry["series"]): entry["name"] for entry in earlier["scans"]}
    scans: list[BatchScan] = []
    taken = set(named.values())
    for scan in found:
        name = named.get(scan.identity) or make_name(scan.name or Path(scan.source).name, taken)
        taken.add(name)
        scans.append(replace(scan, name=name))
    plan = BatchPlan(folder, tuple(scans), dict(options))
    given = {scan.identity for scan in scans}
    left_out = [] if earlier is None else [e for e in earlier["scans"] if (e["source"], e["series"]) not in given]
    _write_plan(plan, left_out)
    return plan


def _check_options(scan: BatchScan, options: Mapping[str, Any]) -> None:
    known = {**options, **scan.options}
    if known.pop("second_opinion", None) is not None and not known.get("nnunet"):
        known.pop("mapping", None)  # it is of the second model
    try:
        Request(**known)
    except InputError as error:
        where = f"In the row of {scan.source}: " if scan.options else ""
        raise InputError(f"{where}{error}") from error


def _read_earlier(folder: Path) -> dict[str, Any] | None:
    path = folder / PLAN_NAME
    if not path.exists():
        if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise OutputError(
                f"The folder {folder} holds other things than a batch ({PLAN_NAME} is missing); choose another folder."
            )
        return None
    try:
        earlier = read_json(path)
    except UnreadableDocument:
        earlier = None
    if not _is_sound(earlier) or earlier is None:
        raise InputError(f"{path} is damaged, so the batch cannot go on; choose another folder.")
    if earlier["format_version"] > PLAN_FORMAT_VERSION:
        raise InputError(f"{path} was written by a newer KneeSeg; go on with that one, or choose another folder.")
    return earlier


def _is_sound(earlier: Any) -> bool:
    """Whether this is the record of a batch, whose names lead to no other folder than that of its cases."""
    if not isinstance(earlier, dict) or earlier.get("format") != PLAN_FORMAT:
        return False
    version, scans = earlier.get("format_version"), earlier.get("scans")
    return (
        isinstance(version, int)
        and isinstance(earlier.get("version"), str)
        and isinstance(earlier.get("options"), dict)
        and isinstance(scans, list)
        and all(map(_is_sound_scan, scans))
    )


def _is_sound_scan(entry: Any) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("name", "source")):
        return False
    series, name = entry.get("series", 0), entry["name"]
    return (series is None or isinstance(series, str)) and re.fullmatch(r"\w[\w.-]{0,250}", name, re.ASCII) is not None


def _require_same(folder: Path, earlier: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    if earlier["version"] != __version__:
        raise InputError(
            f"The batch in {folder} was begun with KneeSeg {earlier['version']} and this is {__version__}, which may "
            "give other results; choose another folder."
        )
    before = earlier["options"]
    for name in sorted({*before, *options}):
        if before.get(name) != options.get(name):
            raise InputError(
                f"The batch in {folder} was begun with {name.replace('_', ' ')[:60]} {str(before.get(name))[:60]} and "
                f"now {options.get(name)} is asked for; go on with the same options, or choose another folder."
            )


def _write_plan(plan: BatchPlan, left_out: Sequence[Mapping[str, Any]]) -> None:
    record = {
        "format": PLAN_FORMAT,
        "format_version": PLAN_FORMAT_VERSION,
        "version": __version__,
        "options": dict(plan.options),
        "scans": [*map(describe_scan, plan.scans), *left_out],
    }
    for name in (CASES_NAME, THUMBNAILS_NAME):
        (plan.folder / name).mkdir(parents=True, exist_ok=True)
    with write_whole(plan.folder / PLAN_NAME) as unfinished:
        text = json.dumps(record, indent=2, ensure_ascii=False)
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")
