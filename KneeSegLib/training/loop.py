"""The training loop: render, step, average, save; it can be stopped at any time and goes on where it stood."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from KneeSegLib import networks
from KneeSegLib.errors import InputError
from KneeSegLib.networks.ready import fastest_layout
from KneeSegLib.training.log import TrainingLog
from KneeSegLib.training.objectives import objective_of
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.sources import SOURCES
from KneeSegLib.training.taking_over import taken_over
from KneeSegLib.training.team import Team

CHECKPOINT_SECONDS = 60.0
VALIDATION_LOOKS = 10


class Pool:
    """Rendered samples of one shape that batches are drawn from: neighbours of a slab seldom meet in a batch."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.samples: list[tuple[torch.Tensor, ...]] = []

    def add(self, samples: Any, generator: torch.Generator) -> None:
        for one in samples.separated():
            if len(self.samples) < self.capacity:
                self.samples.append(one)
            else:
                self.samples[int(torch.randint(self.capacity, (), generator=generator))] = one

    def some(self, size: int, generator: torch.Generator) -> list[tuple[torch.Tensor, ...]]:
        """So many different samples."""
        return [self.samples[i] for i in torch.randperm(len(self.samples), generator=generator)[:size].tolist()]


class Training:
    """Train one recipe in a folder; create it again with the same folder to resume.

    The folder holds ``checkpoint.pt`` (tensors and numbers only) and ``log.csv``. Started by ``torchrun``, several
    processes train together.

    Args:
        compiled: let torch compile the step first. It takes a minute and a C++ compiler, and then about halves the
            time of a step on a CPU.
        start: bundle whose weights a new training starts from; see :mod:`~KneeSegLib.training.taking_over`.

    Raises:
        InputError: nobody is prepared for the recipe, or it lets only some layers learn and there is no ``start``.
    """

    def __init__(
        self,
        recipe: Recipe,
        prepared: Path,
        folder: Path,
        device: str = "cpu",
        compiled: bool = False,
        start: Path | None = None,
    ) -> None:
        self.recipe = recipe
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.team = Team.joined(torch.device(device))
        self.device = self.team.own_device(device)
        self.generator = torch.Generator().manual_seed(recipe.seed + self.team.rank)
        self.source = SOURCES[recipe.kind].of_folder(recipe, prepared, "train")
        self.validation = SOURCES[recipe.kind].of_folder(recipe, prepared, "validation")
        self.objective = objective_of(recipe, prepared, self.device)
        if recipe.learning and start is None:
            raise InputError(
                f"This recipe of {recipe.name} lets only {', '.join(recipe.learning)} learn, and there are no weights "
                "for the other layers; give the bundle to start from (--from)."
            )
        network, self.origin = first_network(recipe, start)
        self.network = network.to(self.device)
        self.layout = fastest_layout(self.network, self.device)
        self.network = self.network.to(memory_format=self.layout)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            learning_parameters(self.network, recipe.learning), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.pools = {shape: Pool(recipe.pool) for shape in recipe.shapes}
        self.owed = {shape: 0.0 for shape in recipe.shapes}
        # On processors with bfloat16, 3D convolutions take 0.6 of the time with it; 2D ones gain only once compiled.
        worthwhile = cpu_has_bfloat16() and (compiled or not recipe.planar)
        self.mixed_precision = self.device.type == "cuda" or worthwhile
        shared = self.team.sharing_gradients(self.network)
        self.forward = torch.compile(shared, dynamic=False) if compiled else shared
        self.log = TrainingLog(self.folder, self.objective.figures) if self.team.leads else None
        self.step = 0
        self._resume()

    def run(self, report: Callable[[str], None] = print) -> None:
        """Train to the recipe's last step."""
        started = saved = time.monotonic()
        loss_sum, loss_count = 0.0, 0
        while self.step < self.recipe.steps:
            loss_sum += self._train_step()
            loss_count += 1
            self.step += 1
            if not self.team.leads:
                continue
            now = time.monotonic()
            if self.step % 50 == 0:
                report(
                    f"{self.recipe.name} step {self.step} loss {loss_sum / loss_count:.4f} after {now - started:.0f} s"
                )
                self.log.write(self.step, loss=loss_sum / loss_count, seconds=now - started)
                loss_sum, loss_count = 0.0, 0
            if now - saved > CHECKPOINT_SECONDS or self.step == self.recipe.steps:
                self.save()
                saved = now
            if self.step % self.recipe.validate_every == 0 or self.step == self.recipe.steps:
                figures = self.validate()
                report(f"{self.recipe.name} step {self.step} " + " ".join(f"{k} {v:.4f}" for k, v in figures.items()))
                self.log.write(self.step, **figures)
        self.team.wait()

    def validate(self) -> dict[str, float]:
        """The objective's figures on fixed images of people that are not trained on."""
        looks = []
        for look in range(VALIDATION_LOOKS):
            generator = torch.Generator().manual_seed(1000 + look)
            samples = self.validation.render(self.recipe.shapes[look % len(self.recipe.shapes)], generator)
            with torch.inference_mode():
                looks.append((self.average(samples.inputs.to(self.device)), samples))
        return self.objective.measured(looks)

    def save(self) -> None:
        """Write the checkpoint beside its final name, then rename it."""
        unfinished = self.folder / "checkpoint.part"
        torch.save(
            {
                "step": self.step,
                "origin": self.origin,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "generator": self.generator.get_state(),
            },
            unfinished,
        )
        unfinished.replace(self.folder / "checkpoint.pt")

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])
        self.origin = state.get("origin", "")
        if self.team.leads:
            self.generator.set_state(state["generator"].cpu())
        else:  # the file knows the first process's numbers only
            self.generator.manual_seed(self.recipe.seed + self.team.rank + self.team.size * self.step)

    def _train_step(self) -> float:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * learning_rate_share(self.step, recipe.steps)
        samples = self._next_batch()
        self.network.train()
        inputs = samples.inputs.to(self.device).contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision):
            answer = self.forward(inputs)
        loss = self.objective.loss(answer.float(), samples)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self._update_average()
        return float(loss.detach())

    def _next_batch(self) -> Any:
        recipe = self.recipe
        shape = recipe.shapes[int(torch.randint(len(recipe.shapes), (), generator=self.generator))]
        pool = self.pools[shape]
        batch = self.team.share(recipe.batch)
        self.owed[shape] += batch / recipe.reuse
        while self.owed[shape] > 0 or len(pool.samples) < batch:
            rendered = self.source.render(shape, self.generator)
            pool.add(rendered, self.generator)
            self.owed[shape] -= len(rendered.inputs)
        return self.objective.samples.together(pool.some(batch, self.generator))

    def _update_average(self) -> None:
        decay = min(self.recipe.ema, (1.0 + self.step) / (10.0 + self.step))
        means, values = (list(n.state_dict().values()) for n in (self.average, self.network))
        floating = [place for place, mean in enumerate(means) if mean.dtype.is_floating_point]
        with torch.no_grad():
            torch._foreach_lerp_([means[i] for i in floating], [values[i] for i in floating], 1.0 - decay)


def first_network(recipe: Recipe, start: Path | None = None) -> tuple[torch.nn.Module, str]:
    """The network that a training begins with, and what to say of the bundle whose weights it started from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build_network(recipe)
    return network, taken_over(network, start) if start is not None else ""


def build_network(recipe: Recipe) -> torch.nn.Module:
    """The recipe's network with fresh weights."""
    config = dict(recipe.network_config)
    name = config.pop("_target_").rsplit(".", 1)[1]
    return getattr(networks, name)(**config)


def learning_parameters(network: torch.nn.Module, layers: Sequence[str]) -> list[torch.nn.Parameter]:
    """The parameters that learn, those of layers whose names begin so; the others are told to keep still.

    Raises:
        InputError: the network has no such layer.
    """
    for layer in layers:
        if not any(name.startswith(layer) for name, _ in network.named_parameters()):
            raise InputError(f"The recipe lets the layer {layer!r} learn, which its network has not; name another.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not layers or name.startswith(tuple(layers)))
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def cpu_has_bfloat16() -> bool:
    """True where the processor computes with bfloat16 itself (AVX-512 BF16); older torch cannot say and gets False."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def learning_rate_share(step: int, steps: int) -> float:
    """Linear rise over the first 3 %, then half a cosine down to 1 %."""
    rise = max(1, int(0.03 * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
