"""``report.html``: one file with everything in it, no script, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.progress import Progress, no_progress, split_progress
from KneeSegLib.report.cartilage import format_css_gradient
from KneeSegLib.report.content import collect_warnings, find_shared_limits, show_scan, title_structures
from KneeSegLib.report.settings import CARTILAGE_SCALE_MM, TILT_TOLD_FROM_DEGREES
from KneeSegLib.report.solids import draw_solids

if TYPE_CHECKING:
    import jinja2

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
    return _load_template().render(
        title=title_structures([entry.structure for entry in found]),
        scans=scans,
        all_found=found,
        provenance=provenance,
        date=_format_date(provenance.get("date")),
        warnings=collect_warnings(case),
        shared_limits=find_shared_limits([entry.quality for entry in found if entry.quality]),
        regions=[region for shown in scans for region in shown.regions],
        joint_surfaces=[picture for shown in scans for picture in shown.joint_surfaces],
        thickness_scale=format_css_gradient(),
        thickness_end=CARTILAGE_SCALE_MM,
        solids=solids,
        tilt=tilt if tilt >= TILT_TOLD_FROM_DEGREES else None,
        timings=[(stage[:1].upper() + stage[1:], seconds) for stage, seconds in timings.items()],
        total=sum(timings.values()),
        longest=max(timings.values(), default=0.0) or 1.0,
    )


def _load_template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    environment.filters["data_uri"] = _format_data_uri
    environment.filters["css_color"] = _format_css_color
    environment.filters["cm3"] = _format_cm3
    environment.filters["mm"] = lambda length: f"{length:.2f}"
    environment.filters["duration"] = _format_duration
    return environment.get_template("report.html.j2")


def _format_date(text: str | None) -> str:
    if not text:
        return "date not recorded"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return f"{moment.day} {moment:%B %Y, %H:%M}"
    moment = moment.astimezone(timezone.utc)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _format_data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _format_css_color(color: tuple[int, int, int]) -> str:
    return "rgb({}, {}, {})".format(*color)


def _format_cm3(volume_mm3: float) -> str:
    volume = volume_mm3 / 1000
    return f"{volume:.1f}" if volume >= 10 else f"{volume:.2f}"


def _format_duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
