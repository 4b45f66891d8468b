"""What one run produced and how: data alone. :mod:`KneeSegLib.output` writes it, :mod:`KneeSegLib.report` shows it.

    >>> case.labels, case.structures, case.surfaces()        # doctest: +SKIP
    >>> case.save("out/")                                    # doctest: +SKIP

A case may hold several scans of one patient, such as blocks of hip, knee and ankle: each has its own grid and label
map, and a structure may be in several of them. They share one frame of reference, so that their surfaces lie together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.case_record import SCAN_NAME
from KneeSegLib.errors import InputError
from KneeSegLib.progress import Progress, no_progress, report_each, split_progress

if TYPE_CHECKING:
    import SimpleITK as sitk
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from KneeSegLib.io.volume import Volume
    from KneeSegLib.measurements.cartilage import CartilageMeasurement
    from KneeSegLib.measurements.structures import FoundStructure
    from KneeSegLib.measurements.surface_map import SurfaceMap
    from KneeSegLib.second_opinion import SecondOpinion


@dataclass
class ScanResult:
    """One scan and what was found in it.

    Attributes:
        volume: what was read.
        labels: uint8, on exactly the volume's grid; values of :mod:`KneeSegLib.anatomy`.
        margins: per structure key an image on a crop of that grid: probability of the structure minus that of the
            most probable other class; its zero level is the sub-voxel surface. Structures without one are meshed from
            their labels.
        structures: what ``labels`` hold.
        cartilage: what was measured of cartilage.
        maps: surfaces with values on their points: what there is to show beside labels.
        name: tells it from the other scans of a case, such as ``"hip"``; lower case, digits and hyphens.
    """

    volume: Volume
    labels: sitk.Image
    margins: dict[str, sitk.Image]
    structures: list[FoundStructure]
    cartilage: list[CartilageMeasurement] = field(default_factory=list)
    maps: list[SurfaceMap] = field(default_factory=list)
    name: str = ""
    _surfaces: dict[str, vtkPolyData] | None = field(default=None, init=False, repr=False, compare=False)

    def surfaces(self, progress: Progress = no_progress) -> dict[str, vtkPolyData]:
        """Return one closed surface per structure key, LPS, mm; computed once and kept."""
        if self._surfaces is None:
            from KneeSegLib.surfaces import surface_of

            self._surfaces = {
                found.structure.key: surface_of(self.labels, found.structure, self.margins.get(found.structure.key))
                for found in report_each(self.structures, progress, "Surfaces")
            }
        return self._surfaces


@dataclass
class Case:
    """The result of one run.

    Attributes:
        scans: at least one; several have names of their own.
        warnings: sentences about the whole case.
        provenance: JSON-able: ``version``, ``pipeline``, ``pipeline_title``, ``options``, ``bundles`` (each with
            ``name``, ``version``, ``sha256``), ``device``, ``timings`` (seconds per stage, in order) and ``date`` (ISO
            8601). ``statement`` and ``software`` (versions) are added when saved unless they are there.

        second_opinion: how far another pipeline agrees, where one was asked.

    Raises:
        ValueError: no scan, or several of which one has no name, an unfit one or that of another.
    """

    scans: list[ScanResult]
    warnings: list[str]
    provenance: dict[str, Any]
    second_opinion: SecondOpinion | None = None

    def __post_init__(self) -> None:
        names = [scan.name for scan in self.scans]
        if not names:
            raise ValueError("A case holds at least one scan.")
        if len(names) > 1 and (len(set(names)) < len(names) or not all(map(SCAN_NAME.fullmatch, names))):
            raise ValueError(f"Several scans need different names of a-z, 0-9 and '-', found {names}.")

    @property
    def volume(self) -> Volume:
        """What was read, of the only scan."""
        return self._only_scan("volume").volume

    @property
    def labels(self) -> sitk.Image:
        """The label map of the only scan: uint8, on exactly the input's grid."""
        return self._only_scan("labels").labels

    @property
    def margins(self) -> dict[str, sitk.Image]:
        """The margins of the only scan."""
        return self._only_scan("margins").margins

    @property
    def structures(self) -> list[FoundStructure]:
        """What was found in the only scan."""
        return self._only_scan("structures").structures

    @property
    def cartilage(self) -> list[CartilageMeasurement]:
        """What was measured of cartilage in the only scan."""
        return self._only_scan("cartilage").cartilage

    @property
    def maps(self) -> list[SurfaceMap]:
        """Surfaces with values on their points of the only scan."""
        return self._only_scan("maps").maps

    def prefix_of(self, scan: ScanResult) -> str:
        """What stands before the names of surfaces and files of a scan: nothing for the only one, else ``"hip/"``."""
        return f"{scan.name}/" if len(self.scans) > 1 else ""

    def surfaces(self, progress: Progress = no_progress) -> dict[str, vtkPolyData]:
        """Return the closed surfaces of all scans, common LPS, mm; computed once and kept.

        They are called by structure key (``"femur_right"``); in a case of several scans the scan's name stands before
        it (``"hip/femur_right"``, ``"knee/femur_right"``).
        """
        working = split_progress(progress, [1 + len(scan.structures) for scan in self.scans])
        return {
            self.prefix_of(scan) + key: surface
            for scan, reporting in zip(self.scans, working)
            for key, surface in scan.surfaces(reporting).items()
        }

    def save(self, folder: str | Path, overwrite: bool = False, progress: Progress = no_progress) -> None:
        """Write everything into a folder: see :func:`KneeSegLib.output.save_case`."""
        from KneeSegLib.output import save_case

        save_case(self, folder, overwrite, progress)

    def _only_scan(self, wanted: str) -> ScanResult:
        if len(self.scans) > 1:
            names = ", ".join(scan.name for scan in self.scans)
            raise InputError(f"The case holds {len(self.scans)} scans ({names}); choose one: case.scans[0].{wanted}.")
        return self.scans[0]
