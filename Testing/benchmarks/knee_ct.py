"""How long a knee CT takes from reading to surfaces, stage by stage, and how much memory.

    python Testing/benchmarks/knee_ct.py [--quality fast] [--threads 2]

The scan is made of ellipsoids: 512 x 512 x 250 voxels of 0.5 x 0.5 x 0.6 mm. The networks do the work of the shipped
ones (same layers and sizes), but the answer comes from the grey values, so that the time does not depend on weights.
Beside each stage stands a floor: the least that has to be done there, done by the plainest means. Wall time depends on
what else the machine does; processor time hardly does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SPACING_MM = (0.6, 0.5, 0.5)
KNEE_MM = {"z_mm": (405.0, 555.0), "y_mm": (-128.0, 128.0), "x_mm": (-218.0, 38.0)}
GOAL_SECONDS, GOAL_GB = 40.0, 3.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quality", choices=("standard", "fast"), default="standard")
    arguments.add_argument("--threads", type=int, help="default: physical cores")
    arguments.add_argument("--scan", type=Path, help=argparse.SUPPRESS)  # for the child
    options = arguments.parse_args()
    if options.scan is not None:
        measure(options.scan, options.quality)
        return
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder, "knee.nrrd")
        write_scan(scan)
        environment = {**os.environ, **({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {})}
        command = [sys.executable, __file__, "--quality", options.quality, "--scan", str(scan)]
        sys.exit(subprocess.run(command, env=environment).returncode)


def write_scan(path: Path) -> None:
    import SimpleITK as sitk

    from Testing.phantoms.legs import leg_phantom

    image = leg_phantom(("right",), spacing_mm=SPACING_MM, **KNEE_MM).image
    sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), str(path), useCompression=False)


def measure(path: Path, quality: str) -> None:
    """Run once, print the table."""
    from KneeSegLib.inference.device import running_on
    from KneeSegLib.pipelines import PIPELINES, QUALITIES
    from KneeSegLib.pipelines.ct_leg import CtLeg
    from KneeSegLib.volume import read_volume

    class Watched(CtLeg):
        """Keeps the answers, whose sizes the floors need."""

        def _sliced(self, *given):
            self.answers = super()._sliced(*given)
            return self.answers

    watched = Watched(PIPELINES["ct-knee"], "auto", QUALITIES[quality], "cpu", bundles_that_work)
    processor_started = time.process_time()
    reading, volume = timed(lambda: read_volume(path))
    segmenting, case = timed(lambda: watched.segment(volume))
    surfacing, surfaces = timed(case.surfaces)
    processor = time.process_time() - processor_started
    peak_gb = peak_memory_gb()
    stages = {"reading": reading, **case.provenance["timings"], "surfaces": surfacing}
    with running_on(watched.device):
        least = floors(path, case, watched.answers[0])
    size = " x ".join(map(str, case.labels.GetSize()))
    print(f"{size} voxels, quality {quality}, {watched.device.description}, torch {version('torch')}")
    print(f"{'stage':<12}{'s':>8}{'floor s':>10}  floor")
    for stage, seconds in stages.items():
        floor, what = least[stage]
        print(f"{stage:<12}{seconds:>8.2f}{floor:>10.2f}  {what}")
    total = reading + segmenting + surfacing
    print(f"{'total':<12}{total:>8.2f}{sum(floor for floor, _ in least.values()):>10.2f}  goal {GOAL_SECONDS:.0f} s")
    print(
        f"processor time {processor:.1f} s, {len(surfaces)} surfaces, "
        f"peak memory {peak_gb:.2f} GB (goal {GOAL_GB:.0f} GB)"
    )


def timed(work: Callable):
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def peak_memory_gb() -> float:
    """The most memory this process has held; on Linux not from ``getrusage``, which remembers the parent's."""
    if sys.platform == "linux":
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30


def bundles_that_work(name: str):
    """Bundles whose networks do the work of the shipped ones and answer like an oracle."""
    import torch
    from torch import nn

    from KneeSegLib.training.recipe import read_recipe
    from Testing.phantoms.legs import OracleBundles

    class WorkingOracle(nn.Module):
        def __init__(self, worker: nn.Module, oracle: nn.Module) -> None:
            super().__init__()
            self.worker, self.oracle, self.stride = worker, oracle, worker.stride

        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            self.worker(volume)
            return self.oracle(volume)

    recipe = read_recipe(name)
    bundle = OracleBundles(spacing_mm=recipe.spacing_mm)(name)
    torch.manual_seed(0)
    network = WorkingOracle(network_of(recipe), bundle.network())
    bundle.network = lambda device="cpu": network
    bundle.metadata["kneeseg"]["spacing_mm"] = [recipe.spacing_mm] * 3
    bundle.metadata["kneeseg"]["channels"] = {"neighbour_offsets_mm": list(recipe.neighbour_offsets_mm)}
    return bundle


def network_of(recipe):
    from KneeSegLib import networks

    config = dict(recipe.network_config)
    return getattr(networks, config.pop("_target_").rsplit(".", 1)[1])(**config).eval()


def floors(path: Path, case, answer) -> dict[str, tuple[float, str]]:
    """The least each stage has to do, in seconds, and what that is."""
    import numpy as np
    import SimpleITK as sitk
    import torch
    from scipy import ndimage
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    from KneeSegLib.inference.device import ready_for_inference
    from KneeSegLib.training.recipe import read_recipe

    def network_alone(name: str, shape: tuple[int, ...], repeat: int) -> float:
        recipe = read_recipe(name)
        network = ready_for_inference(network_of(recipe), "cpu")
        sample = torch.zeros((shape[0], recipe.in_channels, *shape[1:]))
        if len(shape) == 3:
            sample = sample.to(memory_format=torch.channels_last)
        network(sample)
        return timed(lambda: [network(sample) for _ in range(repeat)])[0]

    def rounded(count: float, multiple: int) -> int:
        return int(-(-count // multiple) * multiple)

    hu = sitk.GetArrayViewFromImage(case.volume.image)
    labels = sitk.GetArrayViewFromImage(case.labels)
    extent_mm = [count * step for count, step in zip(hu.shape, reversed(case.volume.image.GetSpacing()))]
    slices, rows, columns = answer.grid.shape
    leg_mm = [count * step for count, step in zip(answer.grid.shape, answer.grid.spacing_mm)]
    box = ndimage.find_objects((labels > 0).view(np.uint8))[0]
    crop = np.ascontiguousarray(labels[box])

    def edges(value: int) -> None:
        image = vtkImageData()
        image.SetDimensions(*reversed(crop.shape))
        image.GetPointData().SetScalars(numpy_to_vtk((crop == value).astype(np.float32).ravel()))
        filter_ = vtkFlyingEdges3D()
        filter_.SetInputData(image)
        filter_.SetValue(0, 0.5)
        filter_.Update()

    def upsampled() -> None:
        for layer in answer.values[None].float().split(1, dim=1):
            torch.nn.functional.interpolate(layer, size=crop.shape, mode="trilinear")

    pass_seconds = timed(lambda: hu.astype(np.float32).sum())[0]
    values = np.unique(labels)[1:]
    return {
        "reading": (timed(lambda: np.fromfile(path, np.int16))[0], "the file's bytes into memory"),
        "localising": (
            pass_seconds + network_alone("ct-localiser", (1, *(rounded(mm / 4.0, 16) for mm in extent_mm)), 1),
            "a pass over the scan, and the network alone",
        ),
        "slices": (
            network_alone("ct-knee", (4, rows, columns), -(-slices // 4)),
            f"the network alone on {slices} slices",
        ),
        "naming": (network_alone("ct-naming", (1, *(rounded(mm / 2.0, 16) for mm in leg_mm)), 1), "the network alone"),
        "labelling": (timed(upsampled)[0], "trilinear interpolation of each class to the bones' box"),
        "cleaning": (timed(lambda: ndimage.label(crop))[0], "one labelling of components in the bones' box"),
        "assembling": (timed(lambda: [labels.copy() for _ in range(2)])[0], "two copies of the labels"),
        "surfaces": (
            timed(lambda: [edges(int(value)) for value in values])[0],
            "the isosurface of each mask, not smoothed",
        ),
    }


if __name__ == "__main__":
    main()
