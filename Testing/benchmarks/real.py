"""Everything real in the data pack, CT and MR: what needs no reference labels is measured, and overlays are written.

    python Testing/benchmarks/real.py DATA_PACK --output work/real [--only ankle legs]

Each scan is segmented once and kept in a folder of its own with its report, which shows the outlines on the image: look
at them. A scan that lies there already is measured again and not segmented again. Figures (``real_figures.py``): where
the edge of the image lies from the surface, spikes, holes in thin bone; and how well two results agree that show the
same bones: two echoes of one acquisition, two fields of view, a scan and its mirror image, a scan and its turned copy.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

from real_figures import measure_edge_mm, measure_hole_mm, measure_spike_mm

import KneeSegLib as ks
from KneeSegLib.anatomy import Structure, structure, structure_of_label
from KneeSegLib.errors import KneeSegError
from KneeSegLib.geometry.boxes import find_label_boxes
from KneeSegLib.io.intensities import Modality
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.io.volume import Volume, read_volume
from KneeSegLib.pipelines.table import CT_EDGES
from KneeSegLib.surfaces.export import read_surface, surface_file_name

TURN_DEGREES = 30.0
FEET_SLICES = 150
"""The first slices of the scan of both legs are a scan of both feet, cut through the tali."""


@dataclass(frozen=True)
class RealScan:
    """A scan: its file in the data pack, the pipeline, and what is done to the image before."""

    file: str
    pipeline: str = "ct-leg"
    change: Callable[[sitk.Image], sitk.Image] = lambda image: image


def mirrored(image: sitk.Image) -> sitk.Image:
    """The mirror image, right and left exchanged, on the same grid; scans here run along the patient's axes."""
    array = sitk.GetArrayFromImage(image)[:, :, ::-1]
    other = sitk.GetImageFromArray(array)
    other.CopyInformation(image)
    return other


def turned(image: sitk.Image, degrees: float = TURN_DEGREES, labels: bool = False) -> sitk.Image:
    """The scan turned about the leg on its own grid."""
    middle = image.TransformContinuousIndexToPhysicalPoint([(count - 1) / 2 for count in image.GetSize()])
    turn = sitk.Euler3DTransform(middle, 0.0, 0.0, math.radians(degrees))
    if labels:
        return sitk.Resample(image, turn, sitk.sitkNearestNeighbor, 0.0)
    return sitk.Resample(image, turn, sitk.sitkLinear, float(sitk.GetArrayViewFromImage(image).min()))


def feet_of(image: sitk.Image) -> sitk.Image:
    return image[:, :, :FEET_SLICES]


LEGS, ANKLE = "legs_ct_visible_human_female.nrrd", "ankle_wbct_dicom.zip"
SCANS = {
    "ankle": RealScan(ANKLE),
    "ankle-mirrored": RealScan(ANKLE, change=mirrored),
    "ankle-turned": RealScan(ANKLE, change=turned),
    "legs": RealScan(LEGS),
    "legs-mirrored": RealScan(LEGS, change=mirrored),
    "feet": RealScan(LEGS, change=feet_of),
    "pelvis": RealScan("example_ct.nii.gz"),
    "abdomen": RealScan("body_ct_dicom.zip"),
    "dess-echo-1": RealScan("knee_dess_echo1.nrrd", "mr-knee"),
    "dess-echo-2": RealScan("knee_dess_echo2.nrrd", "mr-knee"),
    "spin-echo": RealScan("knee_mese_mr_dicom.zip", "mr-knee"),
    "low-field": RealScan("knee_lowfield.nrrd", "mr-knee"),
    "mr-abdomen": RealScan("example_mr_sm.nii.gz", "mr-knee"),
}

PAIRS: dict[tuple[str, str], Callable[[sitk.Image], sitk.Image]] = {
    ("ankle", "ankle-mirrored"): mirrored,
    ("ankle", "ankle-turned"): lambda labels: turned(labels, -TURN_DEGREES, labels=True),
    ("legs", "legs-mirrored"): mirrored,
    ("legs", "feet"): lambda labels: labels,
    ("dess-echo-1", "dess-echo-2"): lambda labels: labels,
}
"""Two results of the same bones, and how the labels of the second are brought back onto the grid of the first."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("data_pack", type=Path)
    arguments.add_argument("--output", type=Path, default=Path("work/real"))
    arguments.add_argument("--only", nargs="+", choices=tuple(SCANS), default=list(SCANS))
    arguments.add_argument("--quality", default="standard")
    arguments.add_argument("--edge", choices=CT_EDGES, default=CT_EDGES[0], help="of bones in CT")
    options = arguments.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows = {}
    print("| Scan | Structure | Volume, cm3 | Mark | Edge, mm | Spike, mm | Hole, mm |\n|" + " --- |" * 7, flush=True)
    for name in options.only:
        try:
            volume = read_scan(SCANS[name], options)
            segment_once(name, volume, options)
        except KneeSegError as error:
            print(f"| {name} | {error} | | | | | |", flush=True)
            continue
        rows[name] = list(measure_scan(options.output / name, volume))
        for row in rows[name]:
            figures = " | ".join(
                "" if row[key] is None else f"{row[key]:+.2f}" for key in ("edge_mm", "spike_mm", "hole_mm")
            )
            print(f"| {name} | {row['structure']} | {row['cm3']:.1f} | {row['mark']} | {figures} |", flush=True)
    agreements = {f"{a} and {b}": dict(compare(a, b, options)) for a, b in PAIRS if {a, b} <= set(rows)}
    print("\n| Scans | Structure | Dice |\n| --- | --- | --- |")
    for pair, by_structure in agreements.items():
        for key, dice in by_structure.items():
            print(f"| {pair} | {key} | {dice:.3f} |")
    (options.output / "real.json").write_text(
        json.dumps(as_strict_json({"scans": rows, "agreements": agreements}), indent=1), encoding="utf-8"
    )


def read_scan(scan: RealScan, options: argparse.Namespace) -> Volume:
    """Read a scan, unpacked beside the results where it comes as an archive."""
    path = options.data_pack / "real_images" / scan.file
    if path.suffix == ".zip":
        folder = options.output / "unpacked" / path.stem
        if not folder.exists():
            zipfile.ZipFile(path).extractall(folder)
        path = folder
    modality: Modality = "MR" if scan.pipeline.startswith("mr") else "CT"
    volume = read_volume(path, modality=None if path.is_dir() else modality)  # DICOM says it itself
    return Volume(scan.change(volume.image), modality, volume.source)


def segment_once(name: str, volume: Volume, options: argparse.Namespace) -> None:
    """Leave the result in its folder, unless it is there."""
    folder = options.output / name
    if not (folder / "case.json").exists():
        pipeline = SCANS[name].pipeline
        edge = options.edge if volume.modality == "CT" else None
        case = ks.segment(
            volume.image, pipeline, quality=options.quality, modality=volume.modality, device="cpu", edge=edge
        )
        case.save(folder)


def measure_scan(folder: Path, volume: Volume) -> Iterator[dict]:
    """Yield a row for each structure of a result; edges only of bones in CT, holes only of hip bones."""
    marks = {entry["key"]: entry["quality"]["level"] for entry in read_entries(folder)}
    labels = read_labels(folder)
    array, spacing_mm = sitk.GetArrayFromImage(labels), labels.GetSpacing()[::-1]
    for value in find_label_boxes(array):
        found = structure_of_label(value)
        mask, bone = array == value, found.tissue.kind == "bone"
        surface = read_surface(folder / "surfaces" / surface_file_name(found))
        yield {
            "structure": found.key,
            "cm3": float(mask.sum() * math.prod(spacing_mm) / 1000.0),
            "mark": marks[found.key],
            "edge_mm": measure_edge_mm(surface, mask, array, volume.image)
            if bone and volume.modality == "CT"
            else None,
            "spike_mm": measure_spike_mm(mask, spacing_mm) if bone else None,
            "hole_mm": measure_hole_mm(mask, spacing_mm) if found.tissue.name == "hip bone" else None,
        }


def compare(first: str, second: str, options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """Yield the Dice of each structure of two results where both show it; a side that is exchanged is brought back."""
    bring_back = PAIRS[first, second]
    one, other = read_labels(options.output / first), bring_back(read_labels(options.output / second))
    a, b = sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other)
    a = a[: b.shape[0]]
    for value in sorted(set(find_label_boxes(a)) | set(find_label_boxes(b))):
        found = structure_of_label(value)
        twin = opposite(found) if bring_back is mirrored else found
        mine, theirs = a == found.label_value, b == twin.label_value
        if mine.any() or theirs.any():
            yield found.key, float(2.0 * (mine & theirs).sum() / (mine.sum() + theirs.sum()))


def opposite(found: Structure) -> Structure:
    return structure(found.tissue.name, "left" if found.side == "right" else "right")


def read_labels(folder: Path) -> sitk.Image:
    return sitk.ReadImage(str(folder / "segmentation.seg.nrrd"))


def read_entries(folder: Path) -> list[dict]:
    return json.loads((folder / "case.json").read_text(encoding="utf-8"))["structures"]


if __name__ == "__main__":
    main()
