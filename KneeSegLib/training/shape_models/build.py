"""From label maps to a shape model: sections 3.1 and 3.2 of the paper on deep shape fitting.

J. Schock, M. Kopaczka et al., *A Method for Semantic Knee Bone and Cartilage Segmentation with Deep 3D Shape Fitting
Using Data From the Osteoarthritis Initiative*, ShapeMI 2020. Of their 507 knees two were broken and left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from KneeSegLib import __version__
from KneeSegLib.errors import InputError
from KneeSegLib.progress import Progress, each, no_progress, parts
from KneeSegLib.shape.model import Provenance, Quality, ShapeModel
from KneeSegLib.training.shape_models.alignment import generalised_procrustes
from KneeSegLib.training.shape_models.bone_image import BoneImage
from KneeSegLib.training.shape_models.components import principal_components, worth_keeping
from KneeSegLib.training.shape_models.quality import compactness, generalisation, specificity
from KneeSegLib.training.shape_models.reference import pairwise_overlaps, reference_of
from KneeSegLib.training.shape_models.registration import Registration, likeness, register
from KneeSegLib.training.shape_models.surface_points import surface_points
from KneeSegLib.training.shape_models.unusable import UnusableCase

POINTS = 2000
LEAST_CASES = 3

LEAST_AFFINE_OVERLAP = 0.85
"""Dice after affine registration; femora among each other reach 0.91 to 0.97, a tibia on a femur 0.80."""
LEAST_OVERLAP = 0.95
"""Dice after the whole registration."""
MOST_RESIDUAL_VOXELS = 0.5
"""Mean distance of the warped points from the surface that they should lie on, in voxels."""
MIRRORED_BETTER_BY = 0.015
"""Dice; the right side leads by 0.03 to 0.07 where a bone has a left and a right."""


@dataclass(frozen=True)
class CaseReport:
    """What became of a case: figures of its registration, NaN where it did not come to one, and why it was left out."""

    case: str
    affine_overlap: float = np.nan
    overlap: float = np.nan
    residual_mm: float = np.nan
    reason: str = ""

    @property
    def used(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Build:
    """A model with what it was made of.

    Attributes:
        model: the model.
        reference: name of the reference case.
        reports: one for each case, in the order given.
        cases: names of the cases used, N.
        points: (N, P, 3) corresponding points in mm on each of them, in its own frame.
    """

    model: ShapeModel
    reference: str
    reports: tuple[CaseReport, ...]
    cases: tuple[str, ...]
    points: np.ndarray


def build(
    bone: str,
    cases: Sequence[BoneImage | UnusableCase],
    sources: Sequence[str] = (),
    point_count: int = POINTS,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Build:
    """Make the shape model of one bone.

    Args:
        bone: key of the tissue in :mod:`KneeSegLib.anatomy`.
        cases: the bone in each case, all with the same voxel edge; unusable ones are reported.
        sources: for the provenance, "name (licence)".
        seed: of the random shapes that specificity is measured with.

    Raises:
        InputError: fewer than three usable cases, or voxels too coarse for so many points.
    """
    comparing, registering, judging = parts(progress, (1, 8, 1))
    require_enough(bone, cases)
    images = [case for case in cases if isinstance(case, BoneImage)]
    reference = images[reference_of(pairwise_overlaps(images, comparing))]
    points, triangles = surface_points(reference, point_count)

    reports, used, warped = [], [], []
    for case in each(cases, registering, f"Registering each {bone}"):
        report, points_of_case = _registered(reference, case, points)
        reports.append(report)
        if report.used:
            used.append(case)
            warped.append(points_of_case)
    if len(used) < LEAST_CASES:
        raise _too_few(bone, reports, len(used))

    judging(0.0, "Principal components")
    model = model_of(
        bone,
        np.stack(warped),
        triangles,
        _cartilage_share(used, warped),
        Provenance(tuple(sources), len(used), reference.spacing_mm, __version__, date.today().isoformat()),
        _registration_figures(reports),
        start=used.index(reference),
        seed=seed,
    )
    return Build(model, reference.case, tuple(reports), tuple(case.case for case in used), np.stack(warped))


def model_of(
    bone: str,
    points: np.ndarray,
    triangles: np.ndarray,
    cartilage: np.ndarray,
    provenance: Provenance,
    figures: Mapping[str, float | None],
    start: int = 0,
    seed: int = 0,
    of_a_person: int = 1,
    most_modes: int | None = None,
) -> ShapeModel:
    """Make a model of points that correspond, whichever way they came to do so: Procrustes, PCA and its quality.

    Args:
        points: (N, P, 3) in mm on each case, in its own frame.
        triangles, cartilage, provenance: see :class:`~KneeSegLib.shape.model.ShapeModel`.
        figures: what is known of the points: overlaps and residuals of :class:`~KneeSegLib.shape.model.Quality`.
        start: the case that the mean lies like.
        seed: of the random shapes that specificity is measured with.
        of_a_person: so many cases in a row are of one person.
        most_modes: no more are kept; None for all that are worth it.
    """
    shapes = generalised_procrustes(points, start=start)
    mean, components, variances = principal_components(shapes)
    kept = min(worth_keeping(variances), most_modes or len(variances))
    random = np.random.default_rng(seed)
    return ShapeModel(
        bone=bone,
        mean=mean,
        components=components[:kept],
        variances=variances[:kept],
        triangles=triangles,
        cartilage=cartilage,
        provenance=provenance,
        quality=Quality(
            compactness=tuple(compactness(variances)[:kept].tolist()),
            generalisation_mm=tuple(generalisation(shapes, of_a_person)[:kept].tolist()),
            specificity_mm=tuple(specificity(shapes, components[:kept], variances[:kept], random).tolist()),
            **figures,
        ),
    )


def require_enough(bone: str, cases: Sequence[BoneImage | UnusableCase]) -> None:
    """Raise the :class:`InputError` of :func:`build` where no registration is needed to see that cases are too few."""
    unusable = [CaseReport(case.case, reason=case.reason) for case in cases if isinstance(case, UnusableCase)]
    if len(cases) - len(unusable) < LEAST_CASES:
        raise _too_few(bone, unusable, len(cases) - len(unusable))


def _registered(
    reference: BoneImage, case: BoneImage | UnusableCase, points: np.ndarray
) -> tuple[CaseReport, np.ndarray | None]:
    """Register a case; its report and its points (P, 3), None where it came to none."""
    if isinstance(case, UnusableCase):
        return CaseReport(case.case, reason=case.reason), None
    if case is reference:
        return CaseReport(case.case, 1.0, 1.0, float(np.abs(case.distances_at(points)).mean())), points
    try:
        registration = register(reference, case)
    except RuntimeError:  # ITK's, where two images lost sight of each other
        return CaseReport(case.case, reason="could not be registered"), None
    warped = registration.warped(points)
    residual_mm = float(np.abs(case.distances_at(warped)).mean())
    reason = _reason_against(reference, case, registration, residual_mm)
    return CaseReport(case.case, registration.affine_overlap, registration.overlap, residual_mm, reason), warped


def _reason_against(reference: BoneImage, case: BoneImage, registration: Registration, residual_mm: float) -> str:
    """Why a registered case cannot be used; empty if it can.

    Demons can deform nearly anything into anything: that a case is another bone or the other side shows only before.
    """
    if likeness(reference, case.mirrored()) > likeness(reference, case) + MIRRORED_BETTER_BY:
        return "fits the others better when mirrored: its side may be named wrongly"
    if registration.affine_overlap < LEAST_AFFINE_OVERLAP:
        return f"is unlike the others (Dice {registration.affine_overlap:.2f} after affine registration)"
    if registration.folded > 0:
        return f"its registration folds in {registration.folded:.1%} of the voxels near the surface"
    if registration.overlap < LEAST_OVERLAP:
        return f"its registration did not succeed (Dice {registration.overlap:.2f})"
    if residual_mm > MOST_RESIDUAL_VOXELS * reference.spacing_mm:
        return f"its points lie {residual_mm:.1f} mm beside its surface"
    return ""


def _cartilage_share(cases: Sequence[BoneImage], warped: Sequence[np.ndarray]) -> np.ndarray:
    """Share (P,) of the cases with cartilage in which each point touches it; zero where no case has any."""
    carried = []
    for case, points in zip(cases, warped):
        distance = case.cartilage_distances_at(points)
        if distance is not None:
            carried.append(distance <= case.spacing_mm)
    return np.mean(carried, axis=0) if carried else np.zeros(len(warped[0]))


def _registration_figures(reports: Sequence[CaseReport]) -> dict[str, float]:
    registered = [report for report in reports if report.used and report.overlap < 1.0]
    return {
        "overlap_mean": float(np.mean([report.overlap for report in registered])),
        "overlap_least": float(np.min([report.overlap for report in registered])),
        "residual_mean_mm": float(np.mean([report.residual_mm for report in registered])),
        "residual_most_mm": float(np.max([report.residual_mm for report in registered])),
    }


def _too_few(bone: str, reports: Sequence[CaseReport], usable: int) -> InputError:
    reasons = "; ".join(f"{report.case} {report.reason}" for report in reports if not report.used)
    return InputError(
        f"A shape model of the {bone} needs at least {LEAST_CASES} usable cases, not {usable}"
        f"{f' ({reasons})' if reasons else ''}; give more label maps."
    )
