"""Which device networks run on."""

from __future__ import annotations

import pytest
import torch

from KneeSegLib.errors import ResourceError
from KneeSegLib.networks.device import find_device


def test_device_that_is_not_there_is_an_error_that_says_what_is():
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(ResourceError, match="found: .*cpu"):
        find_device(missing)


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert find_device("cpu").threads == 1
