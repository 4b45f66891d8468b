"""Whole synthetic knee MR with its truth: for ``kneeseg synthesize``, for tests and for tables to measure on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from KneeSegLib.anatomy import BoneEdge, Side, structure
from KneeSegLib.training.synthesis.cases import SyntheticCase
from KneeSegLib.training.synthesis.mr.lattice import locate_points
from KneeSegLib.training.synthesis.mr.render import SyntheticMr, draw_bent_lattice, render_mr
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.settings import (
    CASE_EXTENT_MM,
    MATRIX_STRIDE,
    SIGNAL_RANGE,
    SLICE_SPACING_MM,
    THICKEST_RENDERED_MM,
    MrSynthesis,
)
from KneeSegLib.training.synthesis.mr.structures import BONES, CLASSES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class MrSeries:
    """How a sagittal series of a whole knee is rendered.

    Attributes:
        spacing_mm: of pixels.
        slice_spacing_mm: distance and thickness of slices.
        side: prepared knees are right ones and are mirrored for the left.
        seed: the same seed gives the same case.
        synthesis: what may be drawn.
        edge: where bones end in the labels, see :data:`KneeSegLib.anatomy.BoneEdge`.
    """

    spacing_mm: float = 0.6
    slice_spacing_mm: float = SLICE_SPACING_MM
    side: Side = "right"
    seed: int = 0
    synthesis: MrSynthesis = field(default_factory=MrSynthesis)
    edge: BoneEdge = "cortex"

    @property
    def averaged(self) -> int:
        """Number of rendered slices that make one of the series."""
        return math.ceil(self.slice_spacing_mm / THICKEST_RENDERED_MM)

    @property
    def slab(self) -> Slab:
        """What is rendered, before slices are averaged."""
        rows, columns = (
            MATRIX_STRIDE * round(extent / self.spacing_mm / MATRIX_STRIDE) for extent in CASE_EXTENT_MM[1:]
        )
        slices = self.averaged * round(CASE_EXTENT_MM[0] / self.slice_spacing_mm)
        spacing_mm = (self.slice_spacing_mm / self.averaged, self.spacing_mm, self.spacing_mm)
        return Slab((slices, rows, columns), spacing_mm)


def synthesize_mr_case(subject: PreparedKnee, series: MrSeries) -> SyntheticCase:
    """Render a sagittal series of the whole knee."""
    generator = torch.Generator().manual_seed(series.seed)
    rendered = render_mr(subject, series.slab, series.synthesis, generator, series.averaged)
    image = (rendered.image / rendered.image.max() * SIGNAL_RANGE).round().numpy().astype(np.int16)
    image = make_image(image, rendered, series.side)
    if series.edge == "marrow":
        rendered = end_at_marrow(rendered)
    labels = make_image(assign_label_values(rendered, series.side), rendered, series.side)
    return SyntheticCase(image, labels, subject.name, subject.group)


def end_at_marrow(rendered: SyntheticMr) -> SyntheticMr:
    """Return a slab whose bones end where their marrow does: what their cortex fills is background."""
    fractions = rendered.fractions.clone()
    bones = fractions[1 : 1 + len(BONES)]
    whole = bones.sum(dim=0)
    bones *= rendered.marrow / whole.clamp(min=1e-6)
    fractions[0] += whole - rendered.marrow
    return replace(rendered, fractions=fractions)


def locate_in_case(points_mm: np.ndarray, series: MrSeries) -> np.ndarray:
    """Return where points (N, 3) of a subject lie in the case that :func:`synthesize_mr_case` makes of it.

    Returns:
        (N, 3) in LPS mm of the image, some of them beyond it.
    """
    generator = torch.Generator().manual_seed(series.seed)
    lattice = draw_bent_lattice(series.slab, series.synthesis, generator)
    places = locate_points(torch.from_numpy(np.asarray(points_mm, np.float32)), lattice, series.slab)
    return mirror_for_side(places.double().numpy(), series.side)


def mirror_for_side(places_mm: np.ndarray, side: Side) -> np.ndarray:
    """Return places (N, 3) from the centre of a slab of a right knee as they lie in :func:`make_image`'s image."""
    return places_mm * (-1.0 if side == "left" else 1.0, 1.0, 1.0)


def assign_label_values(rendered: SyntheticMr, side: Side) -> np.ndarray:
    """Return label values (uint8) of :mod:`KneeSegLib.anatomy` for a slab that lies across a right knee's middle.

    The menisci are distinguished by the middle of the slab: medial is to the left of it.
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
    """Return slices, rows and columns of a slab as an image in LPS mm, rows downward; a left knee is mirrored."""
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
