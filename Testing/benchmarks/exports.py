"""DICOM objects written by KneeSeg and read by programs of others: ``python Testing/benchmarks/exports.py FOLDER``.

Parts of the sample's label map (synthetic CT of real anatomy) are laid on grids of every kind, each with a DICOM
series in a frame of reference of its own, and exported as segmentations (binary and label map), structure sets and
surfaces. Then ``exports_readers.py`` reads them in a Python of its own, given by ``--readers``, which needs
``dcmqi pydicom-seg rt-utils dcmrtstruct2nii trimesh python-gdcm numpy-stl``. Without ``--readers`` it says what to run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from KneeSegLib.exporting.export import ExportRequest, export_cases
from KneeSegLib.exporting.saved_case import read_saved_case
from KneeSegLib.exporting.source import find_source
from KneeSegLib.surfaces import write_surface
from Testing.exporting.conftest import GRIDS, Grid, save_small, store, write_source

SAMPLE = Path(__file__).resolve().parents[1] / "slicer" / "data" / "knee_ct_truth.nrrd"
SIZE = (72, 72, 36)
SPACING_MM = (1.2, 1.2, 1.8)
"""Square images of square pixels: rt-utils exchanges rows and columns of others."""
KINDS = {**GRIDS, "leaning slices": Grid(lean_mm=(0.0, 0.1, 0.0))}


def cut_labels(seed: int, grid: Grid) -> sitk.Image:
    """Return a part of the sample that shows at least two bones, on a grid with the directions of ``grid``."""
    whole = sitk.GetArrayFromImage(sitk.ReadImage(str(SAMPLE)))
    random = np.random.default_rng(seed)
    while True:
        first = [int(random.integers(0, n - size + 1)) for n, size in zip(whole.shape, SIZE[::-1])]
        part = whole[tuple(slice(start, start + size) for start, size in zip(first, SIZE[::-1]))].copy()
        part[:4], part[-4:], part[:, :6], part[:, -6:], part[:, :, :6], part[:, :, -6:] = 0, 0, 0, 0, 0, 0
        if sum(int((part == value).sum() > 1500) for value in np.unique(part[part > 0])) >= 2:
            break
    for value in np.unique(part[part > 0]):
        if (part == value).sum() < 1500:
            part[part == value] = 0
    image = sitk.GetImageFromArray(part)
    image.SetSpacing(SPACING_MM)
    image.SetOrigin(random.uniform(-200, 200, 3))
    image.SetDirection(grid.direction)
    return image


def write_case(home: Path, seed: int) -> int:
    """Write one case with its source, what was exported of it and what readers should find; return the objects."""
    kind, grid = list(KINDS.items())[seed % len(KINDS)]
    labels = cut_labels(seed, grid)
    source = write_source(home / "source", grid, labels.GetSize(), SPACING_MM, labels.GetOrigin())
    stored = store(labels, grid.stored)
    place = save_small(home / "case", stored, source)
    scan = read_saved_case(place).scans[0]
    written = {
        "binary": ExportRequest("dicom-seg"),
        "labelmap": ExportRequest("dicom-seg", segments="labelmap"),
        "rtstruct": ExportRequest("rtstruct"),
        "stl": ExportRequest("encapsulated-stl"),
    }
    count = sum(len(export_cases([place], home / name, request).files) for name, request in written.items())
    sitk.WriteImage(stored, str(home / "labels.nrrd"), True)
    on_images = sitk.Image(find_source(scan, None).grid)
    for found in scan.found:
        inside = sitk.Cast(stored == found.structure.label_value, sitk.sitkFloat32)
        placed = sitk.Resample(inside, on_images, sitk.Transform(), sitk.sitkLinear, 0.0)
        on_images = sitk.Maximum(on_images, sitk.Cast(placed >= 0.5, sitk.sitkUInt8) * found.structure.label_value)
        write_surface(scan.surfaces()[found.structure.key], home / f"{found.structure.key}.stl", found.structure)
    sitk.WriteImage(on_images, str(home / "on_images.nrrd"), True)
    table = {found.structure.key: [found.structure.label_value, found.structure.name] for found in scan.found}
    (home / "expected.json").write_text(json.dumps({"kind": kind, "structures": table}), encoding="utf-8")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--readers", type=Path, help="Python with the readers.")
    options = parser.parse_args()
    count = seed = 0
    while count < options.objects:
        count += write_case(options.folder / f"{seed:03}", seed)
        seed += 1
    print(f"{count} objects of {seed} cases written to {options.folder}", flush=True)
    script = Path(__file__).with_name("exports_readers.py")
    if options.readers is None:
        print(f"Now run: PYTHON {script} {options.folder}")
        return
    sys.exit(subprocess.run([str(options.readers), str(script), str(options.folder)], check=False).returncode)


if __name__ == "__main__":
    main()
