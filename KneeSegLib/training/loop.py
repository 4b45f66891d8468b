"""The training loop: render, step, average, save; it can be stopped at any time and goes on where it stood.

It is not made of ``monai.engines``: rendering into pools, checkpoints that hold the random state, the moving average
and the splitting of batches would each be a handler of our own, on top of Ignite as one more package: no shorter.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from KneeSegLib.errors import InputError
from KneeSegLib.networks.ready import fastest_layout
from KneeSegLib.training.checkpoints import CHECKPOINT_NAME, read_checkpoint, write_checkpoint
from KneeSegLib.training.clock import TrainingClock
from KneeSegLib.training.curves import draw_learning_curves
from KneeSegLib.training.feed import SampleFeed
from KneeSegLib.training.initialisation import initialise_network, select_learning_parameters
from KneeSegLib.training.log import TrainingLog
from KneeSegLib.training.objectives import choose_objective
from KneeSegLib.training.optimisation import compute_learning_rate_factor, is_mixed_precision_faster, update_average
from KneeSegLib.training.process_group import ProcessGroup
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.rendering import NumberedRenderings, explain_dead_worker
from KneeSegLib.training.settings import CHECKPOINT_SECONDS, GRADIENT_NORM, REPORT_STEPS
from KneeSegLib.training.sources import TrainingData, as_training_data


@dataclass(frozen=True)
class Running:
    """How a training runs; what it comes to depends on the device and the time alone.

    Attributes:
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        compiled: let torch compile the step first. It takes a minute and a C++ compiler, and then about halves the
            time of a step on a CPU.
        workers: processes that render images ahead; without any the training's own renders, between its steps.
        time_limit_seconds: the learning rate's schedule runs by time and ends then, whatever the recipe's steps.
    """

    device: str = "cpu"
    compiled: bool = False
    workers: int = 0
    time_limit_seconds: float | None = None


class Training:
    """Train one recipe in a folder; create it again with the same folder to resume, exactly where it stood.

    The folder holds ``checkpoint.pt`` (tensors and numbers only), ``best.pt`` with the averaged weights that did best
    on subjects that are not trained on, ``log.csv`` and ``curves.svg``. Started by ``torchrun``, several processes
    train together.

    Args:
        data: what to train on, or a folder of prepared anatomy.
        start: bundle whose weights a new training starts from; see :mod:`~KneeSegLib.training.weight_transfer`.

    Raises:
        InputError: no subject is prepared for the recipe, or it lets only some layers learn and there is no ``start``.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Path | TrainingData,
        folder: Path,
        running: Running = Running(),
        start: Path | None = None,
    ) -> None:
        self.recipe, self.running = recipe, running
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = ProcessGroup.join(torch.device(running.device))
        self.device = self.processes.choose_device(running.device)
        self.generator = torch.Generator().manual_seed(recipe.seed + self.processes.rank)
        given = as_training_data(data)
        renderings = NumberedRenderings(recipe, given.open(recipe, "train"), given.open(recipe, "validation"))
        self.feed = SampleFeed(recipe, renderings, self.processes)
        self.clock = TrainingClock(running.time_limit_seconds)
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
        self.mixed_precision = is_mixed_precision_faster(self.device, recipe.planar, running.compiled)
        shared = self.processes.average_gradients(self.network)
        self.forward = torch.compile(shared, dynamic=False) if running.compiled else shared
        self.log = TrainingLog(self.folder, self.objective.figures) if self.processes.is_main else None
        self.step = 0
        self.best = -math.inf
        self._resume()

    @property
    def fraction(self) -> float:
        """How much of the training is done, 0 to 1."""
        done, whole = self.step, self.recipe.steps
        if self.clock.limit_seconds is not None:
            done, whole = self.clock.seconds, self.clock.limit_seconds
        return min(done / whole, 1.0)

    def run(self, report: Callable[[str], None] = print) -> None:
        """Train to the recipe's last step, or until the time is over; ``report`` is told a line now and then.

        Raises:
            ResourceError: a process that renders images has died.
            OutputError: a file could not be written; those that were there before are whole.
        """
        place = self._place_in_schedule()
        if place[0] < place[1]:
            try:
                with explain_dead_worker(self.running.workers):
                    self._run(report)
            finally:
                self.feed.close()
        self.processes.wait()

    def _run(self, report: Callable[[str], None]) -> None:
        self.clock.start()
        self.feed.open(self.running.workers)
        first_step, saved, losses = self.step, 0.0, []
        if self.step == 0 and self.origin and self.log is not None:
            self._validate_and_keep(report)
        done, whole = self._place_in_schedule()
        while done < whole:
            losses.append(self._train_step(compute_learning_rate_factor(done, whole, self.recipe.schedule)))
            self.step += 1
            done, whole = self._place_in_schedule()
            if self.log is None:
                continue
            now, last = self.clock.run_seconds, done >= whole
            if last or self.step % REPORT_STEPS == 0:
                loss = sum(losses) / len(losses)
                speed = self.clock.describe_speed(self.step - first_step, self.feed.rendered, self.feed.waited_seconds)
                report(f"{self.recipe.name} step {self.step} loss {loss:.4f} after {now:.0f} s: {speed}")
                self.log.write(self.step, loss=loss, seconds=now)
                losses.clear()
            if last or now - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = now
            if last or self.step % self.recipe.validate_every == 0:
                self._validate_and_keep(report)

    def _place_in_schedule(self) -> tuple[int, int]:
        """How much of the learning rate's schedule is done, and how much there is; the same in all processes."""
        if self.clock.limit_seconds is None:
            return self.step, self.recipe.steps
        return self.clock.place_in_schedule(self.processes.share_main(self.clock.seconds, self.device))

    def validate(self) -> dict[str, float]:
        """Return the objective's figures on fixed images of subjects that are not trained on."""
        predicted = []
        for parts in self.feed.list_validation():
            samples = self.objective.samples.join(parts)
            with torch.inference_mode():
                predicted.append((self.average(samples.inputs.to(self.device)), samples))
        return self.objective.measure(predicted)

    @property
    def can_go_on(self) -> bool:
        """Whether the folder holds a checkpoint that the next run starts from."""
        return (self.folder / CHECKPOINT_NAME).is_file()

    def save(self) -> None:
        """Write the checkpoint beside its final name, then rename it."""
        self._write(
            CHECKPOINT_NAME,
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            generator=self.generator.get_state(),
            feed=self.feed.get_state(),
            clock=self.clock.get_state(),
        )

    def _write(self, name: str, **more: Any) -> None:
        state = {"step": self.step, "origin": self.origin, "best": self.best, "average": self.average.state_dict()}
        write_checkpoint(self.folder / name, {**state, **more})

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
        path = self.folder / CHECKPOINT_NAME
        if not self.can_go_on:
            return
        state = read_checkpoint(path, self.device)
        try:
            self._take_up(state)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise InputError(
                f"The checkpoint {path} is of another training or damaged ({type(error).__name__}); take it from a "
                "copy, or take it away to begin anew."
            ) from None

    def _take_up(self, state: dict[str, Any]) -> None:
        """Go on exactly where the training stood whose state was read."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])
        self.origin = state.get("origin", "")
        best = self.folder / "best.pt"
        if best.is_file():
            self.best = float(read_checkpoint(best, self.device)["best"])
        if "clock" in state:  # checkpoints of before have none, and rendered in another order
            self.clock.set_state(state["clock"])
        if self.processes.is_main:
            self.generator.set_state(state["generator"].cpu())
            if "feed" in state:
                self.feed.set_state(state["feed"])
        else:  # the file knows the state of the main process only
            if "feed" in state:
                self.feed.set_state({**state["feed"], "kept": [], "next": state["feed"]["next"] + self.processes.rank})
            self.generator.manual_seed(self.recipe.seed + self.processes.rank + self.processes.size * self.step)

    def _train_step(self, learning_rate_factor: float) -> float:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * learning_rate_factor
        samples = self.objective.samples.join(self.feed.draw_batch(self.generator))
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
