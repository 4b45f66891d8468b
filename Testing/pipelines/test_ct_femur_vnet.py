"""The femur as a whole, with a network that takes for femur what is bright in its box."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from KneeSegLib.anatomy import structure
from KneeSegLib.assembly import assemble_case
from KneeSegLib.bundles.model import Model
from KneeSegLib.bundles.spec import VolumeSpec
from KneeSegLib.errors import AnatomyNotFoundError, ModelError
from KneeSegLib.io.volume import read_volume
from KneeSegLib.networks.device import Device
from KneeSegLib.pipelines.choice import create_pipeline
from KneeSegLib.pipelines.ct_femur_vnet import CtFemurVnet
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.surfaces.quality import surface_quality
from Testing.phantoms.legs import OracleModels, leg_phantom
from Testing.phantoms.models import model_of

NAME = "ct-femur-vnet"
BONE, BRIGHTER = 0.79, 0.955
"""Between flesh and femur, and between femur and the brighter bones of a knee, in a box whose darkest voxel is air."""


@dataclass
class BrightIsFemur(nn.Module):
    """Takes for femur what is as bright as one, and remembers what it was shown."""

    shown: list[torch.Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        self.shown.append(volume[0, 0])
        others = nn.functional.max_pool3d((volume > BRIGHTER).float(), 3, stride=1, padding=1)[:, 0]
        bone = torch.where(others > 0, -9.0, (volume[:, 0] - BONE) * 60.0)
        return torch.stack([-bone, bone], dim=1)


@dataclass
class Models(OracleModels):
    network: BrightIsFemur = field(default_factory=BrightIsFemur)
    classes: tuple[str, ...] = ("background", "femur")

    def __call__(self, name: str, device: Device) -> Model:
        if name != NAME:
            return super().__call__(name, device)
        volume = VolumeSpec((160, 48, 48), "image")
        return model_of(self.network, self.classes, 3.0, device, name=name, kind="ct-volume", volume=volume)


def segmented(image: sitk.Image, models: Models, **options):
    volume = read_volume(image)
    pipeline = CtFemurVnet(PIPELINES[NAME], Request(NAME, device="cpu", **options), models)
    return assemble_case(volume, pipeline.segment(volume))


def keys_of(case) -> set[str]:
    return {found.structure.key for found in case.structures}


def find_lean(bone: torch.Tensor) -> float:
    """Return how many columns the shaft, in the upper rows, lies beyond the knee: outward for a right leg, negative."""
    columns = torch.arange(bone.shape[2], dtype=torch.float32)
    shaft, knee = (part.sum((0, 1)).float() for part in (bone[120:], bone[20:60]))
    return float((shaft * columns).sum() / shaft.sum() - (knee * columns).sum() / knee.sum())


def dice(case, phantom, side: str) -> float:
    value = structure("femur", side).label_value
    a, b = (sitk.GetArrayViewFromImage(image) == value for image in (case.labels, phantom.truth))
    return 2.0 * np.logical_and(a, b).sum() / (a.sum() + b.sum())


def test_both_femora_come_out_alone_each_on_its_side_and_the_left_one_in_a_mirror():
    models, phantom = Models(), leg_phantom(z_mm=(390.0, 640.0))
    case = segmented(phantom.image, models)
    assert keys_of(case) == {"femur_right", "femur_left"}
    assert min(dice(case, phantom, side) for side in ("right", "left")) > 0.97
    right, left = (find_lean(shown > BONE) for shown in models.network.shown)
    assert right < -2.0 and left == pytest.approx(right, abs=1.0)


def test_the_femur_of_a_knee_ends_with_the_scan_and_has_a_closed_surface():
    phantom = leg_phantom(("left",), (390.0, 640.0))
    case = segmented(phantom.image, Models(), side="left")
    assert keys_of(case) == {"femur_left"}
    assert dice(case, phantom, "left") > 0.97
    quality = surface_quality(case.surfaces()["femur_left"], case.labels == structure("femur", "left").label_value)
    assert quality.watertight


def test_a_scan_of_an_ankle_is_refused():
    with pytest.raises(AnatomyNotFoundError, match="No hip or knee was found .* shows the right ankle"):
        segmented(leg_phantom(("right",), (0.0, 200.0)).image, Models())


def test_a_bundle_that_labels_other_bones_is_refused():
    models = Models(classes=("background", "tibia"))
    with pytest.raises(ModelError, match="names the classes background, tibia, expected background, femur"):
        segmented(leg_phantom(("right",), (390.0, 640.0)).image, models)


def test_it_stands_in_a_group_for_comparison():
    info = PIPELINES[NAME]
    assert info.label == "For comparison: CT: femur by V-Net"
    assert isinstance(create_pipeline(info, Request(NAME, device="cpu")), CtFemurVnet)
