"""How samples are taken from synthetic knee MR: what recipes of the MR kinds may change."""

from __future__ import annotations

from dataclasses import dataclass, field

from KneeSegLib.anatomy import BONE_EDGES, BoneEdge
from KneeSegLib.bundles.kinds import MrInput
from KneeSegLib.networks.mr_channels import VIEWS, View
from KneeSegLib.training.mr_priors import KneePriorErrors

Bounds = tuple[float, float]


@dataclass(frozen=True)
class MrSampling:
    """Where samples lie, how thick slices are, and what counts in them.

    Attributes:
        thin_mm: bounds of the distance of thin slices.
        thick_mm: bounds of that of thick ones. thick_probability: of a slab that is made of them.
        averaged: rendered slices that make a thick one.
        patella_focus: fraction of the slabs through the patella. cartilage_focus: through a random point of cartilage;
            the others lie anywhere from one side of the knee to the other.
        off_centre_mm: how far the middle of a slab may lie from the joint line, upward and downward, and backward.
        brightness: bounds of the factor by which a slab is brighter than the volume it stands for.
        per_box: patches taken of each rendered box (``mr-patches``, ``mr-bone``).
        input: of ``mr-patches``: the signal and the ``probabilities`` of the slices, or the ``signal`` alone, as
            published.
        edges: what ``mr-bone`` predicts, one channel each: bone that ends where its bright marrow does, and bone that
            ends where its dark cortex does.
        labelled_edge: of own cases for ``mr-bone``: the edge that their labels were drawn to; of the others nothing is
            learned from them.
        views: the orders of axes that patches of ``mr-bone`` are trained in, one drawn for each.
        surface_focus: fraction of the patches of ``mr-bone`` whose box is centred on the joint or the patella.
        errors: of the slice networks' probabilities in these patches.
        boundary_gain, boundary_mm: extra weight of voxels near boundaries and how far it reaches, see
            :func:`KneeSegLib.training.losses.weigh_boundary`.
    """

    thin_mm: Bounds = (0.6, 1.5)
    thick_mm: Bounds = (2.4, 4.2)
    thick_probability: float = 0.45
    averaged: int = 3
    patella_focus: float = 0.25
    cartilage_focus: float = 0.5
    off_centre_mm: float = 24.0
    brightness: Bounds = (0.75, 1.35)
    per_box: int = 12
    input: MrInput = "probabilities"
    edges: tuple[BoneEdge, ...] = BONE_EDGES
    labelled_edge: BoneEdge = BONE_EDGES[0]
    views: tuple[View, ...] = VIEWS
    surface_focus: float = 0.5
    errors: KneePriorErrors = field(default_factory=KneePriorErrors)
    boundary_gain: float = 3.0
    boundary_mm: float = 1.5
