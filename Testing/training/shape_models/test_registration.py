"""Registration against transforms that are known."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.training.shape_models.bone_image import BoneImage, prepare_bone_image
from KneeSegLib.training.shape_models.registration import _measure_folded, measure_overlap, register, register_affinely
from KneeSegLib.training.shape_models.surface_points import place_surface_points
from Testing.phantoms.bones import Pebble

PEBBLE = Pebble(lean=1.0)


@pytest.fixture(scope="module")
def bone() -> BoneImage:
    return prepare_bone_image(PEBBLE.labels(spacing_mm=1.5), "patella", "right", "a", 1.5)


def moved(bone: BoneImage, transform: sitk.Transform) -> BoneImage:
    """The bone after a motion: what is at p goes to ``transform(p)``."""
    return BoneImage("moved", sitk.Resample(bone.distance, transform.GetInverse(), sitk.sitkLinear, 10.0), None, None)


def test_an_affine_motion_is_found_again(bone):
    motion = sitk.AffineTransform(3)
    motion.SetMatrix((1.05, 0.04, 0.0, -0.03, 0.97, 0.02, 0.0, 0.05, 1.02))
    motion.SetTranslation((2.0, -1.5, 1.0))
    found = register_affinely(bone.distance, moved(bone, motion).distance)
    points, _ = place_surface_points(bone, 60)
    there, here = (np.array([each.TransformPoint(point) for point in points.tolist()]) for each in (motion, found))
    assert np.linalg.norm(there - here, axis=1).mean() < 0.4
    assert np.linalg.norm(there - points, axis=1).mean() > 2.0


def test_affine_registration_never_reflects(bone):
    found = register_affinely(bone.distance, bone.mirror().distance)
    assert np.linalg.det(np.reshape(found.GetMatrix(), (3, 3))) > 0


def test_a_bone_lies_on_itself(bone):
    registration = register(bone, bone)
    points, _ = place_surface_points(bone, 60)
    np.testing.assert_allclose(registration.warp(points), points, atol=0.1)
    assert registration.overlap > 0.995
    assert registration.folded == 0


def test_demons_take_points_where_an_affine_motion_cannot(bone):
    bent = Pebble(lean=5.0)
    case = prepare_bone_image(bent.labels(), "patella", "right", "bent", 1.5)
    registration = register(bone, case)
    assert registration.overlap > registration.affine_overlap + 0.01
    points, _ = place_surface_points(bone, 60)
    off_surface = np.abs(np.linalg.norm(bent.sphere_points(registration.warp(points)), axis=1) - 1)
    assert off_surface.mean() * 15 < 0.3


def test_a_field_that_folds_is_seen(bone):
    """Displacements of -2 x about a plane turn space inside out there, half of that only compresses it."""
    size = bone.distance.GetSize()
    x = bone.distance.GetOrigin()[0] + 1.5 * np.arange(size[0])
    for steepness, folds in ((-0.5, False), (-2.0, True)):
        array = np.zeros((*size[::-1], 3))
        array[..., 0] = steepness * x * (np.abs(x) < 8)
        field = sitk.GetImageFromArray(array, isVector=True)
        field.CopyInformation(bone.distance)
        inner = field[5:-5, 5:-5, 5:-5]
        assert (_measure_folded(inner, bone.distance[5:-5, 5:-5, 5:-5]) > 0.1) == folds


def test_overlap_is_dice():
    first, second = (
        sitk.GetImageFromArray(np.where(np.arange(20) < end, -1.0, 1.0).reshape(1, 4, 5)) for end in (10, 6)
    )
    assert measure_overlap(first, second) == pytest.approx(2 * 6 / 16)
