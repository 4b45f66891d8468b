"""DICOM segmentations (SEG), binary, fractional or as label maps, read by highdicom."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import SIDE_CODES, SIDES, STRUCTURES
from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.label_segments import Segment
from KneeSegLib.io.settings import FRACTION_INSIDE, LABEL_WORKING_BYTES
from KneeSegLib.memory import require_memory

if TYPE_CHECKING:
    from highdicom import Volume
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.dataset import Dataset

    from KneeSegLib.anatomy import Code

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes: Segmentation Storage, and Label Map Segmentation Storage."""

_log = logging.getLogger(__name__)


def is_dicom_segmentation(path: Path) -> bool:
    """Return whether a DICOM file holds a segmentation."""
    import pydicom

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
    require_memory(voxels * (LABEL_WORKING_BYTES + len(numbers)), f"Reading {shape} voxels from {name}")
    try:
        volume = _read_numbers(segmentation, path)
    except Exception as error:  # as above
        _log.info("highdicom on %s: %s", name, type(error).__name__)
        raise InputError(
            f"The frames of {name}, a DICOM segmentation, cannot be decoded: it is cut short or damaged; export it "
            "again."
        ) from error
    layered = volume.number_of_channel_dimensions > 0
    segments = [
        Segment(layer, 1, number, *_name(segmentation.get_segment_description(number)))
        if layered
        else Segment(0, number, number, *_name(segmentation.get_segment_description(number)))
        for layer, number in enumerate(numbers)
    ]
    return _as_image(volume), segments


def _open(path: Path) -> tuple[Segmentation, list[int]]:
    from highdicom.seg import segread

    with open(path, "rb") as file:  # under whatever name
        segmentation = segread(file)
    return segmentation, [int(number) for number in segmentation.segment_numbers]


def _read_numbers(segmentation: Segmentation, path: Path) -> Volume:
    """Return segment numbers, or where a voxel may belong to several segments, a channel for each."""
    if segmentation.segmentation_type.value != "FRACTIONAL":
        try:
            return segmentation.get_volume(combine_segments=True, allow_missing_positions=True)
        except RuntimeError:  # segments overlap, and what highdicom had begun keeps its table locked
            segmentation, _ = _open(path)
            return segmentation.get_volume(allow_missing_positions=True)
    fractions = segmentation.get_volume(rescale_fractional=True, allow_missing_positions=True)
    return fractions.with_array((fractions.array >= FRACTION_INSIDE).astype(np.uint8))


def _as_image(volume: Volume) -> sitk.Image:
    array, affine = np.asarray(volume.array), np.array(volume.affine, float)
    if np.linalg.det(affine[:3, :3][:, ::-1]) < 0:
        array = array[::-1]
        affine[:3, 3] += affine[:3, 0] * (array.shape[0] - 1)
        affine[:3, 0] *= -1.0
    kind = np.uint8 if array.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.astype(kind)), isVector=array.ndim == 4)
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
