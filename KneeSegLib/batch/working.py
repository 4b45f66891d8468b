"""What a worker does: it segments one scan and saves its case. It runs in a process of its own, maybe elsewhere."""

from __future__ import annotations

import os
import platform
import threading
from pathlib import Path
from typing import Any

from KneeSegLib import __version__
from KneeSegLib.batch.plan import PLAN_NAME, THUMBNAILS_NAME, BatchPlan
from KneeSegLib.batch.scans import BatchScan, Outcome
from KneeSegLib.errors import OutputError, ResourceError
from KneeSegLib.failures import UNEXPECTED_STATUS, as_known_error, save_details

_one_at_a_time = threading.Lock()
"""A worker of several threads would run several scans in one process, which share its settings and its memory."""

_kept: dict[str | None, Any] = {}
"""The networks of this process, by the user's folder of models."""


def segment_scan(scan: BatchScan, plan: BatchPlan, threads: int, version: str) -> Outcome:
    """Segment a scan into the case of its name and tell how it went; only what ends the process raises.

    A case that is there already, from an earlier run or from one that goes on at the same time, is the result.

    Args:
        plan: without its scans.
        threads: how many the networks run with; the same everywhere, since sums depend on it.
        version: of the KneeSeg that hands out the scans.
    """
    with _one_at_a_time:
        if plan.is_done(scan.name):
            return Outcome(scan.name, "done")
        try:
            _require_common_ground(plan, version)
            _segment(scan, plan, threads)
        except Exception as error:
            if plan.is_done(scan.name):  # another run was quicker
                return Outcome(scan.name, "done")
            known = as_known_error(error)
            if known is None:
                return Outcome(scan.name, "failed", save_details(error), UNEXPECTED_STATUS)
            return Outcome(scan.name, "failed", str(known), known.exit_status)
        return Outcome(scan.name, "done")


def _segment(scan: BatchScan, plan: BatchPlan, threads: int) -> None:
    _use_threads(threads)
    from KneeSegLib.batch.thumbnails import write_thumbnail
    from KneeSegLib.bundles.kept import KeptModels
    from KneeSegLib.segmentation import segment

    options = {**plan.options, **scan.options}
    load = _kept.setdefault(options.get("models"), KeptModels(options.get("models")))
    case = segment(scan.source, load=load, **{"series": scan.series, **options})
    # Before the case, whose place says that the scan is done.
    write_thumbnail(case.scans[0], plan.folder / THUMBNAILS_NAME / f"{scan.name}.svg")
    try:
        case.save(plan.case_folder(scan.name))
    except OutputError:
        if not plan.case_folder(scan.name).is_dir() or plan.is_done(scan.name):
            raise
        raise OutputError(
            f"The folder {plan.case_folder(scan.name)} is no case; take it away and run the batch again."
        ) from None


def _require_common_ground(plan: BatchPlan, version: str) -> None:
    if version != __version__:
        raise ResourceError(
            f"The worker on {platform.node()} has KneeSeg {__version__} and this batch is of {version}; install the "
            "same version on all machines."
        )
    if not (Path(plan.folder) / PLAN_NAME).is_file():
        raise ResourceError(
            f"The worker on {platform.node()} does not find {plan.folder}; scans and results have to lie in folders "
            "that all machines share."
        )


def _use_threads(threads: int) -> None:
    import SimpleITK as sitk

    os.environ["OMP_NUM_THREADS"] = str(threads)  # what networks run with, see KneeSegLib.networks.device
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
