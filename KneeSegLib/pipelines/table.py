"""The table of pipelines: what there is to choose from. Reading it loads no network and no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from KneeSegLib.anatomy import JOINT_BONES

Modality = Literal["CT", "MR"]
Stage = Literal["slices", "shape", "patches"]
STAGES: tuple[Stage, ...] = ("slices", "shape", "patches")
"""Of the MR pipeline: each can be the last."""

LOCALISER_BUNDLE = "ct-localiser"
NAMING_BUNDLE = "ct-naming"
REFINEMENT_BUNDLE = "ct-refine"
SPECIALIST_BUNDLES: Mapping[str, str] = MappingProxyType({"hip": "ct-hip", "knee": "ct-knee", "ankle": "ct-ankle"})

MR_SLICES_BUNDLE = "mr-knee-slices"
MR_PATCHES_BUNDLE = "mr-knee-patches"
MR_SHAPE_BUNDLES: Mapping[str, str] = MappingProxyType({"femur": "mr-shape-femur", "tibia": "mr-shape-tibia"})


@dataclass(frozen=True)
class Pipeline:
    """One way from an image to labels, as a person chooses it; ``bundles`` are needed whatever the quality."""

    name: str
    title: str
    modality: Modality
    bundles: tuple[str, ...]
    joints: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class Quality:
    """How much time is spent.

    Attributes:
        slice_step: 2 looks at every second slice and interpolates between them.
        bundles: networks that are needed beside the pipeline's.
    """

    name: str
    title: str
    slice_step: int
    bundles: tuple[str, ...]
    description: str

    @property
    def refines(self) -> bool:
        """Whether the surfaces are looked at again in patches."""
        return REFINEMENT_BUNDLE in self.bundles


def _ct(name: str, title: str, joints: tuple[str, ...], description: str) -> Pipeline:
    bundles = (LOCALISER_BUNDLE, NAMING_BUNDLE, *(SPECIALIST_BUNDLES[joint] for joint in joints))
    return Pipeline(name, title, "CT", bundles, joints, description)


AUTO = "auto"

PIPELINES: Mapping[str, Pipeline] = MappingProxyType(
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
            Pipeline(
                "mr-knee",
                "MR: knee",
                "MR",
                (MR_SLICES_BUNDLE, *MR_SHAPE_BUNDLES.values(), MR_PATCHES_BUNDLE),
                ("knee",),
                "Bones, cartilages and menisci of one knee in sagittal or isotropic MR of any sequence.",
            ),
        )
    }
)

QUALITIES: Mapping[str, Quality] = MappingProxyType(
    {
        quality.name: quality
        for quality in (
            Quality("standard", "Standard", 1, (), "Every slice is looked at."),
            Quality(
                "high",
                "High",
                1,
                (REFINEMENT_BUNDLE,),
                "Every slice is looked at, and every surface once more in small 3D patches; about half as long again.",
            ),
            Quality(
                "fast", "Fast", 2, (), "Every second slice is looked at where slices are thin; about half the time."
            ),
        )
    }
)

MODALITY_CHOICES: tuple[str, ...] = ("auto", "CT", "MR")
SIDE_CHOICES: tuple[str, ...] = ("auto", "right", "left", "both")
DEVICE_CHOICES: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")
DEVICES_EVERYWHERE: tuple[str, ...] = ("auto", "cpu")
