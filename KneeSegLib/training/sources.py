"""Which source renders the samples of which kind of network."""

from __future__ import annotations

from KneeSegLib.training.ct_patches import PatchSource
from KneeSegLib.training.ct_sources import LocaliserSource, NamingSource, SliceSource
from KneeSegLib.training.ct_volumes import FemurVolumeSource
from KneeSegLib.training.mr_sources import MrPatchSource, MrSliceSource
from KneeSegLib.training.samples import SampleSource
from KneeSegLib.training.shape_source import ShapeSource

SOURCES: dict[str, type[SampleSource]] = {
    "slices": SliceSource,
    "localiser": LocaliserSource,
    "naming": NamingSource,
    "patches": PatchSource,
    "ct-volume": FemurVolumeSource,
    "mr-slices": MrSliceSource,
    "mr-patches": MrPatchSource,
    "mr-shape": ShapeSource,
}
