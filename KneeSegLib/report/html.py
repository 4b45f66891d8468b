"""``report.html``: one file with everything in it, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.edges.measurement import EDGE_MEANINGS, MEASURED_EDGE
from KneeSegLib.measurements.settings import OPINION_LIMITS_MM
from KneeSegLib.progress import Progress, no_progress, split_progress
from KneeSegLib.report.blocks import describe_gaps, list_legs_over_blocks
from KneeSegLib.report.cartilage import format_css_gradient
from KneeSegLib.report.content import collect_warnings, find_shared_limits, show_scan, title_structures
from KneeSegLib.report.settings import CARTILAGE_SCALE_MM, TILT_TOLD_FROM_DEGREES
from KneeSegLib.report.solids import draw_solids
from KneeSegLib.report.templates import load_template
from KneeSegLib.second_opinion import describe_presence

if TYPE_CHECKING:
    from KneeSegLib.case import Case


def write_report(case: Case, provenance: Mapping[str, Any], path: Path, progress: Progress = no_progress) -> None:
    """Write the report of ``case``.

    Args:
        provenance: as :class:`~KneeSegLib.case.Case` describes it, with ``statement`` and ``software``.
        path: the file to write; its folder exists.
    """
    path.write_text(render_report(case, provenance, progress), encoding="utf-8", newline="\n")


def render_report(case: Case, provenance: Mapping[str, Any], progress: Progress = no_progress) -> str:
    """Return the report as one HTML document; arguments as of :func:`write_report`."""
    slicing, shading = split_progress(progress, (1, 2))
    found = [found for scan in case.scans for found in scan.structures]
    scans = [
        show_scan(case, scan, scan_progress)
        for scan, scan_progress in zip(case.scans, split_progress(slicing, [1] * len(case.scans)))
    ]
    shading(0.0, "3D pictures")
    solids = draw_solids(
        [(found.structure, scan.surfaces()[found.structure.key]) for scan in case.scans for found in scan.structures]
    )
    shading(1.0, "3D pictures")
    tilt = max(shown.tilt_degrees for shown in scans)
    timings = provenance.get("timings", {})
    return load_template("report.html.j2").render(
        title=title_structures([entry.structure for entry in found]),
        scans=scans,
        all_found=found,
        legs=list_legs_over_blocks(case),
        gaps=describe_gaps(case.scans),
        provenance=provenance,
        date=provenance.get("date"),
        warnings=collect_warnings(case),
        shared_limits=find_shared_limits([entry.quality for entry in found if entry.quality]),
        regions=[region for shown in scans for region in shown.regions],
        joint_surfaces=[picture for shown in scans for picture in shown.joint_surfaces],
        thickness_scale=format_css_gradient(),
        thickness_end=CARTILAGE_SCALE_MM,
        solids=solids,
        tilt=tilt if tilt >= TILT_TOLD_FROM_DEGREES else None,
        edge_meanings=EDGE_MEANINGS,
        measured_edge=MEASURED_EDGE,
        opinion=case.second_opinion,
        presence=describe_presence,
        opinion_limits=", ".join(f"{limit:g} mm ({kind})" for kind, limit in OPINION_LIMITS_MM.items()),
        timings=[(stage[:1].upper() + stage[1:], seconds) for stage, seconds in timings.items()],
        total=sum(timings.values()),
        longest=max(timings.values(), default=0.0) or 1.0,
    )
