"""Pixels: as they are stored by numpy, compressed ones by a decoder in another process, which may crash."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ImplicitVRLittleEndian, MRImageStorage

from KneeSegLib.errors import InputError, ResourceError
from KneeSegLib.io import decoder, dicom_pixels
from KneeSegLib.io.dicom_folder import read_folder
from KneeSegLib.io.dicom_frames import describe_odd_frame
from KneeSegLib.io.dicom_native import read_native_values
from KneeSegLib.io.dicom_pixels import read_pixels
from KneeSegLib.io.screening import child
from Testing.io.dicom import odd_decoders
from Testing.io.dicom.conftest import compress, write_enhanced_ct, write_series, write_slice

NO_DECODER = "a decoder was asked for"


def read_by_gdcm(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))


@pytest.mark.parametrize("slope, intercept", [("1", "-1024"), ("2", "-1000"), ("0.5", "-1024.25"), (None, None)])
@pytest.mark.parametrize("bits, kind", [(8, "u1"), (12, "u2"), (12, "i2"), (16, "u2"), (16, "i2")])
@pytest.mark.parametrize("storage, modality", [(CTImageStorage, "CT"), (MRImageStorage, "MR")])
def test_stored_pixels_are_read_as_gdcm_reads_them(storage, modality, bits, kind, slope, intercept, tmp_path):
    lowest = -(2 ** (bits - 1)) if kind[0] == "i" else 0
    stored = np.random.default_rng(0).integers(lowest, lowest + 2**bits, (8, 10)).astype(kind)
    tags = {"BitsAllocated": 8 * stored.itemsize, "BitsStored": bits, "HighBit": bits - 1, "SOPClassUID": storage}
    path = tmp_path / "a.dcm"
    write_slice(path, stored, (0, 0, 0), Modality=modality, RescaleSlope=slope, RescaleIntercept=intercept, **tags)
    values, expected = read_native_values(read_folder(tmp_path).slices), read_by_gdcm(path)
    assert values is not None
    assert (values.dtype.kind == "f") == (expected.dtype.kind == "f")  # interpolation rounds by it
    assert np.array_equal(values, expected)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_syntaxes_without_compression_need_no_decoder(syntax, tmp_path):
    stored = np.arange(80, dtype=np.uint16).reshape(8, 10)
    write_slice(tmp_path / "a.dcm", stored, (0, 0, 0))
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    is_big = syntax == ExplicitVRBigEndian
    dataset.PixelData = stored.astype(">u2" if is_big else "<u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(tmp_path / "a.dcm", dataset, implicit_vr=not is_big, little_endian=not is_big)
    assert np.array_equal(read_native_values(read_folder(tmp_path).slices)[0], stored.astype(int) - 1024)


def test_a_usual_series_starts_no_other_process(monkeypatch, tmp_path):
    monkeypatch.setattr(dicom_pixels, "decode_files", lambda *_: pytest.fail(NO_DECODER))
    write_series(tmp_path, range(0, 30, 3))
    assert read_pixels(read_folder(tmp_path).slices).GetSize() == (32, 32, 10)


def test_frames_without_compression_need_no_decoder(monkeypatch, tmp_path):
    monkeypatch.setattr(dicom_pixels, "decode_files", lambda *_: pytest.fail(NO_DECODER))
    stored = np.random.default_rng(0).integers(0, 2000, (9, 8, 10)).astype(np.uint16)
    write_enhanced_ct(tmp_path / "a.dcm", stored, range(0, 27, 3))
    assert np.array_equal(sitk.GetArrayFromImage(read_pixels(read_folder(tmp_path).slices)), stored.astype(int) - 1024)


def test_lines_of_an_overlay_in_the_unused_bits_are_left_to_the_decoder(tmp_path):
    stored = np.full((8, 10), 1000, np.uint16)
    stored[3] |= 0x8000
    write_slice(tmp_path / "a.dcm", stored, (0, 0, 0), BitsStored=12, HighBit=11)
    slices = read_folder(tmp_path).slices
    assert read_native_values(slices) is None
    assert np.array_equal(sitk.GetArrayFromImage(read_pixels(slices)), read_by_gdcm(tmp_path / "a.dcm"))


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000", "RLE"])
def test_compressed_slices_are_decoded(compressor, tmp_path):
    stored = np.random.default_rng(0).integers(0, 2000, (3, 8, 10)).astype(np.uint16)
    for number, plane in enumerate(stored):
        path = tmp_path / f"{number}.dcm"
        write_slice(path, plane, (0, 0, 3 * number), RescaleSlope="2" if number == 1 else "1")
        compress(path, compressor)
    slices = sorted(read_folder(tmp_path).slices, key=lambda plane: plane.path)
    values = sitk.GetArrayFromImage(read_pixels(slices))
    assert np.array_equal(values, stored.astype(int) * np.array([1, 2, 1])[:, None, None] - 1024)


def test_compressed_frames_are_decoded(tmp_path):
    stored = np.random.default_rng(0).integers(0, 2000, (9, 8, 10)).astype(np.uint16)
    compress(write_enhanced_ct(tmp_path / "a.dcm", stored, range(0, 27, 3)), "JPEG")
    assert np.array_equal(sitk.GetArrayFromImage(read_pixels(read_folder(tmp_path).slices)), stored.astype(int) - 1024)


def claim_jpeg(frame: bytes) -> bytes:
    at = frame.index(b"\xff\xc3") + 5
    return frame[:at] + struct.pack(">HH", 65500, 65000) + frame[at + 4 :]


def claim_jpeg_2000(frame: bytes) -> bytes:
    return frame[:8] + struct.pack(">II", 65000, 65500) + frame[16:]


@pytest.mark.parametrize("compressor, claim", [("JPEG", claim_jpeg), ("JPEG2000", claim_jpeg_2000)])
def test_compressed_pixels_that_claim_another_size_are_refused(compressor, claim, tmp_path):
    write_series(tmp_path, range(0, 9, 3))
    compress(sorted(tmp_path.iterdir())[1], compressor, claim)
    with pytest.raises(InputError, match="compressed pixels are 65000 x 65500, and its header says 32 x 32; copy or"):
        read_pixels(read_folder(tmp_path).slices)


def test_a_header_that_claims_more_pixels_than_are_stored_is_refused(tmp_path):
    write_series(tmp_path, range(0, 9, 3))
    for path in tmp_path.iterdir():
        compress(path, "JPEG2000", claim_jpeg_2000)
        dataset = pydicom.dcmread(path)
        dataset.Rows, dataset.Columns = 65500, 65000
        dataset.save_as(path)
    assert re.fullmatch(
        r"its header says 65000 x 65500, and \d{2,3} bytes are stored for them", describe_odd_frame(path) or ""
    )


def test_compressed_pixels_that_are_cut_short_are_refused_with_their_compression(tmp_path):
    write_series(tmp_path, range(0, 9, 3))
    compress(sorted(tmp_path.iterdir())[1], "JPEG2000", lambda frame: frame[:60])
    with pytest.raises(InputError, match=r"cut short, damaged or compressed in an unknown way \(JPEG 2000"):
        read_pixels(read_folder(tmp_path).slices)


@pytest.mark.parametrize("end, number", [(odd_decoders.crash, 1), (odd_decoders.hang, 2), (odd_decoders.eat, 2)])
def test_a_file_that_ends_the_decoder_is_named_by_a_sentence(end, number, monkeypatch, tmp_path):
    monkeypatch.setattr(decoder, "_decode", end)
    monkeypatch.setattr(decoder, "CHILD_SECONDS", 6)
    monkeypatch.setattr(decoder, "CHILD_SECONDS_PER_SLICE", 0)
    write_series(tmp_path, range(0, 9, 3))
    for path in tmp_path.iterdir():
        compress(path, "JPEG")
    slices = sorted(read_folder(tmp_path).slices, key=lambda plane: plane.path)
    sentence = f"pixels of file {number + 1} of 3 are damaged in a way that ends the program which decodes them"
    with pytest.raises(InputError, match=sentence):
        read_pixels(slices)


def test_a_process_that_does_not_start_is_not_put_down_to_the_file(monkeypatch, tmp_path):
    monkeypatch.setattr(child.sys, "executable", str(tmp_path / "none"))
    with pytest.raises(ResourceError, match="process that decodes images could not be started .*; close other"):
        decoder.digest_files(decoder.Encoded([tmp_path / "a.dcm"], "GDCMImageIO", 1024, 1))
