"""Legs made of ellipsoids and cylinders whose grey value says which bone a voxel is, and networks that can read it.

Every bone of either side has a grey value of its own, so an "oracle" network can tell from the image alone, wherever it
was cropped, however it was resampled and turned, which bone it looks at. Skin is brighter on the patient's left of a
leg than on its right, so that it can also tell a scan from its mirror image. What the tests then see is what the stages
around the networks do."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn

from KneeSegLib.anatomy import BONES, JOINT_BONES, SIDES, structure
from KneeSegLib.bundles.model import Model
from KneeSegLib.bundles.spec import PatchSpec
from KneeSegLib.networks.device import Device
from Testing.phantoms.models import model_of

SOFT_HU, AIR_HU, OTHER_HU = 20, -1000, 1100
SKIN_HU = 6
"""By how much skin is brighter than flesh on the patient's left of a leg, and darker on its right."""
LEG_AXIS_MM = 90.0
DEPTH_MM = (-75.0, 75.0)
JOINT_SPACING_MM = 3.0
LOCALISER_CLASSES = ("none", "other", *(f"{bone}_{side}" for side in SIDES for bone in BONES))
GREY = {f"{bone}_{side}": 300 + 50 * (7 * s + b) for s, side in enumerate(SIDES) for b, bone in enumerate(BONES)}

Solid = tuple[str, tuple, tuple]

# (kind, ...) in mm: u to the outside of the leg from its axis, y to the back, z up from the sole.
# ball: centre (u, y, z), radii. rod: (u, y, radius), (z low, z high).
SOLIDS: dict[str, list[Solid]] = {
    "hip_bone": [("ball", (-46, 5, 925), (20, 40, 70))],
    "femur": [
        ("ball", (0, 0, 890), (22, 22, 22)),
        ("rod", (20, 0, 14), (500, 880)),
        ("ball", (12, 0, 872), (20, 14, 14)),
        ("ball", (8, 5, 512), (38, 30, 28)),
    ],
    "patella": [("ball", (8, -38, 515), (20, 9, 20))],
    "tibia": [("ball", (5, 5, 450), (36, 26, 25)), ("rod", (5, 5, 13), (90, 450)), ("ball", (5, 2, 95), (20, 18, 20))],
    "fibula": [("rod", (40, 15, 7), (75, 424))],
    "talus": [("ball", (5, -5, 58), (18, 24, 12))],
    "calcaneus": [("ball", (8, 20, 24), (15, 32, 16))],
}
FLESH: list[Solid] = [("rod", (5, 0, 62), (0, 860)), ("ball", (-40, 0, 920), (110, 90, 140))]
BELOW_SKIN: list[Solid] = [("rod", (5, 0, 54), (0, 860)), ("ball", (-40, 0, 920), (102, 82, 132))]


@dataclass(frozen=True)
class Phantom:
    """``image`` in HU and ``truth`` as label values, on one grid."""

    image: sitk.Image
    truth: sitk.Image


def leg_phantom(
    sides: tuple[str, ...] = SIDES,
    z_mm: tuple[float, float] = (0.0, 1000.0),
    x_mm: tuple[float, float] | None = None,
    spacing_mm: tuple[float, float, float] = (3.0, 3.0, 3.0),
    other_bones: list[Solid] = (),
) -> Phantom:
    """Return legs between two heights. ``spacing_mm`` is (z, y, x); the sole is at z = 0, the back at positive y."""
    low, high = x_mm or (-170.0 if "right" in sides else 5.0, 170.0 if "left" in sides else -5.0)
    z, y, x = (np.arange(a + step / 2, b, step) for (a, b), step in zip((z_mm, DEPTH_MM, (low, high)), spacing_mm))
    hu = np.full((len(z), len(y), len(x)), AIR_HU, np.int16)
    truth = np.zeros(hu.shape, np.uint8)
    across = {side: -(x + LEG_AXIS_MM) if side == "right" else x - LEG_AXIS_MM for side in sides}
    for side, u in across.items():
        skin = SKIN_HU * np.sign(u) * (-1 if side == "right" else 1)
        hu[:] = np.where(_filled(FLESH, z, y, u), SOFT_HU + skin.astype(np.int16), hu)
        hu[_filled(BELOW_SKIN, z, y, u)] = SOFT_HU
    hu[_filled(list(other_bones), z, y, x)] = OTHER_HU
    for side, u in across.items():
        for bone, solids in SOLIDS.items():
            inside = _filled(solids, z, y, u)
            hu[inside] = GREY[f"{bone}_{side}"]
            truth[inside] = structure(bone, side).label_value
    images = []
    for array in (hu, truth):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(tuple(reversed(spacing_mm)))
        image.SetOrigin((float(x[0]), float(y[0]), float(z[0])))
        images.append(image)
    return Phantom(*images)


def _filled(solids: list[Solid], z: np.ndarray, y: np.ndarray, u: np.ndarray) -> np.ndarray:
    z, y, u = z[:, None, None], y[None, :, None], u[None, None, :]
    inside = np.zeros(np.broadcast_shapes(z.shape, y.shape, u.shape), bool)
    for kind, place, size in solids:
        if kind == "ball":
            inside |= sum(((a - c) / r) ** 2 for a, c, r in zip((u, y, z), place, size)) <= 1.0
        else:
            inside |= ((u - place[0]) ** 2 + (y - place[1]) ** 2 <= place[2] ** 2) & (z >= size[0]) & (z <= size[1])
    return inside


def _names_by_grey(hu: torch.Tensor, names: list[tuple[str, float]], pooled: torch.Tensor) -> torch.Tensor:
    """Index into ``names`` of the grey value that each voxel, or at a bone's edge the brightest one beside it, has."""
    greys = torch.tensor([grey for _, grey in names], dtype=torch.float32)
    own = (hu[..., None] - greys).abs().min(dim=-1)
    beside = (pooled[..., None] - greys).abs().min(dim=-1)
    return torch.where(own.values < 2.0, own.indices, beside.indices)


class OracleLocaliser(nn.Module):
    """Knows every bone and its side; ``confused`` maps a class to the one it is taken for."""

    stride = 16

    def __init__(self, confused: dict[str, str] | None = None) -> None:
        super().__init__()
        self.confused = confused or {}

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        hu = volume[0, 1] * 1200.0 + 100.0
        pooled = nn.functional.max_pool3d(hu[None, None], 3, stride=1, padding=1)[0, 0]
        named = [*GREY.items(), ("other", OTHER_HU)]
        index = _names_by_grey(hu, named, pooled)
        channel = torch.tensor([LOCALISER_CLASSES.index(self.confused.get(name, name)) for name, _ in named])[index]
        channel = torch.where(hu > 180.0, channel, 0)
        if is_mirrored(volume[0, 0]):
            bones = (len(LOCALISER_CLASSES) - 2) // 2
            channel = torch.where(channel < 2, channel, (channel - 2 + bones) % (2 * bones) + 2)
        return nn.functional.one_hot(channel, len(LOCALISER_CLASSES)).movedim(-1, 0)[None].float() * 8.0


def is_mirrored(soft: torch.Tensor) -> bool:
    """Whether flesh and skin grow darker along x in the localiser's soft-tissue channel ``(D, H, W)``."""
    soft_hu = soft * 600.0 - 300.0
    flesh = (soft_hu - SOFT_HU).abs() < 1.5 * SKIN_HU
    x = flesh.nonzero()[:, 2].float()
    return bool(((x - x.mean()) * (soft_hu[flesh] - soft_hu[flesh].mean())).sum() < 0.0)


class OracleSlices(nn.Module):
    """Knows a joint's bones, of whichever side; ``confused`` maps a bone to the one it is taken for.

    With ``edge_hu`` it takes for bone whatever is brighter than that: bright bones come out too large.
    """

    stride = 32

    def __init__(self, joint: str, confused: dict[str, str] | None = None, edge_hu: float | None = None) -> None:
        super().__init__()
        self.bones, self.confused, self.edge_hu = JOINT_BONES[joint], confused or {}, edge_hu

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        hu = slices[:, 0] * 1000.0
        pooled = nn.functional.max_pool2d(hu[:, None], 5, stride=1, padding=2)[:, 0]
        named = list(GREY.items())
        index = _names_by_grey(hu, named, pooled)
        contrast = torch.tensor([grey - SOFT_HU for _, grey in named], dtype=torch.float32)[index]
        names = [self.confused.get(name.rsplit("_", 1)[0], name.rsplit("_", 1)[0]) for name, _ in named]
        channel = torch.tensor([self.bones.index(name) + 1 if name in self.bones else 0 for name in names])[index]
        # Half-way between flesh and the bone's own grey value a voxel is half bone.
        edge, width = (SOFT_HU + contrast / 2, 0.2 * contrast) if self.edge_hu is None else (self.edge_hu, 60.0)
        bone = ((hu - edge) / width).clamp(-6.0, 6.0)
        logits = torch.full((*hu.shape, 1 + len(self.bones)), -6.0)
        logits.scatter_(-1, channel[..., None], torch.where(channel > 0, bone, 6.0)[..., None])
        logits[..., 0] = torch.where(channel > 0, -bone, 6.0)
        return logits.movedim(-1, 1)


class OraclePatches(nn.Module):
    """Knows where bone begins; it takes for the bone it is asked about what lies near what was known of it."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        soft, prior = patches[:, 1], patches[:, 2:]
        known = nn.functional.max_pool3d(prior, 5, stride=1, padding=2)[:, 0] > 0.5
        bone = torch.where(known, (soft * 600.0 - 200.0 - 160.0) / 20.0, torch.tensor(-9.0))
        return torch.stack([torch.zeros_like(bone), bone], dim=1)


class Undecided(nn.Module):
    """A semantic network that gives every label the same probability."""

    stride = 16

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        return torch.zeros((1, 1 + len(BONES), *volume.shape[2:]))


class KnowsRightKnees(nn.Module):
    """A semantic network that knows only knees whose fibula lies on the outer side, as a right one's."""

    stride = 16

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros((1, 1 + len(BONES), *volume.shape[2:]))
        bone = volume[0, 0] > 0.5
        lowest = bone[bone.any(dim=2).any(dim=1).nonzero()[0, 0]]
        columns = lowest.sum(dim=0)
        seen, tibia = columns.nonzero()[:, 0], int(columns.argmax())
        if tibia - int(seen[0]) > int(seen[-1]) - tibia:
            half = volume.shape[2] // 2
            logits[:, 1 + BONES.index("tibia"), :half] = 8.0
            logits[:, 1 + BONES.index("femur"), half:] = 8.0
        return logits


@dataclass
class OracleModels:
    """Stands where :func:`KneeSegLib.bundles.model.load_model` does; ``asked`` lists what was loaded."""

    localiser: nn.Module = field(default_factory=OracleLocaliser)
    semantic: nn.Module = field(default_factory=Undecided)
    confused: dict[str, str] = field(default_factory=dict)
    edge_hu: float | None = None
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str, device: Device) -> Model:
        self.asked.append(name)
        if name == "ct-localiser":
            return model_of(self.localiser, LOCALISER_CLASSES, 4.0, device, name=name, kind="localiser")
        if name == "ct-naming":
            return model_of(self.semantic, ("other", *BONES), 4.0, device, name=name, kind="naming")
        if name == "ct-refine":
            patch = PatchSpec((16, 16, 16), (1.0, 2.0))
            return model_of(OraclePatches(), ("background", "bone"), 2.0, device, patch, name=name, kind="patches")
        joint = name.removeprefix("ct-")
        network = OracleSlices(joint, self.confused, self.edge_hu)
        return model_of(network, ("background", *JOINT_BONES[joint]), JOINT_SPACING_MM, device, name=name)
