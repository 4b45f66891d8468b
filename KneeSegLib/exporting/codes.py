"""Structures in coded concepts of DICOM: what each is, of which region, and its side.

The same codes that 3D Slicer gets (:mod:`KneeSegLib.io.terminology`), so that a segment comes back with its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from KneeSegLib.anatomy import ANATOMICAL_STRUCTURE, Code, Structure
from KneeSegLib.io.terminology import find_region

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept


def encode(code: Code) -> CodedConcept:
    """Return a code as an item of a DICOM sequence."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def encode_category() -> CodedConcept:
    """Return the category of every structure: an anatomical structure."""
    return encode(ANATOMICAL_STRUCTURE)


def encode_type(structure: Structure) -> CodedConcept:
    """Return what a structure is, with its side as a modifier."""
    concept = encode(structure.code)
    concept.SegmentedPropertyTypeModifierCodeSequence = [encode(structure.side_code)]
    return concept


def encode_region(structure: Structure) -> CodedConcept:
    """Return the anatomic region of a structure, with its side as a modifier: of a bone the bone, of a cartilage the
    bone that carries it, of a meniscus the knee."""
    region, modifier = find_region(structure.tissue)
    concept = encode(region or structure.code)
    # The first modifier is the one that readers of a single one see: medial and lateral tell menisci apart.
    modifiers = ([modifier] if modifier is not None else []) + [structure.side_code]
    concept.AnatomicRegionModifierSequence = [encode(code) for code in modifiers]
    return concept
