"""How long ``ct-knee`` in standard quality and nnU-Net 2D with its default plans take for the same scan.

    python Testing/benchmarks/equal_terms/speed.py --output work/speed --every 5

The scan is the one of ``knee_ct.py``, 512 x 512 x 250 voxels, synthetic; ``--every`` keeps each so many slices. nnU-Net
plans on it by itself; its network has random weights, which take as long as trained ones, and infers as nnU-Net does
by default: windows that overlap by half, mirrored along both axes. Each is run once, from file to surfaces, in a
process of its own with as many threads as ``OMP_NUM_THREADS`` says. What random weights label is no anatomy, so that
the stages after nnU-Net's prediction tell nothing: ``predict`` is what to compare. What is there already is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout's networks, whatever is installed

import SimpleITK as sitk
from knee_ct import write_scan

from KneeSegLib.evaluation.compare.process import Cost, run_pipeline
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.io.label_maps import read_label_map

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
DATASET = "Dataset043_Speed"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--output", type=Path, default=Path("work/speed"))
    arguments.add_argument("--every", type=int, default=1, help="of the 250 slices, each so many is kept")
    options = arguments.parse_args()
    image = make_scan(options.output, options.every)
    ours = run(System("ct-knee", "ct-knee"), image, options.output)
    model = make_model(options.output, image)
    theirs = run(System("nnU-Net", "nnunet", {"nnunet": str(model), "side": "right"}), image, options.output)
    report(image, ours, theirs)


def make_scan(output: Path, every: int) -> Path:
    """Render the scan and leave slices out; return its file."""
    image = output / "cases" / "images" / "knee.nrrd"
    if not image.is_file():
        image.parent.mkdir(parents=True, exist_ok=True)
        whole = output / "whole.nrrd"
        write_scan(whole)
        sitk.WriteImage(sitk.ReadImage(str(whole))[:, :, ::every], str(image))
    return image


def make_model(output: Path, image: Path) -> Path:
    """Let nnU-Net plan on the scan with the labels that ct-knee gave it; return the folder of the untrained network."""
    labels = output / "cases" / "labels" / image.name
    labels.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(read_label_map(output / "ct-knee"), str(labels), True)
    raw = output / "nnUNet_raw" / DATASET
    model = output / "nnunet" / "results" / DATASET
    if not raw.is_dir():
        call("-m", "KneeSegLib", "export", "nnunet", image.parents[1], "-o", raw, "--progress", "none")
    if not model.is_dir():
        call(HERE / "nnunet_training.py", raw, output / "nnunet", "--untrained")
    return model


def call(*words: object) -> None:
    """Run a Python program of this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, *map(str, words)], check=True, env=environment)


def run(system: System, image: Path, output: Path) -> Cost:
    """Run a system from the image's file to labels, surfaces and report, or take what an earlier call measured."""
    record = output / f"{system.name}.json"
    if not record.is_file():
        cost = run_pipeline(system, image, output / system.name, lambda fraction, message: None)
        record.write_text(json.dumps(asdict(cost), indent=1), encoding="utf-8")
    return Cost(**json.loads(record.read_text(encoding="utf-8")))


def report(image: Path, ours: Cost, theirs: Cost) -> None:
    """Print both times and how often one goes into the other."""
    size = " x ".join(map(str, sitk.ReadImage(str(image)).GetSize()))
    predicting = theirs.stage_seconds["predict"]
    print(f"{size} voxels (synthetic), {ours.device}; load of the machine at the end {os.getloadavg()[0]:.1f}")
    for name, cost in (("ct-knee", ours), ("nnU-Net 2D", theirs)):
        print(f"{name}: {cost.seconds:.1f} s from file to surfaces, {cost.processor_seconds:.1f} s of processor time")
    print(f"nnU-Net 2D, prediction alone: {predicting:.1f} s")
    print(f"prediction of nnU-Net over all of ct-knee: {predicting / ours.seconds:.1f}")
    print(f"processor time of nnU-Net over that of ct-knee: {theirs.processor_seconds / ours.processor_seconds:.1f}")


if __name__ == "__main__":
    main()
