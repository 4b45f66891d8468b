"""How long ``ct-knee`` in standard quality and nnU-Net 2D with its default plans take for the same scan.

    OMP_NUM_THREADS=1 python Testing/benchmarks/equal_terms/speed.py --output work/speed --every 10

The scan is the one of ``knee_ct.py``, 512 x 512 x 250 voxels, synthetic. nnU-Net plans on it by itself; its network has
random weights, which take as long as trained ones, and infers as nnU-Net does by default: windows that overlap by half,
mirrored along both axes. Each is run once, from file to surfaces, in a process of its own with as many threads as
``OMP_NUM_THREADS`` says. ``--every`` gives nnU-Net each so many slices of the scan, and its prediction counts so often:
it sees every slice by itself. What random weights label is no anatomy, so that the stages after the prediction tell
nothing. What is there already is used again.
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
    arguments.add_argument("--every", type=int, default=1, help="of the 250 slices nnU-Net gets each so many")
    options = arguments.parse_args()
    whole = options.output / "whole.nrrd"
    if not whole.is_file():
        options.output.mkdir(parents=True, exist_ok=True)
        write_scan(whole)
    ours = run(System("ct-knee", "ct-knee"), whole, options.output)
    image = make_case(options.output, whole, options.every)
    model = make_model(options.output, image)
    theirs = run(System("nnU-Net", "nnunet", {"nnunet": str(model), "side": "right"}), image, options.output)
    report(options.every, ours, theirs)


def make_case(output: Path, whole: Path, every: int) -> Path:
    """Write slices of the scan and the labels that ct-knee gave them, to plan on; return the image's file."""
    image, labels = (output / "cases" / kind / "knee.nrrd" for kind in ("images", "labels"))
    for path, content in ((image, sitk.ReadImage(str(whole))), (labels, read_label_map(output / "ct-knee"))):
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(content[:, :, ::every], str(path), True)
    return image


def make_model(output: Path, image: Path) -> Path:
    """Let nnU-Net plan on the case; return the folder of the untrained network."""
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


def report(every: int, ours: Cost, theirs: Cost) -> None:
    """Print both times and how often one goes into the other."""
    predicting = theirs.stage_seconds["predict"]
    processor = theirs.processor_seconds * predicting / theirs.seconds
    print(f"512 x 512 x 250 voxels (synthetic), {ours.device}; load at the end {os.getloadavg()[0]:.1f}")
    print(f"ct-knee, file to surfaces: {ours.seconds:.0f} s, {ours.processor_seconds:.0f} s of processor time")
    print(
        f"nnU-Net 2D, every slice of {every} predicted: {predicting:.0f} s, about {processor:.0f} s of processor time"
    )
    print(f"ratio for all slices: {every * predicting / ours.seconds:.0f}; of processor time "
          f"{every * processor / ours.processor_seconds:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
