"""Who the patient is, in DICOM files that are written: said by every writer, and left out where the user wants it.

Objects of DICOM that belong to an image (segmentations, structure sets, surfaces) repeat its patient and study, so that
archives file them beside it. :class:`Anonymiser` makes of an image's header one that such writers can be given instead.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IDENTITY_STATEMENT = (
    "The DICOM file names the patient and the study as the image does, so that archives file it there; "
    "--anonymise leaves them out."
)
"""What a command says that writes DICOM of an image whose patient is known."""

_TECHNICAL = (
    *("SOPClassUID", "Modality", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("InstanceNumber", "SeriesNumber", "AcquisitionNumber", "Laterality", "ImageLaterality"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence"),
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence", "DimensionIndexValues"),
    *("FrameContentSequence", "StackID", "InStackPositionNumber"),
)
"""Tags that pass as they are: they hold numbers and defined terms, and describe the grid."""

_IDENTIFIERS = (
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "DimensionOrganizationUID"),
)
_REQUIRED_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"),
    *("StudyID", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
"""The standard wants these tags in every image, and lets them be empty."""


class Anonymiser:
    """Copies headers without the patient. UIDs become new ones, equal ones equal, for as long as this object lives."""

    def __init__(self) -> None:
        self._salt = secrets.token_hex(16)

    def copy(self, header: Dataset) -> Dataset:
        """Return a header with the technical tags of ``header`` alone: a new patient, study and series without names.

        Pixels are not copied.
        """
        from pydicom.dataset import FileMetaDataset

        copy = self._copy_technical(header)
        for keyword in _REQUIRED_EMPTY:
            setattr(copy, keyword, "")
        copy.PatientIdentityRemoved = "YES"
        copy.DeidentificationMethod = "Technical tags copied, all others left out"
        meta: Dataset | None = getattr(header, "file_meta", None)
        if meta is not None:
            copy.file_meta = FileMetaDataset()
            for keyword in ("MediaStorageSOPClassUID", "TransferSyntaxUID"):
                if keyword in meta:
                    setattr(copy.file_meta, keyword, meta[keyword].value)
            if "SOPInstanceUID" in copy:
                copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
        return copy

    def copy_all(self, headers: Iterable[Dataset]) -> list[Dataset]:
        """Return :meth:`copy` of each; they stay one series in one study."""
        return [self.copy(header) for header in headers]

    def replace_uid(self, uid: str) -> str:
        """Return the UID that stands for ``uid``; the way back is not kept."""
        from pydicom.uid import generate_uid

        return generate_uid(entropy_srcs=[self._salt, str(uid)])

    def _copy_technical(self, header: Dataset) -> Dataset:
        from pydicom.dataset import Dataset
        from pydicom.sequence import Sequence

        copy = Dataset()
        for keyword in (*_TECHNICAL, *_IDENTIFIERS):
            if keyword not in header or header[keyword].is_empty:
                continue
            value = header[keyword].value
            if header[keyword].VR == "SQ":
                value = Sequence(self._copy_technical(item) for item in value)
            elif keyword in _IDENTIFIERS:
                value = self.replace_uid(value)
            elif keyword == "StackID" and not str(value).isdigit():
                continue
            setattr(copy, keyword, value)
        return copy


def names_patient(header: Dataset) -> bool:
    """Return whether a header says who the patient is, so that what is made from it does, too."""
    return any(header.get(keyword) for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber"))
