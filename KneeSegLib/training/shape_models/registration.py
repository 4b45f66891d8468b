"""Registration of a bone to the reference bone: affine, then diffeomorphic demons, on signed distances.

A transform here maps points of the *reference* to points of the *case*. That is the direction in which ITK resamples
the case onto the reference, and the inverse of the motion of the case: what landmarks are warped with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from KneeSegLib.training.shape_models.bone_image import BoneImage
from KneeSegLib.training.shape_models.settings import (
    AFFINE_LEVELS_MM,
    AFFINE_STEPS,
    BAND_MM,
    COARSE_LEVELS_MM,
    DEMONS_LEVELS,
    DEMONS_SMOOTHING_VOXELS,
    FOLDING_WITHIN_MM,
)


@dataclass(frozen=True)
class Registration:
    """How one bone lies on the reference.

    Attributes:
        transform: reference point to case point, LPS mm.
        affine_overlap, overlap: Dice of the two bones after the affine and after the whole registration.
        folded: fraction of the voxels near the reference's surface where the field folds (Jacobian not positive).
    """

    transform: sitk.Transform
    affine_overlap: float
    overlap: float
    folded: float

    def warp(self, points: np.ndarray) -> np.ndarray:
        """Return points (P, 3) of the reference as they lie on the case, LPS mm."""
        return np.array([self.transform.TransformPoint(point) for point in points.tolist()])


def register(reference: BoneImage, case: BoneImage) -> Registration:
    """Register ``case`` to ``reference``; both have the same voxel edge."""
    affine = register_affinely(reference.distance, case.distance)
    aligned = _resample_onto(reference.distance, case.distance, affine)
    field = _run_demons(reference.distance, aligned)
    folded = _measure_folded(field, reference.distance)
    transform = sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(field)])  # the last one acts first
    return Registration(
        transform,
        measure_overlap(reference.distance, aligned),
        measure_overlap(reference.distance, _resample_onto(reference.distance, case.distance, transform)),
        folded,
    )


def measure_coarse_overlap(reference: BoneImage, case: BoneImage) -> float:
    """Return the Dice of two bones after a coarse affine registration; 0 where it fails."""
    try:
        affine = register_affinely(reference.distance, case.distance, COARSE_LEVELS_MM)
    except RuntimeError:  # ITK's, where two images lost sight of each other
        return 0.0
    return measure_overlap(reference.distance, _resample_onto(reference.distance, case.distance, affine))


def register_affinely(
    fixed: sitk.Image, moving: sitk.Image, levels_mm: tuple[float, ...] = AFFINE_LEVELS_MM
) -> sitk.AffineTransform:
    """Return the affine transform, fixed point to moving point, of least squared difference; coarse to fine.

    It begins with the centres on each other and the volumes made equal, never with a reflection.
    """
    transform = _match_volumes(fixed, moving)
    for level_mm in levels_mm:
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMeanSquares()
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=1.0, minStep=1e-3, numberOfIterations=AFFINE_STEPS, gradientMagnitudeTolerance=1e-6
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(_coarsen(fixed, level_mm), _coarsen(moving, level_mm))
    return transform


def measure_overlap(first: sitk.Image, second: sitk.Image) -> float:
    """Return the Dice of the insides (negative distances) of two images on the same grid."""
    a, b = (sitk.GetArrayViewFromImage(image) < 0 for image in (first, second))
    return float(2 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1))


def _resample_onto(grid: sitk.Image, distance: sitk.Image, transform: sitk.Transform) -> sitk.Image:
    return sitk.Resample(distance, grid, transform, sitk.sitkLinear, BAND_MM)


def _coarsen(distance: sitk.Image, spacing_mm: float) -> sitk.Image:
    factor = max(1, round(spacing_mm / distance.GetSpacing()[0]))
    return sitk.Shrink(distance, [factor] * 3)


def _match_volumes(fixed: sitk.Image, moving: sitk.Image) -> sitk.AffineTransform:
    (fixed_center, fixed_volume), (moving_center, moving_volume) = (
        _measure_center_and_volume(i) for i in (fixed, moving)
    )
    transform = sitk.AffineTransform(3)
    transform.SetCenter(fixed_center)
    transform.SetTranslation(np.subtract(moving_center, fixed_center))
    transform.SetMatrix((np.eye(3) * (moving_volume / fixed_volume) ** (1 / 3)).ravel())
    return transform


def _measure_center_and_volume(distance: sitk.Image) -> tuple[np.ndarray, float]:
    inside = np.argwhere(sitk.GetArrayViewFromImage(distance) < 0)[:, ::-1]
    spacing = np.array(distance.GetSpacing())
    return np.array(distance.GetOrigin()) + inside.mean(axis=0) * spacing, len(inside) * float(spacing.prod())


def _run_demons(fixed: sitk.Image, moving: sitk.Image) -> sitk.Image:
    """Return the displacement field on the grid of ``fixed``, in mm, coarse to fine.

    T. Vercauteren et al., Diffeomorphic demons: efficient non-parametric image registration, NeuroImage 45 (2009).
    """
    field = None
    for factor, iterations in DEMONS_LEVELS:
        level_fixed, level_moving = (sitk.Shrink(image, [factor] * 3) for image in (fixed, moving))
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(DEMONS_SMOOTHING_VOXELS)
        start = () if field is None else (sitk.Resample(field, level_fixed),)
        field = demons.Execute(level_fixed, level_moving, *start)
    assert field is not None
    return field


def _measure_folded(field: sitk.Image, distance: sitk.Image) -> float:
    near = np.abs(sitk.GetArrayViewFromImage(distance)) < FOLDING_WITHIN_MM
    jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
    return float(np.count_nonzero(jacobian[near] <= 0) / max(np.count_nonzero(near), 1))
