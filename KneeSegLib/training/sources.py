"""Which source makes the samples of which kind of network."""

from KneeSegLib.training.mr_sources import MrPatchSource, MrSliceSource
from KneeSegLib.training.patches import PatchSource
from KneeSegLib.training.samples import LocaliserSource, NamingSource, SliceSource
from KneeSegLib.training.shape_source import ShapeSource

SOURCES = {
    "slices": SliceSource,
    "localiser": LocaliserSource,
    "naming": NamingSource,
    "patches": PatchSource,
    "mr-slices": MrSliceSource,
    "mr-patches": MrPatchSource,
    "mr-shape": ShapeSource,
}
