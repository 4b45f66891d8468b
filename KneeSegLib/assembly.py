"""From what a pipeline found to a case on the input's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import SimpleITK as sitk

from KneeSegLib import __version__
from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.ct.settings import LEAST_VOLUME_CM3
from KneeSegLib.geometry.orientation import restore_crop_orientation, restore_orientation
from KneeSegLib.inference.labels import LegLabels, follow_cleaning
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.cartilage import measure_cartilage
from KneeSegLib.measurements.structures import measure_structures
from KneeSegLib.measurements.surface_map import SurfaceMap
from KneeSegLib.pipelines.findings import Findings
from KneeSegLib.quality import assess_quality, describe_flag
from KneeSegLib.quality.joint_widths import describe_odd_width, measure_joint_width_mm, shows_knee
from KneeSegLib.quality.pieces import count_pieces


def assemble_case(volume: Volume, findings: Findings) -> Case:
    """Put labels and margins on the grid of ``volume``, measure every structure and assess its quality.

    Args:
        volume: what was read; ``findings.scan`` is the same turned to the patient's axes.

    Returns:
        A case without cartilage thickness (:func:`add_cartilage`), because that takes the surfaces.
    """
    labels = _merge_legs(findings.legs, findings.scan.image)
    labels = restore_orientation(labels, volume.image)
    found = measure_structures(labels)
    shown = [entry.structure for entry in found]
    checks = []
    for entry in found:
        features, limits = findings.features[entry.structure.key], findings.limits[entry.structure.tissue.kind]
        if entry.structure.tissue.kind == "bone":
            own = sitk.GetArrayViewFromImage(labels)[entry.box] == entry.structure.label_value
            features = replace(features, components=max(features.components, count_pieces(own)))
        entry.quality = assess_quality(entry.structure, features, limits)
        odd_width = None
        if shows_knee(entry.structure, shown) and not entry.quality.goes_on_unseen:
            odd_width = describe_odd_width(entry.structure, measure_joint_width_mm(labels, entry.structure, entry.box))
        if odd_width is not None:
            entry.quality = replace(entry.quality, level="check", reasons=(*entry.quality.reasons, odd_width))
        entry.edge = findings.edges.get(entry.structure.key)
        if (check := describe_flag(entry.structure, entry.quality)) is not None:
            checks.append(check)
        volume_cm3 = entry.volume_mm3 / 1000.0
        if volume_cm3 < LEAST_VOLUME_CM3.get(entry.structure.tissue.key, 0.0):
            entry.warnings.append(
                f"Only {volume_cm3:.1f} cm3 of the {entry.structure.name.lower()} were found: check it."
            )
    warnings = [*findings.warnings, *checks, *findings.missing]
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    provenance = {"version": __version__, "date": date, **findings.provenance}
    margins = _place_margins(findings, volume.image)
    scan = ScanResult(volume, labels, margins, found, maps=list(findings.maps))
    return Case([scan], warnings, provenance)


def add_cartilage(case: Case) -> None:
    """Measure the cartilage of every scan that shows some; its thickness becomes a map beside the others."""
    for scan in case.scans:
        if any(found.structure.tissue.kind == "cartilage" for found in scan.structures):
            scan.cartilage = measure_cartilage(scan.labels, scan.margins, scan.surfaces())
            scan.maps += [SurfaceMap(entry.bone, "cartilage_thickness", entry.surface) for entry in scan.cartilage]


def _merge_legs(legs: Sequence[LegLabels], turned: sitk.Image) -> sitk.Image:
    """Write all legs into one label image; where one is already, a later one has to give way."""
    labels = np.zeros(tuple(reversed(turned.GetSize())), np.uint8)
    for leg in legs:
        place = labels[leg.place]
        taken = (place != 0) & (leg.labels != 0)
        if taken.any():
            follow_cleaning(leg, np.where(taken, 0, leg.labels).astype(np.uint8))
        place[leg.labels != 0] = leg.labels[leg.labels != 0]
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(turned)
    return image


def _place_margins(findings: Findings, reference: sitk.Image) -> dict[str, sitk.Image]:
    """Return the margins of all legs by structure key, as images on crops of the grid of ``reference``."""
    turned = findings.scan.image
    margins = {}
    for leg in findings.legs:
        for bone, margin in leg.margins.items():
            first = [int(outer.start + inner.start) for outer, inner in zip(leg.place, margin.place)]
            image = sitk.GetImageFromArray(margin.values)
            image.SetSpacing(turned.GetSpacing())
            image.SetDirection(turned.GetDirection())
            image.SetOrigin(turned.TransformIndexToPhysicalPoint(first[::-1]))
            margins[structure(bone, leg.side).key] = restore_crop_orientation(image, reference)
    return margins
