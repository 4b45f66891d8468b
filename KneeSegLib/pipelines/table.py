"""The table of pipelines: what there is to choose from. Reading it loads no network and no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from KneeSegLib.anatomy import BONE_EDGES, CARTILAGES, JOINT_BONES, MENISCUS_OF_COMPARTMENT
from KneeSegLib.mr.low_field.settings import CubeMerging, ViewFusion

Modality = Literal["CT", "MR"]
Stage = Literal["slices", "shape", "patches"]
STAGES: tuple[Stage, ...] = ("slices", "shape", "patches")
"""Of the MR pipeline: each can be the last."""

Edge = Literal["cortex", "half-maximum", "marrow"]
EDGES: tuple[Edge, ...] = ("cortex", "half-maximum", "marrow")
"""Where the edge of a bone may be drawn: where the cortex ends; in CT where grey values fall half-way to what lies
outside, a little further out; in MR where bright marrow ends, further in. Only results of one convention compare."""
CT_EDGES: tuple[Edge, ...] = ("half-maximum", "cortex")

LOCALISER_BUNDLE = "ct-localiser"
NAMING_BUNDLE = "ct-naming"
REFINEMENT_BUNDLE = "ct-refine"
FEMUR_VNET_BUNDLE = "ct-femur-vnet"
JOINT_BUNDLES: Mapping[str, str] = MappingProxyType({"hip": "ct-hip", "knee": "ct-knee", "ankle": "ct-ankle"})

MR_SLICES_BUNDLE = "mr-knee-slices"
MR_PATCHES_BUNDLE = "mr-knee-patches"
MR_LOW_FIELD_BUNDLE = "mr-low-field"
MR_SHAPE_BUNDLES: Mapping[str, str] = MappingProxyType({"femur": "mr-shape-femur", "tibia": "mr-shape-tibia"})


@dataclass(frozen=True)
class PipelineInfo:
    """One way from an image to labels, as a user chooses it; ``bundles`` are needed whatever the quality.

    ``modality`` is None where a model of the user's decides it. ``only_tissues`` are those that it looks for, where
    these are not all of its joints. ``edges`` are where it can draw the edge of a bone, its default first; none where a
    model decides that too.
    Those for ``comparison`` do as a paper describes; they come last in the table and in every list.
    """

    name: str
    title: str
    modality: Modality | None
    bundles: tuple[str, ...]
    joints: tuple[str, ...]
    description: str
    only_tissues: tuple[str, ...] = ()
    edges: tuple[Edge, ...] = ("cortex",)
    comparison: bool = False

    @property
    def tissues(self) -> tuple[str, ...]:
        """Keys of the tissues that it looks for, where that does not depend on a model of the user's."""
        if self.only_tissues:
            return self.only_tissues
        if self.modality == "MR":
            return (*JOINT_BONES["knee"], *CARTILAGES.values(), *MENISCUS_OF_COMPARTMENT.values())
        return tuple(dict.fromkeys(bone for joint in self.joints for bone in JOINT_BONES[joint]))

    @property
    def edge(self) -> Edge | None:
        """Where it draws the edge of a bone unless it is told otherwise; None where a model decides it."""
        return self.edges[0] if self.edges else None

    @property
    def label(self) -> str:
        """What a list shows: systems for comparison stand in a group of their own that says so."""
        return f"For comparison: {self.title}" if self.comparison else self.title

    @property
    def only_joint(self) -> str | None:
        """The joint that is in the scan for sure, where the pipeline is for one alone."""
        return self.joints[0] if len(self.joints) == 1 else None


@dataclass(frozen=True)
class Quality:
    """How much time is spent.

    Attributes:
        slice_step: with 2 every second slice is inferred on, and those between are interpolated.
        bundles: networks that are needed beside the pipeline's.
    """

    name: str
    title: str
    slice_step: int
    bundles: tuple[str, ...]
    description: str

    @property
    def refines(self) -> bool:
        """Whether the surfaces are refined in patches."""
        return REFINEMENT_BUNDLE in self.bundles


def _ct(name: str, title: str, joints: tuple[str, ...], description: str) -> PipelineInfo:
    bundles = (LOCALISER_BUNDLE, NAMING_BUNDLE, *(JOINT_BUNDLES[joint] for joint in joints))
    return PipelineInfo(name, title, "CT", bundles, joints, description, edges=CT_EDGES)


AUTO = "auto"
NNUNET = "nnunet"

PIPELINES: Mapping[str, PipelineInfo] = MappingProxyType(
    {
        pipeline.name: pipeline
        for pipeline in (
            _ct(
                AUTO,
                "Automatic",
                tuple(JOINT_BONES),
                "Takes what fits the volume: the leg pipeline for CT, the knee pipeline for MR.",
            ),
            _ct(
                "ct-leg",
                "CT: whole leg",
                tuple(JOINT_BONES),
                "Every hip, knee and ankle in view on both legs, with the shafts between them.",
            ),
            _ct("ct-hip", "CT: hip", ("hip",), "Femur and hip bone, from the iliac crest to the middle of the thigh."),
            _ct("ct-knee", "CT: knee", ("knee",), "Femur, tibia, patella and fibula, from mid-thigh to mid-calf."),
            _ct("ct-ankle", "CT: ankle", ("ankle",), "Tibia, fibula, talus and calcaneus, from mid-calf to the sole."),
            PipelineInfo(
                "mr-knee",
                "MR: knee",
                "MR",
                (MR_SLICES_BUNDLE, *MR_SHAPE_BUNDLES.values(), MR_PATCHES_BUNDLE),
                ("knee",),
                "Bones, cartilages and menisci of one knee in sagittal or isotropic MR of any sequence.",
            ),
            PipelineInfo(
                NNUNET,
                "nnU-Net: a model of yours",
                None,
                (),
                tuple(JOINT_BONES),
                "Runs the folder of a trained nnU-Net v2 model on a CT or MR, and brings its labels into KneeSeg's.",
                edges=(),
            ),
            PipelineInfo(
                "ct-femur-vnet",
                "CT: femur by V-Net",
                "CT",
                (LOCALISER_BUNDLE, NAMING_BUNDLE, JOINT_BUNDLES["hip"], JOINT_BUNDLES["knee"], FEMUR_VNET_BUNDLE),
                ("hip", "knee"),
                "The femur alone, as a whole, from the gradient of the image on a coarse grid: a published system.",
                only_tissues=("femur",),
                edges=CT_EDGES,
                comparison=True,
            ),
            PipelineInfo(
                "mr-low-field",
                "MR: bones of a knee at low field",
                "MR",
                (MR_LOW_FIELD_BUNDLE, *MR_SHAPE_BUNDLES.values()),
                ("knee",),
                "Femur, tibia and patella of one knee in isotropic MR with bright marrow, as of 0.3 T scanners.",
                ("femur", "tibia", "patella"),
                edges=BONE_EDGES,
                comparison=True,
            ),
        )
    }
)

QUALITIES: Mapping[str, Quality] = MappingProxyType(
    {
        quality.name: quality
        for quality in (
            Quality("standard", "Standard", 1, (), "Every slice is inferred on."),
            Quality(
                "high",
                "High",
                1,
                (REFINEMENT_BUNDLE,),
                "Every slice is inferred on, and surfaces once more in small 3D patches; about half as long again.",
            ),
            Quality(
                "fast", "Fast", 2, (), "Every second slice is inferred on where slices are thin; about half the time."
            ),
        )
    }
)

VIEW_FUSION_CHOICES: tuple[ViewFusion, ...] = ("mean", "majority", "or", "and")
CUBE_MERGING_CHOICES: tuple[CubeMerging, ...] = ("mean", "or")
"""Of low-field MR; the first of each is the default."""
_LOW_FIELD = ("mr-low-field",)
SPECIAL_OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "stop_after": ("mr-knee",),
        "view_fusion": _LOW_FIELD,
        "cube_merging": _LOW_FIELD,
        "closing_mm": _LOW_FIELD,
    }
)
"""Options that mean something to these pipelines alone; the others refuse them."""

MODALITY_CHOICES: tuple[str, ...] = ("auto", "CT", "MR")
SIDE_CHOICES: tuple[str, ...] = ("auto", "right", "left", "both")
DEVICE_CHOICES: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")
DEVICES_EVERYWHERE: tuple[str, ...] = ("auto", "cpu")
