"""A batch from its plan to its end: scans are handed out, outcomes come back, and the tables tell what came of them."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from KneeSegLib import __version__
from KneeSegLib.batch.cluster import describe_no_workers
from KneeSegLib.batch.plan import BatchPlan
from KneeSegLib.batch.scans import BatchScan, Outcome
from KneeSegLib.batch.settings import POLL_SECONDS, SUMMARY_SECONDS, THREADS_OF_WORKER, WORKERS_SECONDS
from KneeSegLib.batch.summary import BatchSummary
from KneeSegLib.batch.working import segment_scan
from KneeSegLib.errors import InputError, ResourceError
from KneeSegLib.progress import Progress, no_progress

if TYPE_CHECKING:
    from distributed import Client, Future


def run_batch(
    plan: BatchPlan, client: Client, threads: int = THREADS_OF_WORKER, progress: Progress = no_progress
) -> BatchSummary:
    """Segment the scans of a plan that have no case yet on the workers of ``client``; write summary and gallery.

    One that failed in an earlier run is tried again. However the run ends, what was done stays and is in the summary.

    Raises:
        ResourceError: the workers or the scheduler are gone.
        Cancelled: raised by ``progress``.
    """
    summary = BatchSummary(plan)
    waiting = []
    for scan in plan.scans:
        if scan.refused is not None:
            summary.add(Outcome(scan.name, "failed", scan.refused, InputError.exit_status))
        elif plan.is_done(scan.name):
            summary.add(Outcome(scan.name, "done"))
        else:
            waiting.append(scan)
    written = time.monotonic()
    try:
        for outcome in _hand_out(plan, waiting, client, threads, _Counted(progress, len(plan.scans), summary)):
            summary.add(outcome)
            if time.monotonic() - written > SUMMARY_SECONDS:
                summary.write()
                written = time.monotonic()
    finally:
        summary.write()
    progress(1.0, "Done")
    return summary


class _Counted:
    """Reports how many scans have their outcome."""

    def __init__(self, progress: Progress, scans: int, summary: BatchSummary) -> None:
        self._progress, self._scans, self._summary = progress, scans, summary

    def __call__(self) -> None:
        done, failed = self._summary.count("done"), self._summary.count("failed")
        message = f"{done} of {self._scans} scans segmented" + (f", {failed} failed" if failed else "")
        self._progress((done + failed) / self._scans, message)


def _hand_out(
    plan: BatchPlan, scans: Sequence[BatchScan], client: Client, threads: int, report: _Counted
) -> Iterator[Outcome]:
    """Yield the outcomes as they come in; what is not begun when the consumer stops is taken back."""
    finished: queue.Queue[Future] = queue.Queue()
    shared, run = replace(plan, scans=()), uuid.uuid4().hex[:8]
    names: dict[str, str] = {}
    futures = []
    for scan in scans:
        future = client.submit(
            segment_scan, scan, shared, threads, __version__, key=f"segment-{scan.name}-{run}", pure=False
        )
        names[str(future.key)] = scan.name
        futures.append(future)
    for future in futures:
        future.add_done_callback(finished.put)
    guard = _WorkersGuard(client)
    try:
        for _ in futures:
            while True:
                report()
                with suppress(queue.Empty):
                    future = finished.get(timeout=POLL_SECONDS)
                    break
                guard.check()
            yield _outcome_of(future, names[str(future.key)], plan, guard.address)
    finally:
        with suppress(Exception):  # the scheduler may be what was lost
            client.cancel([future for future in futures if not future.done()])


class _WorkersGuard:
    """Notices that the scheduler has gone, or that it has had no worker for too long."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.address = str(client.scheduler.address) if client.scheduler is not None else ""
        self._seen = time.monotonic()

    def check(self) -> None:
        if self._client.status != "running":
            raise _lost(self.address)
        try:
            there = bool(self._client.nthreads())
        except (OSError, TimeoutError) as error:
            raise _lost(self.address) from error
        now = time.monotonic()
        if there:
            self._seen = now
        elif now - self._seen > WORKERS_SECONDS:
            raise describe_no_workers(self.address)


def _lost(address: str) -> ResourceError:
    return ResourceError(
        f"The dask scheduler at {address} no longer answers; start it again and run the same command again, which goes "
        "on where this one stopped."
    )


def _outcome_of(future: Future, name: str, plan: BatchPlan, address: str) -> Outcome:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed import TimeoutError as NoAnswer  # before Python 3.11 not the built-in one

    try:
        return future.result(timeout=WORKERS_SECONDS)
    except KilledWorker:
        if plan.is_done(name):  # the worker died of the next scan, before word of this one had left it
            return Outcome(name, "done")
        sentence = (
            "Each worker that took this scan died, most likely for want of memory; crop the scan, close other "
            "programs or use fewer workers, and run the batch again."
        )
        return Outcome(name, "failed", sentence, ResourceError.exit_status)
    except NoAnswer as error:  # its worker went away with the outcome, and none has come since
        raise describe_no_workers(address) from error
    except CancelledError as error:
        raise _lost(address) from error
    except ImportError as error:
        raise ResourceError(
            f"A worker could not import KneeSeg ({error}); install the same version of KneeSeg on all machines."
        ) from error
