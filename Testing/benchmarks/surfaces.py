"""How long cleaning, meshing, checking and writing take: ``python Testing/benchmarks/surfaces.py``.

A knee of 512 x 512 x 250 voxels of 0.5 mm with four bones of lifelike size, made of ellipsoids and bent cylinders.
Floors to compare with: one pass of connected components over the volume, and isosurfaces with nothing done to them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from KneeSegLib.anatomy import JOINT_BONES, Structure, structure
from KneeSegLib.cleaning import clean_labels, close_with_ball
from KneeSegLib.surfaces import decimate, surface_file_name, surface_of, surface_quality, write_surface

SIZE = (250, 512, 512)
SPACING_MM = (0.5, 0.5, 0.5)
BONES: list[Structure] = [structure(bone, "right") for bone in JOINT_BONES["knee"]]


def knee() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return labels (Z, Y, X) and the margin of each bone as int8."""
    z, y, x = (
        ((np.arange(n) - n / 2) * step).astype(np.float32).reshape([-1 if axis == own else 1 for axis in range(3)])
        for own, (n, step) in enumerate(zip(SIZE, SPACING_MM))
    )

    def ellipsoid(center: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        scaled = sum(((axis - at) / radius) ** 2 for axis, at, radius in zip((z, y, x), center, radii))
        return (1 - np.sqrt(scaled)) * min(radii)

    def shaft(center: tuple[float, float], radius: float, low: float, high: float) -> np.ndarray:
        round_it = radius - np.hypot(y - center[0] - z**2 / 800, x - center[1])
        return np.minimum(round_it, np.minimum(z - low, high - z))

    depths = {
        "femur_right": np.maximum.reduce(
            [shaft((0, 0), 17, 15, 99), ellipsoid((16, 4, -21), (15, 30, 19)), ellipsoid((16, 4, 21), (15, 30, 19))]
        ),
        "tibia_right": np.maximum(shaft((6, 0), 15, -99, -18), ellipsoid((-14, 4, 0), (13, 26, 38))),
        "patella_right": ellipsoid((18, -42, 0), (21, 11, 22)),
        "fibula_right": shaft((26, -34), 7, -99, -22),
    }
    labels = np.zeros(SIZE, np.uint8)
    margins = {}
    for bone in BONES:
        depth = np.where(labels > 0, -1, depths[bone.key])
        labels[depth > 0] = bone.label_value
        margin = np.round(127 * np.tanh(depth / 0.8)).astype(np.int8)
        margins[bone.key] = np.where((depth > 0) & (margin == 0), 1, margin).astype(np.int8)
    return labels, margins


def timed(name: str, work: Callable[[], Any]) -> Any:
    """Run ``work``, print how long it took and return its result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    print(f"{name:34s} {time.perf_counter() - wall:7.2f} s {time.process_time() - processor:7.2f} s", flush=True)
    return result


def main() -> None:
    labels, margins = knee()
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING_MM)
    margin_images = {key: sitk.GetImageFromArray(values) for key, values in margins.items()}
    for margin in margin_images.values():
        margin.SetSpacing(SPACING_MM)

    print(f"{'stage':34s} {'wall':>9s} {'processor':>9s}")
    timed("floor: connected components once", lambda: ndimage.label(labels))
    timed("cleaning, whole volume", lambda: clean_labels(labels, SPACING_MM, BONES))
    crop = np.ascontiguousarray(labels[:, 106:406, 106:406])
    timed("cleaning, 250 x 300 x 300", lambda: clean_labels(crop, SPACING_MM, BONES))
    timed("closing of the femur, 4.5 mm", lambda: close_with_ball(labels == BONES[0].label_value, 4.5, SPACING_MM))
    timed("floor: four bare isosurfaces", lambda: [surface_of(image, bone, smoothing="none") for bone in BONES])
    timed("four surfaces, from labels", lambda: [surface_of(image, bone) for bone in BONES])
    surfaces = timed(
        "four surfaces, with margins", lambda: [surface_of(image, bone, margin_images[bone.key]) for bone in BONES]
    )
    coarse = timed("femur with edges of 1.5 mm", lambda: decimate(surface_of(image, BONES[0]), 1.5))
    with TemporaryDirectory() as folder:
        for ending in ("stl", "ply", "obj", "vtp"):
            timed(
                f"four {ending} files, read back",
                lambda ending=ending: [
                    write_surface(surface, Path(folder) / surface_file_name(bone, ending), bone)
                    for surface, bone in zip(surfaces, BONES)
                ],
            )
    print(f"\n{'':34s} triangles  pieces  mean mm  max mm  problems")
    for bone, surface in zip([*BONES, BONES[0]], [*surfaces, coarse]):
        quality = surface_quality(surface, image == bone.label_value, with_self_intersections=True)
        print(
            f"{bone.key:34s} {surface.GetNumberOfPolys():9d} {quality.components:7d} {quality.mean_distance_mm:8.3f} "
            f"{quality.max_distance_mm:7.3f}  {' '.join(quality.problems) or 'none'}"
        )


if __name__ == "__main__":
    main()
