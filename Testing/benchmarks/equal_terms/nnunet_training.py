"""nnU-Net's own 2D training on a raw data set, for a given time, with plans small enough for two processor cores.

    python Testing/benchmarks/equal_terms/nnunet_training.py work/nnUNet_raw/Dataset042_Knee work/nnunet --seconds 900

Planning, preprocessing, sampling, augmentation, network, loss, optimiser and schedule are those of nnunetv2. Of its
plans the patch (256 x 256), the batch (4) and the features of the network (an eighth to a quarter of the planner's)
are other ones; the schedule of the learning rate runs by time instead of by epochs. ``--untrained`` writes the
planner's own network with random weights, for measuring how long it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PATCH = [256, 256]
BATCH = 4
FEATURES = [8, 16, 32, 64, 96, 128, 128]
RATE_POWER = 0.9
"""Of nnU-Net's schedule: the rate falls with (1 - fraction of the training)^0.9."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("dataset", type=Path, help="as `kneeseg export nnunet` writes it")
    arguments.add_argument("output", type=Path, help="for what is preprocessed, and for the trained folder")
    arguments.add_argument("--seconds", type=float, default=900.0)
    arguments.add_argument("--untrained", action="store_true", help="the planner's own network, random weights")
    options = arguments.parse_args()
    os.environ.update(
        nnUNet_raw=str(options.dataset.parent),
        nnUNet_preprocessed=str(options.output / "preprocessed"),
        nnUNet_results=str(options.output / "results"),
        nnUNet_n_proc_DA="0",  # augmentation in this process: the time of a training is that of one core
    )
    preprocessed = options.output / "preprocessed" / options.dataset.name
    if not (preprocessed / "gt_segmentations").is_dir():
        plan_and_preprocess(options.dataset)
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text(encoding="utf-8"))
    if not options.untrained:
        shrink(plans)
    description = json.loads((options.dataset / "dataset.json").read_text(encoding="utf-8"))
    steps, folder = train(plans, description, 0.0 if options.untrained else options.seconds)
    print(f"{steps} steps; {folder}")


def plan_and_preprocess(dataset: Path) -> None:
    """Run nnU-Net's own program on the data set."""
    number = dataset.name[len("Dataset") :].split("_")[0]
    program = Path(sys.executable).parent / "nnUNetv2_plan_and_preprocess"
    environment = {**os.environ, "nnUNet_n_proc_DA": "1"}  # the planner takes it for a number of threads, at least 1
    subprocess.run([program, "-d", number, "-c", "2d", "-np", "1", "-npfp", "1"], check=True, env=environment)


def shrink(plans: dict) -> None:
    """Make patch, batch and network of the 2D configuration smaller."""
    plans["plans_name"] = "nnUNetSmallPlans"
    configuration = plans["configurations"]["2d"]
    configuration["patch_size"], configuration["batch_size"] = PATCH, BATCH
    network = configuration["architecture"]["arch_kwargs"]
    stages = len(FEATURES)
    network.update(
        n_stages=stages,
        features_per_stage=FEATURES,
        kernel_sizes=[[3, 3]] * stages,
        strides=[[1, 1], *[[2, 2]] * (stages - 1)],
        n_conv_per_stage=[2] * stages,
        n_conv_per_stage_decoder=[2] * (stages - 1),
    )


def train(plans: dict, description: dict, seconds: float) -> tuple[int, Path]:
    """Train on all cases for so long; return the number of steps and the folder of the trained configuration."""
    import torch
    from batchgenerators.utilities.file_and_folder_operations import save_json
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class Trainer(nnUNetTrainer):
        def configure_optimizers(self):
            # nnunetv2 2.5 hands torch's schedulers an argument that torch 2.7 and later do not know.
            optimizer = torch.optim.SGD(
                self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay, momentum=0.99, nesterov=True
            )
            return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)

    Trainer.__name__ = "nnUNetTrainer"
    torch.manual_seed(0)
    trainer = Trainer(plans, "2d", "all", description, device=torch.device("cpu"))
    steps = 0
    if seconds:
        trainer.on_train_start()
        trainer.network.train()
        started = time.monotonic()
        while (passed := time.monotonic() - started) < seconds:
            trainer.optimizer.param_groups[0]["lr"] = trainer.initial_lr * (1.0 - passed / seconds) ** RATE_POWER
            result = trainer.train_step(next(trainer.dataloader_train))
            steps += 1
            if steps % 50 == 0:
                print(f"{steps} steps in {passed:.0f} s, loss {float(result['loss']):.3f}", flush=True)
    else:
        trainer.initialize()
        trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()  # the axes to mirror, else none
    trainer.logger.my_fantastic_logging["train_losses"].append(0.0)
    trainer._best_ema = 0.0
    folder = Path(trainer.output_folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_json(plans, str(folder.parent / "plans.json"), sort_keys=False)
    save_json(description, str(folder.parent / "dataset.json"), sort_keys=False)
    trainer.save_checkpoint(str(folder / "checkpoint_final.pth"))
    return steps, folder.parent


if __name__ == "__main__":
    main()
