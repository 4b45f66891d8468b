"""Whole synthetic cases with their truth: for ``kneeseg synthesize``, and for demo, tests and tables to measure on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from KneeSegLib.anatomy import STRUCTURES, Side
from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.ct import render_ct
from KneeSegLib.training.synthesis.distractors import mirror_classes
from KneeSegLib.training.synthesis.settings import CtSynthesis
from KneeSegLib.training.synthesis.subjects import PreparedSubject

if TYPE_CHECKING:
    import SimpleITK as sitk

_LABEL_OF_CLASS = np.zeros(len(CLASSES), np.uint8)
for _structure in STRUCTURES:
    if _structure.key in CLASSES:
        _LABEL_OF_CLASS[CLASSES.index(_structure.key)] = _structure.label_value


@dataclass
class SyntheticCase:
    """An image and the labels it was made from, on one grid.

    Attributes:
        image: int16, HU of a CT, signal of an MR.
        labels: uint8, label values of :mod:`KneeSegLib.anatomy`.
        subject: name of the subject that it shows.
        group: whether that subject was trained on.
    """

    image: sitk.Image
    labels: sitk.Image
    subject: str
    group: str


def synthesize_case(
    subject: PreparedSubject,
    spacing_mm: float = 0.8,
    slice_spacing_mm: float | None = None,
    side: Side = "right",
    seed: int = 0,
    synthesis: CtSynthesis | None = None,
) -> SyntheticCase:
    """Render the whole box of a prepared subject.

    Args:
        spacing_mm: in-plane, and along the axis before slices are averaged.
        slice_spacing_mm: slice distance and thickness, a multiple of ``spacing_mm``; None for isotropic voxels.
        side: of a joint case; prepared joints are right ones and are mirrored for the left.
        seed: the same seed gives the same case.

    Raises:
        InputError: slices at such a distance cannot be averaged from whole voxels.
    """
    import SimpleITK as sitk

    synthesis = synthesis or CtSynthesis()
    generator = torch.Generator().manual_seed(seed)
    averaged = _find_whole_multiple(slice_spacing_mm or spacing_mm, spacing_mm)
    shape = [int(extent / spacing_mm) for extent in subject.extent_mm]
    shape[0] -= shape[0] % averaged
    centre = [extent / 2.0 for extent in subject.extent_mm]
    image = render_ct(subject, shape, spacing_mm, centre, synthesis, generator)
    classes, filled, hu = image.nearest, image.occupancy, image.hu
    if side == "left":
        classes, filled, hu = mirror_classes(classes.flip(-1)), filled.flip(-1), hu.flip(-1)
    if averaged > 1:
        hu = hu.reshape(-1, averaged, *hu.shape[1:]).mean(1)
        filled = filled.reshape(-1, averaged, *filled.shape[1:]).mean(1)
        classes = classes[averaged // 2 :: averaged]
    labels = _LABEL_OF_CLASS[classes.numpy()] * (filled.numpy() > 0.5)

    def make_image(array: np.ndarray) -> sitk.Image:
        result = sitk.GetImageFromArray(array)
        result.SetSpacing((spacing_mm, spacing_mm, spacing_mm * averaged))
        return result

    return SyntheticCase(
        make_image(hu.round().to(torch.int16).numpy()), make_image(labels.astype(np.uint8)), subject.name, subject.group
    )


def _find_whole_multiple(slice_spacing_mm: float, spacing_mm: float) -> int:
    """Return how many voxels make a slice; raises :class:`InputError` where that is no whole number."""
    multiple = round(slice_spacing_mm / spacing_mm)
    if multiple < 1 or abs(multiple * spacing_mm - slice_spacing_mm) > 1e-3:
        raise InputError(
            f"Slices {slice_spacing_mm:g} mm apart cannot be made of voxels of {spacing_mm:g} mm; choose a multiple, "
            f"such as {max(1, multiple) * spacing_mm:g} mm."
        )
    return multiple
