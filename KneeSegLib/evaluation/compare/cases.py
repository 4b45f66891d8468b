"""The cases of a comparison: references, and the images that belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from KneeSegLib.anatomy import Side, Structure, structure_of_label
from KneeSegLib.errors import InputError
from KneeSegLib.evaluation.settings import CASE_FOLDERS
from KneeSegLib.measurements.pairs import list_images, list_label_maps

if TYPE_CHECKING:
    import SimpleITK as sitk

    from KneeSegLib.io.label_mapping import LabelMapping


@dataclass(frozen=True)
class ReferenceCase:
    """A reference (label map or result folder) and its image (file or DICOM folder), where there is one."""

    name: str
    reference: Path
    image: Path | None


def find_cases(folder: Path) -> list[ReferenceCase]:
    """Return the cases of a folder that holds one of :data:`CASE_FOLDERS`, or label maps alone.

    Raises:
        InputError: no such folder, or no label map in it.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}; give the folder of the cases, with labels/ and images/ in it as "
            "kneeseg synthesize writes them."
        )
    for labels, images in CASE_FOLDERS:
        if (folder / labels).is_dir():
            found = list_images(folder / images) if (folder / images).is_dir() else {}
            return [
                ReferenceCase(name, path, found.get(name)) for name, path in list_label_maps(folder / labels).items()
            ]
    return [ReferenceCase(name, path, None) for name, path in list_label_maps(folder).items()]


@dataclass(frozen=True)
class LabelMeaning:
    """What the values of label maps stand for.

    Attributes:
        text: as it was given; empty where the files say it or the values are KneeSeg's own.
        table: by value.
        mapping: a mapping file, whose labels may leave the side open.
    """

    text: str = ""
    table: Mapping[int, Structure] | None = None
    mapping: LabelMapping | None = None

    @classmethod
    def parse(cls, text: str | None) -> LabelMeaning:
        """Return the meaning given as ``"5=femur_right,6=tibia_right"``, as a mapping file or as the name of one.

        Raises:
            InputError: it is none of these.
        """
        from KneeSegLib.io.label_mapping import read_label_mapping
        from KneeSegLib.io.label_maps import parse_labels

        if text is None:
            return cls()
        if "=" in text:
            return cls(text, table=parse_labels(text))
        return cls(text, mapping=read_label_mapping(text))

    def read(self, path: Path, side: Side | None, option: str) -> tuple[sitk.Image, list[str]]:
        """Return a label map with KneeSeg's own values, and notes on what the file leaves open.

        Args:
            side: of labels whose mapping tells none.
            option: by which the meaning is given, for sentences.

        Raises:
            InputError: it cannot be read, or a label's side is not known.
        """
        from KneeSegLib.io.label_maps import read_noted_label_map

        return read_noted_label_map(path, self._table(path, side), option)

    def _table(self, path: Path, side: Side | None) -> Mapping[int, Structure] | None:
        if self.mapping is None:
            return self.table
        values = [value for value in self.mapping.labels if isinstance(value, int)]
        if not values:
            raise InputError(
                f"The label mapping {self.mapping.source} names no label by its value, and {path.name} holds values; "
                "write the values into the mapping."
            )
        sided = all(self.mapping.labels[value].side for value in values)
        if side is None and not sided:
            raise InputError(
                f"The label mapping {self.mapping.source} does not tell the sides of its labels, and the case shows "
                "both legs or none; give the labels as VALUE=STRUCTURE_SIDE."
            )
        return self.mapping.structures(values, side or "right")


def find_only_side(labels: sitk.Image) -> Side | None:
    """Return the side of all structures in ``labels``; None where both legs or none are in it."""
    import SimpleITK as sitk

    from KneeSegLib.geometry.boxes import find_label_boxes

    found = find_label_boxes(sitk.GetArrayViewFromImage(labels))
    sides: set[Side] = {structure_of_label(value).side for value in found}
    return sides.pop() if len(sides) == 1 else None
