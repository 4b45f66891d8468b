"""How long a knee CT takes from reading to surfaces, stage by stage, and how much memory.

    python Testing/benchmarks/knee_ct.py [--quality fast|high] [--threads 2]

The scan is generated from the sample knee: 512 x 512 x 250 voxels of 0.5 x 0.5 x 0.6 mm, with air around the leg. The
networks are those that ship, or those in the folder that ``KNEESEG_RESOURCES`` names. Beside each stage stands a floor:
the least that has to be done there, done by the plainest means. Wall time depends on what else the machine does;
processor time hardly does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from math import ceil
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PIPELINE = "ct-knee"
SIZE = (250, 512, 512)
SPACING_MM = (0.6, 0.5, 0.5)
AIR_HU = -1000
GOAL_SECONDS, GOAL_GB = 40.0, 3.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quality", choices=("standard", "high", "fast"), default="standard")
    arguments.add_argument("--threads", type=int, help="default: physical cores")
    arguments.add_argument("--scan", type=Path, help=argparse.SUPPRESS)  # for the child
    options = arguments.parse_args()
    if options.scan is not None:
        measure(options.scan, options.quality)
        return
    require_networks(options.quality)
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder, "knee.nrrd")
        write_scan(scan)
        environment = {**os.environ, **({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {})}
        command = [sys.executable, __file__, "--quality", options.quality, "--scan", str(scan)]
        sys.exit(subprocess.run(command, env=environment).returncode)


def require_networks(quality: str) -> None:
    from KneeSegLib.bundles import find_bundle
    from KneeSegLib.errors import KneeSegError
    from KneeSegLib.pipelines.table import PIPELINES, QUALITIES

    try:
        for name in (*PIPELINES[PIPELINE].bundles, *QUALITIES[quality].bundles):
            find_bundle(name).verify()
    except KneeSegError as error:
        sys.exit(str(error))


def write_scan(path: Path) -> None:
    """Render the middle of the sample knee in cubes of 0.5 mm, interpolate to slices and put air around."""
    import numpy as np
    import SimpleITK as sitk
    import torch

    from KneeSegLib.io.resources import samples_folder
    from KneeSegLib.training.synthesis.anatomy_file import Anatomy
    from KneeSegLib.training.synthesis.ct import render_ct
    from KneeSegLib.training.synthesis.settings import CtSynthesis
    from KneeSegLib.training.synthesis.subjects import PreparedSubject

    person = PreparedSubject(Anatomy.load(samples_folder() / "knee.npz"))
    cube_mm = SPACING_MM[-1]
    extent_mm = [min(size * step, known) for size, step, known in zip(SIZE, SPACING_MM, person.extent_mm)]
    shape = [int(extent / cube_mm) for extent in extent_mm]
    centre_mm = [known / 2 for known in person.extent_mm]
    synthesis = CtSynthesis(other_leg_probability=0.0)
    with torch.inference_mode():
        cubes = render_ct(person, shape, cube_mm, centre_mm, synthesis, torch.Generator().manual_seed(2026)).hu
        slices = torch.nn.functional.interpolate(cubes[None, None], size=(SIZE[0], *shape[1:]), mode="trilinear")[0, 0]
    hu = np.full(SIZE, AIR_HU, np.int16)
    middle = tuple(slice((size - part) // 2, (size - part) // 2 + part) for size, part in zip(SIZE, slices.shape))
    hu[middle] = slices.round().to(torch.int16).numpy()
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(tuple(reversed(SPACING_MM)))
    sitk.WriteImage(image, str(path), useCompression=False)


def measure(path: Path, quality: str) -> None:
    """Run once, print the table."""
    from KneeSegLib.assembly import assemble_case
    from KneeSegLib.inference.device import use_device
    from KneeSegLib.io.volume import read_volume
    from KneeSegLib.pipelines.ct_leg import CtLeg
    from KneeSegLib.pipelines.request import Request
    from KneeSegLib.pipelines.table import PIPELINES

    class Watched(CtLeg):
        """Keeps what the floors need: the predictions of the slices."""

        def predict_joints(self, *given):
            self.joints = super().predict_joints(*given)
            return self.joints

    patches = {}

    def count_patches(fraction: float, message: str) -> None:
        if ": patch " in message:
            patches[message.split(":")[0]] = int(message.split()[-1])

    watched = Watched(PIPELINES[PIPELINE], Request(PIPELINE, quality=quality, device="cpu"))
    processor_started = time.process_time()
    reading, volume = timed(lambda: read_volume(path))
    segmenting, findings = timed(lambda: watched.segment(volume, count_patches))
    assembling, case = timed(lambda: assemble_case(volume, findings))
    surfacing, surfaces = timed(case.surfaces)
    processor = time.process_time() - processor_started
    peak_gb = peak_memory_gb()
    stages = {"read": reading, **case.provenance["timings"], "assemble": assembling, "surfaces": surfacing}
    with use_device(watched.device):
        least = floors(path, case, watched.joints[0], sum(patches.values()))
    size = " x ".join(map(str, case.labels.GetSize()))
    print(f"{size} voxels, quality {quality}, {watched.device.description}, torch {version('torch')}")
    print(f"{'stage':<12}{'s':>8}{'floor s':>10}  floor")
    for stage, seconds in stages.items():
        floor, what = least[stage]
        print(f"{stage:<12}{seconds:>8.2f}{floor:>10.2f}  {what}")
    total = reading + segmenting + assembling + surfacing
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
    """The most memory this process has held."""
    from KneeSegLib.memory import measure_peak_memory

    return measure_peak_memory() / 2**30


def floors(path: Path, case, joint, patches: int) -> dict[str, tuple[float, str]]:
    """The least each stage has to do, in seconds, and what that is."""
    import numpy as np
    import SimpleITK as sitk
    import torch
    from scipy import ndimage
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    from KneeSegLib.bundles import find_bundle
    from KneeSegLib.networks.ready import ready_for_inference
    from KneeSegLib.pipelines.table import JOINT_BUNDLES, LOCALISER_BUNDLE, NAMING_BUNDLE, REFINEMENT_BUNDLE

    def network_alone(name: str, batch: int, voxels: Sequence[int], repeat: int = 1) -> float:
        bundle = find_bundle(name)
        network = ready_for_inference(bundle.network(), "cpu")
        padded = [-(-count // network.stride) * network.stride for count in voxels]
        sample = torch.zeros((batch, len(bundle.spec.channels), *padded))
        if len(padded) == 2:
            sample = sample.to(memory_format=torch.channels_last)
        network(sample)
        return timed(lambda: [network(sample) for _ in range(repeat)])[0]

    def coarse_alone(name: str, mm: Sequence[float]) -> float:
        spacing_mm = find_bundle(name).spec.spacing_mm[0]
        return network_alone(name, 1, [ceil(length / spacing_mm) for length in mm])

    hu = sitk.GetArrayViewFromImage(case.volume.image)
    labels = sitk.GetArrayViewFromImage(case.labels)
    extent_mm = [count * step for count, step in zip(hu.shape, reversed(case.volume.image.GetSpacing()))]
    slices, rows, columns = joint.grid.shape
    leg_mm = [count * step for count, step in zip(joint.grid.shape, joint.grid.spacing_mm)]
    box = ndimage.find_objects((labels > 0).view(np.uint8))[0]
    crop = np.ascontiguousarray(labels[box])

    def patches_alone() -> tuple[float, str]:
        if not patches:
            return 0.0, "not asked for"
        shape = find_bundle(REFINEMENT_BUNDLE).spec.patch.shape
        return network_alone(REFINEMENT_BUNDLE, 4, shape, ceil(patches / 4)), f"the network alone on {patches} patches"

    def edges(value: int) -> None:
        image = vtkImageData()
        image.SetDimensions(*reversed(crop.shape))
        image.GetPointData().SetScalars(numpy_to_vtk((crop == value).astype(np.float32).ravel()))
        filter_ = vtkFlyingEdges3D()
        filter_.SetInputData(image)
        filter_.SetValue(0, 0.5)
        filter_.Update()

    def upsampled() -> None:
        for layer in joint.values[None].float().split(1, dim=1):
            torch.nn.functional.interpolate(layer, size=crop.shape, mode="trilinear")

    pass_seconds = timed(lambda: hu.astype(np.float32).sum())[0]
    values = np.unique(labels)[1:]
    return {
        "read": (timed(lambda: np.fromfile(path, np.int16))[0], "the file's bytes into memory"),
        "localise": (
            pass_seconds + coarse_alone(LOCALISER_BUNDLE, extent_mm),
            "a pass over the scan, and the network alone",
        ),
        "slices": (
            network_alone(JOINT_BUNDLES["knee"], 4, (rows, columns), ceil(slices / 4)),
            f"the network alone on {slices} slices",
        ),
        "semantics": (coarse_alone(NAMING_BUNDLE, leg_mm), "the network alone"),
        "refine": patches_alone(),
        "label": (timed(upsampled)[0], "trilinear interpolation of each class to the bones' box"),
        "clean": (timed(lambda: ndimage.label(crop))[0], "one labelling of components in the bones' box"),
        "check": (timed(lambda: crop[1:] != crop[:-1])[0], "one comparison of neighbours in the bones' box"),
        "assemble": (timed(lambda: [labels.copy() for _ in range(2)])[0], "two copies of the labels"),
        "surfaces": (
            timed(lambda: [edges(int(value)) for value in values])[0],
            "the isosurface of each mask, not smoothed",
        ),
    }


if __name__ == "__main__":
    main()
