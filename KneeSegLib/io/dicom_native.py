"""Pixels that a DICOM file stores as they are, read by numpy: no decoder runs that could crash on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from KneeSegLib.io.decoder import Encoded
from KneeSegLib.io.dicom_slice import Slice

_SYNTAXES = {ImplicitVRLittleEndian: "<", ExplicitVRLittleEndian: "<", ExplicitVRBigEndian: ">"}
_TAGS = [
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PhotometricInterpretation", "RealWorldValueMappingSequence", "PixelData",
]  # fmt: skip
_LARGEST = np.iinfo(np.int32).max


def read_native_values(stack: Sequence[Slice]) -> np.ndarray | None:
    """Return the values of slices (N, H, W) as the rescale tags give them; None where one of them needs a decoder.

    They are int16 or, where that does not hold them, int32 if all rescale tags are whole numbers, and float64 if not.
    """
    if not all(map(_can_be_native, stack)):
        return None
    columns, rows = stack[0].size
    is_whole = all(float(number).is_integer() for plane in stack for number in plane.encoding[:2])
    values = np.empty((len(stack), rows, columns), np.int16 if is_whole else np.float64)
    for path, numbers in list_files(stack).items():
        frames = read_native_frames(path)
        if frames is None or frames.shape[1:] != (rows, columns) or len(frames) <= _last_frame(stack, numbers):
            return None
        for number in numbers:
            plane = rescale(frames[stack[number].frame or 0], stack[number], np.int32 if is_whole else np.float64)
            if values.dtype == np.int16 and not _are_within(plane, 16, "i"):
                values = values.astype(np.int32)
            values[number] = plane
    return values


def rescale(stored: np.ndarray, plane: Slice, kind: type[np.int32 | np.float64] = np.float64) -> np.ndarray:
    """Return the values that stored numbers stand for."""
    slope, intercept = plane.encoding[:2]
    values = stored.astype(kind)
    if slope != 1.0:
        values *= kind(slope)
    values += kind(intercept)
    return values


def list_files(stack: Sequence[Slice]) -> dict[Path, list[int]]:
    """Return the files of slices, each with the places of its slices in the stack."""
    files: dict[Path, list[int]] = {}
    for number, plane in enumerate(stack):
        files.setdefault(plane.path, []).append(number)
    return files


def describe_files(paths: Sequence[Path], stack: Sequence[Slice]) -> Encoded:
    """Return files that hold these slices as what is to be decoded."""
    columns, rows = np.max([plane.size for plane in stack], axis=0).tolist()
    most_frames = max(map(len, list_files(stack).values()))
    return Encoded(paths, "GDCMImageIO", columns * rows * most_frames, len(stack))


def read_native_frames(path: Path) -> np.ndarray | None:
    """Return the numbers that a file stores (frames, H, W); None where they are packed, or not in whole bytes alone."""
    try:
        dataset = pydicom.dcmread(path, force=True, specific_tags=_TAGS)
        return _as_frames(dataset)
    except Exception:  # a damaged file raises anything: the decoder's sentence tells what it is
        return None


def _last_frame(stack: Sequence[Slice], numbers: Sequence[int]) -> int:
    return max(stack[number].frame or 0 for number in numbers)


def _can_be_native(plane: Slice) -> bool:
    slope, intercept = plane.encoding[:2]
    fits = abs(slope) * np.iinfo(np.uint16).max + abs(intercept) <= _LARGEST
    return fits and not (plane.low_is_white and plane.modality == "MR")  # the decoder inverts these


def _as_frames(dataset: Dataset) -> np.ndarray | None:
    order = _SYNTAXES.get(dataset.file_meta.TransferSyntaxUID)
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    plain = (
        order is not None
        and int(dataset.SamplesPerPixel) == 1
        and dataset.PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2")
        and (allocated == 16 or (allocated == 8 and order == "<"))  # two of 8 bits are a word of big endian
        and 1 <= stored <= allocated
        and min(int(dataset.Rows), int(dataset.Columns)) >= 1
        and int(dataset.get("HighBit", stored - 1)) == stored - 1
        and "RealWorldValueMappingSequence" not in dataset  # the decoder puts it before the rescale tags
    )
    if not plain:
        return None
    kind = "i" if int(dataset.PixelRepresentation) else "u"
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    frames = np.frombuffer(dataset.PixelData, f"{order}{kind}{allocated // 8}", int(np.prod(shape, dtype=np.int64)))
    return frames.reshape(shape) if stored == allocated or _are_within(frames, stored, kind) else None


def _are_within(numbers: np.ndarray, bits: int, kind: str) -> bool:
    """Return whether nothing stands in the bits that do not belong to the pixels, such as the lines of an overlay."""
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind == "i" else (0, 2**bits - 1)
    return lowest <= int(numbers.min()) and int(numbers.max()) <= highest
