"""Turning a grid to the patient's axes and back loses nothing."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.orientation import (
    reorient_to_lps,
    restore_crop_orientation,
    restore_orientation,
    straighten_gantry_tilt,
)

SIZE = (3, 4, 5)
AXIS_ALIGNED = [
    np.eye(3)[:, order] * signs for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3))
]


def numbered(direction: np.ndarray, pixel_type=np.uint8) -> sitk.Image:
    """An image in which every voxel has its own value."""
    image = sitk.GetImageFromArray(np.arange(np.prod(SIZE), dtype=pixel_type).reshape(SIZE[::-1]))
    image.SetDirection(np.asarray(direction, float).ravel())
    image.SetSpacing((0.7, 1.3, 2.9))
    image.SetOrigin((-31.4, 15.9, 26.5))
    return image


def random_rotations(count: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    rotations = [np.linalg.qr(random.normal(size=(3, 3)))[0] for _ in range(count)]  # right- and left-handed ones
    return [rotation * random.choice([-1.0, 1.0], 3) for rotation in rotations]


def same_grid(one: sitk.Image, other: sitk.Image) -> bool:
    return all(
        getattr(one, get)() == getattr(other, get)() for get in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection")
    )


@pytest.mark.parametrize("direction", [*AXIS_ALIGNED, *random_rotations(40, seed=7)])
def test_to_lps_moves_no_voxel_and_onto_grid_undoes_it_exactly(direction):
    image = numbered(direction)
    turned = reorient_to_lps(image)
    axes = np.array(turned.GetDirection()).reshape(3, 3)
    assert np.linalg.det(axes) > 0 and (np.diag(axes) > 0).all()
    for index in np.ndindex(*turned.GetSize()):
        place = turned.TransformIndexToPhysicalPoint(index)
        assert image[image.TransformPhysicalPointToIndex(place)] == turned[index]
    back = restore_orientation(turned, image)
    assert same_grid(back, image)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize("direction", AXIS_ALIGNED)
def test_right_angled_grids_end_with_the_patients_own_axes(direction):
    assert reorient_to_lps(numbered(direction)).GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)


@pytest.mark.parametrize("direction", random_rotations(40, seed=11))
def test_each_axis_ends_nearest_to_its_own_patient_axis(direction):
    cosines = np.abs(np.array(reorient_to_lps(numbered(direction)).GetDirection()).reshape(3, 3))
    best = max(cosines[range(3), order].sum() for order in permutations(range(3)))
    assert np.trace(cosines) == pytest.approx(best)


def test_image_that_lies_right_is_returned_itself():
    image = numbered(np.eye(3))
    assert reorient_to_lps(image) is image


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PIR", "ASL", "IPL"])
def test_orientation_agrees_with_nibabel(codes, tmp_path):
    """NIfTI written by nibabel in any orientation ends in the array that nibabel itself gives for LPS."""
    values = np.arange(np.prod(SIZE), dtype=np.int16).reshape(SIZE)
    affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(codes), SIZE) @ np.diag([0.7, 1.3, 2.9, 1])
    original = nib.Nifti1Image(values, affine)
    nib.save(original, tmp_path / "image.nii.gz")
    turned = reorient_to_lps(sitk.ReadImage(str(tmp_path / "image.nii.gz")))
    expected = original.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt("LPS"))
    )
    assert np.array_equal(sitk.GetArrayFromImage(turned).T, np.asarray(expected.dataobj))
    origin_ras = expected.affine[:3, 3]
    assert turned.GetOrigin() == pytest.approx((-origin_ras[0], -origin_ras[1], origin_ras[2]), abs=1e-4)


@pytest.mark.parametrize("direction", [*AXIS_ALIGNED[::5], *random_rotations(10, seed=3)])
def test_crop_returns_to_the_voxels_it_was_cut_from(direction):
    image = numbered(direction, np.float32)
    back = restore_crop_orientation(reorient_to_lps(image)[1:3, 1:, :2], image)
    assert (back.GetSpacing(), back.GetDirection()) == (image.GetSpacing(), image.GetDirection())
    for index in np.ndindex(*back.GetSize()):
        place = image.TransformPhysicalPointToContinuousIndex(back.TransformIndexToPhysicalPoint(index))
        assert np.allclose(place, np.rint(place), atol=1e-6)
        assert image[[int(i) for i in np.rint(place)]] == back[index]


def test_labels_of_another_grid_are_refused():
    image = numbered(AXIS_ALIGNED[9])
    with pytest.raises(ValueError, match="do not lie on the reoriented grid"):
        restore_orientation(reorient_to_lps(image)[:2], image)


def test_labels_shifted_by_a_voxel_are_refused():
    image = numbered(np.eye(3))
    shifted = sitk.Image(image)
    shifted.SetOrigin(image.TransformIndexToPhysicalPoint((1, 0, 0)))
    with pytest.raises(ValueError, match="do not lie"):
        restore_orientation(shifted, image)


def test_sheared_image_is_straightened_by_position():
    # A linear ramp in space is what linear interpolation reproduces exactly.
    shear = np.array([[1, 0, 0.2], [0, 1, -0.1], [0, 0, 1]])
    shear[:, 2] /= np.linalg.norm(shear[:, 2])
    image = sitk.Image(20, 22, 24, sitk.sitkFloat32)
    image.SetDirection(shear.ravel())
    image.SetSpacing((1.5, 1.5, 2.0))
    ramp = sitk.PhysicalPointSource(
        sitk.sitkVectorFloat32, image.GetSize(), image.GetOrigin(), image.GetSpacing(), shear.ravel()
    )
    heights = [sitk.VectorIndexSelectionCast(ramp, axis) for axis in range(3)]
    values = heights[0] * 2 - heights[1] + heights[2] * 0.5
    straight, lean_degrees = straighten_gantry_tilt(values, fill=-9999)
    assert lean_degrees == pytest.approx(np.degrees(np.arctan(np.hypot(0.2, 0.1))))
    covered = [i for i in np.ndindex(*straight.GetSize()) if straight[i] > -9999]
    assert len(covered) > 0.9 * 19 * 21 * 24
    for index in covered[::97]:
        x, y, z = straight.TransformIndexToPhysicalPoint(index)
        inside = values.TransformPhysicalPointToContinuousIndex((x, y, z))
        if all(0 <= i <= n - 1 for i, n in zip(inside, values.GetSize())):
            assert straight[index] == pytest.approx(2 * x - y + 0.5 * z, abs=1e-3)


def test_upright_image_is_not_resampled():
    image = numbered(AXIS_ALIGNED[20])
    assert straighten_gantry_tilt(image, 0) == (image, 0.0)


@pytest.mark.parametrize("drift", [(0.95, 0.31225), (0.5, 0.8660254)])
def test_slices_that_lean_as_no_gantry_does_are_refused_before_memory_is_taken(drift):
    image = sitk.Image(8, 8, 200, sitk.sitkInt16)
    image.SetSpacing((0.5, 0.5, 5.0))
    sideways, upward = drift
    image.SetDirection((1, 0, sideways, 0, 1, 0, 0, 0, upward))
    with pytest.raises(InputError, match="lean by .* and drift by .* pixels, which no gantry does"):
        straighten_gantry_tilt(image, 0)
