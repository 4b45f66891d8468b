"""Results as a run leaves them, made from a label image without any network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.io.volume import read_volume
from KneeSegLib.measurements.structures import measure_structures
from slicer_support.mrml import balls


def labelsFor(image: sitk.Image) -> sitk.Image:
    """Return a label image with the two balls of :func:`slicer_support.mrml.balls` on the grid of ``image``."""
    array = np.zeros(image.GetSize()[::-1], np.uint8)
    for key, ball in balls(array.shape).items():
        array[ball] = structure(key).label_value
    labels = sitk.GetImageFromArray(array)
    labels.CopyInformation(image)
    return labels


def saveResult(volumeFile: Path, folder: Path, warnings: tuple[str, ...] = ()) -> None:
    """Write what ``kneeseg segment`` writes, with the two balls for bones."""
    volume = read_volume(volumeFile)
    labels = labelsFor(volume.image)
    provenance = {"version": "0.0", "pipeline": "ct-knee", "pipeline_title": "CT: knee", "options": {}, "bundles": []}
    provenance |= {"device": "cpu", "timings": {}, "date": "2025-01-01T00:00:00"}
    scan = ScanResult(volume, labels, {}, measure_structures(labels))
    Case([scan], list(warnings), provenance).save(folder)


def saveBlocks(volumeFile: Path, folder: Path, above_mm: float) -> None:
    """Write a case of two scans, the second one's grid so far above the first one's."""
    scans = []
    for name, shift_mm in (("knee", 0.0), ("hip", above_mm)):
        volume = read_volume(volumeFile)
        x, y, z = volume.image.GetOrigin()
        volume.image.SetOrigin((x, y, z + shift_mm))
        labels = labelsFor(volume.image)
        scans.append(ScanResult(volume, labels, {}, measure_structures(labels), name=name))
    provenance = {"version": "0.0", "pipeline": "ct-leg", "timings": {}, "options": {}, "bundles": []}
    Case(scans, ["The patient may have moved."], provenance).save(folder)


def judgedResult(resultFolder: Path, folder: Path, **levels: str) -> Path:
    """Copy a result to ``folder``, as if a pipeline had judged its structures: a level for each key."""
    shutil.copytree(resultFolder, folder)
    record = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    for entry in record["structures"]:
        level = levels[entry["key"]]
        entry["quality"] = {"level": level, "reasons": [], "limits": [], "notes": [], "features": {}}
        if level == "check":
            record["warnings"].append(f"Check the {entry['name'].lower()}. Its outline jumps.")
    (folder / "case.json").write_text(json.dumps(record), encoding="utf-8")
    return folder
