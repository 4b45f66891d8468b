"""What the values or segments of label maps of other programs stand for, as a user says it on any command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from KneeSegLib.anatomy import Side, Structure
from KneeSegLib.errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

    from KneeSegLib.io.label_mapping import LabelMapping
    from KneeSegLib.io.label_maps import OpenedLabelMap
    from KneeSegLib.io.label_segments import Segment

LABELS_HELP = (
    'What the values stand for, if not ours: "5=femur_right,6=tibia_right", a mapping file or the name of one that '
    "comes with KneeSeg."
)


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

    def read(self, path: Path, side: Side | None = None, option: str = "--labels") -> tuple[sitk.Image, list[str]]:
        """Return a label map with KneeSeg's own values, and notes on what the file leaves open.

        Args:
            side: of labels whose mapping tells none.
            option: by which the meaning is given, for sentences.

        Raises:
            InputError: it cannot be read, or a label's side is not known.
        """
        from KneeSegLib.io.label_maps import open_label_map

        return self.translate(open_label_map(path), side, option)

    def translate(
        self, opened: OpenedLabelMap, side: Side | None = None, option: str = "--labels"
    ) -> tuple[sitk.Image, list[str]]:
        """Return what :meth:`read` does, of a label map that was opened."""
        from KneeSegLib.io.label_maps import translate_label_map

        table = self.table if self.mapping is None else self._resolve(opened.segments, opened.path, side)
        return translate_label_map(opened, table, option)

    def is_about(self, opened: OpenedLabelMap) -> bool:
        """Return whether a label map holds one of the values or segments that the meaning names."""
        from KneeSegLib.io.label_map_contents import list_contents

        contents = list_contents(opened)
        if self.mapping is not None:
            return any(self.mapping.target_of(value, contents.names.get(value, "")) for value in contents.values)
        return any(value in (self.table or {}) for value in contents.values)

    def _resolve(self, segments: list[Segment], path: Path, side: Side | None) -> Mapping[int, Structure]:
        """Return the table of a file: a mapping's labels by their values, or by the names of the file's segments."""
        assert self.mapping is not None
        named = {segment.number: segment.name or segment.identity for segment in segments}
        numbers = named or {value: "" for value in self.mapping.labels if isinstance(value, int)}
        found = {number: self.mapping.target_of(number, name) for number, name in numbers.items()}
        targets = {number: target for number, target in found.items() if target is not None}
        if not targets:
            raise InputError(
                f"The label mapping {self.mapping.source} names no label of {path.name} by its value or name; write "
                "them into the mapping."
            )
        if side is None and not all(target.side for target in targets.values()):
            raise InputError(
                f"The label mapping {self.mapping.source} does not tell the sides of its labels, and the case shows "
                "both legs or none; give the labels as VALUE=STRUCTURE_SIDE."
            )
        return {number: target.on(side or "right") for number, target in targets.items()}


OWN_LABELS = LabelMeaning()
"""The files say it themselves, or the values are KneeSeg's own."""
