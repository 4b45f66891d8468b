"""The small picture of a case in the gallery: slices with outlines, as the report shows them, in one SVG file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from KneeSegLib.batch.settings import THUMBNAIL_PICTURES
from KneeSegLib.io.writing import write_whole
from KneeSegLib.report.regions import find_joint_regions
from KneeSegLib.report.slices import SlicePainter
from KneeSegLib.report.templates import load_template

if TYPE_CHECKING:
    from KneeSegLib.case import ScanResult


def write_thumbnail(scan: ScanResult, path: Path) -> None:
    """Write slices through the first joint of a scan; one that shows no bone has no thumbnail.

    Raises:
        OutputError: it cannot be written.
    """
    painter = SlicePainter(scan)
    regions = find_joint_regions(painter.labelled)
    if not regions:
        return
    windows = list(regions[0].windows.items())[:THUMBNAIL_PICTURES]
    pictures = [painter.paint(caption, window, regions[0].width_mm) for caption, window in windows]
    text = load_template("thumbnail.svg.j2", Path(__file__).parent).render(
        pictures=pictures, width_mm=regions[0].width_mm, title=regions[0].title
    )
    with write_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
