"""Small DICOM series made for the tests: 32 x 32 pixels of 2 mm, slices 3 mm apart unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

WHOLE_FILE = {"enforce_file_format": True} if int(pydicom.__version_info__[0]) >= 3 else {"write_like_original": False}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def new_dataset(path: Path, sop_class: str = CTImageStorage) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    return dataset


def set_pixels(dataset: Dataset, stored: np.ndarray) -> None:
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    dataset.PixelData = stored.tobytes()


def save(dataset: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, **WHOLE_FILE)


def write_slice(path: Path, stored: np.ndarray, position: Iterable[float], orientation=AXIAL, **tags) -> None:
    dataset = new_dataset(path)
    set_pixels(dataset, stored)
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID, dataset.SeriesDescription, dataset.SeriesNumber = "1.2.3.4", "Leg bone", 2
    dataset.ImagePositionPatient = [f"{x:.6g}" for x in position]
    dataset.ImageOrientationPatient = [f"{x:.8g}" for x in orientation]
    dataset.PixelSpacing = ["2", "2"]
    dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    save(dataset, path)


def write_series(folder: Path, positions_mm: Iterable[float], **tags) -> Path:
    """Axial slices at these heights; the stored value of every pixel is 1000 plus the height in mm."""
    for height_mm in positions_mm:
        stored = np.full((32, 32), round(1000 + height_mm), np.uint16)
        name = f"{tags.get('SeriesInstanceUID', '1.2.3.4')}_{tags.get('EchoTime', '')}_{1000 - height_mm:07.2f}.dcm"
        write_slice(folder / name, stored, (-30.0, -40.0, height_mm), **tags)
    return folder


def compress(path: Path, compressor: str, spoil: Callable[[bytes], bytes] = bytes) -> None:
    """Compress the pixels of a file by GDCM ("JPEG", "JPEG2000") or pydicom ("RLE"); ``spoil`` changes each frame."""
    dataset = pydicom.dcmread(path)
    if compressor == "RLE":
        dataset.compress(RLELossless)
    else:
        stored = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.SetFileName(str(path))
        writer.Execute(sitk.GetImageFromArray(stored))
        packed = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
        dataset.PixelData = packed.PixelData
    count = int(dataset.get("NumberOfFrames", 1))
    dataset.PixelData = encapsulate(
        [spoil(frame) for frame in generate_frames(dataset.PixelData, number_of_frames=count)]
    )
    dataset["PixelData"].VR = "OB"
    save(dataset, path)


def write_enhanced_ct(
    path: Path, stored: np.ndarray, heights_mm: Iterable[float], pixel_spacing: tuple[float, float] = (2.0, 2.0)
) -> Path:
    """One multi-frame file with a position per frame and everything else shared; pixels as (row, column) distances."""
    dataset = new_dataset(path, EnhancedCTImageStorage)
    set_pixels(dataset, stored)
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.SeriesInstanceUID, dataset.SeriesDescription = "1.2.3.9", "Enhanced"
    dataset.NumberOfFrames = len(stored)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=list(AXIAL))]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=list(pixel_spacing), SliceThickness=3.0)]
    shared.PixelValueTransformationSequence = [_item(RescaleIntercept=-1024.0, RescaleSlope=1.0, RescaleType="HU")]
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = [_item(PlanePositionSequence=[_item(ImagePositionPatient=[-30.0, -40.0, z])]) for z in heights_mm]
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    save(dataset, path)
    return path


def _item(**tags) -> Dataset:
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, Sequence(value) if keyword.endswith("Sequence") else value)
    return item


@pytest.fixture
def dicom_slice() -> Callable[..., None]:
    return write_slice


@pytest.fixture
def dicom_series() -> Callable[..., Path]:
    return write_series


@pytest.fixture
def enhanced_ct() -> Callable[..., Path]:
    return write_enhanced_ct
