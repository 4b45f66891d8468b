"""A saved case as it is now: its label maps, which someone may have corrected, and what its record says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import SimpleITK as sitk

from KneeSegLib.case_reading import is_as_saved, is_inside, read_record
from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.label_meaning import OWN_LABELS, LabelMeaning
from KneeSegLib.measurements.pairs import case_name
from KneeSegLib.measurements.structures import FoundStructure, measure_structures

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

Making = Literal["AUTOMATIC", "SEMIAUTOMATIC"]
"""Whether a structure is as KneeSeg made it, or someone had a hand in it (DICOM's defined terms)."""


@dataclass(frozen=True)
class SavedScan:
    """One scan of a saved case.

    Attributes:
        name: tells it from the others of its case; empty for the only one.
        place: the folder that holds its segmentation, or the file itself.
        labels: uint8; values of :mod:`KneeSegLib.anatomy`.
        found: what ``labels`` hold now.
        record: its entry in ``case.json``; empty where there is none.
        notes: what its file leaves open, such as what its values stand for.
    """

    name: str
    place: Path
    labels: sitk.Image
    found: list[FoundStructure]
    record: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def input(self) -> Mapping[str, Any]:
        """What the record says of the scan itself."""
        known = self.record.get("input")
        return known if isinstance(known, dict) else {}

    def making_of(self, found: FoundStructure) -> Making:
        """Return whether a structure is as it was saved."""
        for entry in self.record.get("structures", ()):
            if entry["key"] == found.structure.key:
                return "AUTOMATIC" if is_as_saved(found, entry) else "SEMIAUTOMATIC"
        return "SEMIAUTOMATIC"

    def surfaces(self) -> dict[str, vtkPolyData]:
        """Return a closed surface (LPS, mm) of each structure: the saved one, or of the labels where they changed."""
        from KneeSegLib.output import read_saved_surfaces
        from KneeSegLib.surfaces import surface_of

        saved = read_saved_surfaces(self.place, self.found) if self.place.is_dir() else {}
        return {
            found.structure.key: saved.get(found.structure.key) or surface_of(self.labels, found.structure)
            for found in self.found
        }


@dataclass(frozen=True)
class SavedCase:
    """A saved case.

    Attributes:
        name: of its folder or file, without endings.
        provenance: of its record; empty where there is none.
    """

    place: Path
    name: str
    scans: tuple[SavedScan, ...]
    provenance: Mapping[str, Any]

    def prefix_of(self, scan: SavedScan) -> str:
        """What stands before the names of a scan's files: nothing for the only one, else ``"hip/"``."""
        return f"{scan.name}/" if scan.name else ""


def read_saved_case(place: Path, meaning: LabelMeaning = OWN_LABELS) -> SavedCase:
    """Return the case in a result folder, or that of a segmentation file alone.

    Args:
        meaning: of the values of its label maps.

    Raises:
        InputError: no such folder or file, a damaged record, label maps that cannot be read, or no structure in them.
    """
    record: Mapping[str, Any] = {}
    if place.is_dir():
        record = read_record(place) or {}
    scans = []
    for entry in record.get("scans", [record]):
        name = entry.get("name", "") if "scans" in record else ""
        if name and not is_inside(place, name):
            raise InputError(f"{place} has a record that names a scan outside its folder; segment again.")
        home = place / name if name else place
        labels, notes = meaning.read(home)
        scans.append(SavedScan(name, home, labels, measure_structures(labels), entry, tuple(notes)))
    if not any(scan.found for scan in scans):
        raise InputError(f"{place} holds no structure, so there is nothing to export; segment again or draw one.")
    provenance = record.get("provenance")
    return SavedCase(
        place,
        shown_name(place.absolute()) if place.is_dir() else case_name(Path(shown_name(place))),
        tuple(scan for scan in scans if scan.found),
        provenance if isinstance(provenance, dict) else {},
    )
