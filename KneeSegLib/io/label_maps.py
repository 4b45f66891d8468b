"""Label maps: result folders of KneeSeg, segmentations saved by 3D Slicer, label images of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import STRUCTURES, Structure, structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_folder import is_dicom
from KneeSegLib.io.dicom_segmentation import is_dicom_segmentation, read_dicom_segmentation
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.image_geometry import check_placing, describe_missing_orientation, require_known_spacing
from KneeSegLib.io.label_segments import (
    Segment,
    describe_renamed,
    list_values,
    read_segments,
    tables_by_name,
    tables_by_number,
    tables_by_our_values,
)
from KneeSegLib.io.mask_folders import is_mask_folder, read_masks
from KneeSegLib.io.screening import require_regular_file
from KneeSegLib.io.screening.reading import read_stored_image
from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME
from KneeSegLib.io.settings import LABEL_WORKING_BYTES, WHOLE_NUMBER

LARGEST_LABEL_VALUE = 65535
"""Of 16 bits without sign, the widest type that label maps are saved in."""


def read_label_map(path: str | Path, labels: Mapping[int, Structure] | None = None) -> sitk.Image:
    """Return a label map with the label values of :mod:`KneeSegLib.anatomy`.

    Args:
        path: NRRD, NIfTI, MHA or any other format that holds the distances of voxels; or a result folder. Segments of
            a ``.seg.nrrd`` are recognised by their identifier or name, whatever their label values.
        labels: what the file's values stand for, where they are not KneeSeg's; values left out count as background.

    Returns:
        3D uint8 image on the file's grid.

    Raises:
        InputError: no such file, unreadable, not 3D, not whole numbers, or values that stand for no known structure.
    """
    return read_noted_label_map(path, labels)[0]


def read_noted_label_map(
    path: str | Path, labels: Mapping[int, Structure] | None = None, option: str = "--labels"
) -> tuple[sitk.Image, list[str]]:
    """Return what :func:`read_label_map` does, and notes on what the file leaves open: numbering, orientation.

    Args:
        option: of the command line by which ``labels`` are given, for the sentences.
    """
    return translate_label_map(open_label_map(path), labels, option)


@dataclass(frozen=True)
class OpenedLabelMap:
    """A label map as its file holds it.

    Attributes:
        layers: of whole numbers, ``[z, y, x]``; a segmentation whose segments overlap has several.
        segments: that the file lists; none where its values have no names.
        notes: on how it lies in space, and on what was left out.
    """

    path: Path
    image: sitk.Image
    layers: list[np.ndarray]
    segments: list[Segment]
    notes: list[str]


def open_label_map(path: str | Path) -> OpenedLabelMap:
    """Return what a label map's file holds, before it is said what its values stand for.

    Raises:
        InputError: no such file, unreadable, not 3D, or not whole numbers.
        ResourceError: not enough memory.
    """
    if is_folder_of_masks(Path(path)):
        return OpenedLabelMap(Path(path), *read_masks(Path(path)))
    path = find_segmentation_file(path)
    require_regular_file(path)
    notes: list[str] = []
    if is_dicom(path):
        if not is_dicom_segmentation(path):
            raise InputError(
                f"{shown_name(path)} is DICOM but no segmentation that can be read, expected a label map; give a DICOM "
                "SEG, or open it in 3D Slicer and save the segmentation as .seg.nrrd."
            )
        image, segments = read_dicom_segmentation(path)
    else:
        image = read_stored_image(path, LABEL_WORKING_BYTES)
        if image.GetDimension() == 3:
            require_known_spacing(path)
        segments = read_segments(image, shown_name(path))
        notes = [note for note in (describe_missing_orientation(path), check_placing(path, image)) if note]
    return OpenedLabelMap(path, image, _layers(image, path), segments, notes)


def is_folder_of_masks(path: Path) -> bool:
    """Return whether a folder is one label map of a file for each structure, and no result folder."""
    return not (path / SEGMENTATION_NAME).is_file() and is_mask_folder(path)


def translate_label_map(
    opened: OpenedLabelMap, labels: Mapping[int, Structure] | None, option: str
) -> tuple[sitk.Image, list[str]]:
    """Return a label map with KneeSeg's own values, and notes; arguments as of :func:`read_noted_label_map`."""
    layers, segments, name = opened.layers, opened.segments, shown_name(opened.path)
    if labels is not None:
        tables = tables_by_number(segments, len(layers), labels, name)
    elif segments:
        tables = tables_by_name(segments, len(layers), name, option)
    else:
        tables = tables_by_our_values(len(layers), name)
    ours = np.zeros(layers[0].shape, np.uint8)
    present = set()
    for layer, table in zip(layers, tables, strict=True):
        values = [int(value) for value in np.flatnonzero(np.bincount(layer.ravel())) if value != 0]
        if labels is None:
            _require_known(values, table, name, option)
        present.update(values)
        translated = _translate(layer, table)
        np.copyto(ours, translated, where=translated != 0)
    result = sitk.GetImageFromArray(ours)
    result.CopyInformation(opened.image)
    notes = [*opened.notes]
    if labels is None:
        notes += describe_renamed(segments, name)
    if labels is not None and present and not ours.any():
        found = list_values([str(value) for value in sorted(present)])
        notes.append(f"{name} holds none of the values that {option} names; it holds {found}.")
    if labels is None and not segments and present:
        meant = ", ".join(f"{value} {tables[0][value].name}" for value in sorted(present))
        notes.append(
            f"{name} does not say what its values stand for; KneeSeg's own numbers were taken ({meant}). "
            f"If they mean something else, say so with {option}."
        )
    return result, notes


def find_segmentation_file(path: str | Path) -> Path:
    """Return the label map's file: ``path`` itself, or the segmentation in it if it is a result folder."""
    path = Path(path)
    if path.is_dir():
        if not (path / SEGMENTATION_NAME).is_file():
            segmentations = [file for file in _list_files(path) if is_dicom(file) and is_dicom_segmentation(file)]
            if len(segmentations) == 1:
                return segmentations[0]
            raise InputError(f"The folder {path} holds no {SEGMENTATION_NAME}; give a result folder or a label image.")
        return path / SEGMENTATION_NAME
    if not path.exists():
        raise InputError(f"There is no file or folder {path}; check the spelling.")
    return path


def _list_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


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


def _layers(image: sitk.Image, path: Path) -> list[np.ndarray]:
    """Return the image's components as arrays (z, y, x) of whole numbers; a segmentation with overlaps has several."""
    if image.GetDimension() != 3:
        raise InputError(
            f"{path} has {image.GetDimension()} dimensions, expected three; give the label map of one volume."
        )
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
    if np.issubdtype(voxels.dtype, np.floating):
        whole = np.rint(voxels)
        # Scaled to integers and back, as nibabel does, whole numbers come out a little beside themselves.
        odd = ~(np.abs(voxels - whole) <= WHOLE_NUMBER)
        if odd.any():
            raise InputError(complaint % f"fractions such as {voxels[odd][0]:g}")
        voxels = whole
    if voxels.min() < 0 or voxels.max() > LARGEST_LABEL_VALUE:
        raise InputError(complaint % f"values from {voxels.min():g} to {voxels.max():g}")
    return voxels.astype(np.uint16)


def _require_known(values: list[int], table: Mapping[int, Structure], name: str, option: str) -> None:
    unknown = [str(value) for value in values if value not in table]
    if unknown:
        raise InputError(
            f"{name} holds {list_values(unknown)}, which {'stands' if len(unknown) == 1 else 'stand'} for no structure "
            f'of KneeSeg. Say what the values stand for with {option} "{unknown[0]}=femur_right".'
        )


def _translate(layer: np.ndarray, table: Mapping[int, Structure]) -> np.ndarray:
    """Return the layer with our label values; what the table leaves out becomes 0."""
    our_value = np.zeros(int(layer.max()) + 1, np.uint8)
    for value, entry in table.items():
        if value < len(our_value):
            our_value[value] = entry.label_value
    return our_value[layer]
