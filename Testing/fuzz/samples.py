"""A small sound file of every format that is read, made anew: what mutants are made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import structure

SIZE = 24


def image() -> sitk.Image:
    """Return a CT of a block of bone in tissue, 24 x 24 x 24 voxels of 2 mm."""
    draw = np.random.default_rng(3)
    values = draw.integers(-1000, 60, (SIZE,) * 3).astype(np.int16)
    values[6:18, 8:16, 8:16] = 1200
    result = sitk.GetImageFromArray(values)
    result.SetSpacing((2.0, 2.0, 2.0))
    return result


def labels() -> sitk.Image:
    """Return a label map of one femur on the same grid."""
    values = np.zeros((SIZE,) * 3, np.uint8)
    values[6:18, 8:16, 8:16] = structure("femur_right").label_value
    result = sitk.GetImageFromArray(values)
    result.SetSpacing((2.0, 2.0, 2.0))
    return result


def write_image(folder: Path, name: str, packed: bool = False) -> None:
    sitk.WriteImage(image(), str(folder / name), packed)


def write_labels(folder: Path, name: str) -> None:
    sitk.WriteImage(labels(), str(folder / name), True)


def write_segmentation(folder: Path) -> None:
    from KneeSegLib.io.segmentation_file import write_segmentation
    from KneeSegLib.measurements.structures import measure_structures

    found = {entry.structure: entry.box for entry in measure_structures(labels())}
    write_segmentation(labels(), found, folder / "leg.seg.nrrd")


def write_surface(folder: Path, ending: str) -> None:
    from KneeSegLib.measurements.structures import measure_structures
    from KneeSegLib.surfaces import surface_of, write_surface

    (found,) = measure_structures(labels())
    write_surface(surface_of(labels(), found.structure), folder / f"femur_right.{ending}", found.structure)


def write_dicom(folder: Path) -> None:
    from Testing.io.dicom.conftest import write_series

    write_series(folder, range(0, 30, 3))


def write_compressed_dicom(folder: Path) -> None:
    from Testing.io.dicom.conftest import compress, write_series

    for number, path in enumerate(sorted(write_series(folder, range(0, 30, 3)).iterdir())):
        compress(path, ("JPEG", "JPEG2000", "RLE")[number % 3])


def write_slices(folder: Path, ending: str) -> None:
    for number in range(8):
        sitk.WriteImage(sitk.Image(16, 16, sitk.sitkUInt8) + number, str(folder / f"slice_{number:02d}.{ending}"))


def write_bundle(folder: Path) -> None:
    from KneeSegLib.training.bundle_files import write_bundle
    from KneeSegLib.training.export import describe_bundle
    from KneeSegLib.training.initialisation import build_network
    from KneeSegLib.training.recipe_files import read_recipe

    recipe = read_recipe("ct-knee", widths=[4, 6])
    facts = describe_bundle(recipe, 1, [{"name": "n", "licence": "l", "use": "u"}], {"dice": 0.9})
    network = build_network(recipe)
    write_bundle(folder / "ct-knee", network, recipe.network_config, network.state_dict(), facts)


def write_recipe(folder: Path) -> None:
    from KneeSegLib.training.recipe_files import RECIPES_FOLDER

    for name in ("ct-knee", "mr-knee-patches"):
        (folder / f"{name}.yaml").write_bytes((RECIPES_FOLDER / f"{name}.yaml").read_bytes())


def write_checkpoint(folder: Path) -> None:
    import torch

    from KneeSegLib.training.checkpoints import write_checkpoint

    weights = {"a.weight": torch.arange(64.0), "a.bias": torch.zeros(4)}
    state = {"network": weights, "average": weights, "step": 7, "network_weights": weights, "trainer_name": "x"}
    write_checkpoint(folder / "checkpoint.pt", state)


def write_case(folder: Path) -> None:
    from KneeSegLib.case_record import CASE_FORMAT, CASE_FORMAT_VERSION

    write_surface(folder, "stl")
    (folder / "surfaces").mkdir()
    (folder / "femur_right.stl").rename(folder / "surfaces" / "femur_right.stl")
    entry = {
        "key": "femur_right",
        "voxels": 768,
        "box_index": {"first": [8, 8, 6], "last": [15, 15, 17]},
        "surface": {"file": "surfaces/femur_right.stl"},
    }
    files = {"segmentation": "segmentation.seg.nrrd", "maps": ["maps/a.vtp"]}
    record = {"format": CASE_FORMAT, "format_version": CASE_FORMAT_VERSION, "structures": [entry], "files": files}
    (folder / "case.json").write_text(json.dumps(record), encoding="utf-8")


def write_mapping(folder: Path) -> None:
    from KneeSegLib.io.label_mapping import describe_mapping

    record = describe_mapping(
        {"1": "femur_right", "tibia": "tibia"}, title="x", modality="MR", datasets=["Dataset001_X"]
    )
    (folder / "mapping.json").write_text(json.dumps(record), encoding="utf-8")


def write_table(folder: Path) -> None:
    rows = "input,name,series,pipeline,side\na.nrrd,a,,ct-knee,left\nb/c,b,2,,\n"
    (folder / "scans.csv").write_text(rows, encoding="utf-8")


def write_batch(folder: Path) -> None:
    from KneeSegLib.batch.plan import open_plan
    from KneeSegLib.batch.scans import BatchScan

    open_plan(folder, [BatchScan(str(folder / "a.nrrd"), name="a")], {"pipeline": "ct-knee"})
