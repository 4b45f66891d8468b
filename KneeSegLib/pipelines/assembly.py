"""From labelled legs to a case on the input's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from types import MappingProxyType

import numpy as np
import SimpleITK as sitk

from KneeSegLib import __version__
from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case, structures_of
from KneeSegLib.ct.legs import LEAST_VOLUME_CM3
from KneeSegLib.inference.labels import LegLabels, follow_cleaning
from KneeSegLib.io.volume import Volume, crop_onto_grid, onto_grid
from KneeSegLib.quality import SHIPPED, Signs, Thresholds, verdict_on, warning_of


def case_of(
    volume: Volume,
    turned: sitk.Image,
    legs: list[LegLabels],
    signs: Mapping[str, Signs],
    warnings: list[str],
    thresholds: Mapping[str, Thresholds] = MappingProxyType({"bone": SHIPPED}),
) -> Case:
    """Put the legs together.

    Args:
        volume: what was read.
        turned: ``to_lps(volume.image)``, the grid that the legs' places refer to.
        signs: of the quality of each structure, by its key.
        thresholds: from which value on a sign is a reason to look, by kind of tissue.
        warnings: about the whole case; those about structures that have to be checked are added.
    """
    labels = np.zeros(tuple(reversed(turned.GetSize())), np.uint8)
    for leg in legs:
        _add(leg, labels)
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(turned)
    image = onto_grid(image, volume.image)
    found = structures_of(image)
    checks = []
    for entry in found:
        entry.verdict = verdict_on(entry.structure, signs[entry.structure.key], thresholds[entry.structure.tissue.kind])
        if (check := warning_of(entry.structure, entry.verdict)) is not None:
            checks.append(check)
        volume_cm3 = entry.volume_mm3 / 1000.0
        if volume_cm3 < LEAST_VOLUME_CM3.get(entry.structure.tissue.key, 0.0):
            entry.warnings.append(
                f"Only {volume_cm3:.1f} cm3 of the {entry.structure.name.lower()} were found: check it."
            )
    provenance = {"version": __version__, "date": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    return Case(volume, image, _margins(volume, turned, legs), found, [*warnings, *checks], provenance)


def _add(leg: LegLabels, labels: np.ndarray) -> None:
    """Write a leg into the whole; where another leg is already, that one stays."""
    place = labels[leg.place]
    taken = (place != 0) & (leg.labels != 0)
    if taken.any():
        follow_cleaning(leg, np.where(taken, 0, leg.labels).astype(np.uint8))
    place[leg.labels != 0] = leg.labels[leg.labels != 0]


def _margins(volume: Volume, turned: sitk.Image, legs: list[LegLabels]) -> dict[str, sitk.Image]:
    margins = {}
    for leg in legs:
        for bone, margin in leg.margins.items():
            first = [int(outer.start + inner.start) for outer, inner in zip(leg.place, margin.place)]
            image = sitk.GetImageFromArray(margin.values)
            image.SetSpacing(turned.GetSpacing())
            image.SetDirection(turned.GetDirection())
            image.SetOrigin(turned.TransformIndexToPhysicalPoint(first[::-1]))
            margins[structure(bone, leg.side).key] = crop_onto_grid(image, volume.image)
    return margins
