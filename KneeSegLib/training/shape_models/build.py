"""From label maps to a shape model: sections 3.1 and 3.2 of the paper on deep shape fitting.

J. Schock, M. Kopaczka et al., *A Method for Semantic Knee Bone and Cartilage Segmentation with Deep 3D Shape Fitting
Using Data From the Osteoarthritis Initiative*, ShapeMI 2020. Of their 507 knees two were broken and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from KneeSegLib import __version__
from KneeSegLib.errors import InputError
from KneeSegLib.progress import Progress, no_progress, report_each, split_progress
from KneeSegLib.shape.model import Provenance, ShapeModel
from KneeSegLib.training.shape_models.acceptance import CaseReport, register_case
from KneeSegLib.training.shape_models.bone_image import BoneImage
from KneeSegLib.training.shape_models.modelling import CorrespondingPoints, PointErrors, make_model
from KneeSegLib.training.shape_models.reference import choose_reference, measure_pairwise_overlaps
from KneeSegLib.training.shape_models.settings import LEAST_CASES, POINTS
from KneeSegLib.training.shape_models.surface_points import place_surface_points
from KneeSegLib.training.shape_models.unusable import UnusableCase


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
    """Build the shape model of one bone.

    Args:
        bone: key of the tissue in :mod:`KneeSegLib.anatomy`.
        cases: the bone in each case, all with the same voxel edge; unusable ones are reported.
        sources: for the provenance, "name (licence)".
        seed: of the random shapes that specificity is measured with.

    Raises:
        InputError: fewer than three usable cases, or voxels too coarse for so many points.
    """
    comparing, registering, measuring = split_progress(progress, (1, 8, 1))
    require_enough(bone, cases)
    images = [case for case in cases if isinstance(case, BoneImage)]
    reference = images[choose_reference(measure_pairwise_overlaps(images, comparing))]
    points, triangles = place_surface_points(reference, point_count)

    reports: list[CaseReport] = []
    used: list[BoneImage] = []
    warped: list[np.ndarray] = []
    for case in report_each(cases, registering, f"Registering each {bone}"):
        report, points_of_case = register_case(reference, case, points)
        reports.append(report)
        if report.used and isinstance(case, BoneImage) and points_of_case is not None:
            used.append(case)
            warped.append(points_of_case)
    if len(used) < LEAST_CASES:
        raise _make_too_few_error(bone, reports, len(used))

    measuring(0.0, "Principal components")
    cartilage = _measure_cartilage_fraction(used, warped)
    start = next(number for number, case in enumerate(used) if case is reference)
    model = make_model(
        CorrespondingPoints(bone, np.stack(warped), triangles, cartilage, start),
        Provenance(tuple(sources), len(used), reference.spacing_mm, __version__, date.today().isoformat()),
        _summarize_errors(reports),
        seed,
    )
    return Build(model, reference.case, tuple(reports), tuple(case.case for case in used), np.stack(warped))


def require_enough(bone: str, cases: Sequence[BoneImage | UnusableCase]) -> None:
    """Raise the :class:`InputError` of :func:`build` where no registration is needed to see that cases are too few."""
    unusable = [CaseReport(case.case, reason=case.reason) for case in cases if isinstance(case, UnusableCase)]
    if len(cases) - len(unusable) < LEAST_CASES:
        raise _make_too_few_error(bone, unusable, len(cases) - len(unusable))


def _measure_cartilage_fraction(cases: Sequence[BoneImage], warped: Sequence[np.ndarray]) -> np.ndarray:
    """Fraction (P,) of the cases with cartilage in which each point touches it; zero where no case has any."""
    carried = []
    for case, points in zip(cases, warped):
        distance = case.cartilage_distances_at(points)
        if distance is not None:
            carried.append(distance <= case.spacing_mm)
    return np.mean(carried, axis=0) if carried else np.zeros(len(warped[0]))


def _summarize_errors(reports: Sequence[CaseReport]) -> PointErrors:
    used = [report for report in reports if report.used]
    registered = [report for report in used if report.overlap < 1.0] or used
    overlaps, residuals_mm = zip(*((report.overlap, report.residual_mm) for report in registered))
    return PointErrors(
        float(np.mean(residuals_mm)), float(np.max(residuals_mm)), float(np.mean(overlaps)), float(np.min(overlaps))
    )


def _make_too_few_error(bone: str, reports: Sequence[CaseReport], usable: int) -> InputError:
    reasons = "; ".join(f"{report.case} {report.reason}" for report in reports if not report.used)
    return InputError(
        f"A shape model of the {bone} needs at least {LEAST_CASES} usable cases, not {usable}"
        f"{f' ({reasons})' if reasons else ''}; give more label maps."
    )
