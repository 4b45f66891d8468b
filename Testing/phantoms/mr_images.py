"""MR of the knee of cylinders in which every class has a grey value of its own, and networks that can read it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn

from KneeSegLib.anatomy import BONE_EDGES, KNEE_MR_CLASSES, Side
from KneeSegLib.bundles.model import Model
from KneeSegLib.bundles.spec import PatchSpec
from KneeSegLib.io.resources import shape_models_file
from KneeSegLib.mr.settings import END_TO_CENTRE_MM, UPWARD
from KneeSegLib.networks import ShapeRegressor
from KneeSegLib.networks.device import Device
from KneeSegLib.networks.shape_layer import parameter_names
from KneeSegLib.shape.model import ShapeModel
from KneeSegLib.shape.model_file import read_shape_models
from KneeSegLib.training.synthesis.mr.cases import assign_label_values, make_image
from KneeSegLib.training.synthesis.mr.lattice import draw_lattice
from KneeSegLib.training.synthesis.mr.render import SyntheticMr, compute_class_fractions, measure_boundary_distance
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.settings import Warp
from Testing.phantoms.models import model_of
from Testing.phantoms.mr_knees import cylinder_knee

NO_WARP = Warp((0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
MODES = 8
PIXEL_MM = 0.6

GREYS = {
    "background": 0,
    "menisci": 200,
    "patellar_cartilage": 300,
    "tibial_cartilage": 400,
    "femoral_cartilage": 500,
    "fibula": 700,
    "patella": 800,
    "tibia": 900,
    "femur": 1000,
}
"""The femur is the brightest: an image relative to its own highest percentile is one relative to the femur."""

_PURE = 15.0


@dataclass(frozen=True)
class MrPhantom:
    """``image`` in the grey values above and ``truth`` as label values, sagittal slices on one grid."""

    image: sitk.Image
    truth: sitk.Image


def knee_mr(
    side: Side = "right",
    shape: tuple[int, int, int] = (80, 160, 160),
    spacing_mm: tuple[float, float, float] = (1.0, PIXEL_MM, PIXEL_MM),
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> MrPhantom:
    """Return a knee; ``shape`` and ``spacing_mm`` are those of slices, rows, columns, ``centre_mm`` is x, y, z."""
    slab = Slab(shape, spacing_mm, centre_mm)
    scene = cylinder_knee().sample(draw_lattice(slab, NO_WARP, torch.Generator()), slab)
    fractions = compute_class_fractions(scene)
    greys = torch.tensor([float(GREYS[name]) for name in KNEE_MR_CLASSES])
    image = torch.einsum("c,cdhw->dhw", greys, fractions)
    marrow = fractions[1 : 1 + len(BONES)].sum(dim=0)
    rendered = SyntheticMr(image, fractions, measure_boundary_distance(scene), marrow, spacing_mm)
    return MrPhantom(
        make_image(image.round().numpy().astype(np.int16), rendered, side),
        make_image(assign_label_values(rendered, side), rendered, side),
    )


def coarse_knee_mr(side: Side = "right") -> MrPhantom:
    """Return the same knee in voxels of 1 mm: less work where details do not matter."""
    return knee_mr(side, (80, 96, 96), (1.0, 1.0, 1.0))


def unmix_greys(grey: torch.Tensor) -> torch.Tensor:
    """Return the fractions ``(N, C, H, W)`` of the classes in images ``(N, H, W)``.

    A value is a mixture of the two classes of which there is pure tissue nearby and whose grey values lie next to it.
    """
    order = sorted(GREYS, key=GREYS.__getitem__)
    pure = torch.stack([(grey - GREYS[name]).abs() < _PURE for name in order], dim=1).float()
    near = nn.functional.max_pool2d(pure, 5, stride=1, padding=2) > 0
    near[:, 0] = True
    value = torch.tensor([float(GREYS[name]) for name in order])[:, None, None]
    away = grey[:, None] - value
    below = torch.where(near & (away >= 0), -away, torch.tensor(-1e9)).argmax(dim=1)
    above = torch.where(near & (away <= 0), away, torch.tensor(-1e9))
    above = torch.where(above.amax(dim=1) > -1e8, above.argmax(dim=1), below)
    greys = value.flatten()
    span = (greys[above] - greys[below]).clamp(min=1.0)
    part = ((grey - greys[below]) / span).clamp(0.0, 1.0)
    fractions = torch.zeros(grey.shape[0], len(order), *grey.shape[1:])
    fractions.scatter_add_(1, below[:, None], (1.0 - part)[:, None])
    fractions.scatter_add_(1, above[:, None], part[:, None])
    return fractions[:, [order.index(name) for name in KNEE_MR_CLASSES]]


class OracleKneeSlices(nn.Module):
    """Knows all classes; it gives ``doubt`` of what is cartilage to the background."""

    stride = 16

    def __init__(self, doubt: float = 0.0) -> None:
        super().__init__()
        self.doubt = doubt

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        fractions = unmix_greys(slices[:, 0] * GREYS["femur"])
        for index, name in enumerate(KNEE_MR_CLASSES):
            if name.endswith("cartilage"):
                fractions[:, 0] += self.doubt * fractions[:, index]
                fractions[:, index] *= 1.0 - self.doubt
        return fractions.clamp(min=1e-6).log()


class OracleKneePatches(nn.Module):
    """Knows all classes."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        signal = patches[:, 0]  # (N, X, Z, Y)
        fractions = unmix_greys(signal.flatten(0, 1) * GREYS["femur"])
        return fractions.unflatten(0, signal.shape[:2]).transpose(1, 2).clamp(min=1e-6).log()


class OracleBone(nn.Module):
    """Knows bone by its grey value; its cortex reaches out to a lower one than its marrow."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        grey = windows * GREYS["femur"]
        return torch.cat([grey - 0.65 * GREYS["femur"], grey - 0.56 * GREYS["femur"]], dim=1) * 0.05


class BlindSlices(nn.Module):
    """Sees nothing but background."""

    stride = 16

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(slices), len(KNEE_MR_CLASSES), *slices.shape[2:])
        logits[:, 0] = 9.0
        return logits


def mean_shape_network(bone: str) -> ShapeRegressor:
    """A shape network that was never trained, but predicts the pose in which the mean shape hangs in its crop."""
    network = ShapeRegressor(2, MODES, (2, 2, 2, 2, 2))
    heights = UPWARD[bone] * shipped_models()[bone].mean[:, 2]
    with torch.no_grad():
        network.state_dict()["head.conv.bias"][MODES + 2] = -UPWARD[bone] * float(END_TO_CENTRE_MM + heights.min())
    return network


def shipped_models() -> dict[str, ShapeModel]:
    """The shape models that the pipeline reads."""
    return read_shape_models(shape_models_file())


@dataclass
class MrOracleModels:
    """Stands where :func:`KneeSegLib.bundles.model.load_model` does; ``asked`` lists what was loaded.

    Shape networks are :func:`mean_shape_network`. ``variances_factor`` other than 1 says that they were trained with
    another shape model.
    """

    slices: nn.Module = field(default_factory=OracleKneeSlices)
    bone: nn.Module = field(default_factory=OracleBone)
    spacing_mm: float = PIXEL_MM
    patch_classes: tuple[str, ...] = KNEE_MR_CLASSES
    variances_factor: float = 1.0
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str, device: Device) -> Model:
        self.asked.append(name)
        if name == "mr-knee-slices":
            return model_of(self.slices, KNEE_MR_CLASSES, self.spacing_mm, device, name=name, kind="mr-slices")
        if name == "mr-knee-patches":
            patch = PatchSpec((16, 16, 16), (self.spacing_mm, self.spacing_mm))
            network = OracleKneePatches()
            return model_of(network, self.patch_classes, self.spacing_mm, device, patch, name=name, kind="mr-patches")
        if name == "mr-low-field":
            return model_of(self.bone, BONE_EDGES, self.spacing_mm, device, name=name, kind="mr-bone")
        bone = name.removeprefix("mr-shape-")
        variances = shipped_models()[bone].variances[:MODES]
        return model_of(
            mean_shape_network(bone),
            parameter_names(MODES),
            self.spacing_mm,
            device,
            name=name,
            kind="mr-shape",
            bone=bone,
            shape_variances_mm2=tuple(float(variance) * self.variances_factor for variance in variances),
        )
