"""DICOM segmentations (SEG), binary, fractional or as label maps, read by highdicom."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import SIDE_CODES, SIDES, STRUCTURES
from KneeSegLib.errors import InputError, ResourceError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.label_segments import Segment
from KneeSegLib.io.screening.child import run_in_child
from KneeSegLib.io.screening.deflated_dicom import inflates_beyond
from KneeSegLib.io.screening.settings import (
    CHILD_BYTES,
    CHILD_SECONDS,
    CHILD_SECONDS_PER_SLICE,
    LARGEST_INFLATED_SEGMENTATION,
)
from KneeSegLib.io.settings import FRACTION_BYTES, FRACTION_INSIDE, LABEL_WORKING_BYTES
from KneeSegLib.memory import require_memory

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.dataset import Dataset

    from KneeSegLib.anatomy import Code

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes: Segmentation Storage, and Label Map Segmentation Storage."""

_NUMBERS = "numbers.npy"

_log = logging.getLogger(__name__)


def is_dicom_segmentation(path: Path) -> bool:
    """Return whether a DICOM file holds a segmentation.

    Raises:
        InputError: it is deflated and larger than a segmentation is.
    """
    import pydicom

    if inflates_beyond(path, LARGEST_INFLATED_SEGMENTATION):
        raise InputError(
            f"{shown_name(path)} is DICOM that is deflated as a whole and takes more than "
            f"{LARGEST_INFLATED_SEGMENTATION >> 20} MB, more than a segmentation of a leg does; save it as .seg.nrrd "
            "from 3D Slicer, or export it in another transfer syntax."
        )
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"], force=True)
        return header.get("SOPClassUID") in _SEGMENTATIONS
    except Exception:  # a damaged header raises anything; what reads it next says so
        return False


def read_dicom_segmentation(path: Path) -> tuple[sitk.Image, list[Segment]]:
    """Return a segmentation as an image whose values are segment numbers, and what the segments are.

    Where segments overlap, or are fractions, each is a component of zeros and ones; fractions of a half and more count
    as inside. Frames that a file leaves out, because they are empty, are filled in.

    Raises:
        InputError: it is damaged, of slides, or its frames make no regular grid.
        ResourceError: not enough memory.
    """
    name = shown_name(path)
    try:
        segmentation, numbers = _open(path)
        geometry = segmentation.get_volume_geometry(allow_missing_positions=True)
    except Exception as error:  # highdicom raises what pydicom does: anything
        _log.info("highdicom on %s: %s", name, type(error).__name__)
        raise InputError(
            f"{name} is a DICOM segmentation that cannot be read: it is cut short, damaged or lacks what the standard "
            "demands; export it again, or save it as .seg.nrrd from 3D Slicer."
        ) from error
    if geometry is None:
        raise InputError(
            f"The frames of {name}, a DICOM segmentation, make no regular grid in space, expected one; save it as "
            ".seg.nrrd from 3D Slicer."
        )
    voxels = int(np.prod(geometry.spatial_shape, dtype=np.int64))
    shape = " x ".join(map(str, reversed(geometry.spatial_shape)))
    of_segment = FRACTION_BYTES if segmentation.segmentation_type.value == "FRACTIONAL" else 1
    needed = voxels * (LABEL_WORKING_BYTES + of_segment * len(numbers))
    require_memory(needed, f"Reading {shape} voxels from {name}")
    try:
        if segmentation.file_meta.TransferSyntaxUID.is_encapsulated:
            array, affine = _decode_in_child(path, needed, int(segmentation.NumberOfFrames))
        else:
            array, affine = _read_numbers(segmentation, path)
    except ResourceError:
        raise
    except Exception as error:  # as above
        _log.info("highdicom on %s: %s", name, type(error).__name__)
        raise InputError(
            f"The frames of {name}, a DICOM segmentation, cannot be decoded: it is cut short or damaged; export it "
            "again."
        ) from error
    layered = array.ndim == 4
    segments = [
        Segment(layer if layered else 0, 1 if layered else number, number, *_name(description), is_guarded=True)
        for layer, number in enumerate(numbers)
        for description in (segmentation.get_segment_description(number),)
    ]
    return _as_image(array, affine), segments


def _open(path: Path) -> tuple[Segmentation, list[int]]:
    from highdicom.seg import segread

    with open(path, "rb") as file:  # under whatever name
        segmentation = segread(file)
    return segmentation, [int(number) for number in segmentation.segment_numbers]


def _decode_in_child(path: Path, bytes_allowed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what :func:`_read_numbers` does of frames that are compressed: what crashes a decoder ends it alone."""
    bytes_allowed += CHILD_BYTES + path.stat().st_size
    seconds = CHILD_SECONDS + CHILD_SECONDS_PER_SLICE * frames
    with run_in_child(_leave_numbers, [str(path)], bytes_allowed, seconds) as (affine, folder):
        return np.load(folder / _NUMBERS), np.array(affine)


def _leave_numbers(folder: Path, path: str) -> list[list[float]]:
    segmentation, _ = _open(Path(path))
    array, affine = _read_numbers(segmentation, Path(path))
    np.save(folder / _NUMBERS, array)
    return affine.tolist()


def _read_numbers(segmentation: Segmentation, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return segment numbers [slice, row, column] and the affine matrix of these indices.

    Where a voxel may belong to several segments, there is a fourth axis of a channel for each.
    """
    if segmentation.segmentation_type.value != "FRACTIONAL":
        try:
            volume = segmentation.get_volume(combine_segments=True, allow_missing_positions=True)
        except RuntimeError:  # segments overlap, and what highdicom had begun keeps its table locked
            segmentation, _ = _open(path)
            volume = segmentation.get_volume(allow_missing_positions=True)
        return _compact(volume.array), volume.affine
    volume = segmentation.get_volume(rescale_fractional=True, allow_missing_positions=True)
    return (volume.array >= FRACTION_INSIDE).astype(np.uint8), volume.affine


def _compact(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.uint8 if numbers.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16)


def _as_image(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    affine = np.array(affine, float)
    if np.linalg.det(affine[:3, :3][:, ::-1]) < 0:
        array = array[::-1]
        affine[:3, 3] += affine[:3, 0] * (array.shape[0] - 1)
        affine[:3, 0] *= -1.0
    image = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=array.ndim == 4)
    steps = affine[:3, 2::-1]  # of columns, rows, slices
    lengths = np.linalg.norm(steps, axis=0)
    image.SetSpacing(lengths.tolist())
    image.SetDirection((steps / lengths).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def _name(description: SegmentDescription) -> tuple[str, str]:
    """Return the key of the bone that a segment's codes stand for, empty where they stand for none, and its label."""
    kind = description.segmented_property_type
    modifiers: list[Dataset] = [
        *description.SegmentedPropertyTypeCodeSequence[0].get("SegmentedPropertyTypeModifierCodeSequence", []),
        *(
            modifier
            for region in description.get("AnatomicRegionSequence", [])
            for modifier in region.get("AnatomicRegionModifierSequence", [])
        ),
    ]
    side = _find_side(modifiers)
    bones = (entry for entry in STRUCTURES if entry.tissue.kind == "bone")  # cartilages share one code
    key = next((bone.key for bone in bones if bone.side == side and _is_same(bone.code, kind)), "")
    return key, str(description.segment_label)


def _find_side(modifiers: Sequence[Dataset]) -> str | None:
    found = [side for side in SIDES if any(_is_same(SIDE_CODES[side], modifier) for modifier in modifiers)]
    return found[0] if len(found) == 1 else None


def _is_same(code: Code, concept: Dataset) -> bool:
    """Return whether a concept is that of ``code``, also where it is written in the older SRT, of whatever version."""
    from pydicom.sr.coding import Code as Plain

    value, scheme = str(concept.get("CodeValue", "")), str(concept.get("CodingSchemeDesignator", ""))
    return bool(Plain(value, scheme, "") == Plain(code.value, code.scheme, ""))
