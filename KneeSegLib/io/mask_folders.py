"""Folders of masks, a file for each structure that is called after it, as TotalSegmentator writes them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import STRUCTURES
from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.image_geometry import check_placing, describe_missing_orientation, require_known_spacing
from KneeSegLib.io.label_mapping import plain_name, read_label_mapping, shipped_mappings
from KneeSegLib.io.label_segments import Segment
from KneeSegLib.io.screening.reading import read_stored_image
from KneeSegLib.io.settings import LABEL_WORKING_BYTES, SAME_GRID_MM

_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".nhdr")


def is_mask_folder(folder: Path) -> bool:
    """Return whether a folder holds a file that is called after a structure, by KneeSeg's name or another tool's."""
    return folder.is_dir() and any(_key_of(path) for path in _list_files(folder))


def read_masks(folder: Path) -> tuple[sitk.Image, list[np.ndarray], list[Segment], list[str]]:
    """Return the masks in a folder that are called after structures.

    Returns:
        An image on their grid; layers ``[z, y, x]`` of the numbers of the masks, several where masks overlap; a segment
        for each mask that is not empty; and notes.

    Raises:
        InputError: a file cannot be read, holds more than zeros and one other value, lies on another grid, or two have
            one name.
    """
    files = {path: key for path in _list_files(folder) if (key := _key_of(path))}
    stems = [plain_name(_stem(path)) for path in files]
    for path, stem in zip(files, stems, strict=True):
        if stems.count(stem) > 1:
            raise InputError(
                f"{stems.count(stem)} files of the folder are called like {shown_name(path)}, expected one mask for "
                "each structure; keep the right one."
            )
    layers: list[np.ndarray] = []
    segments: list[Segment] = []
    notes: list[str] = []
    grid: sitk.Image | None = None
    for number, (path, key) in enumerate(files.items(), start=1):
        image = read_stored_image(path, LABEL_WORKING_BYTES)
        mask = _as_mask(image, path)
        if grid is None:
            require_known_spacing(path)
            grid = sitk.Image(image.GetSize(), sitk.sitkUInt8)
            grid.CopyInformation(image)
            notes += [note for note in (describe_missing_orientation(path), check_placing(path, image)) if note]
        elif not _is_same_grid(image, grid):
            raise InputError(
                f"{shown_name(path)} has another grid than the other masks of its folder, expected masks of one image; "
                "keep those of one image in a folder."
            )
        if not mask.any():
            continue
        free = next((place for place, layer in enumerate(layers) if not (layer[mask] != 0).any()), len(layers))
        if free == len(layers):
            layers.append(np.zeros(mask.shape, np.uint8))
        layers[free][mask] = number
        segments.append(Segment(free, number, number, key, _stem(path)))
    left_out = len(_list_files(folder)) - len(files)
    if left_out:
        what = "file is" if left_out == 1 else "files are"
        notes.append(f"{left_out} {what} called after no structure of KneeSeg and left out.")
    assert grid is not None
    return grid, layers or [np.zeros(grid.GetSize()[::-1], np.uint8)], segments, notes


def _list_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.endswith(_ENDINGS) and not path.name.startswith(".")
    )


def _stem(path: Path) -> str:
    return path.name[: -len(next(ending for ending in _ENDINGS if path.name.endswith(ending)))]


def _key_of(path: Path) -> str:
    return _keys_by_name().get(plain_name(_stem(path)), "")


@cache
def _keys_by_name() -> dict[str, str]:
    """Return the structures' keys by the names that KneeSeg and the shipped mappings have for them, sides included."""
    own = {plain_name(word): entry.key for entry in STRUCTURES for word in (entry.key, entry.name)}
    others = {
        name: target.on(target.side).key
        for mapping in map(read_label_mapping, shipped_mappings())
        for name, target in mapping.labels.items()
        if isinstance(name, str) and target.side is not None
    }
    return {**others, **own}


def _as_mask(image: sitk.Image, path: Path) -> np.ndarray:
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{shown_name(path)} is no mask of one volume, expected one value for each voxel in 3D.")
    voxels = sitk.GetArrayViewFromImage(image)
    mask = voxels != 0
    if mask.any() and voxels[mask].min() != voxels[mask].max():
        raise InputError(
            f"{shown_name(path)} is called after one structure and holds several values, expected a mask of zeros and "
            "one other value; give a label map by its file."
        )
    return mask


def _is_same_grid(one: sitk.Image, other: sitk.Image) -> bool:
    return one.GetSize() == other.GetSize() and all(
        np.allclose(get(one), get(other), atol=SAME_GRID_MM)
        for get in (sitk.Image.GetOrigin, sitk.Image.GetSpacing, sitk.Image.GetDirection)
    )
