"""The functions through which files of each format come in, and what has to hold of whatever they let in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from Testing.fuzz import mutators, samples


class LetIn(AssertionError):
    """A door let in what it should not."""


@dataclass(frozen=True)
class Door:
    """A format, how a sound sample of it is written, which of its files are changed, and how it is read."""

    write: Callable[[Path], None]
    changed: str
    mutators: tuple[mutators.Mutator, ...]
    read: Callable[[Path], None]


def _read_image(folder: Path, name: str, has_checksum: bool = False) -> None:
    from KneeSegLib.io.volume import check_ct, read_volume

    volume = read_volume(folder / name)
    _require_sound(volume.image)
    check_ct(volume)
    if has_checksum:
        _require_same(volume.image, samples.image(), (folder / name).stat().st_size)


def _read_labels(folder: Path, name: str) -> None:
    from KneeSegLib.io.label_map_contents import read_contents
    from KneeSegLib.io.label_maps import read_label_map

    read_contents(folder / name)
    found = read_label_map(folder / name)
    _require_sound(found)
    _require_same(found, samples.labels(), 0)


def _read_dicom(folder: Path) -> None:
    from KneeSegLib.io.dicom_series import list_series
    from KneeSegLib.io.volume import read_volume

    list(map(str, list_series(folder)))
    _require_sound(read_volume(folder).image)


def _read_slices(folder: Path) -> None:
    from KneeSegLib.io.stated_geometry import StatedGeometry
    from KneeSegLib.io.volume import read_volume

    _require_sound(read_volume(folder, stated=StatedGeometry((1.0, 1.0, 1.0), "LPS")).image)


def _read_surface(folder: Path, ending: str) -> None:
    from KneeSegLib.geometry.mesh import points_of
    from KneeSegLib.surfaces import read_surface

    if not np.isfinite(points_of(read_surface(folder / f"femur_right.{ending}"))).all():
        raise LetIn("a surface with points that are no numbers")


def _read_anatomy_mesh(folder: Path) -> None:
    from KneeSegLib.training.synthesis.meshes import read_mesh

    read_mesh(folder / "femur_right.ply").normals()


def _read_bundle(folder: Path) -> None:
    from KneeSegLib.bundles.own import list_own_bundles, require_own_bundles

    for bundle in list_own_bundles(folder).values():
        bundle.spec  # noqa: B018
        bundle.network()
    require_own_bundles(folder, ["ct-knee"])


def _read_recipe(folder: Path) -> None:
    from KneeSegLib.bundles.weights import network_from
    from KneeSegLib.training.recipe_files import read_recipe

    for path in sorted(folder.iterdir()):
        network_from(read_recipe(path).network_config)


def _read_checkpoint(folder: Path) -> None:
    import torch

    from KneeSegLib.nnunet.checkpoint import read_checkpoint as read_theirs
    from KneeSegLib.training.export import read_averaged_weights

    weights = read_averaged_weights(folder)[0]
    read_theirs(folder / "checkpoint.pt")
    if not torch.equal(weights.get("a.weight", torch.zeros(1)), torch.arange(64.0)):
        raise LetIn("a checkpoint whose weights are not those that were written")


def _read_case(folder: Path) -> None:
    from KneeSegLib.case_reading import list_recorded_files
    from KneeSegLib.measurements.structures import measure_structures
    from KneeSegLib.output import read_saved_surfaces

    if any(not path.resolve().is_relative_to(folder.resolve()) for path in list_recorded_files(folder)):
        raise LetIn("a record that names files elsewhere")
    read_saved_surfaces(folder, measure_structures(samples.labels()))


def _read_mapping(folder: Path) -> None:
    from KneeSegLib.io.label_mapping import read_label_mapping

    read_label_mapping(folder / "mapping.json").resolve({1: "femur", 2: "tibia"})


def _read_table(folder: Path) -> None:
    from KneeSegLib.batch.scan_table import read_scan_table

    read_scan_table(folder / "scans.csv")


def _read_batch(folder: Path) -> None:
    samples.write_batch(folder)


def _require_sound(image: sitk.Image) -> None:
    numbers = [*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]
    if not np.isfinite(numbers).all() or not all(1e-3 <= length <= 1e3 for length in image.GetSpacing()):
        raise LetIn(f"a geometry that is none: {numbers}")


def _require_same(found: sitk.Image, expected: sitk.Image, size: int) -> None:
    """Raise where voxels that a checksum covers differ; a header may say that they lie otherwise."""
    if found.GetSize() != expected.GetSize():
        return
    here, there = sitk.GetArrayViewFromImage(found), sitk.GetArrayViewFromImage(expected)
    differing = int(np.count_nonzero(here != there))
    if 0 < differing < 200:  # a header that says another type or order changes nearly all
        raise LetIn(f"{differing} voxels that are not those that were written")


def _image_door(name: str, packed: bool) -> Door:
    read = partial(_read_image, name=name, has_checksum=packed)
    return Door(partial(samples.write_image, name=name, packed=packed), name, mutators.HEADED, read)


def _surface_door(ending: str, kinds: tuple[mutators.Mutator, ...]) -> Door:
    write = partial(samples.write_surface, ending=ending)
    return Door(write, f"femur_right.{ending}", kinds, partial(_read_surface, ending=ending))


def _picture_door(ending: str) -> Door:
    return Door(partial(samples.write_slices, ending=ending), f"*.{ending}", mutators.BINARY, _read_slices)


def _label_door(name: str) -> Door:
    return Door(partial(samples.write_labels, name=name), name, mutators.HEADED, partial(_read_labels, name=name))


DOORS: dict[str, Door] = {
    "nrrd": _image_door("ct.nrrd", False),
    "nrrd.gz": _image_door("packed.nrrd", True),
    "mha": _image_door("ct.mha", False),
    "mha.zlib": _image_door("packed.mha", True),
    "nii": _image_door("ct.nii", False),
    "nii.gz": _image_door("ct.nii.gz", True),
    "labels.nii.gz": _label_door("labels.nii.gz"),
    "labels.mha": _label_door("labels.mha"),
    "seg.nrrd": Door(
        samples.write_segmentation, "leg.seg.nrrd", mutators.HEADED, partial(_read_labels, name="leg.seg.nrrd")
    ),
    "dicom": Door(samples.write_dicom, "*.dcm", mutators.BINARY, _read_dicom),
    "dicom.compressed": Door(samples.write_compressed_dicom, "*.dcm", mutators.BINARY, _read_dicom),
    "png": _picture_door("png"),
    "tif": _picture_door("tif"),
    "jpg": _picture_door("jpg"),
    "stl": _surface_door("stl", mutators.BINARY),
    "ply": _surface_door("ply", mutators.HEADED),
    "obj": _surface_door("obj", mutators.TEXT),
    "vtp": _surface_door("vtp", mutators.HEADED),
    "anatomy.ply": Door(
        partial(samples.write_surface, ending="ply"), "femur_right.ply", mutators.HEADED, _read_anatomy_mesh
    ),
    "bundle.json": Door(samples.write_bundle, "ct-knee/configs/metadata.json", mutators.JSON, _read_bundle),
    "bundle.safetensors": Door(samples.write_bundle, "ct-knee/models/*.safetensors", mutators.BINARY, _read_bundle),
    "recipe": Door(samples.write_recipe, "*.yaml", mutators.TEXT, _read_recipe),
    "checkpoint": Door(samples.write_checkpoint, "checkpoint.pt", mutators.BINARY, _read_checkpoint),
    "case": Door(samples.write_case, "case.json", mutators.JSON, _read_case),
    "mapping": Door(samples.write_mapping, "mapping.json", mutators.JSON, _read_mapping),
    "table": Door(samples.write_table, "scans.csv", mutators.TEXT, _read_table),
    "batch": Door(samples.write_batch, "batch.json", mutators.JSON, _read_batch),
}


def change(folder: Path, door: Door, seed: int) -> bytes:
    """Change one file of a sample in a folder as the seed says, and return what it holds now."""
    draw = random.Random(seed)
    path = draw.choice(sorted(folder.glob(door.changed)))
    content = path.read_bytes()
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        content = draw.choice(door.mutators)(content, draw)
    path.write_bytes(content)
    return content
