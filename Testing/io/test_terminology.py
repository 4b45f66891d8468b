"""The terminology file and entries, read by the logic of the real 3D Slicer."""

from __future__ import annotations

import itertools
import json

import pytest

from KneeSegLib.anatomy import STRUCTURES, structure
from KneeSegLib.io.resources import terminology_file
from KneeSegLib.io.terminology import TERMINOLOGY_NAME, format_terminology, serialize_terminology_entry


def test_file_in_the_repository_is_the_one_that_the_anatomy_table_gives():
    assert terminology_file().read_text(encoding="utf-8") == format_terminology(), "run `make terminology`"


def test_entry_of_a_bone_is_category_type_and_side():
    assert serialize_terminology_entry(structure("femur_right")) == (
        "KneeSeg~SCT^123037004^Anatomical Structure~SCT^71341001^Femur~SCT^24028007^Right"
        "~Anatomic codes - DICOM master list~^^~^^"
    )


def test_cartilage_entry_names_the_bone_as_region():
    assert serialize_terminology_entry(structure("tibial_cartilage_left")) == (
        "KneeSeg~SCT^123037004^Anatomical Structure~SCT^309312004^Cartilage~SCT^7771000^Left"
        "~Anatomic codes - DICOM master list~SCT^12611008^Tibia~^^"
    )


def test_every_structure_has_an_entry_of_its_own():
    assert len({serialize_terminology_entry(entry) for entry in STRUCTURES}) == len(STRUCTURES)


def test_every_code_of_the_table_is_a_type_in_the_file():
    (category,) = json.loads(format_terminology())["SegmentationCodes"]["Category"]
    assert {entry.code.value for entry in STRUCTURES} == {kind["CodeValue"] for kind in category["Type"]}


@pytest.fixture(scope="module")
def slicer():
    return pytest.importorskip("slicer", reason="slicer-core is not installed")


@pytest.fixture
def terminologies(slicer):
    """Slicer's terminologies logic with our file loaded."""
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    assert logic.LoadTerminologyFromFile(str(terminology_file())) == TERMINOLOGY_NAME
    return logic


@pytest.mark.parametrize("entry", STRUCTURES, ids=lambda entry: entry.key)
def test_slicer_reads_the_entry_and_finds_type_side_and_colour_in_our_file(slicer, terminologies, entry):
    read = _deserialised(slicer, terminologies, entry)
    assert read.GetTerminologyContextName() == TERMINOLOGY_NAME
    assert read.GetTypeObject().GetCodeValue() == entry.code.value
    assert read.GetTypeModifierObject().GetCodeValue() == entry.side_code.value
    assert terminologies.SerializeTerminologyEntry(read) == serialize_terminology_entry(entry)

    category = slicer.vtkSlicerTerminologyCategory()
    assert terminologies.GetNthCategoryInTerminology(TERMINOLOGY_NAME, 0, category)
    found = _type_called(slicer, terminologies, category, entry.code.value)
    assert found.GetHasModifiers()
    assert terminologies.GetNumberOfTypeModifiersInTerminologyType(TERMINOLOGY_NAME, category, found) == 2
    if entry.tissue.kind == "bone":
        assert tuple(found.GetRecommendedDisplayRGBValue()) == entry.color


def test_slicer_tells_all_entries_apart(slicer, terminologies):
    read = [_deserialised(slicer, terminologies, entry) for entry in STRUCTURES]
    for one, other in itertools.combinations(read, 2):
        assert not terminologies.AreTerminologyEntriesEqual(one, other)


def test_slicer_fills_in_the_colour_of_a_bone_and_leaves_its_name(slicer, terminologies):
    for entry in (entry for entry in STRUCTURES if entry.tissue.kind == "bone"):
        read = _deserialised(slicer, terminologies, entry)
        terminologies.UpdateEntryFromLoadedTerminologies(read, [TERMINOLOGY_NAME], [])
        assert tuple(read.GetTypeModifierObject().GetRecommendedDisplayRGBValue()) == entry.color
        assert terminologies.SerializeTerminologyEntry(read) == serialize_terminology_entry(entry)


def _deserialised(slicer, terminologies, entry):
    read = slicer.vtkSlicerTerminologyEntry()
    assert terminologies.DeserializeTerminologyEntry(serialize_terminology_entry(entry), read)
    return read


def _type_called(slicer, terminologies, category, code_value):
    for position in range(terminologies.GetNumberOfTypesInTerminologyCategory(TERMINOLOGY_NAME, category)):
        candidate = slicer.vtkSlicerTerminologyType()
        terminologies.GetNthTypeInTerminologyCategory(TERMINOLOGY_NAME, category, position, candidate)
        if candidate.GetCodeValue() == code_value:
            return candidate
    raise AssertionError(f"no type {code_value} in {TERMINOLOGY_NAME}")
