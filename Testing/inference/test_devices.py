import threading

import pytest
import torch

from KneeSegLib.errors import Cancelled, ResourceError
from KneeSegLib.inference.device import map_in_order, use_device
from KneeSegLib.networks.device import Device

TWO_THREADS = Device("cpu", "CPU, 2 threads", 2)


def test_running_on_a_device_leaves_torch_as_it_was():
    before = torch.get_num_threads()
    with use_device(Device("cpu", "", before + 1)):
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == before and not torch.is_inference_mode_enabled()


def test_results_come_in_order_from_several_threads_without_gradients():
    def work(item):
        return item, torch.is_inference_mode_enabled(), threading.current_thread() is threading.main_thread()

    results = list(map_in_order(work, range(20), TWO_THREADS))
    assert [item for item, _, _ in results] == list(range(20))
    assert all(inference and not main for _, inference, main in results)


def test_stopping_half_way_leaves_no_thread_running():
    before = threading.active_count()
    with pytest.raises(Cancelled):
        for item in map_in_order(lambda item: item, range(1000), TWO_THREADS):
            if item == 3:
                raise Cancelled
    assert threading.active_count() == before


def test_an_error_in_the_work_reaches_the_caller():
    def work(item):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        list(map_in_order(work, range(5), TWO_THREADS))


GRAPHICS_CARD = Device("cuda", "CUDA: a card", 1)


def test_a_refusal_reaches_the_caller_on_a_torch_that_has_no_out_of_memory_error(monkeypatch):
    monkeypatch.delattr(torch, "OutOfMemoryError", raising=False)  # as before torch 2.5
    with pytest.raises(Cancelled), use_device(TWO_THREADS):
        raise Cancelled


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)."),
    ],
    ids=["cuda", "mps"],
)
def test_memory_that_runs_out_on_a_device_is_said_with_its_name(monkeypatch, error):
    monkeypatch.delattr(torch, "OutOfMemoryError", raising=False)
    with pytest.raises(ResourceError, match="^CUDA: a card ran out of memory"), use_device(GRAPHICS_CARD):
        raise error


def test_another_error_on_a_device_stays_what_it_is():
    with pytest.raises(RuntimeError, match="shapes do not match"), use_device(GRAPHICS_CARD):
        raise RuntimeError("shapes do not match")
