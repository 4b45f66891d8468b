"""Any image in, one kind of volume out, and a sentence where that is impossible."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError, ResourceError
from KneeSegLib.io.image_files import write_image
from KneeSegLib.io.volume import Volume, check_ct, check_mr, read_volume


def leg_ct(size=(20, 22, 24), spacing_mm=3.0, dtype=np.int16) -> sitk.Image:
    values = np.full(size[::-1], -1000, dtype)
    values[:, 4:16, 4:16] = 40
    values[:, 8:12, 8:12] = 1200
    image = sitk.GetImageFromArray(values)
    image.SetSpacing([spacing_mm] * 3)
    image.SetOrigin((-12.5, 7.25, 90.0))
    image.SetDirection((0, -1, 0, 0, 0, -1, 1, 0, 0))
    return image


def same_grid(one: sitk.Image, other: sitk.Image) -> bool:
    return all(
        np.allclose(getattr(one, get)(), getattr(other, get)(), atol=1e-6)
        for get in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection")
    )


@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "mha"])
def test_written_volume_is_read_back_on_the_same_grid(ending, tmp_path):
    write_image(leg_ct(), tmp_path / f"leg.{ending}")
    volume = read_volume(tmp_path / f"leg.{ending}")
    assert same_grid(volume.image, leg_ct())
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), sitk.GetArrayFromImage(leg_ct()))
    assert (volume.modality, volume.source, volume.notes) == ("CT", f"leg.{ending}", ())


def test_oblique_nifti_of_nibabel_lies_where_nibabel_puts_it(tmp_path):
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * [0.8, 1.1, 3.0], (5.0, -70.0, 33.0)
    values = np.random.default_rng(6).integers(-1000, 1500, (9, 10, 11)).astype(np.int32)
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "oblique.nii.gz")
    image = read_volume(tmp_path / "oblique.nii.gz").image
    assert image.GetPixelID() == sitk.sitkInt16
    for index in ((0, 0, 0), (8, 9, 10), (3, 7, 2)):
        ras = affine @ (*index, 1)
        assert image.TransformIndexToPhysicalPoint(index) == pytest.approx((-ras[0], -ras[1], ras[2]), abs=1e-3)
        assert image[index] == values[index]


def test_image_in_memory_is_taken_and_not_changed():
    image = leg_ct()
    image.SetMetaData("0010|0010", "Doe^Jane")
    volume = read_volume(image)
    assert volume.modality == "CT" and same_grid(volume.image, image)
    assert volume.image.GetMetaDataKeys() == () and image.GetMetaDataKeys() == ("0010|0010",)


def test_four_dimensions_with_one_time_point_are_one_volume(tmp_path):
    sitk.WriteImage(sitk.JoinSeries([leg_ct()]), str(tmp_path / "one.nrrd"))
    assert read_volume(tmp_path / "one.nrrd").image.GetSize() == (20, 22, 24)


def test_sheared_image_is_resampled_with_a_note():
    image = leg_ct()
    image.SetDirection((1, 0, 0.196116, 0, 1, 0, 0, 0, 0.980581))
    volume = read_volume(image)
    assert volume.image.GetDirection() == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert "lean by 11.3 degrees" in volume.notes[0]


def unusable(name: str, folder):
    """Write the file of that name and return its path."""
    path = folder / name
    image = leg_ct()
    if name in ("cut.nii", "cut_raw.mha"):
        sitk.WriteImage(image, str(path))
        path.write_bytes(path.read_bytes()[:-500])
    elif name.startswith("cut."):
        sitk.WriteImage(image, str(path), True)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif name == "four.nrrd":
        sitk.WriteImage(sitk.JoinSeries([image, image]), str(path))
    elif name == "colour.nrrd":
        sitk.WriteImage(sitk.Compose([image] * 3), str(path))
    elif name == "slice.nrrd":
        sitk.WriteImage(image[:, :, :1], str(path))
    elif name == "picture.png":
        sitk.WriteImage(sitk.Image(16, 16, sitk.sitkUInt8), str(path))
    elif name == "flat.nii":
        nifti = nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4))
        nifti.header["pixdim"][3] = 0
        nib.save(nifti, path)
    elif name == "sheared.nii":
        nib.save(nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4) + np.eye(4, k=1) * 0.3), path)
    elif name == "nan.nrrd":
        image = sitk.Cast(image, sitk.sitkFloat32)
        image[3, 4, 5] = float("nan")
        sitk.WriteImage(image, str(path))
    elif name == "negative.mha":
        header = "ObjectType = Image\nNDims = 3\nElementSpacing = -1 0 1\nDimSize = 4 4 4\nElementType = MET_SHORT\n"
        path.write_bytes(f"{header}ElementDataFile = LOCAL\n".encode() + bytes(128))
    else:
        path.write_bytes({"empty.nrrd": b"", "scan.zip": b"PK\x03\x04"}.get(name, b"Dear colleague"))
    return path


@pytest.mark.parametrize(
    "name, reason",
    [
        ("cut.nii", "is cut short"),
        ("cut.nii.gz", "is cut short"),
        ("cut.nrrd", "cannot be read to its end"),
        ("cut.mha", "is cut short"),
        ("cut_raw.mha", "is cut short"),
        ("four.nrrd", "has 4 dimensions \\(20 x 22 x 24 x 2\\)"),
        ("colour.nrrd", "has 3 values per voxel"),
        ("slice.nrrd", "is a single slice"),
        ("picture.png", "is a single slice"),
        ("flat.nii", "measure 1 x 1 x 0 mm"),
        ("sheared.nii", "not perpendicular"),
        ("nan.nrrd", "holds 1 voxels that are not numbers"),
        ("negative.mha", "measure -1 x 0 x 1 mm, expected a positive size in mm"),
        ("empty.nrrd", "is empty"),
        ("scan.zip", "is an archive"),
        ("letter.txt", "is no image that can be read"),
        ("letter.nii.gz", "is no image that can be read"),
    ],
)
def test_unusable_file_is_refused_in_one_sentence(name, reason, tmp_path):
    with pytest.raises(InputError, match=reason) as caught:
        read_volume(unusable(name, tmp_path))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no file or folder .*nowhere.nrrd"):
        read_volume(tmp_path / "nowhere.nrrd")


def test_series_of_a_single_file_is_refused(tmp_path):
    write_image(leg_ct(), tmp_path / "leg.nrrd")
    with pytest.raises(InputError, match="leave the series out"):
        read_volume(tmp_path / "leg.nrrd", series="2")


def test_image_larger_than_memory_is_refused_before_it_is_read(tmp_path):
    header = "ObjectType = Image\nNDims = 3\nDimSize = 10000 10000 5000\nElementType = MET_SHORT\n"
    with open(tmp_path / "huge.mha", "wb") as file:
        file.write(f"{header}ElementDataFile = LOCAL\n".encode())
        file.truncate(10**12 + 1000)  # of which nothing takes room on the disk
    with pytest.raises(ResourceError, match="10000 x 10000 x 5000 voxels from huge.mha needs about 2794.0 GB"):
        read_volume(tmp_path / "huge.mha")


def test_leg_ct_passes_as_ct_and_is_refused_as_mr():
    volume = read_volume(leg_ct())
    check_ct(volume)
    with pytest.raises(InputError, match="is a CT image, expected an MR"):
        check_mr(volume)


def test_mr_passes_as_mr_and_is_refused_as_ct():
    volume = Volume(sitk.Abs(leg_ct()), "MR", "PD sagittal")
    check_mr(volume)
    with pytest.raises(InputError, match="'PD sagittal' is an MR image, expected a CT"):
        check_ct(volume)


def test_image_is_what_the_caller_says_whatever_its_values_look_like(tmp_path):
    path = tmp_path / "mr.nii.gz"
    write_image(leg_ct(), path)
    taken, presumed = read_volume(path, modality="MR"), read_volume(path, presumed="MR")
    for volume in (taken, presumed):
        assert volume.modality == "MR" and "look like those of a CT; it was taken for an MR" in volume.notes[0]
        check_mr(volume)
    assert read_volume(path, modality="CT", presumed="MR").modality == "CT"
    dark = leg_ct() * 2  # below -1024: no padding in an MR
    write_image(dark, path)
    assert sitk.GetArrayFromImage(read_volume(path, presumed="MR").image).min() == -2000


@pytest.mark.parametrize("check", [check_ct, check_mr])
@pytest.mark.parametrize(
    "image, reason",
    [
        (sitk.Image(20, 20, 20, sitk.sitkInt16) + 7, "Every voxel .* has the value 7"),
        (leg_ct(spacing_mm=0.5), "covers 10 x 11 x 12 mm"),
        (leg_ct(size=(7, 22, 24), spacing_mm=9.0), "with 7 x 22 x 24 voxels"),
        (leg_ct(spacing_mm=25.0), "measure 25 x 25 x 25 mm"),
    ],
    ids=["constant", "too small", "too few slices", "absurd spacing"],
)
def test_images_that_no_pipeline_can_use_are_refused(check, image, reason):
    if "value" in reason:
        image.SetSpacing((3, 3, 3))
    with pytest.raises(InputError, match=reason):
        check(Volume(image))


def test_ct_stored_without_negative_values_is_refused():
    with pytest.raises(InputError, match="none of them negative.*rescale intercept"):
        check_ct(read_volume(leg_ct() + 1024))
