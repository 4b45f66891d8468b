"""How long a knee MR takes from reading to surfaces, stage by stage, and how much memory.

    python Testing/benchmarks/knee_mr.py --prepared work/people_mr [--threads 2]

The scan is rendered from a prepared person of the test group: 160 slices of 384 x 384 pixels, 0.7 x 0.365 x 0.365 mm,
as DESS is scanned. The networks are those that ship, or those in the folder that ``KNEESEG_RESOURCES`` names. Beside
the stages in which networks run stands a floor: the network alone. Wall time depends on what else the machine does;
processor time hardly does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from math import ceil
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from knee_ct import peak_memory_gb, timed

SIZE = (160, 384, 384)
SPACING_MM = (0.7, 0.365, 0.365)
GOAL_SECONDS, GOAL_GB = 60.0, 4.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people_mr"))
    arguments.add_argument("--threads", type=int, help="default: physical cores")
    arguments.add_argument("--scan", type=Path, help=argparse.SUPPRESS)  # for the child
    options = arguments.parse_args()
    if options.scan is not None:
        measure(options.scan)
        return
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder, "knee.nrrd")
        write_scan(scan, options.prepared)
        environment = {**os.environ, **({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {})}
        command = [sys.executable, __file__, "--scan", str(scan)]
        sys.exit(subprocess.run(command, env=environment).returncode)


def write_scan(path: Path, prepared: Path) -> None:
    """Render the first person of the test group."""
    import SimpleITK as sitk
    import torch
    from held_out_mr import synthesis

    from KneeSegLib.training.synthesis.mr.cases import make_image
    from KneeSegLib.training.synthesis.mr.render import render_mr
    from KneeSegLib.training.synthesis.mr.scene import Slab
    from KneeSegLib.training.synthesis.mr.settings import SIGNAL_RANGE
    from KneeSegLib.training.synthesis.mr.subjects import read_knees

    person = read_knees(prepared, "test")[0]
    generator = torch.Generator().manual_seed(2026)
    rendered = render_mr(person, Slab(SIZE, SPACING_MM), synthesis("oai-dess"), generator)
    image = (rendered.image / rendered.image.max() * SIGNAL_RANGE).round().to(torch.int16).numpy()
    sitk.WriteImage(make_image(image, rendered, "right"), str(path), useCompression=False)


def measure(path: Path) -> None:
    """Run once, print the table."""
    from KneeSegLib.assembly import add_cartilage, assemble_case
    from KneeSegLib.inference.device import use_device
    from KneeSegLib.io.volume import read_volume
    from KneeSegLib.mr.slices import sagittal_grid
    from KneeSegLib.pipelines.mr_knee import MrKnee
    from KneeSegLib.pipelines.request import Request
    from KneeSegLib.pipelines.table import MR_SLICES_BUNDLE, PIPELINES

    pipeline = MrKnee(PIPELINES["mr-knee"], Request("mr-knee", device="cpu"))
    processor_started = time.process_time()
    reading, volume = timed(lambda: read_volume(path))
    segmenting, findings = timed(lambda: pipeline.segment(volume))
    assembling, case = timed(lambda: assemble_case(volume, findings))
    measuring, _ = timed(lambda: add_cartilage(case))
    processor = time.process_time() - processor_started
    peak_gb = peak_memory_gb()
    slices = pipeline.model(MR_SLICES_BUNDLE)
    grid = sagittal_grid(findings.scan.grid, slices.spec.spacing_mm[0], slices.stride)
    with use_device(pipeline.device):
        least = floors(grid.shape, case.provenance["knee"]["patches"])
    stages = {"read": reading, **case.provenance["timings"], "assemble": assembling, "cartilage": measuring}
    size = " x ".join(map(str, case.labels.GetSize()))
    print(f"{size} voxels, {pipeline.device.description}, torch {version('torch')}")
    print(f"{'stage':<12}{'s':>8}{'floor s':>10}  floor")
    for stage, seconds in stages.items():
        floor, what = least.get(stage, (0.0, ""))
        print(f"{stage:<12}{seconds:>8.2f}{floor:>10.2f}  {what}")
    print(f"{'total':<12}{sum(stages.values()):>8.2f}{'':>10}  goal {GOAL_SECONDS:.0f} s")
    print(f"processor time {processor:.1f} s, peak memory {peak_gb:.2f} GB (goal {GOAL_GB:.0f} GB)")


def floors(grid: tuple[int, ...], patches: int) -> dict[str, tuple[float, str]]:
    """The seconds that the networks take alone, four slices or patches at a time, and what that is."""
    import torch

    from KneeSegLib.bundles import find_bundle
    from KneeSegLib.networks.ready import ready_for_inference
    from KneeSegLib.pipelines.table import MR_PATCHES_BUNDLE, MR_SHAPE_BUNDLES, MR_SLICES_BUNDLE

    def alone(name: str, batch: int, shape: tuple[int, ...], repeat: int) -> float:
        bundle = find_bundle(name)
        network = ready_for_inference(bundle.network(), "cpu")
        sample = torch.zeros((batch, len(bundle.spec.channels), *shape))
        if len(shape) == 2:
            sample = sample.to(memory_format=torch.channels_last)
        network(sample)
        return timed(lambda: [network(sample) for _ in range(repeat)])[0]

    rows, columns, slices = grid
    patch = find_bundle(MR_PATCHES_BUNDLE).spec.patch.shape
    shapes = sum(alone(name, 1, (88, 88, 88), 2) for name in MR_SHAPE_BUNDLES.values())
    return {
        "slices": (
            alone(MR_SLICES_BUNDLE, 4, (rows, columns), ceil(slices / 4)),
            f"the network alone on {slices} slices",
        ),
        "shape": (shapes, "both networks alone, once for either side"),
        "patches": (alone(MR_PATCHES_BUNDLE, 4, patch, ceil(patches / 4)), f"the network alone on {patches} patches"),
    }


if __name__ == "__main__":
    main()
