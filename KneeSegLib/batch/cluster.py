"""The workers of a batch: processes of this machine, or those of a dask scheduler that runs somewhere."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from KneeSegLib.batch.settings import (
    ALLOWED_DEATHS,
    CONNECT_SECONDS,
    LOCAL_START_SECONDS,
    THREADS_OF_WORKER,
    WORKER_BYTES,
    WORKERS_SECONDS,
)
from KneeSegLib.errors import InputError, ResourceError

if TYPE_CHECKING:
    from distributed import Client

EXTRA = "batch"


def require_dask() -> None:
    """Raise a ResourceError unless dask is installed."""
    try:
        missing = find_spec("distributed") is None
    except ValueError:  # what stands under that name is no module
        missing = True
    if missing:
        raise ResourceError(
            f"Segmenting many scans takes the package dask, which is missing; install it with: python -m pip install "
            f'"kneeseglib[{EXTRA}]"'
        )


def count_workers(threads: int = THREADS_OF_WORKER) -> int:
    """Return how many workers this machine has processors and free memory for, at least one."""
    from KneeSegLib.memory import measure_available_memory

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors // threads, int(measure_available_memory() // WORKER_BYTES)))


@contextmanager
def start_workers(workers: int, threads: int) -> Iterator[Client]:
    """Yield a client of workers that are processes of this machine, and end them when the block ends.

    Raises:
        ResourceError: they do not start.
    """
    import dask.config
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)  # what happens to scans is told by us
    settings = {
        "distributed.scheduler.allowed-failures": ALLOWED_DEATHS,
        # Only the scan that it is at work on is held against a worker that dies.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads
        ),
        "distributed.comm.timeouts.connect": f"{LOCAL_START_SECONDS:g}s",
    }
    with dask.config.set(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Port .* is already in use")  # another is taken, and its address told
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,  # KneeSeg asks for free memory before each scan; the system guards the rest
                dashboard_address="127.0.0.1:8787",
                silence_logs=logging.ERROR,
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            raise ResourceError(
                f"The {workers} worker processes did not start ({error}); try fewer with --workers."
            ) from error
        with cluster, Client(cluster) as client:
            yield client


@contextmanager
def connect_to_scheduler(address: str) -> Iterator[Client]:
    """Yield a client of the scheduler at ``address``, such as ``tcp://host:8786``, which goes on when the block ends.

    Raises:
        InputError: that is no address.
        ResourceError: no scheduler answers there, or it has no worker.
    """
    from distributed import Client
    from distributed import TimeoutError as NoAnswer  # before Python 3.11 not the built-in one

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, NoAnswer) as error:
        raise ResourceError(
            f"No dask scheduler answers at {address}; start one with `dask scheduler`, check the address, or leave "
            "--scheduler out to use this machine."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{address} is no address of a dask scheduler, expected one such as tcp://host:8786; `dask scheduler` "
            "prints it when it starts."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except NoAnswer as error:
            raise describe_no_workers(address) from error
        yield client


def describe_no_workers(address: str) -> ResourceError:
    """Return the error for a scheduler without workers."""
    return ResourceError(
        f"The dask scheduler at {address} has had no worker for {WORKERS_SECONDS:.0f} s; start some with `dask worker "
        f"{address} --nthreads 1` and run the same command again, which goes on where this one stopped."
    )
