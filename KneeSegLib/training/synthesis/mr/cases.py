"""Whole synthetic knee MR with its truth: for ``kneeseg synthesize``, for tests and for tables to measure on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from KneeSegLib.anatomy import Side, structure
from KneeSegLib.training.synthesis.cases import SyntheticCase
from KneeSegLib.training.synthesis.mr.lattice import locate_points
from KneeSegLib.training.synthesis.mr.render import MrSynthesis, SyntheticMr, draw_bent_lattice, render_mr
from KneeSegLib.training.synthesis.mr.structures import CLASSES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee

if TYPE_CHECKING:
    import SimpleITK as sitk

EXTENT_MM = (112.0, 152.0, 144.0)
"""Of a case: to the left, upward, backward."""

STRIDE = 8
"""Rows and columns come in multiples, as scanners' matrices do."""

SLICE_SPACING_MM = 3.5
THICKEST_RENDERED_MM = 1.4
SIGNAL_RANGE = 1000.0


def synthesize_mr_case(
    subject: PreparedKnee,
    spacing_mm: float = 0.6,
    slice_spacing_mm: float | None = None,
    side: Side = "right",
    seed: int = 0,
    synthesis: MrSynthesis | None = None,
) -> SyntheticCase:
    """Render a sagittal series of the whole knee.

    Args:
        spacing_mm: of pixels.
        slice_spacing_mm: distance and thickness of slices; None for :data:`SLICE_SPACING_MM`.
        side: prepared knees are right ones and are mirrored for the left.
        seed: the same seed gives the same case.
    """
    shape, spacing, averaged = _choose_slab(spacing_mm, slice_spacing_mm)
    generator = torch.Generator().manual_seed(seed)
    rendered = render_mr(
        subject,
        shape,
        spacing,
        torch.zeros(3),
        synthesis or MrSynthesis(),
        generator,
        averaged,
    )
    image = (rendered.image / rendered.image.max() * SIGNAL_RANGE).round().numpy().astype(np.int16)
    labels = assign_label_values(rendered, side)
    return SyntheticCase(
        make_image(image, rendered, side), make_image(labels, rendered, side), subject.name, subject.group
    )


def locate_in_case(
    subject: PreparedKnee,
    points_mm: np.ndarray,
    spacing_mm: float = 0.6,
    slice_spacing_mm: float | None = None,
    side: Side = "right",
    seed: int = 0,
    synthesis: MrSynthesis | None = None,
) -> np.ndarray:
    """Where points (N, 3) of a person lie in the case that :func:`synthesize_mr_case` makes of the same arguments.

    Returns:
        (N, 3) in LPS mm of the image, some of them beyond it.
    """
    shape, spacing, _ = _choose_slab(spacing_mm, slice_spacing_mm)
    generator = torch.Generator().manual_seed(seed)
    lattice = draw_bent_lattice(shape, spacing, torch.zeros(3), synthesis or MrSynthesis(), generator)
    places = locate_points(torch.from_numpy(np.asarray(points_mm, np.float32)), lattice, shape, spacing)
    return mirror_for_side(places.double().numpy(), side)


def mirror_for_side(places_mm: np.ndarray, side: Side) -> np.ndarray:
    """Places (N, 3) from the centre of a slab of a right knee in the case that :func:`make_image` makes of it."""
    return places_mm * (-1.0 if side == "left" else 1.0, 1.0, 1.0)


def _choose_slab(
    spacing_mm: float, slice_spacing_mm: float | None
) -> tuple[tuple[int, int, int], tuple[float, ...], int]:
    """Shape and spacing of what is rendered, slices, rows, columns, and how many slices are averaged."""
    apart_mm = slice_spacing_mm or SLICE_SPACING_MM
    averaged = math.ceil(apart_mm / THICKEST_RENDERED_MM)
    rows, columns = (STRIDE * round(extent / spacing_mm / STRIDE) for extent in EXTENT_MM[1:])
    shape = (averaged * round(EXTENT_MM[0] / apart_mm), rows, columns)
    return shape, (apart_mm / averaged, spacing_mm, spacing_mm), averaged


def assign_label_values(rendered: SyntheticMr, side: Side) -> np.ndarray:
    """Label values (uint8) of :mod:`KneeSegLib.anatomy` for a slab of a right knee that lies across its middle.

    The menisci are told apart by the middle of the slab: medial is to the left of it.
    """
    classes = rendered.fractions.argmax(dim=0).numpy()
    table = np.zeros(len(CLASSES), np.uint8)
    for index, name in enumerate(CLASSES):
        if name not in ("background", "menisci"):
            table[index] = structure(name, side).label_value
    labels = table[classes]
    meniscus = classes == CLASSES.index("menisci")
    middle = classes.shape[0] // 2
    labels[:middle][meniscus[:middle]] = structure("lateral_meniscus", side).label_value
    labels[middle:][meniscus[middle:]] = structure("medial_meniscus", side).label_value
    return labels


def make_image(array: np.ndarray, rendered: SyntheticMr, side: Side) -> sitk.Image:
    """Slices, rows and columns of a slab as an image in LPS mm, rows downward; a left knee is the mirror of a right."""
    import SimpleITK as sitk

    # Columns lead backward and rows downward, so slices lead to the right in a right-handed image.
    ordered = array[:, ::-1] if side == "left" else array[::-1, ::-1]
    image = sitk.GetImageFromArray(np.ascontiguousarray(ordered))
    across, down, back = rendered.spacing_mm
    image.SetSpacing((back, down, across))
    image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))
    half = [(size - 1) / 2 * step for size, step in zip(array.shape, rendered.spacing_mm)]
    image.SetOrigin((half[0], -half[2], half[1]))
    return image
