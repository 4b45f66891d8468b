"""Modality, body part and side of a volume that came from DICOM, as far as Slicer knows them.

The DICOM database is asked by the UID that the volume carries; where it is not at hand, as with a scene that was saved
elsewhere, the subject hierarchy still has modality and descriptions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import slicer

TAGS = {
    "Modality": "0008,0060",
    "BodyPartExamined": "0018,0015",
    "Laterality": "0020,0060",
    "ImageLaterality": "0020,0062",
    "SeriesDescription": "0008,103E",
    "StudyDescription": "0008,1030",
}
SIDE_CODES = {"R": "right", "L": "left"}
SIDE_WORDS = {"right": {"right", "rt", "rechts"}, "left": {"left", "lt", "links"}}
"""How descriptions name a side, in English and German."""

NO_KNEE = frozenset(
    ("HEAD", "BRAIN", "SKULL", "FACE", "NECK", "SPINE", "CSPINE", "TSPINE", "LSPINE", "CHEST", "THORAX", "BREAST")
    + ("HEART", "ABDOMEN", "LIVER", "KIDNEY", "PROSTATE", "PELVIS", "HIP", "SHOULDER", "HUMERUS", "ELBOW", "FOREARM")
    + ("WRIST", "HAND", "ANKLE", "FOOT")
)
"""Body parts by DICOM's defined terms (PS3.16, annex L) that are certainly no knee; others may be spelt in any way."""


@dataclass(frozen=True)
class DicomFacts:
    """``modality`` is "CT", "MR" or empty, ``side`` "right", "left" or empty; ``bodyPart`` is DICOM's term."""

    modality: str = ""
    side: str = ""
    bodyPart: str = ""

    @property
    def isNoKnee(self) -> bool:
        return self.bodyPart.upper() in NO_KNEE


def readDicomFacts(volumeNode) -> DicomFacts:
    """Return what is known of a volume node; nothing where it did not come from DICOM."""
    values = {**_readHierarchy(volumeNode), **_readDatabase(volumeNode)}
    modality = values.get("Modality", "")
    code = values.get("ImageLaterality") or values.get("Laterality", "")
    side = SIDE_CODES.get(code.strip().upper()) or _findSideIn(values.get("SeriesDescription", ""))
    return DicomFacts(
        modality if modality in ("CT", "MR") else "",
        side or _findSideIn(values.get("StudyDescription", "")),
        values.get("BodyPartExamined", "").strip(),
    )


def _readDatabase(volumeNode) -> dict[str, str]:
    database = getattr(slicer, "dicomDatabase", None)
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not uids or database is None or not database.isOpen:
        return {}
    values = {name: database.instanceValue(uids[0], tag) for name, tag in TAGS.items()}
    return {name: value for name, value in values.items() if value}


def _readHierarchy(volumeNode) -> dict[str, str]:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    series = hierarchy.GetItemByDataNode(volumeNode)
    study = hierarchy.GetItemParent(series) if series else 0
    found = {}
    for item, names in ((series, ("Modality", "SeriesDescription")), (study, ("StudyDescription",))):
        for name in names:
            value = hierarchy.GetItemAttribute(item, f"DICOM.{name}") if item else ""
            if value:
                found[name] = value
    return found


def _findSideIn(description: str) -> str:
    """Return the side that a description names; empty where it names none or both."""
    words = set(re.findall(r"[^\W\d_]+", description.lower()))
    named = [side for side, names in SIDE_WORDS.items() if words & names]
    return named[0] if len(named) == 1 else ""
