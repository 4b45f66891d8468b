import threading

import pytest
import torch

from KneeSegLib.errors import Cancelled, ResourceError
from KneeSegLib.inference.device import Device, fastest_layout, find_device, in_order, ready_for_inference, running_on
from KneeSegLib.networks import CoarseUNet3D, SliceUNet

TWO_THREADS = Device("cpu", "CPU, 2 threads", 2)


def _trained_a_little(network, sample):
    torch.manual_seed(0)
    network.train()
    for _ in range(3):
        network(sample + torch.randn_like(sample))
    return network.eval()


@pytest.mark.parametrize(
    "network, shape",
    [(SliceUNet(4, 3, (4, 8, 8)), (2, 4, 16, 16)), (CoarseUNet3D(2, 3, (4, 8)), (1, 2, 8, 8, 8))],
    ids=["slices", "coarse"],
)
def test_folded_network_gives_the_same_answer_and_leaves_the_original_alone(network, shape):
    sample = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    network = _trained_a_little(network, sample)
    folded = ready_for_inference(network, "cpu")
    assert torch.allclose(folded(sample), network(sample), atol=1e-5)
    assert not any("BatchNorm" in type(module).__name__ for module in folded.modules())
    assert any("BatchNorm" in type(module).__name__ for module in network.modules())


@pytest.mark.parametrize(
    ("network", "layout"),
    [(SliceUNet(4, 3, (4, 8, 8)), torch.channels_last), (CoarseUNet3D(2, 3, (4, 8)), torch.channels_last_3d)],
    ids=["slices", "coarse"],
)
def test_networks_are_laid_out_channels_last_on_processors(network, layout):
    weights = [weight for weight in ready_for_inference(network, "cpu").parameters() if weight.ndim > 1]
    assert weights and all(weight.is_contiguous(memory_format=layout) for weight in weights)
    assert not all(weight.is_contiguous(memory_format=layout) for weight in network.parameters() if weight.ndim > 1)


def test_networks_of_volumes_stay_as_they_are_on_other_devices():
    assert fastest_layout(CoarseUNet3D(2, 3, (4, 8)), "cuda") == torch.contiguous_format
    assert fastest_layout(SliceUNet(4, 3, (4, 8, 8)), "cuda") == torch.channels_last


def test_device_that_is_not_there_is_an_error_that_says_what_is():
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(ResourceError, match="found: .*cpu"):
        find_device(missing)


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert find_device("cpu").threads == 1


def test_running_on_a_device_leaves_torch_as_it_was():
    before = torch.get_num_threads()
    with running_on(Device("cpu", "", before + 1)):
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == before and not torch.is_inference_mode_enabled()


def test_results_come_in_order_from_several_threads_without_gradients():
    def work(item):
        return item, torch.is_inference_mode_enabled(), threading.current_thread() is threading.main_thread()

    results = list(in_order(work, range(20), TWO_THREADS))
    assert [item for item, _, _ in results] == list(range(20))
    assert all(inference and not main for _, inference, main in results)


def test_stopping_half_way_leaves_no_thread_running():
    before = threading.active_count()
    with pytest.raises(Cancelled):
        for item in in_order(lambda item: item, range(1000), TWO_THREADS):
            if item == 3:
                raise Cancelled
    assert threading.active_count() == before


def test_an_error_in_the_work_reaches_the_caller():
    def work(item):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        list(in_order(work, range(5), TWO_THREADS))


GRAPHICS_CARD = Device("cuda", "CUDA: a card", 1)


def test_a_refusal_reaches_the_caller_on_a_torch_that_has_no_out_of_memory_error(monkeypatch):
    monkeypatch.delattr(torch, "OutOfMemoryError", raising=False)  # as before torch 2.5
    with pytest.raises(Cancelled), running_on(TWO_THREADS):
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
    with pytest.raises(ResourceError, match="^CUDA: a card ran out of memory"), running_on(GRAPHICS_CARD):
        raise error


def test_another_error_on_a_device_stays_what_it_is():
    with pytest.raises(RuntimeError, match="shapes do not match"), running_on(GRAPHICS_CARD):
        raise RuntimeError("shapes do not match")
