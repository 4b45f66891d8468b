"""Numbers of CT of the leg. "Not measured" says that a number was set by reasoning and not compared with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

# What networks see of a scan

OUTSIDE_HU = -1000.0
"""What lies beyond the edges of the scan, as far as the networks are told: air."""

HU_RANGE = (-1024.0, 3071.0)
"""Metal would outshine its surroundings in an average, padding values would darken them: both are clipped first."""

BODY_HU = -400.0
"""What is denser belongs to the body or the table. Half-way between air and flesh; not measured."""

BODY_MARGIN_MM = 12.0
"""Air around the body that the localiser is shown. Not measured."""

THIN_SLICE_MM = 1.6
"""Only slices that are closer than this are skipped in a fast run: the networks' nearest neighbours lie as far away."""

SIDE_CHECK_SLICE_STEP = 3
"""Every so many slices are inferred on where only the side is asked. Not measured."""

# Which components of the localiser's prediction are bones of a leg

LEAST_VOLUME_CM3: Mapping[str, float] = MappingProxyType(
    {
        "hip_bone": 40.0,
        "femur": 6.0,
        "patella": 4.0,
        "tibia": 12.5,
        "fibula": 2.0,
        "talus": 5.0,
        "calcaneus": 8.0,
    }
)
"""A smaller component is not a bone but scattered voxels. Bones cut by the field of view may be small."""

LEAST_PROBABILITY = 0.5
"""Mean probability that a component needs to be taken for a bone. Not measured."""

LEAST_PROBABILITY_ASKED = 0.35
"""The same for bones of the one joint that the user says is in the scan."""

SAME_BONE_MM = 20.0
"""Smaller components this near to a bone belong to it: thin and dark parts of a bone are found in fragments."""

SEPARATE_LEGS_MM = 60.0
"""Bones that are this far apart sideways are two legs, whatever they are."""

SIDE_BY_SIDE = 0.3
"""Two legs: the fraction of the shorter one's slices in which the other one is found as well."""

ONE_BONE_MM = 8.0
"""Two components of one label this near, one in either leg, are one bone: legs have skin and fat between them."""

LEAST_BONES_APART = 2
"""Legs that no line parts are crossed where so many bones have a side each, apart from each other. One leg of which the
localiser takes a part for the other side's has none. Not measured."""

# Joints


class Contact(NamedTuple):
    """Two bones that form a joint when they are at most ``reach_mm`` apart on the coarse grid."""

    bone: str
    other: str
    reach_mm: float


JOINT_CONTACTS: Mapping[str, tuple[Contact, ...]] = MappingProxyType(
    {
        "hip": (Contact("femur", "hip_bone", 24.0),),
        "knee": (Contact("femur", "tibia", 60.0), Contact("femur", "patella", 40.0)),
        "ankle": (
            Contact("tibia", "talus", 24.0),
            Contact("fibula", "talus", 24.0),
            Contact("talus", "calcaneus", 24.0),
        ),
    }
)
"""The first contact that is there places the joint. Reaches are wide where metal or disease may hide bones' ends."""

JOINT_REACH_MM: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"hip": (120.0, np.inf), "knee": (110.0, 110.0), "ankle": (np.inf, 110.0)}
)
"""How far the box of a joint reaches below and above its centre along the leg."""

WHOLE_JOINT_MM: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"hip": (45.0, 30.0), "knee": (35.0, 45.0), "ankle": (55.0, 25.0)}
)
"""How much of the scan a joint needs below and above its centre to be whole."""

APART_MM = 120.0
"""Two neighbouring joints of one leg are further apart than this, or one of them is a mistake."""

ASKED_WEIGHT = 3.0
"""How much more the evidence for a joint counts that the user says is in view. Not measured."""

BONE_REACH_MM: Mapping[str, float] = MappingProxyType(
    {
        "hip_bone": 200.0,
    }
)
"""No part of a bone lies farther from the middle of its joint: a quarter more than in large adults. Not measured.
Contrast medium in a bowel was taken for a hip bone. Of other bones nothing is dropped: none reached too far."""

CONTACT_ZONE_MM = 8.0
"""The centre of a joint is the middle of the places that are closer than the nearest ones and this."""

# Sides

CUT_COST = 8.0
"""What it costs to part the legs through bone instead of between them, per unit of bone on the line. Not measured."""

BEND_COST = 0.02
"""What it costs to move the parting line sideways by one voxel from a slice to the next: only enough to break ties."""

BEND_VOXELS = 2
"""How far the parting line moves from a slice to the next at most."""

FULL_VOTE_CM3 = 20.0
"""A bone of this volume has one whole vote for the side of its leg, a smaller one a part of it."""

GEOMETRY_VOTES = 2.0
"""Votes of what anatomy tells about the side. Not measured."""

LATERAL_AT_LEAST_MM = 6.0
"""A fibula that lies this far beside its tibia, or a pelvis beside its femur, tells the side."""

COMMON_SLICES = 3
"""Two bones are compared sideways where at least so many slices show both."""

UNSURE_BELOW = 0.5
"""A side whose votes are less unanimous is checked by the other networks, and flagged if they cannot tell."""

SIDE_CLEAR = 0.25
"""From this certainty on the networks have resolved the side; below it the side is flagged as a close decision. On
hips, ankles (one of them real) and one knee the right side had 0.24 to 0.8, on another knee next to nothing."""

SIDE_GIVEN = 0.5
"""A side that is less certain than this gives way to the one that the user asked for."""

# Regions of interest along a leg

FADE_MM = 20.0
"""Over this length one joint's model hands over to the next. Not measured."""

END_MARGIN_MM = 16.0
"""How far beyond the bones' ends a region reaches: four voxels of the localiser."""

CROP_MARGIN_MM = 16.0
"""How far around the bones a region reaches sideways: four voxels of the localiser."""

HALF_SHAFT_MM = 220.0
"""No joint model is given more of a shaft: the half of a long femur."""

CREST_MM = 150.0
"""The iliac crest lies no higher above the middle of the hip. Its thin wing is what the localiser loses first."""

SURROUNDINGS_MM = 3.0
"""How far around a bone's voxels its surface is looked for."""

NEAR_BONE = 0.15
"""Where the probability of bone is lower, a block of slices is not labelled."""

# Fusion of slices, semantic labels and localiser


@dataclass(frozen=True)
class FusionWeights:
    """How much each prediction counts. Chosen on validation subjects, ankles and knees.

    Attributes:
        slices, semantics, localiser: exponents of their probabilities. The localiser's grid is too coarse to label a
            voxel; it serves against bones of the other leg, which neither of the others can tell from this one's.
        other: what slices without such a class are taken to give "other".
        propagated: exponent of what the rest of the same bone predicts.
        foreign: how much the semantic network's probability of bones that this joint does not have counts for "other".
            Not all: in a scan that shows little of a leg it confuses joints, while the localiser has seen which it is.
        slices_floor, semantics_floor, propagated_floor, localiser_floor: added to each probability before its
            logarithm, so that none can rule a label out alone; the localiser's is large because it sees thin bones
            only faintly.
    """

    slices: float = 0.6
    semantics: float = 1.0
    localiser: float = 0.5
    propagated: float = 6.0
    other: float = 0.1
    foreign: float = 0.25
    slices_floor: float = 1e-2
    semantics_floor: float = 1e-3
    propagated_floor: float = 1e-2
    localiser_floor: float = 5e-2


FINE_VOXEL_MM = 1.5
"""Up to this voxel size the usual weights hold."""

COARSE_VOXEL_MM = 3.0
"""From this voxel size on the weights of :data:`WHERE_COARSE` hold; in between they are interpolated."""

WHERE_COARSE: Mapping[str, Mapping[str, float]] = MappingProxyType({"hip": {"slices": 2.5, "propagated": 1.0}})
"""Semantic labels and propagation tell bones apart by the gaps between them. Coarse voxels fill that of a hip, whose
head lies in its socket; slices see grey values. Chosen with the real pelvis in view."""

LEAST_BONE = 0.02
"""Where the slices give less than this to bone, semantic labels are of no consequence and are not computed."""

FUSION_BLOCK_SLICES = 32
"""Slices that are fused at a time: what bounds the memory of fusion."""

# Propagation of labels within solid bone

PROPAGATION_REACH_MM = 40.0
"""How far a label spreads in solid bone. Not measured."""

NODE_MM = 2.1
"""Edge of a node of the graph, as nearly as whole voxels allow."""

LEAST_NODE_BONE = 0.3
"""A node that holds less bone than this is not part of the graph."""

SOLID_BONE = 0.85
"""Between two nodes with less bone than this, nothing is conducted: the gap of a joint."""

SOLVER_TOLERANCE = 1e-3
"""Relative residual at which conjugate gradients end."""

SOLVER_ITERATIONS = 80
"""Conjugate gradients end after so many steps."""

# Refinement in patches


@dataclass(frozen=True)
class RefinementSettings:
    """How much patches count and how densely they lie.

    Attributes:
        weight: of the patches in the sum of probabilities; the rest is the slices'.
        apart: least distance of patches, as a fraction of their edge. No place on a surface is further than that, and
            one step of the candidates, from the middle of some patch.
        candidates: positions that patches are chosen from lie this fraction of an edge apart.
        known: where joint models have less weight than this, the probability so far is taken for zero.
    """

    weight: float = 0.5
    apart: float = 0.36
    candidates: float = 0.08
    known: float = 1e-3


REFINEMENT = RefinementSettings()

# What a user is told

THICK_SLICES_MM = 1.5
"""Slices further apart are said: thin bones lose their shape."""

COARSE_PIXELS_MM = 1.2
"""Larger pixels are said: they make edges uncertain."""

UNCERTAIN_BELOW = 0.7
"""A joint that the localiser found with less than this mean probability is said."""
