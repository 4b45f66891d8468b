"""Compressed images, decoded in another process: a file that crashes the decoder ends that process alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from KneeSegLib.io.image_formats import encodable_paths
from KneeSegLib.io.screening import pictures
from KneeSegLib.io.screening.child import ChildEndedError, Work, run_in_child, write_note
from KneeSegLib.io.screening.settings import CHILD_BYTES, CHILD_SECONDS, CHILD_SECONDS_PER_SLICE, DECODER_BYTES

Reader = Literal["GDCMImageIO"] | pictures.Reader


@dataclass(frozen=True)
class Encoded:
    """Files to be decoded.

    Attributes:
        paths: of the files.
        reader: of ITK.
        largest_pixels: of the largest file, as its header says; bounds the memory.
        slices: of all files; bounds the time.
    """

    paths: Sequence[Path]
    reader: Reader
    largest_pixels: int
    slices: int


class UndecodableError(Exception):
    """A file that cannot be decoded.

    Attributes:
        number: of the file among those that were given, from 0.
        has_crashed: whether it ended the other process, or kept it busy without end.
    """

    def __init__(self, number: int, has_crashed: bool) -> None:
        super().__init__(number, has_crashed)
        self.number, self.has_crashed = number, has_crashed


@contextmanager
def decode_files(files: Encoded) -> Iterator[Iterator[np.ndarray]]:
    """Yield the values of each file in turn, of DICOM (frames, H, W) as the rescale tags give them.

    Raises:
        UndecodableError: one of them cannot be decoded.
    """
    with _run(_decode, files, files.paths) as (undecodable, folder):
        if undecodable is not None:
            raise UndecodableError(undecodable, has_crashed=False)
        yield (np.load(_values_file(folder, number)) for number in range(len(files.paths)))


def digest_files(files: Encoded) -> list[list[str]]:
    """Return a digest of the values of each frame of each file; none of a file that cannot be decoded."""
    digests: list[list[str]] = []
    while len(digests) < len(files.paths):
        left = files.paths[len(digests) :]
        try:
            with _run(_digest, files, left) as (found, _):
                digests += found
        except UndecodableError as error:  # the others are digested again: this is rare
            with _run(_digest, files, left[: error.number]) as (found, _):
                digests += [*found, []]
    return digests


def digest_values(frames: np.ndarray) -> list[str]:
    """Return a digest of each frame, as numbers of one type, since copies may store theirs in others."""
    return [sha256(repr(frame.shape).encode() + frame.astype(np.float64).tobytes()).hexdigest() for frame in frames]


@contextmanager
def _run(work: Work, files: Encoded, paths: Sequence[Path]) -> Iterator[tuple[Any, Path]]:
    bytes_allowed = CHILD_BYTES + DECODER_BYTES * files.largest_pixels
    seconds = CHILD_SECONDS + CHILD_SECONDS_PER_SLICE * files.slices
    try:
        with (
            encodable_paths(paths) as readable,
            run_in_child(work, [[str(path) for path in readable], files.reader], bytes_allowed, seconds) as result,
        ):
            yield result
    except ChildEndedError as ended:
        raise UndecodableError(int(ended.note or 0), has_crashed=True) from None


def _decode(folder: Path, paths: list[str], reader: Reader) -> int | None:
    """Leave the values of each file in the folder; return the number of the first that cannot be decoded."""
    for number, path in enumerate(paths):
        write_note(folder, str(number))
        values = _read_values(path, reader)
        if values is None:
            return number
        np.save(_values_file(folder, number), values)
    return None


def _digest(folder: Path, paths: list[str], reader: Reader) -> list[list[str]]:
    digests = []
    for number, path in enumerate(paths):
        write_note(folder, str(number))
        values = _read_values(path, reader)
        digests.append([] if values is None else digest_values(values))
    return digests


def _values_file(folder: Path, number: int) -> Path:
    return folder / f"{number}.npy"


def _read_values(path: str, reader: Reader) -> np.ndarray | None:
    try:
        values = sitk.GetArrayFromImage(sitk.ReadImage(path, imageIO=reader))
    except RuntimeError:
        return None
    return values[None] if reader == "GDCMImageIO" and values.ndim == 2 else values
