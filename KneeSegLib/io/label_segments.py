"""Segments of a segmentation file that 3D Slicer wrote: which value, in which layer, stands for which structure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import SimpleITK as sitk

from KneeSegLib.anatomy import STRUCTURES, Structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.settings import MOST_VALUES_NAMED

Table = dict[int, Structure]
"""What the values of one layer stand for."""

_FIELD = re.compile(r"Segment(\d+)_(LabelValue|Layer|ID|Name)")


@dataclass(frozen=True)
class Segment:
    """One segment of a file: where it lies and what it is called.

    Attributes:
        layer: component of the image.
        value: of its voxels there.
        number: by which a user names it: the value, or in files without values its place in the list, from 1.
        is_guarded: whether its name was typed into a DICOM header, where it may name the patient: it is compared, and
            not shown.
    """

    layer: int
    value: int
    number: int
    identity: str
    name: str
    is_guarded: bool = False

    @property
    def called(self) -> str:
        """How a sentence names it, beside its number."""
        return "" if self.is_guarded else f' ("{self.name}")'


def read_segments(image: sitk.Image, name: str) -> list[Segment]:
    """Return the segments that the header of ``image`` lists; none where it lists none.

    3D Slicer 4.10 and older wrote neither values nor layers: each segment is a component of its own, of zeros and ones.

    Args:
        name: of the file, for the sentence.

    Raises:
        InputError: a value or layer that is none, or segments without values that are not one for each component.
    """
    listed: dict[int, dict[str, str]] = {}
    for key in image.GetMetaDataKeys():
        field = _FIELD.fullmatch(key)
        if field:
            listed.setdefault(int(field[1]), {})[field[2]] = image.GetMetaData(key)
    layers = image.GetNumberOfComponentsPerPixel()
    if not any("LabelValue" in fields for fields in listed.values()):
        if listed and len(listed) != layers:
            raise InputError(
                f"{name} lists {len(listed)} segments without label values for {layers} layers, expected one for each; "
                "open it in 3D Slicer and save it again."
            )
        return [
            Segment(layer, 1, layer + 1, fields.get("ID", ""), fields.get("Name", ""))
            for layer, (_, fields) in enumerate(sorted(listed.items()))
        ]
    segments = []
    for number, fields in sorted(listed.items()):
        value = _whole(fields.get("LabelValue", ""), f"Segment{number}_LabelValue", name)
        layer = _whole(fields.get("Layer", "0"), f"Segment{number}_Layer", name)
        if layer >= layers:
            raise InputError(
                f"{name} says that segment {number} lies in layer {layer} and has {layers}; "
                "open it in 3D Slicer and save it again."
            )
        segments.append(Segment(layer, value, value, fields.get("ID", ""), fields.get("Name", "")))
    return segments


def tables_by_name(segments: list[Segment], layers: int, name: str, option: str) -> list[Table]:
    """Return for each layer which value stands for which structure, by the segments' names and identifiers.

    Raises:
        InputError: a segment that is no structure, or a value that stands for two; ``option`` is what the sentence
            names for a way out.
    """
    tables: list[Table] = [{} for _ in range(layers)]
    unknown = []
    for segment in segments:
        found = _BY_WORD.get(_plain(segment.name)) or _BY_WORD.get(_plain(segment.identity))
        if found:
            before = tables[segment.layer].setdefault(segment.value, found)
            if before != found:
                raise InputError(
                    f"The value {segment.number} of {name} stands for two segments, {before.name} and {found.name}; "
                    "open it in 3D Slicer and save it again."
                )
        else:
            unknown.append(f"{segment.number}{segment.called}")
    if unknown:
        raise InputError(
            f"{name} has segments that are no structure of KneeSeg: {list_values(unknown)}. Name them like "
            f'"Right femur", or say what the values stand for with {option} "5=femur_right,6=tibia_right".'
        )
    return tables


def describe_renamed(segments: list[Segment], name: str) -> list[str]:
    """Return the note on segments whose name, which 3D Slicer shows, is another structure than their identifier."""
    renamed = []
    for segment in segments:
        meant, identified = _BY_WORD.get(_plain(segment.name)), _BY_WORD.get(_plain(segment.identity))
        if meant and identified and meant != identified:
            renamed.append(f'"{segment.name}" ({identified.key})')
    if not renamed:
        return []
    return [
        f"Segments of {name} are named otherwise than their identifiers say, {', '.join(renamed)}: the names were "
        "taken."
    ]


def tables_by_number(segments: list[Segment], layers: int, labels: Mapping[int, Structure], name: str) -> list[Table]:
    """Return for each layer which value stands for which structure, as a user numbered them in ``labels``.

    Raises:
        InputError: a number that several segments have, or layers of a file that lists no segments.
    """
    if not segments:
        if layers > 1:
            raise InputError(_nameless_layers_sentence(name, layers))
        return [dict(labels)]
    tables: list[Table] = [{} for _ in range(layers)]
    for number, entry in labels.items():
        meant = [segment for segment in segments if segment.number == number]
        if len(meant) > 1:
            called = " and".join(segment.called for segment in meant)
            raise InputError(
                f"The value {number} of {name} stands for several segments{called}; name them like "
                '"Right femur" in 3D Slicer instead.'
            )
        for segment in meant:
            tables[segment.layer][segment.value] = entry
    return tables


def tables_by_our_values(layers: int, name: str) -> list[Table]:
    """Return the table of KneeSeg's own label values, for a file that lists no segments.

    Raises:
        InputError: it has several layers: what each of them is stands nowhere.
    """
    if layers > 1:
        raise InputError(_nameless_layers_sentence(name, layers))
    return [{entry.label_value: entry for entry in STRUCTURES}]


def list_values(names: list[str]) -> str:
    """Return values as a sentence lists them: the first few, and how many more."""
    shown = names[:MOST_VALUES_NAMED]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{'the value' if len(names) == 1 else 'the values'} {', '.join(shown)}{more}"


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]+", " ", word).strip().casefold()


_BY_WORD = {_plain(word): entry for entry in STRUCTURES for word in (entry.key, entry.name)}


def _nameless_layers_sentence(name: str, layers: int) -> str:
    return (
        f"{name} has {layers} layers and does not say what they are, expected one layer or named segments; "
        "save it from 3D Slicer as .seg.nrrd, or as one label map."
    )


def _whole(text: str, field: str, name: str) -> int:
    if not text.strip().isdecimal():
        raise InputError(
            f"The field {field} of {name} is '{text}', expected a whole number; open it in 3D Slicer and save it again."
        )
    return int(text)
