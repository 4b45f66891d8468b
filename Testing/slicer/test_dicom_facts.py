"""What is known of a volume from DICOM: by the database, by the subject hierarchy, or not at all."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import slicer
from KneeSegModule.dicom_facts import TAGS, DicomFacts, readDicomFacts
from slicer_support import mrml


@pytest.fixture
def database(monkeypatch, volumeNode):
    """A DICOM database that knows the first slice of the volume."""
    values: dict[str, str] = {}
    names = {tag: name for name, tag in TAGS.items()}

    def instanceValue(uid, tag):
        return values.get(names[tag], "") if uid == "1.2.3" else ""

    volumeNode.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    monkeypatch.setattr(
        slicer, "dicomDatabase", SimpleNamespace(isOpen=True, instanceValue=instanceValue), raising=False
    )
    return values


def test_a_volume_that_is_not_from_dicom_is_unknown(volumeNode):
    assert readDicomFacts(volumeNode) == DicomFacts()


def test_modality_body_part_and_side_come_from_the_database(database, volumeNode):
    database.update(Modality="MR", BodyPartExamined="KNEE", ImageLaterality="L")
    assert readDicomFacts(volumeNode) == DicomFacts("MR", "left", "KNEE")


def test_a_database_that_is_closed_is_not_asked(database, volumeNode):
    database.update(Modality="MR")
    slicer.dicomDatabase.isOpen = False
    assert readDicomFacts(volumeNode) == DicomFacts()


def test_what_is_neither_ct_nor_mr_is_unknown(database, volumeNode):
    database.update(Modality="OT")
    assert readDicomFacts(volumeNode).modality == ""


@pytest.mark.parametrize(
    ("described", "side"),
    [
        ({"SeriesDescription": "PD SAG RIGHT KNEE"}, "right"),
        ({"SeriesDescription": "t1_sag_links"}, "left"),
        ({"StudyDescription": "MRI Knee (Lt)"}, "left"),
        ({"SeriesDescription": "left", "StudyDescription": "KNEE RIGHT AND LEFT"}, "left"),
        ({"StudyDescription": "KNEE RIGHT AND LEFT"}, ""),
        ({"Laterality": "R", "SeriesDescription": "left"}, "right"),
        ({"Laterality": "B"}, ""),
        ({"SeriesDescription": "bright fluid, cleft"}, ""),
    ],
)
def test_the_side_is_that_of_the_header_or_of_the_descriptions(database, volumeNode, described, side):
    database.update(described)
    assert readDicomFacts(volumeNode).side == side


@pytest.mark.parametrize(("part", "isNoKnee"), [("HEAD", True), ("KNEE", False), ("GENOU", False), ("", False)])
def test_only_what_is_certainly_elsewhere_is_no_knee(part, isNoKnee):
    assert DicomFacts("MR", "", part).isNoKnee is isNoKnee


def test_a_scene_saved_elsewhere_still_knows_modality_and_descriptions(volumeNode):
    hierarchy = mrml.hierarchy()
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.SetItemAttribute(study, "DICOM.StudyDescription", "Knee right")
    series = hierarchy.CreateItem(study, volumeNode)
    hierarchy.SetItemAttribute(series, "DICOM.Modality", "MR")
    assert readDicomFacts(volumeNode) == DicomFacts("MR", "right", "")
