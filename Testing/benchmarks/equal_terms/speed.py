"""How long ``ct-knee`` in standard quality and nnU-Net 2D with its default plans take for the same scan.

    OMP_NUM_THREADS=1 python Testing/benchmarks/equal_terms/speed.py --output work/speed --every 10

The scan is the one of ``knee_ct.py``, 512 x 512 x 250 voxels, synthetic. ``ct-knee`` goes from file to surfaces and
report in a process of its own. Of nnU-Net the prediction alone is timed, from the image in memory to logits: it plans
on the scan by itself; its network has random weights, which take as long as trained ones, and infers as nnU-Net does by
default, in windows that overlap by half, mirrored along both axes, and once without mirroring. ``--every`` gives it
each so many slices, and what they take counts so often, since it sees every slice by itself. Each is run once, with as
many threads as ``OMP_NUM_THREADS`` says. What is there already is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout's networks, whatever is installed

import SimpleITK as sitk
from knee_ct import write_scan

from KneeSegLib.evaluation.compare.process import Cost, run_pipeline
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.inference.device import use_device
from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.networks.device import find_device
from KneeSegLib.nnunet.folder import find_model
from KneeSegLib.nnunet.predictor import Network
from KneeSegLib.progress import no_progress

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
    ours = run_ct_knee(whole, options.output)
    image = make_case(options.output, whole, options.every)
    print(f"512 x 512 x 250 voxels (synthetic), {ours.device}")
    print(f"ct-knee, file to surfaces: {ours.seconds:.0f} s, {ours.processor_seconds:.0f} s of processor time")
    model = find_model(make_model(options.output, image))
    for mirroring in (False, True):
        predict(Network(model, find_device("cpu"), mirroring), image, options.every, ours, mirroring)


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


def run_ct_knee(image: Path, output: Path) -> Cost:
    """Run ct-knee from the image's file to labels, surfaces and report, or take what an earlier call measured."""
    record = output / "ct-knee.json"
    if not record.is_file():
        cost = run_pipeline(System("ct-knee", "ct-knee"), image, output / "ct-knee", no_progress)
        record.write_text(json.dumps(asdict(cost), indent=1), encoding="utf-8")
    return Cost(**json.loads(record.read_text(encoding="utf-8")))


def predict(network: Network, image: Path, every: int, ours: Cost, mirroring: bool) -> None:
    """Time nnU-Net's prediction and print it beside ct-knee."""
    scan = sitk.ReadImage(str(image))
    x, y, z = scan.GetSpacing()
    with use_device(find_device("cpu")):
        wall, processor = time.perf_counter(), time.process_time()
        network.predict(sitk.GetArrayFromImage(scan), (z, y, x))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(
        f"nnU-Net 2D, {'' if mirroring else 'not '}mirrored, {scan.GetSize()[2]} slices: {wall:.0f} s, "
        f"{processor:.0f} s of processor time; all slices over ct-knee: {every * wall / ours.seconds:.1f}, of "
        f"processor time {every * processor / ours.processor_seconds:.1f} (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
