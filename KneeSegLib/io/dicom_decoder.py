"""Compressed DICOM, decoded by GDCM in another process: a file that crashes it ends that process alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.image_formats import encodable_paths
from KneeSegLib.io.screening.child import ChildEndedError, Work, run_in_child, write_note
from KneeSegLib.io.screening.settings import CHILD_BYTES, CHILD_SECONDS, CHILD_SECONDS_PER_SLICE, DECODER_BYTES


class UndecodableError(Exception):
    """A file that GDCM cannot decode.

    Attributes:
        number: of the file among those that were given, from 0.
        has_crashed: whether it ended the other process, or kept it busy without end.
    """

    def __init__(self, number: int, has_crashed: bool) -> None:
        super().__init__(number, has_crashed)
        self.number, self.has_crashed = number, has_crashed


@contextmanager
def decode_files(paths: Sequence[Path], stack: Sequence[Slice]) -> Iterator[Iterator[np.ndarray]]:
    """Yield the values of each file in turn (frames, H, W), as its rescale tags give them.

    Args:
        stack: slices that are in the files; by them time and memory are bounded.

    Raises:
        UndecodableError: one of them cannot be decoded.
    """
    with _run(_decode, paths, stack) as (undecodable, folder):
        if undecodable is not None:
            raise UndecodableError(undecodable, has_crashed=False)
        yield (np.load(_values_file(folder, number)) for number in range(len(paths)))


def digest_files(paths: Sequence[Path], stack: Sequence[Slice]) -> list[list[str]]:
    """Return a digest of the values of each frame of each file; none of a file that cannot be decoded."""
    digests: list[list[str]] = []
    while len(digests) < len(paths):
        left = paths[len(digests) :]
        try:
            with _run(_digest, left, stack) as (found, _):
                digests += found
        except UndecodableError as error:  # the others are digested again: this is rare
            with _run(_digest, left[: error.number], stack) as (found, _):
                digests += [*found, []]
    return digests


def digest_values(frames: np.ndarray) -> list[str]:
    """Return a digest of each frame, as numbers of one type, since copies may store theirs in others."""
    return [sha256(repr(frame.shape).encode() + frame.astype(np.float64).tobytes()).hexdigest() for frame in frames]


@contextmanager
def _run(work: Work, paths: Sequence[Path], stack: Sequence[Slice]) -> Iterator[tuple[Any, Path]]:
    columns, rows = np.max([plane.size for plane in stack], axis=0).tolist()
    most_frames = max(Counter(plane.path for plane in stack).values())
    bytes_allowed = CHILD_BYTES + DECODER_BYTES * columns * rows * most_frames
    seconds = CHILD_SECONDS + CHILD_SECONDS_PER_SLICE * len(stack)
    try:
        with (
            encodable_paths(paths) as readable,
            run_in_child(work, [[str(path) for path in readable]], bytes_allowed, seconds) as result,
        ):
            yield result
    except ChildEndedError as ended:
        raise UndecodableError(int(ended.note or 0), has_crashed=True) from None


def _decode(folder: Path, paths: list[str]) -> int | None:
    """Leave the values of each file in the folder; return the number of the first that cannot be decoded."""
    for number, path in enumerate(paths):
        write_note(folder, str(number))
        values = _read_values(path)
        if values is None:
            return number
        np.save(_values_file(folder, number), values)
    return None


def _digest(folder: Path, paths: list[str]) -> list[list[str]]:
    digests = []
    for number, path in enumerate(paths):
        write_note(folder, str(number))
        values = _read_values(path)
        digests.append([] if values is None else digest_values(values))
    return digests


def _values_file(folder: Path, number: int) -> Path:
    return folder / f"{number}.npy"


def _read_values(path: str) -> np.ndarray | None:
    try:
        values = sitk.GetArrayFromImage(sitk.ReadImage(path, imageIO="GDCMImageIO"))
    except RuntimeError:
        return None
    return values if values.ndim == 3 else values[None]
