"""What the report shows of each scan of a case: pictures, and sentences that name the scan where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from KneeSegLib.anatomy import Structure
from KneeSegLib.progress import Progress
from KneeSegLib.report.cartilage import draw_cartilage
from KneeSegLib.report.pictures import Picture
from KneeSegLib.report.regions import find_joint_regions, find_shaft_regions
from KneeSegLib.report.slices import SlicePainter

if TYPE_CHECKING:
    from KneeSegLib.case import Case, ScanResult
    from KneeSegLib.quality import QualityResult


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


@dataclass(frozen=True)
class ShownScan:
    """A scan with its pictures.

    Attributes:
        title: ``"Hip scan"``; empty where there is only one.
        prefix: what stands before its files' names.
        tilt_degrees: by how much its slices are turned against the body.
    """

    title: str
    prefix: str
    scan: ScanResult
    regions: list[ShownRegion]
    joint_surfaces: list[Picture]
    tilt_degrees: float


def show_scan(case: Case, scan: ScanResult, progress: Progress) -> ShownScan:
    """Draw the pictures of one scan of ``case``."""
    progress(0.0, "Slice pictures")
    painter = SlicePainter(scan)
    chosen = find_joint_regions(painter.labelled) + find_shaft_regions(painter.labelled)
    title = title_scan(case, scan)
    regions = []
    for position, region in enumerate(chosen):
        progress(position / len(chosen), f"Pictures: {region.title}")
        pictures = [painter.paint(caption, window, region.width_mm) for caption, window in region.windows.items()]
        names = {outline.name for picture in pictures for outline in picture.outlines}
        structures = [structure for structure in painter.labelled.boxes if structure.name in names]
        regions.append(ShownRegion(f"{region.title}, {title.lower()}" if title else region.title, pictures, structures))
    return ShownScan(title, case.prefix_of(scan), scan, regions, draw_cartilage(scan.cartilage), painter.tilt_degrees)


def title_scan(case: Case, scan: ScanResult) -> str:
    """Return how a scan is called among several: ``"Hip scan"``; empty where there is only one."""
    return f"{scan.name.capitalize()} scan" if len(case.scans) > 1 else ""


def collect_warnings(case: Case) -> list[str]:
    """Return the sentences of scans, case and structures; those of one scan among several begin with its name."""
    own = [
        _name_scan(case, scan, sentence)
        for scan in case.scans
        for found in scan.structures
        for sentence in found.warnings
    ]
    return [*collect_notes(case), *case.warnings, *own]


def collect_notes(case: Case) -> list[str]:
    """Return what is to be said of how the scans were read; of one among several it begins with its name."""
    return [_name_scan(case, scan, note) for scan in case.scans for note in scan.volume.notes]


def title_structures(structures: Sequence[Structure]) -> str:
    """Return a title: ``Right femur, tibia and patella``, ``Both legs: femur and tibia``."""
    bones = [structure for structure in structures if structure.tissue.kind == "bone"] or list(structures)
    if not bones:
        return "Nothing found"
    sides = {structure.side for structure in bones}
    names = list(dict.fromkeys(structure.tissue.name for structure in bones))
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{bones[0].side.capitalize()} {listed}" if len(sides) == 1 else f"Both legs: {listed}"


def find_shared_limits(results: Sequence[QualityResult]) -> list[str]:
    """Return the limits that all of several results name, which need to be said only once."""
    if len(results) < 2:
        return []
    return [limit for limit in results[0].limits if all(limit in result.limits for result in results)]


def _name_scan(case: Case, scan: ScanResult, sentence: str) -> str:
    title = title_scan(case, scan)
    return f"{title}: {sentence}" if title else sentence
