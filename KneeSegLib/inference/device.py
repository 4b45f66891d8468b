"""Work on a device: its threads, slices side by side, and what is said when it has not enough memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from KneeSegLib.errors import ResourceError
from KneeSegLib.networks.device import Device

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def use_device(device: Device) -> Iterator[None]:
    """Run a block with the device's threads and without gradients, and put torch back as it was.

    Raises:
        ResourceError: the device ran out of memory.
    """
    threads_before = torch.get_num_threads()
    torch.set_num_threads(device.threads)
    try:
        with torch.inference_mode():
            yield
    except RuntimeError as error:
        # By its text: torch.OutOfMemoryError is there from torch 2.5 on only, and Apple's processors never raise it.
        if device.torch_name == "cpu" or "out of memory" not in str(error).lower():
            raise
        raise ResourceError(
            f"{device.description} ran out of memory; close other programs that use it or choose --device cpu."
        ) from error
    finally:
        torch.set_num_threads(threads_before)


def map_in_order(work: Callable[[Item], Result], items: Iterable[Item], device: Device) -> Iterator[Result]:
    """Yield ``work(item)`` for each item in order, as many at a time as a processor has threads, each on one thread.

    Whole slices side by side scale better than the threads inside one convolution, which wait for each other at every
    layer and come to a standstill as soon as another program wants a core. On other devices it is a plain loop. Closing
    the generator, or an error in the loop that consumes it, leaves nothing running.
    """
    if device.torch_name != "cpu" or device.threads == 1:
        yield from map(work, items)
        return

    def on_one_thread(item: Item) -> Result:
        with torch.inference_mode():
            return work(item)

    pool = ThreadPoolExecutor(device.threads, initializer=torch.set_num_threads, initargs=(1,))
    waiting = deque()
    try:
        for item in items:
            waiting.append(pool.submit(on_one_thread, item))
            if len(waiting) > device.threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(device.threads)
