"""What is kept of every run, so that a comparison that goes on does nothing twice.

``runs/SYSTEM/CASE.json`` says what a run was made from, what it took, what was measured from and what came out;
``runs/SYSTEM/CASE`` is the result folder of a pipeline. A result is made anew when image, options, version or weights
are others than before, and measured anew when its file, the reference or the meaning of labels is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from KneeSegLib import __version__
from KneeSegLib.bundles import find_bundle
from KneeSegLib.errors import ModelError, OutputError
from KneeSegLib.evaluation.compare.agreement import PartAgreement
from KneeSegLib.evaluation.compare.process import Cost
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.io.screening import list_image_files
from KneeSegLib.io.writing import write_whole
from KneeSegLib.measurements.metrics import METRICS
from KneeSegLib.pipelines.table import PIPELINES, QUALITIES

RUNS_NAME = "runs"
RUN_FORMAT = "KneeSeg comparison, run"
RUN_FORMAT_VERSION = 1
"""Raised when what is measured changes, so that earlier records are not used again."""

Fingerprint = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """What is kept of a run.

    Attributes:
        made_from, measured_from: fingerprints; the first is None for a prediction that was not made here.
        date: when it was measured.
        notes: remarks on its files.
    """

    made_from: Fingerprint | None
    cost: Cost | None
    measured_from: Fingerprint
    measured: list[PartAgreement]
    date: str
    notes: list[str]


def run_folder(output: Path, system: System, case: str) -> Path:
    """Return where the result of a pipeline goes."""
    return output / RUNS_NAME / system.name / case


def fingerprint_run(system: System, image: Path) -> dict[str, Any]:
    """Return what a result depends on: image, options, version and weights."""
    weights = {}
    pipeline, quality = PIPELINES[system.pipeline or ""], QUALITIES.get(system.options.get("quality", "standard"))
    for name in (*pipeline.bundles, *(quality.bundles if quality else ())):
        try:
            weights[name] = find_bundle(name).sha256
        except ModelError:  # the run says so
            weights[name] = None
    files = {key: hash_path(Path(value)) for key, value in system.options.items() if Path(value).exists()}
    return {
        "version": __version__,
        "image": hash_path(image),
        "pipeline": system.pipeline,
        "options": dict(system.options),
        "files": files,
        "weights": weights,
    }


def fingerprint_measuring(reference: Path, prediction: Path, meanings: tuple[str, str]) -> dict[str, Any]:
    """Return what figures depend on: the two label maps and what their values stand for."""
    return {
        "version": RUN_FORMAT_VERSION,
        "reference": hash_path(reference),
        "prediction": hash_path(prediction),
        "meanings": list(meanings),
        "metrics": [metric.key for metric in METRICS],
    }


def hash_path(path: Path) -> str:
    """Return the SHA-256 of an image's file or files, or of the names and contents of all files in a folder."""
    digest = hashlib.sha256()
    for file in list_image_files(path):
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape"))
        with open(file, "rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_record(output: Path, system: System, case: str) -> RunRecord | None:
    """Return what is kept of a run; None where there is nothing, or nothing that this version can use."""
    try:
        record = json.loads(_record_path(output, system, case).read_text(encoding="utf-8"))
        if (record["format"], record["format_version"]) != (RUN_FORMAT, RUN_FORMAT_VERSION):
            return None
        return RunRecord(
            record["made_from"],
            Cost(**record["cost"]) if record["cost"] else None,
            record["measured_from"],
            [PartAgreement.of_record(entry) for entry in record["measured"]],
            record["date"],
            record["notes"],
        )
    except (OSError, ValueError, KeyError, TypeError):  # a damaged record is as good as none: it is made again
        return None


def write_record(output: Path, system: System, case: str, record: RunRecord) -> None:
    """Keep a run.

    Raises:
        OutputError: it cannot be written.
    """
    content = {
        "format": RUN_FORMAT,
        "format_version": RUN_FORMAT_VERSION,
        "system": system.name,
        "case": case,
        "made_from": record.made_from,
        "cost": asdict(record.cost) if record.cost else None,
        "measured_from": record.measured_from,
        "measured": [entry.as_record() for entry in record.measured],
        "date": record.date,
        "notes": record.notes,
    }
    with write_whole(_record_path(output, system, case)) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def require_comparison_folder(output: Path) -> None:
    """Raise unless a comparison can go on in ``output``, or begin there.

    Raises:
        OutputError: it is a file, or a folder of something else.
    """
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file and a folder was to be written there; choose another name.")
    if output.is_dir() and any(output.iterdir()) and not (output / RUNS_NAME).is_dir():
        raise OutputError(
            f"The folder {output} exists already and holds no comparison to go on with; choose another one."
        )


def now() -> str:
    """Return date and time as records have them."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _record_path(output: Path, system: System, case: str) -> Path:
    return run_folder(output, system, case).with_name(f"{case}.json")
