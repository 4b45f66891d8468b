"""Several processes that train one network together, as ``torchrun`` starts them; a process alone is a group of one.

Each process renders its own samples and computes the gradient of its part of the batch; gradients are averaged after
every step (Li et al., *PyTorch Distributed*, 2020), so that all hold the same network. The main one writes files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def is_main_process() -> bool:
    """Whether this process writes files and reports, known before the group is joined."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class ProcessGroup:
    """This process's place (``rank``) among ``size`` processes."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> ProcessGroup:
        """Join the processes that ``torchrun`` has started, or be alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), size)

    @property
    def is_main(self) -> bool:
        """True for the one process that writes files and reports."""
        return self.rank == 0

    def choose_device(self, device: str) -> torch.device:
        """Return this process's device: of several GPUs each process takes its own."""
        if device == "cuda" and self.size > 1:
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device(device)

    def count_own(self, batch: int) -> int:
        """Return how many samples of a batch fall to this process."""
        return max(1, batch // self.size + (self.rank < batch % self.size))

    def average_gradients(self, network: nn.Module) -> nn.Module:
        """Return the network, such that every backward pass averages gradients over the group."""
        return DistributedDataParallel(network) if self.size > 1 else network

    def share_main(self, value: float, device: torch.device) -> float:
        """Return the value that the main process has."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], device=device)
        distributed.broadcast(shared, 0)
        return float(shared)

    def wait(self) -> None:
        """Return when all have come here."""
        if self.size > 1:
            distributed.barrier()
