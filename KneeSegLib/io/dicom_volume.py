"""From what a DICOM folder or file holds to a volume, with notes on what was chosen and left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_folder import FolderContent, read_dicom_file
from KneeSegLib.io.dicom_place import locate_series
from KneeSegLib.io.dicom_series import Series
from KneeSegLib.io.dicom_stack import read_stack
from KneeSegLib.io.file_places import describe_place
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.volume_type import Volume, make_volume


def read_chosen(content: FolderContent, found: Sequence[Series], chosen: Series, wanted: str | None) -> Volume:
    """Return the volume of one of the series in a folder; notes tell of the others where the user named none.

    Raises:
        InputError, ResourceError: as :func:`KneeSegLib.io.dicom_stack.read_stack`.
    """
    notes = []
    if len(found) > 1 and wanted is None:
        passed_over = not chosen.is_projection and any(series.is_projection for series in found)
        no_projection = " that is no projection" if passed_over else ""
        notes.append(
            f"Of {len(found)} series the largest {chosen.modality}{no_projection} was read, number {chosen}; others by "
            "--series."
        )
    if chosen.blocks > 1:
        notes.append(
            f"The series holds {chosen.blocks} blocks of slices with nothing or other distances between them; one was "
            "read, others by --series. If it is one scan, slices are missing: copy or export it again."
        )
    return read_series(content, chosen, [*notes, *_note_doubles(chosen), *list_remarks(content)])


def read_blocks(content: FolderContent, found: Sequence[Series], blocks: Sequence[Series]) -> list[Volume]:
    """Return the volumes of the blocks of one scan; notes on all of them are the first one's.

    A block that cannot be read, such as one with a damaged slice, is left out with a note.

    Raises:
        InputError: none of them can be read: what :func:`KneeSegLib.io.dicom_stack.read_stack` says of the first.
        ResourceError: not enough memory.
    """
    others = len(found) - len(blocks)
    notes = [
        f"The series holds {len(blocks)} blocks of slices with nothing between them, which were taken for blocks of "
        "one examination. If they are to be one scan, slices are missing: copy or export it again."
    ]
    notes += [f"Beside this series the folder holds {others} others; they are read by --series."] if others else []
    notes += [*_note_doubles(blocks[0]), *list_remarks(content)]
    volumes: list[Volume] = []
    failures: list[InputError] = []
    for block in blocks:
        try:
            volumes.append(read_series(content, block, []))
        except InputError as error:
            failures.append(error)
            notes.append(f"'{block.name}' was left out. {error}")
    if not volumes:
        raise failures[0]
    return [replace(volumes[0], notes=(*notes, *volumes[0].notes)), *volumes[1:]]


def read_series(content: FolderContent, chosen: Series, notes: list[str]) -> Volume:
    """Return the volume of a series; ``notes`` come before those on the series itself.

    Raises:
        InputError, ResourceError: as :func:`KneeSegLib.io.dicom_stack.read_stack`.
    """
    try:
        image, on_stack = read_stack(chosen)
    except InputError as error:  # a slice that lacks may be one of those that were left out
        raise InputError(" ".join([str(error), *list_remarks(content)])) from error
    notes = [*notes, *on_stack]
    if any(plane.derived for plane in chosen.stack):
        notes.append(
            "The file holds one position for all its frames; the others were derived from SpacingBetweenSlices along "
            "the normal of the frames. Check that head and foot, or left and right, are not exchanged."
        )
    if chosen.is_projection:
        notes.append(
            "The images of the series are projections of thick slabs (MIP or MinIP), which show bones larger than they "
            "are; give the series that they were made of."
        )
    told = sorted({plane.told_modality for plane in chosen.stack} - {""})
    if told:
        notes.append(
            f"The header calls the modality {', '.join(told)}; it was read as {chosen.modality}, which is the kind of "
            "image that it is (SOPClassUID). Check what its values are."
        )
    sides = {plane.side for plane in chosen.stack}
    frames = {plane.frame_of_reference for plane in chosen.stack}
    return replace(
        make_volume(image, chosen.modality, chosen.name, notes, from_header=True),
        side=sides.pop() if len(sides) == 1 else None,
        frame_of_reference=frames.pop() if len(frames) == 1 else "",
        path=locate_series(content, chosen),
        series_key=chosen.key,
    )


def _note_doubles(series: Series) -> list[str]:
    """Return the note on slices that were left out of a series, of all its blocks together."""
    if not series.doubles:
        return []
    were, counted = ("was", "1 slice") if series.doubles == 1 else ("were", f"{series.doubles} slices")
    return [
        f"{counted} that {were} there twice {were} left out: copies equal another one in every pixel, or are cut short."
    ]


def list_remarks(content: FolderContent) -> list[str]:
    """Return notes on what was left out of a folder."""
    found = []
    if content.unreadable:
        (first, reason), count = next(iter(content.unreadable.items())), len(content.unreadable)
        counted = "1 damaged file was" if count == 1 else f"{count} damaged files were"
        found.append(f"{counted} left out; the first of them is {describe_place(first)}: {reason}.")
    placeless = [
        f"{count} {kind}" for kind, count in content.ignored.items() if " without " in kind or " whose " in kind
    ]
    if placeless:
        found.append(f"Images that do not say where they lie were left out: {', '.join(placeless)}.")
    if content.broken_links:
        found.append(f"Links to files that are not there were left out: {len(content.broken_links)}.")
    if content.closed:
        found.append(f"Folders that may not be opened were left out: {len(content.closed)}.")
    return found


def read_multi_frame(path: Path) -> FolderContent:
    """Return the frames of one DICOM file.

    Raises:
        InputError: it is a single slice, no image, or cannot be read.
    """
    content = read_dicom_file(path)
    name = shown_name(path)
    if len(content.slices) == 1:
        raise InputError(
            f"{name} is one slice of a DICOM series, expected a volume; give the folder with all its slices."
        )
    if content.slices:
        return content
    if content.unreadable:
        raise InputError(f"{name} is DICOM that cannot be read: {content.unreadable[path]}; copy or export it again.")
    kinds = ", ".join(f"{count} {kind}" for kind, count in content.ignored.items()) or "no image"
    raise InputError(f"{name} is DICOM but no volume ({kinds}), expected a CT or MR; give the folder of such a series.")
