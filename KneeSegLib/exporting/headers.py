"""What every DICOM object that is written begins with: patient and study of the source, KneeSeg as what made it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    EncapsulatedSTLStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from KneeSegLib import __version__
from KneeSegLib.errors import InputError
from KneeSegLib.exporting.saved_case import Making, SavedCase
from KneeSegLib.exporting.source import SourceSeries
from KneeSegLib.io.writing import write_whole

if TYPE_CHECKING:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.base import SOPClass

MANUFACTURER = "KneeSeg"
_LONGEST_TEXT = 64
"""Characters of a Long String (LO)."""


@dataclass(frozen=True)
class ObjectKind:
    """What is the same in all objects of a kind.

    Attributes:
        series_number: far above those of scanners, so that what is written stands last in a study's list.
        transfer_syntax: explicit types of values, but for what is longer than they can say (64 KiB).
    """

    sop_class: str
    modality: str
    series_number: int
    series_description: str
    transfer_syntax: str = ExplicitVRLittleEndian


SEGMENTATION = ObjectKind(SegmentationStorage, "SEG", 9001, "KneeSeg segmentation")
STRUCTURE_SET = ObjectKind(RTStructureSetStorage, "RTSTRUCT", 9002, "KneeSeg structures", ImplicitVRLittleEndian)
SURFACE = ObjectKind(EncapsulatedSTLStorage, "M3D", 9003, "KneeSeg surfaces")


def describe_series(kind: ObjectKind, series_uid: str) -> dict[str, Any]:
    """Return the arguments by which highdicom says of which series an object is, and what made it."""
    return {
        "series_instance_uid": series_uid,
        "series_number": kind.series_number,
        "series_description": kind.series_description,
        "sop_instance_uid": generate_uid(),
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MANUFACTURER,
        "software_versions": __version__,
        "device_serial_number": __version__,
    }


def begin_object(source: SourceSeries, kind: ObjectKind, series_uid: str, number: int = 1) -> SOPClass:
    """Return an object of a kind that highdicom does not build, with patient, study, series, equipment and identity.

    Args:
        series_uid: of the series that the object is to belong to.
        number: of the object in that series.

    Raises:
        InputError: the source's header holds what no object may.
    """
    from highdicom.base import SOPClass

    header = source.header
    with tell_unfit_headers():
        made = SOPClass(
            study_instance_uid=header.StudyInstanceUID,
            sop_class_uid=kind.sop_class,
            instance_number=number,
            modality=kind.modality,
            transfer_syntax_uid=kind.transfer_syntax,
            patient_id=header.PatientID,
            patient_name=header.PatientName,
            patient_birth_date=header.PatientBirthDate,
            patient_sex=header.PatientSex,
            accession_number=header.AccessionNumber,
            study_id=header.StudyID,
            study_date=header.StudyDate,
            study_time=header.StudyTime,
            referring_physician_name=header.ReferringPhysicianName,
            specific_character_set=header.get("SpecificCharacterSet"),
            **describe_series(kind, series_uid),
        )
        made.copy_patient_and_study_information(header)
    return made


@contextmanager
def tell_unfit_headers() -> Iterator[None]:
    """Raise an InputError where highdicom does not take what a source's header holds.

    What it says of that may quote the patient's, so that only the kind of its error is told.
    """
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(
            f"The header of the source series cannot be taken over ({type(error).__name__}); export the series "
            "again from the archive."
        ) from error


def require_frame_of_reference(source: SourceSeries) -> str:
    """Return the UID of the source's frame of reference.

    Raises:
        InputError: it has none, so that nothing can be placed beside it.
    """
    uid = str(source.header.get("FrameOfReferenceUID") or "")
    if not uid:
        raise InputError(
            "The source series has no FrameOfReferenceUID, by which other objects are placed beside its images; export "
            "it again from the archive."
        )
    return uid


def describe_algorithm(case: SavedCase, making: Making) -> AlgorithmIdentificationSequence:
    """Return what segmented a structure: pipeline, version, quality and edge, and whether it was corrected."""
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    known = case.provenance
    pipeline, version = (str(known.get(key) or "not recorded") for key in ("pipeline", "version"))
    options = known.get("options")
    chosen = {"quality": options.get("quality")} if isinstance(options, dict) else {}
    parameters = {**chosen, "edge": known.get("edge"), "corrected": "yes" if making == "SEMIAUTOMATIC" else None}
    return AlgorithmIdentificationSequence(
        name=f"KneeSeg {pipeline}"[:_LONGEST_TEXT],
        family=codes.DCM.ArtificialIntelligence,
        version=version[:_LONGEST_TEXT],
        source=MANUFACTURER,
        parameters={key: str(value)[:_LONGEST_TEXT] for key, value in parameters.items() if value},
    )


def tracking_uid(source: SourceSeries, key: str) -> str:
    """Return the UID by which a structure of a series is the same in every object that is written of it."""
    return generate_uid(entropy_srcs=["KneeSeg", str(source.header.SeriesInstanceUID), key])


def reference(header: Dataset, frame: int | None = None) -> Dataset:
    """Return an item that refers to an image, or to one of its frames (counted from 0)."""
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame + 1
    return item


def write_object(made: Dataset, path: Path) -> None:
    """Write a DICOM file, whole or not at all; raises ``OutputError`` where it cannot be written."""
    with write_whole(path) as unfinished:
        made.save_as(unfinished, enforce_file_format=True)
