"""What a pipeline found in one scan: data alone. :func:`KneeSegLib.assembly.assemble_case` makes a case of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from KneeSegLib.anatomy import structure_of_label
from KneeSegLib.geometry.boxes import find_label_boxes
from KneeSegLib.quality import BONE_CT_LIMITS, QualityFeatures, QualityLimits

if TYPE_CHECKING:
    from KneeSegLib.edges.measurement import EdgeMeasurement
    from KneeSegLib.inference.labels import LegLabels
    from KneeSegLib.inference.scan import Scan
    from KneeSegLib.measurements.surface_map import SurfaceMap

BONE_LIMITS: Mapping[str, QualityLimits] = MappingProxyType({"bone": BONE_CT_LIMITS})
"""Of pipelines that label bones only."""


@dataclass(frozen=True)
class LegFindings:
    """Labels of one leg, what tells how far to rely on them, and where their edges lie, by structure's key."""

    labels: LegLabels
    features: Mapping[str, QualityFeatures]
    edges: Mapping[str, EdgeMeasurement]


@dataclass(frozen=True)
class Findings:
    """What a pipeline found in one scan.

    Attributes:
        scan: the volume turned to the patient's axes; its grid is the one that the legs' places refer to.
        legs: labels and margins, each on its crop of that grid. Where two overlap, the first one keeps its voxels.
        features: quality features of each structure that the labels hold, by its key.
        limits: from which value on a feature is a reason to check the structure, by kind of tissue.
        warnings: sentences about the whole scan.
        missing: sentences about structures that should be there and are not.
        maps: surfaces with values to show beside the labels.
        edges: how far two conventions of the edge lie apart, by structure's key, where that was measured.
        provenance: JSON-able facts for the record, as :class:`~KneeSegLib.case.Case` describes them.
    """

    scan: Scan
    legs: Sequence[LegLabels]
    features: Mapping[str, QualityFeatures]
    limits: Mapping[str, QualityLimits] = field(default_factory=lambda: BONE_LIMITS)
    warnings: Sequence[str] = ()
    missing: Sequence[str] = ()
    maps: Sequence[SurfaceMap] = ()
    edges: Mapping[str, EdgeMeasurement] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def list_labelled(legs: Sequence[LegLabels]) -> set[str]:
    """Return the keys of the structures that the labels of ``legs`` hold."""
    return {structure_of_label(value).key for leg in legs for value in find_label_boxes(leg.labels)}
