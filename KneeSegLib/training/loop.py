"""The training loop: render, step, average, save; it can be stopped at any time and goes on where it stood.

It is not made of ``monai.engines``: rendering into pools, checkpoints that hold the random state, the moving average
and the splitting of batches would each be a handler of our own, on top of Ignite as one more package: no shorter.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from KneeSegLib.errors import InputError
from KneeSegLib.networks.ready import fastest_layout
from KneeSegLib.training.curves import draw_learning_curves
from KneeSegLib.training.initialisation import initialise_network, select_learning_parameters
from KneeSegLib.training.log import TrainingLog
from KneeSegLib.training.objectives import choose_objective
from KneeSegLib.training.optimisation import compute_learning_rate_factor, is_mixed_precision_faster, update_average
from KneeSegLib.training.pool import Pool
from KneeSegLib.training.process_group import ProcessGroup
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.settings import (
    CHECKPOINT_SECONDS,
    GRADIENT_NORM,
    REPORT_STEPS,
    VALIDATION_RENDERS,
    VALIDATION_SEED,
)
from KneeSegLib.training.sources import TrainingData, as_training_data


class Training:
    """Train one recipe in a folder; create it again with the same folder to resume.

    The folder holds ``checkpoint.pt`` (tensors and numbers only), ``best.pt`` with the averaged weights that did best
    on subjects that are not trained on, ``log.csv`` and ``curves.svg``. Started by ``torchrun``, several processes
    train together.

    Args:
        data: what to train on, or a folder of prepared anatomy.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        compiled: let torch compile the step first. It takes a minute and a C++ compiler, and then about halves the
            time of a step on a CPU.
        start: bundle whose weights a new training starts from; see :mod:`~KneeSegLib.training.weight_transfer`.

    Raises:
        InputError: no subject is prepared for the recipe, or it lets only some layers learn and there is no ``start``.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Path | TrainingData,
        folder: Path,
        device: str = "cpu",
        compiled: bool = False,
        start: Path | None = None,
    ) -> None:
        self.recipe = recipe
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = ProcessGroup.join(torch.device(device))
        self.device = self.processes.choose_device(device)
        self.generator = torch.Generator().manual_seed(recipe.seed + self.processes.rank)
        given = as_training_data(data)
        self.source = given.open(recipe, "train")
        self.validation = given.open(recipe, "validation")
        self.objective = choose_objective(recipe, data, self.device)
        if recipe.learning and start is None:
            raise InputError(
                f"This recipe of {recipe.name} lets only {', '.join(recipe.learning)} learn, and there are no weights "
                "for the other layers; give the bundle to start from (--from)."
            )
        network, self.origin = initialise_network(recipe, start)
        self.network = network.to(self.device)
        self.layout = fastest_layout(self.network, self.device)
        self.network.to(memory_format=self.layout)  # pyright: ignore[reportCallIssue]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        parameters = select_learning_parameters(self.network, recipe.learning)
        self.optimizer = torch.optim.AdamW(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.pools = {shape: Pool(recipe.pool) for shape in recipe.shapes}
        self.owed = {shape: 0.0 for shape in recipe.shapes}
        self.mixed_precision = is_mixed_precision_faster(self.device, recipe.planar, compiled)
        shared = self.processes.average_gradients(self.network)
        self.forward = torch.compile(shared, dynamic=False) if compiled else shared
        self.log = TrainingLog(self.folder, self.objective.figures) if self.processes.is_main else None
        self.step = 0
        self.best = -math.inf
        self._resume()

    def run(self, report: Callable[[str], None] = print) -> None:
        """Train to the recipe's last step; ``report`` is told a line now and then."""
        started = saved = time.monotonic()
        losses: list[float] = []
        if self.step == 0 and self.origin and self.log is not None:
            self._validate_and_keep(report)
        while self.step < self.recipe.steps:
            losses.append(self._train_step())
            self.step += 1
            if self.log is None:
                continue
            now, last = time.monotonic(), self.step == self.recipe.steps
            if self.step % REPORT_STEPS == 0:
                loss, seconds = sum(losses) / len(losses), now - started
                report(f"{self.recipe.name} step {self.step} loss {loss:.4f} after {seconds:.0f} s")
                self.log.write(self.step, loss=loss, seconds=seconds)
                losses.clear()
            if last or now - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = now
            if last or self.step % self.recipe.validate_every == 0:
                self._validate_and_keep(report)
        self.processes.wait()

    def validate(self) -> dict[str, float]:
        """Return the objective's figures on fixed images of subjects that are not trained on."""
        predicted = []
        for number in range(VALIDATION_RENDERS):
            generator = torch.Generator().manual_seed(VALIDATION_SEED + number)
            samples = self.validation.render(self.recipe.shapes[number % len(self.recipe.shapes)], generator)
            with torch.inference_mode():
                predicted.append((self.average(samples.inputs.to(self.device)), samples))
        return self.objective.measure(predicted)

    def save(self) -> None:
        """Write the checkpoint beside its final name, then rename it."""
        self._write(
            "checkpoint.pt",
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            generator=self.generator.get_state(),
        )

    def _write(self, name: str, **more: Any) -> None:
        unfinished = self.folder / f"{name}.part"
        state = {"step": self.step, "origin": self.origin, "best": self.best, "average": self.average.state_dict()}
        torch.save({**state, **more}, unfinished)
        unfinished.replace(self.folder / name)

    def _validate_and_keep(self, report: Callable[[str], None]) -> None:
        """Measure, write down and draw; keep the averaged weights if no earlier ones did better."""
        figures = self.validate()
        report(f"{self.recipe.name} step {self.step} " + " ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        score = self.objective.score(figures)
        if score > self.best:
            self.best = score
            self._write("best.pt", figures=figures)
        if self.log is not None:
            self.log.write(self.step, **figures)
            draw_learning_curves(self.folder)

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
        best = self.folder / "best.pt"
        if best.is_file():
            self.best = float(torch.load(best, map_location="cpu", weights_only=True)["best"])
        if self.processes.is_main:
            self.generator.set_state(state["generator"].cpu())
        else:  # the file knows the random state of the main process only
            self.generator.manual_seed(self.recipe.seed + self.processes.rank + self.processes.size * self.step)

    def _train_step(self) -> float:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * compute_learning_rate_factor(self.step, recipe.steps, recipe.schedule)
        samples = self._draw_batch()
        self.network.train()
        inputs = samples.inputs.to(self.device).contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision):
            prediction = self.forward(inputs)
        loss = self.objective.compute_loss(prediction.float(), samples)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        update_average(self.average, self.network, recipe.ema, self.step)
        return float(loss.detach())

    def _draw_batch(self) -> Any:
        """Render what the recipe's reuse asks for, and draw this process's part of a batch of one shape."""
        recipe = self.recipe
        shape = recipe.shapes[int(torch.randint(len(recipe.shapes), (), generator=self.generator))]
        pool = self.pools[shape]
        batch = self.processes.count_own(recipe.batch)
        self.owed[shape] += batch / recipe.reuse
        while self.owed[shape] > 0 or len(pool.samples) < batch:
            rendered = self.source.render(shape, self.generator)
            pool.add(rendered, self.generator)
            self.owed[shape] -= len(rendered.inputs)
        return self.objective.samples.join(pool.draw(batch, self.generator))
