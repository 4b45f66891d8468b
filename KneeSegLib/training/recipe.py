"""A recipe: all that a bundle is trained with. :mod:`~KneeSegLib.training.recipe_files` reads and checks it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from KneeSegLib.anatomy import BONES, JOINT_BONES, OTHER
from KneeSegLib.bundles.kinds import BOTH_BONES, SHAPE_BONES, MrInput, VolumeInput
from KneeSegLib.networks.resnet_unet import STEM_WIDTH
from KneeSegLib.networks.shape_layer import parameter_names
from KneeSegLib.training.ct_priors import PriorErrors
from KneeSegLib.training.mr_sampling import MrSampling
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.mr.settings import MrSynthesis
from KneeSegLib.training.synthesis.mr.structures import CLASSES as MR_CLASSES
from KneeSegLib.training.synthesis.settings import CtSynthesis
from KneeSegLib.training.window_centres import Centres

Kind = Literal[
    "slices", "localiser", "naming", "patches", "ct-volume", "mr-slices", "mr-patches", "mr-shape", "mr-bone"
]
MR_PREFIX = "mr-"


@dataclass(frozen=True)
class Losses:
    """Weights of the terms that make up the loss."""

    cross_entropy: float = 1.0
    dice: float = 0.0
    distance_weighted: float = 0.0
    side: float = 0.0


@dataclass(frozen=True)
class Patches:
    """What a refinement learns from.

    Attributes:
        finest_spacing_mm: the spacing of a box is drawn between this and the recipe's ``spacing_mm``.
        per_box: patches taken of each rendered box.
        slices_apart_mm: bounds of the distance of the slices that the image was scanned in.
        errors: of the probabilities that are refined.
    """

    finest_spacing_mm: float = 0.35
    per_box: int = 12
    slices_apart_mm: tuple[float, float] = (0.4, 1.6)
    errors: PriorErrors = field(default_factory=PriorErrors)


@dataclass(frozen=True)
class VolumeCrops:
    """What a network of whole femora learns from.

    Attributes:
        input: what it sees, the magnitude of the CT's gradient or the CT itself.
        finest_spacing_mm: the voxels of a CT are drawn between this and the recipe's ``spacing_mm``.
        per_render: crops taken of each rendered CT: the first as long as the CT, the others cut short at random.
        margin_mm: bounds of what each side of a crop leaves around the femur; a localiser's box is not exact.
    """

    input: VolumeInput = "gradient"
    finest_spacing_mm: float = 1.2
    per_render: int = 4
    margin_mm: tuple[float, float] = (4.0, 26.0)


@dataclass(frozen=True)
class ShapeFit:
    """What a shape network learns.

    Attributes:
        bone: whose shape; ``both`` for femur and tibia at once, which takes the input ``signal``.
        modes: of each shape model, the first ones.
        input: what the network sees: ``probabilities`` of bone in a crop of one spacing, or as published the ``signal``
            in the bone's box, of both bones in the whole MR, in as many voxels whatever its size.
        off_centre_mm: how far the crop, or the field of view, may hang from where it should, along each axis.
        view_mm: of ``signal``: bounds of the size of a field of view from right to left, upward and backward.
        box_margin_mm: of ``signal``: bounds of what each side of a bone's box leaves around it.
        surface_mm: bounds of the error of the surface that the network is shown, and surface_scale_mm of its extent.
        hole_probability: of a ball that is missing from the bone. hole_mm: bounds of its radius.
        cut_probability: of a field of view that ends within the crop, for each axis.
        thick_probability: of slices as thick as the bounds ``thick_mm``, and not thinner than the crop's voxels.
    """

    bone: Literal["femur", "tibia", "both"] = "femur"
    modes: int = 20
    input: MrInput = "probabilities"
    off_centre_mm: float = 5.0
    view_mm: tuple[tuple[float, float], ...] = ((90.0, 120.0), (110.0, 150.0), (120.0, 150.0))
    box_margin_mm: tuple[float, float] = (0.0, 6.0)
    surface_mm: tuple[float, float] = (0.0, 1.0)
    surface_scale_mm: float = 8.0
    hole_probability: float = 0.15
    hole_mm: tuple[float, float] = (5.0, 14.0)
    cut_probability: float = 0.3
    thick_mm: tuple[float, float] = (2.4, 4.2)
    thick_probability: float = 0.45

    @property
    def bones(self) -> tuple[str, ...]:
        """The bones whose shapes are predicted, in the order of the network's outputs."""
        return SHAPE_BONES if self.bone == BOTH_BONES else (self.bone,)


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and for how long.

    Attributes:
        name: of the bundle that comes out.
        kind: ``slices`` (2D joint model), ``localiser`` (3D, sees the image), ``naming`` (3D, sees the bone mask
            alone), ``patches`` (3D, refines one bone at a time), ``ct-volume`` (3D, whole femora on a grid of one
            size); of knee MR ``mr-slices`` (2D, sagittal), ``mr-patches`` (3D, where cartilage is), ``mr-shape`` (3D,
            fits the shape model of a bone) and ``mr-bone`` (3D, bone or not).
        joints: prepared subjects to train on (``hip``, ``knee``, ``ankle``, ``body``; ``mr-knee`` alone for MR).
        spacing_mm: isotropic grid of the samples; of patches the coarsest; of sagittal slices the pixels'.
        shapes: sample shapes, ``[rows, columns]`` for slices and ``[slices, rows, columns]`` for 3D; one is
            drawn per step; of ``ct-volume`` the one grid that a femur's box is brought to.
        neighbour_offsets_mm: further slices as channels (2D only).
        widths: feature channels of the network per level.
        encoder: of a slice network, ``plain`` or ``resnet50v2``; with the latter ``widths`` are the decoder's.
        encoder_width: channels of a ResNet's first convolution; 64 is the published width.
        encoder_weights: path of a file of ImageNet weights that a ResNet starts from, see
            :mod:`~KneeSegLib.training.imagenet`; fresh weights where it is empty.
        slab_slices: slices used of each rendered slab (``slices``), or rendered for it (``mr-slices``).
        bone_focus: fraction of the samples placed where a randomly chosen bone is, not anywhere (``slices``,
            ``naming``, ``localiser``).
        centres: fractions of the samples placed where something rare is (the same kinds); ``bone_focus`` is of the
            others.
        reuse: how often, on average, a rendered sample is trained on before it is thrown away.
        pool: rendered samples of each shape that batches are drawn from.
        batch: samples of a step, over all processes.
        steps: of the whole training.
        learning_rate: the highest, after the rise at the start.
        schedule: ``cosine`` (a rise, then half a cosine down) or ``constant``.
        weight_decay: of AdamW, which is Adam where it is 0.
        ema: decay of the exponential moving average of the weights, which is what is exported.
        validate_every: steps between two validations.
        seed: of the first weights and of all that is drawn at random.
        learning: beginnings of the names of the layers that learn, all where there are none; the others keep the
            weights that they start from, but for the statistics of their norms.
        patches: how patches are made (``patches`` only).
        volume: how crops are made (``ct-volume`` only).
        mr: how samples of MR are taken (MR only).
        shape: what a shape network learns (``mr-shape`` only).
        synthesis: how images are made: of CT, or of MR where ``kind`` says so.
    """

    name: str
    kind: Kind
    joints: tuple[str, ...]
    spacing_mm: float
    shapes: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]
    neighbour_offsets_mm: tuple[float, ...] = ()
    encoder: Literal["plain", "resnet50v2"] = "plain"
    encoder_width: int = STEM_WIDTH
    encoder_weights: str = ""
    slab_slices: int = 12
    bone_focus: float = 0.0
    reuse: float = 1.0
    pool: int = 192
    batch: int = 8
    steps: int = 2500
    learning_rate: float = 3e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 1e-4
    ema: float = 0.997
    validate_every: int = 500
    seed: int = 0
    learning: tuple[str, ...] = ()
    centres: Centres = field(default_factory=Centres)
    losses: Losses = field(default_factory=Losses)
    patches: Patches = field(default_factory=Patches)
    volume: VolumeCrops = field(default_factory=VolumeCrops)
    mr: MrSampling = field(default_factory=MrSampling)
    shape: ShapeFit = field(default_factory=ShapeFit)
    synthesis: CtSynthesis | MrSynthesis = field(default_factory=CtSynthesis)

    @property
    def planar(self) -> bool:
        """True for networks of slices, False for those of volumes."""
        return self.kind in ("slices", "mr-slices")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the network's output channels; of a shape network those of its parameters."""
        if self.kind == "localiser":
            return CLASSES
        if self.kind == "naming":
            return (OTHER, *BONES)
        if self.kind == "patches":
            return ("background", "bone")
        if self.kind == "ct-volume":
            return ("background", "femur")
        if self.kind == "mr-shape":
            names = parameter_names(self.shape.modes)
            return names if len(self.shape.bones) == 1 else tuple(f"{b} {n}" for b in self.shape.bones for n in names)
        if self.kind == "mr-bone":
            return tuple(self.mr.edges)
        if self.kind.startswith(MR_PREFIX):
            return MR_CLASSES
        return ("background", *JOINT_BONES[self.joints[0]], OTHER)

    @property
    def ct_synthesis(self) -> CtSynthesis:
        """How CT images are made; of recipes of CT."""
        assert isinstance(self.synthesis, CtSynthesis)
        return self.synthesis

    @property
    def mr_synthesis(self) -> MrSynthesis:
        """How MR images are made; of recipes of MR."""
        assert isinstance(self.synthesis, MrSynthesis)
        return self.synthesis

    @property
    def in_channels(self) -> int:
        """Input channels of the network."""
        own = {
            "slices": 3,
            "localiser": 2,
            "naming": 1,
            "patches": 3,
            "ct-volume": 1,
            "mr-slices": 1,
            "mr-patches": 1 if self.mr.input == "signal" else len(MR_CLASSES),
            "mr-shape": 1 if self.shape.input == "signal" else 2,
            "mr-bone": 1,
        }
        return own[self.kind] + len(self.neighbour_offsets_mm)

    @property
    def network_config(self) -> dict[str, Any]:
        """The network's class and arguments, as an entry of a MONAI bundle."""
        if self.kind == "mr-shape":
            return {
                "_target_": "KneeSegLib.networks.ShapeRegressor",
                "in_channels": self.in_channels,
                "modes": self.shape.modes,
                "widths": list(self.widths),
                **({"shapes": len(self.shape.bones)} if self.shape.bone == BOTH_BONES else {}),
            }
        if self.encoder == "resnet50v2":
            return {
                "_target_": "KneeSegLib.networks.ResNetUNet",
                "in_channels": self.in_channels,
                "out_channels": len(self.classes),
                "widths": list(self.widths),
                "stem_width": self.encoder_width,
            }
        if self.kind == "mr-bone":
            return {
                "_target_": "monai.networks.nets.BasicUNet",
                "spatial_dims": 3,
                "in_channels": self.in_channels,
                "out_channels": len(self.classes),
                "features": [*self.widths, self.widths[0]],
                "act": ["ReLU", {"inplace": True}],
                "norm": "batch",
            }
        network = "SliceUNet" if self.planar else "VNet" if self.kind == "ct-volume" else "CoarseUNet3D"
        return {
            "_target_": f"KneeSegLib.networks.{network}",
            "in_channels": self.in_channels,
            "out_channels": len(self.classes),
            "widths": list(self.widths),
        }

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain data, every default spelled out; of files on this machine the names alone."""
        return {**dataclasses.asdict(self), "encoder_weights": Path(self.encoder_weights).name}
