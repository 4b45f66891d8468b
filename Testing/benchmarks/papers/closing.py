"""The low-field paper's table 1: radius of the closing against metrics and time; prints a table.

    python Testing/benchmarks/papers/closing.py reference.nrrd prediction.seg.nrrd --radii 0 3 5 7 9 10 15

Both files hold our label values on one grid. The prediction should come from a run with ``--closing-mm 0``. Each bone
is closed by itself with a ball of so many voxels (of the finest spacing), and all bones together are compared with all
of the reference's, as the paper does: Dice, Jaccard, average Hausdorff distance over all voxels, and distances of
surfaces, with the time that the closing took. With ``--phantom`` a bone-like body of 286 x 448 x 448 voxels is closed
instead, the size of the paper's scan: time alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout's code, whatever is installed

from KneeSegLib.anatomy import structure_of_label
from KneeSegLib.cleaning.closing import close_with_ball
from KneeSegLib.measurements.metrics import METRICS, compare_masks

PAPER_SHAPE = (286, 448, 448)
METRIC = {metric.key: metric for metric in METRICS}
MEASURED = ("dice", "jaccard", "ahd_mm", "assd_mm", "hd95_mm")
"""The paper's three, its average Hausdorff distance in mm instead of voxels, and two of surfaces."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("reference", type=Path, nargs="?")
    arguments.add_argument("prediction", type=Path, nargs="?")
    arguments.add_argument("--radii", type=float, nargs="+", default=[0, 3, 5, 7, 9, 10, 15], metavar="VOXELS")
    arguments.add_argument("--phantom", action="store_true")
    options = arguments.parse_args()
    if options.phantom:
        time_phantom(options.radii)
        return
    if options.reference is None or options.prediction is None:
        arguments.error("give a reference and a prediction, or --phantom")
    reference, prediction = (sitk.ReadImage(str(path)) for path in (options.reference, options.prediction))
    spacing_mm = tuple(reversed(reference.GetSpacing()))
    wanted, found = sitk.GetArrayFromImage(reference), sitk.GetArrayFromImage(prediction)
    bones = [value for value in np.unique(found).tolist() if value and structure_of_label(value).tissue.kind == "bone"]
    print(" | ".join(["radius, voxels", *(METRIC[key].title for key in MEASURED), "closing, s"]))
    for radius in options.radii:
        started = time.perf_counter()
        closed = close_bones(found, bones, radius * min(spacing_mm), spacing_mm)
        seconds = time.perf_counter() - started
        measured = compare_masks(np.isin(wanted, bones), closed, spacing_mm)
        figures = [f"{measured[key]:.{METRIC[key].digits}f}" for key in MEASURED]
        print(" | ".join([f"{radius:g}", *figures, f"{seconds:.1f}"]), flush=True)


def close_bones(labels: np.ndarray, bones: list[int], radius_mm: float, spacing_mm: tuple) -> np.ndarray:
    """Return the mask of all bones, each closed by itself; ``radius_mm`` 0 closes none."""
    closed = np.isin(labels, bones)
    for value in bones if radius_mm else ():
        closed |= close_with_ball(labels == value, radius_mm, spacing_mm)
    return closed


def time_phantom(radii: list[float]) -> None:
    """Print how long one body with holes, as large as the paper's scan allows, takes."""
    z, y, x = np.ogrid[tuple(slice(-1, 1, complex(0, size)) for size in PAPER_SHAPE)]
    body = (z / 0.9) ** 2 + (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1.0
    body &= np.random.default_rng(0).random(PAPER_SHAPE) > 0.02
    for radius in radii:
        started = time.perf_counter()
        closed = close_with_ball(body, radius, (1.0, 1.0, 1.0))
        print(
            f"radius {radius:g}: {time.perf_counter() - started:.1f} s, {np.count_nonzero(closed & ~body)} voxels added"
        )


if __name__ == "__main__":
    main()
