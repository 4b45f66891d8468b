"""Label maps: result folders of KneeSeg, segmentations saved by 3D Slicer, label images of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import STRUCTURES, Structure, structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME
from KneeSegLib.io.settings import MOST_VALUES_NAMED

LARGEST_LABEL_VALUE = 65535
"""Of 16 bits without sign, the widest type that label maps are saved in."""


def read_label_map(path: str | Path, labels: Mapping[int, Structure] | None = None) -> sitk.Image:
    """Return a label map with the label values of :mod:`KneeSegLib.anatomy`.

    Args:
        path: NRRD, NIfTI, MHA or any other format that SimpleITK reads; or a result folder. Segments of a ``.seg.nrrd``
            are recognised by their identifier or name, whatever their label values.
        labels: what the file's values stand for, where they are not KneeSeg's; values left out count as background.

    Returns:
        3D uint8 image on the file's grid.

    Raises:
        InputError: no such file, unreadable, not 3D, not whole numbers, or values that stand for no known structure.
    """
    path = find_segmentation_file(path)
    image = _read(path)
    layers = _layers(image, path)
    if labels is not None:
        tables = [dict(labels) for _ in layers]
    elif image.HasMetaDataKey("Segment0_LabelValue"):
        tables = _segments(image, len(layers), path)
    else:
        tables = [{entry.label_value: entry for entry in STRUCTURES} for _ in layers]
    ours = np.zeros(layers[0].shape, np.uint8)
    for layer, table in zip(layers, tables, strict=True):
        translated = _translate(layer, table, path, others_allowed=labels is not None)
        np.copyto(ours, translated, where=translated != 0)
    result = sitk.GetImageFromArray(ours)
    result.CopyInformation(image)
    return result


def find_segmentation_file(path: str | Path) -> Path:
    """Return the label map's file: ``path`` itself, or the segmentation in it if it is a result folder."""
    path = Path(path)
    if path.is_dir():
        if not (path / SEGMENTATION_NAME).is_file():
            raise InputError(f"The folder {path} holds no {SEGMENTATION_NAME}; give a result folder or a label image.")
        return path / SEGMENTATION_NAME
    if not path.exists():
        raise InputError(f"There is no file or folder {path}; check the spelling.")
    return path


def parse_labels(text: str) -> dict[int, Structure]:
    """Return what values stand for, written as ``"5=femur_right,6=tibia_right"``.

    Raises:
        InputError: not of that form, or no such structure.
    """
    table: dict[int, Structure] = {}
    for entry in text.split(","):
        value, equals, key = (part.strip() for part in entry.partition("="))
        if not (equals and value.isdigit() and 0 < int(value) <= LARGEST_LABEL_VALUE):
            raise InputError(
                f'Labels are given like "5=femur_right,6=tibia_right"; "{entry.strip()}" is not of that form.'
            )
        try:
            table[int(value)] = structure(key)
        except KeyError:
            known = [candidate.key for candidate in STRUCTURES]
            close = get_close_matches(key, known, n=2, cutoff=0.4) or known[:2]
            raise InputError(f'No structure is called "{key}"; did you mean {" or ".join(close)}?') from None
    return table


def _read(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            f"{path} cannot be read as an image; it is damaged, cut short or of an unknown format. "
            "Label maps are given as .seg.nrrd, .nrrd, .nii.gz or .mha."
        ) from error


def _layers(image: sitk.Image, path: Path) -> list[np.ndarray]:
    """Return the image's components as arrays (z, y, x) of whole numbers; a segmentation with overlaps has several."""
    if image.GetDimension() != 3:
        raise InputError(f"{path} has {image.GetDimension()} dimensions; a label map has three.")
    voxels = sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        components = [voxels[..., number] for number in range(voxels.shape[-1])]
    else:
        components = [voxels]
    return [_whole_numbers(component, path) for component in components]


def _whole_numbers(voxels: np.ndarray, path: Path) -> np.ndarray:
    if voxels.dtype in (np.uint8, np.uint16):
        return voxels
    complaint = f"{path} is no label map: it holds %s, and a label map holds one whole number for each structure."
    if np.issubdtype(voxels.dtype, np.floating) and not np.array_equal(voxels, np.floor(voxels)):
        raise InputError(complaint % "fractions")
    if voxels.min() < 0 or voxels.max() > LARGEST_LABEL_VALUE:
        raise InputError(complaint % f"values from {voxels.min():g} to {voxels.max():g}")
    return voxels.astype(np.uint16)


def _segments(image: sitk.Image, layer_count: int, path: Path) -> list[dict[int, Structure]]:
    """Return for each layer of a segmentation file which value stands for which structure."""
    by_identity = {name.casefold(): entry for entry in STRUCTURES for name in (entry.key, entry.name)}
    tables: list[dict[int, Structure]] = [{} for _ in range(layer_count)]
    unknown = []
    number = 0
    while image.HasMetaDataKey(f"Segment{number}_LabelValue"):
        field = {
            key: image.GetMetaData(f"Segment{number}_{key}") if image.HasMetaDataKey(f"Segment{number}_{key}") else ""
            for key in ("LabelValue", "Layer", "ID", "Name")
        }
        found = by_identity.get(field["ID"].casefold()) or by_identity.get(field["Name"].casefold())
        if found:
            tables[int(field["Layer"] or 0)][int(field["LabelValue"])] = found
        else:
            unknown.append(f'{field["LabelValue"]} ("{field["Name"]}")')
        number += 1
    if unknown:
        raise InputError(
            f"{path} has segments that are no structure of KneeSeg: {_listed(unknown)}. Name them like "
            '"Right femur", or say what the values stand for with --labels "5=femur_right,6=tibia_right".'
        )
    return tables


def _translate(layer: np.ndarray, table: Mapping[int, Structure], path: Path, others_allowed: bool) -> np.ndarray:
    counts = np.bincount(layer.ravel())
    present = [int(value) for value in np.flatnonzero(counts) if value != 0]
    unknown = [str(value) for value in present if value not in table]
    if unknown and not others_allowed:
        raise InputError(
            f"{path} holds {_listed(unknown)}, which stand for no structure of KneeSeg. Say what the values stand for "
            'with --labels "5=femur_right,6=tibia_right".'
        )
    our_value = np.zeros(len(counts), np.uint8)
    for value in present:
        if value in table:
            our_value[value] = table[value].label_value
    return our_value[layer]


def _listed(names: list[str]) -> str:
    shown = names[:MOST_VALUES_NAMED]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{'the value' if len(names) == 1 else 'the values'} {', '.join(shown)}{more}"
