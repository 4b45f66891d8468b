"""``report.html``: one file with everything in it, no script, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.anatomy import Structure
from KneeSegLib.progress import Progress, no_progress, parts
from KneeSegLib.report.cartilage import SCALE_MM, cartilage_pictures, css_gradient
from KneeSegLib.report.regions import joint_regions, shaft_regions
from KneeSegLib.report.slices import Picture, SlicePainter, display_range
from KneeSegLib.report.solids import solid_pictures

if TYPE_CHECKING:
    from KneeSegLib.case import Case
    from KneeSegLib.quality import QualityResult

_TILT_WORTH_SAYING_DEGREES = 5.0


@dataclass(frozen=True)
class ShownRegion:
    """A region with its pictures and the structures that appear on them."""

    title: str
    pictures: list[Picture]
    structures: list[Structure]

    @property
    def one_sided(self) -> bool:
        """Whether all structures belong to one leg, so that the title alone names the side."""
        return len({structure.side for structure in self.structures}) == 1


def write_report(case: Case, provenance: Mapping[str, Any], path: Path, progress: Progress = no_progress) -> None:
    """Write the report of ``case``.

    Args:
        provenance: as :class:`~KneeSegLib.case.Case` describes it, with ``statement`` and ``software``.
        path: the file to write; its folder exists.
    """
    path.write_text(report_html(case, provenance, progress), encoding="utf-8", newline="\n")


def report_html(case: Case, provenance: Mapping[str, Any], progress: Progress = no_progress) -> str:
    """Return the report as one HTML document."""
    slicing, shading = parts(progress, (1, 2))
    slicing(0.0, "Slice pictures")
    painter = SlicePainter(
        case.volume.image,
        case.labels,
        case.margins,
        [found.structure for found in case.structures],
        display_range(case.volume.image, case.volume.modality),
    )
    shown = _shown_regions(case, painter, slicing)
    shading(0.0, "3D pictures")
    surfaces = case.surfaces()
    solids = solid_pictures({found.structure: surfaces[found.structure.key] for found in case.structures})
    shading(1.0, "3D pictures")
    tilt = painter.tilt_degrees
    timings = provenance.get("timings", {})
    return _template().render(
        title=what_was_found([found.structure for found in case.structures]),
        case=case,
        provenance=provenance,
        date=_date(provenance.get("date")),
        size=case.labels.GetSize(),
        spacing=case.labels.GetSpacing(),
        warnings=[*case.volume.notes, *case.warnings, *(text for found in case.structures for text in found.warnings)],
        shared_limits=shared_limits([found.quality for found in case.structures if found.quality]),
        regions=shown,
        cartilage=case.cartilage,
        joint_surfaces=cartilage_pictures(case.cartilage),
        thickness_scale=css_gradient(),
        thickness_end=SCALE_MM,
        solids=solids,
        tilt=tilt if tilt >= _TILT_WORTH_SAYING_DEGREES else None,
        timings=[(stage[:1].upper() + stage[1:], seconds) for stage, seconds in timings.items()],
        total=sum(timings.values()),
        longest=max(timings.values(), default=0.0) or 1.0,
    )


def _shown_regions(case: Case, painter: SlicePainter, progress: Progress) -> list[ShownRegion]:
    boxes = {found.structure: painter.box(found.extent) for found in case.structures}
    where = (list(boxes), painter.labels, boxes, painter.grid)
    chosen = joint_regions(*where) + shaft_regions(*where)
    shown = []
    for position, region in enumerate(chosen):
        progress(position / len(chosen), f"Pictures: {region.title}")
        pictures = [painter.picture(caption, window, region.width_mm) for caption, window in region.windows.items()]
        names = {outline.name for picture in pictures for outline in picture.outlines}
        shown.append(
            ShownRegion(
                region.title, pictures, [found.structure for found in case.structures if found.structure.name in names]
            )
        )
    return shown


def what_was_found(structures: Sequence[Structure]) -> str:
    """Return a title: ``Right femur, tibia and patella``, ``Both legs: femur and tibia``."""
    bones = [structure for structure in structures if structure.tissue.kind == "bone"] or list(structures)
    if not bones:
        return "Nothing found"
    sides = {structure.side for structure in bones}
    names = list(dict.fromkeys(structure.tissue.name for structure in bones))
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{bones[0].side.capitalize()} {listed}" if len(sides) == 1 else f"Both legs: {listed}"


def shared_limits(results: Sequence[QualityResult]) -> list[str]:
    """Return the limits that all of several results name, which need to be said only once."""
    if len(results) < 2:
        return []
    return [limit for limit in results[0].limits if all(limit in result.limits for result in results)]


def _date(text: str | None) -> str:
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


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    environment.filters["css_color"] = lambda color: "rgb({}, {}, {})".format(*color)
    environment.filters["cm3"] = _cubic_centimetres
    environment.filters["mm"] = lambda length: f"{length:.2f}"
    environment.filters["duration"] = _duration
    return environment.get_template("report.html.j2")


def _cubic_centimetres(volume_mm3: float) -> str:
    volume = volume_mm3 / 1000
    return f"{volume:.1f}" if volume >= 10 else f"{volume:.2f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
