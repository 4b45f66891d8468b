"""The table of structures in the words of 3D Slicer: the terminology file and one entry per segment.

Slicer describes a segment by category, type and type modifier (from a terminology context) and by anatomic region and
region modifier (from an anatomic context), as DICOM PS3.3 C.8.20.4 does. All cartilages share a code in the table and
so do both menisci; the region tells them apart: cartilage *of the femur*, meniscus *of the knee, medial*.

``python -m KneeSegLib.io.terminology`` writes ``Resources/Terminology/KneeSeg.term.json`` anew.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from KneeSegLib.anatomy import ANATOMICAL_STRUCTURE, SIDE_CODES, TISSUES, Code, Structure, Tissue

TERMINOLOGY_NAME = "KneeSeg"
ANATOMIC_CONTEXT_NAME = "Anatomic codes - DICOM master list"
"""The anatomic context that Slicer always has loaded; every region below is in it (DICOM CID 4031)."""

_SCHEMA = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/segment-context-schema.json#"
_KNEE = Code("72696002", "Knee")
_MEDIAL = Code("255561001", "Medial")
_LATERAL = Code("49370004", "Lateral")
_BONE_CODES = {tissue.key: tissue.code for tissue in TISSUES if tissue.kind == "bone"}
_REGIONS: dict[str, tuple[Code, Code | None]] = {
    "femoral_cartilage": (_BONE_CODES["femur"], None),
    "tibial_cartilage": (_BONE_CODES["tibia"], None),
    "patellar_cartilage": (_BONE_CODES["patella"], None),
    "medial_meniscus": (_KNEE, _MEDIAL),
    "lateral_meniscus": (_KNEE, _LATERAL),
}
"""Anatomic region and region modifier (DICOM CID 2) of the tissues whose code alone does not name them."""


def find_region(tissue: Tissue) -> tuple[Code | None, Code | None]:
    """Return anatomic region and region modifier of ``tissue``; both None where the code of the tissue says it all."""
    return _REGIONS.get(tissue.key, (None, None))


def serialize_terminology_entry(structure: Structure) -> str:
    """Return the entry that Slicer keeps in the tag ``TerminologyEntry`` of a segment, one per structure.

    >>> from KneeSegLib.anatomy import structure
    >>> serialize_terminology_entry(structure("femur_right")).split("~")[:4]
    ['KneeSeg', 'SCT^123037004^Anatomical Structure', 'SCT^71341001^Femur', 'SCT^24028007^Right']
    """
    region, region_modifier = find_region(structure.tissue)
    coded = (ANATOMICAL_STRUCTURE, structure.code, structure.side_code)
    return "~".join(
        (
            TERMINOLOGY_NAME,
            *map(_serialize_code, coded),
            ANATOMIC_CONTEXT_NAME,
            _serialize_code(region),
            _serialize_code(region_modifier),
        )
    )


def build_terminology() -> dict[str, Any]:
    """Return the content of ``KneeSeg.term.json``: one type per code of the table, each with its sides.

    Types that several tissues share (cartilage, meniscus) carry the colour of the first.
    """
    first_of_code: dict[Code, Tissue] = {}
    for tissue in TISSUES:
        first_of_code.setdefault(tissue.code, tissue)
    return {
        "SegmentationCategoryTypeContextName": TERMINOLOGY_NAME,
        "@schema": _SCHEMA,
        "SegmentationCodes": {
            "Category": [
                {
                    **_describe_code(ANATOMICAL_STRUCTURE),
                    "showAnatomy": True,
                    "Type": [_describe_type(code, tissue) for code, tissue in first_of_code.items()],
                }
            ]
        },
    }


def format_terminology() -> str:
    """Return ``KneeSeg.term.json`` as text, the same on every platform."""
    return json.dumps(build_terminology(), indent=2) + "\n"


def _describe_type(code: Code, tissue: Tissue) -> dict[str, Any]:
    color = {"recommendedDisplayRGBValue": list(tissue.color)}  # Slicer asks the modifier first, then the type
    return {
        **_describe_code(code),
        **color,
        "Modifier": [{**_describe_code(side), **color} for side in SIDE_CODES.values()],
    }


def _describe_code(code: Code) -> dict[str, str]:
    return {"CodingSchemeDesignator": code.scheme, "CodeValue": code.value, "CodeMeaning": code.meaning}


def _serialize_code(code: Code | None) -> str:
    return "^^" if code is None else f"{code.scheme}^{code.value}^{code.meaning}"


def main() -> None:
    """Write the terminology file of this checkout."""
    path = Path(__file__).resolve().parents[2] / "Resources" / "Terminology" / "KneeSeg.term.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(format_terminology(), encoding="utf-8", newline="\n")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.info("Wrote %s", path)


if __name__ == "__main__":
    main()
