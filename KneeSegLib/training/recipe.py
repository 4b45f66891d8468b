"""A recipe says all that a bundle was trained with. It is a YAML file, checked when read."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from KneeSegLib.anatomy import BONES, JOINT_BONES, OTHER
from KneeSegLib.errors import InputError
from KneeSegLib.networks.shape_layer import parameter_names
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.training.mr_sampling import MrSampling
from KneeSegLib.training.priors import PriorErrors
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT as MR_JOINT
from KneeSegLib.training.synthesis.mr.render import MrSynthesis
from KneeSegLib.training.synthesis.mr.structures import CLASSES as MR_CLASSES
from KneeSegLib.training.synthesis.settings import CtSynthesis

Kind = Literal["slices", "localiser", "naming", "patches", "mr-slices", "mr-patches", "mr-shape"]
MR_PREFIX = "mr-"

RECIPES_FOLDER = Path(__file__).parent / "recipes"


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
class ShapeFit:
    """What a shape network learns.

    Attributes:
        bone: whose shape.
        modes: of the shape model, the first ones.
        off_centre_mm: how far the crop may hang from where it should, along each axis.
        surface_mm: bounds of the error of the surface that the network is shown, and surface_scale_mm of its extent.
        hole_probability: of a ball that is missing from the bone. hole_mm: bounds of its radius.
        cut_probability: of a field of view that ends within the crop, for each axis.
        thick_probability: of slices as thick as the bounds ``thick_mm``, and not thinner than the crop's voxels.
    """

    bone: str = "femur"
    modes: int = 20
    off_centre_mm: float = 5.0
    surface_mm: tuple[float, float] = (0.0, 1.0)
    surface_scale_mm: float = 8.0
    hole_probability: float = 0.15
    hole_mm: tuple[float, float] = (5.0, 14.0)
    cut_probability: float = 0.3
    thick_mm: tuple[float, float] = (2.4, 4.2)
    thick_probability: float = 0.45


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and for how long.

    Attributes:
        name: of the bundle that comes out.
        kind: ``slices`` (2D specialist), ``localiser`` (3D, sees the image), ``naming`` (3D, sees the bone mask alone),
            ``patches`` (3D, refines one bone at a time); of knee MR ``mr-slices`` (2D, sagittal) and ``mr-patches``
            (3D, where cartilage is) and ``mr-shape`` (3D, fits the shape model of a bone).
        joints: prepared people to train on (``hip``, ``knee``, ``ankle``, ``body``; ``mr-knee`` alone for MR).
        spacing_mm: isotropic grid of the samples; of patches the coarsest; of sagittal slices the pixels'.
        shapes: sample shapes, ``[rows, columns]`` for slices and ``[slices, rows, columns]`` for 3D; one is
            drawn per step.
        neighbour_offsets_mm: further slices as channels (2D only).
        widths: feature channels of the network per level.
        slab_slices: slices used of each rendered slab (``slices``), or rendered for it (``mr-slices``).
        bone_focus: share of the samples placed where a randomly chosen bone is, not anywhere (``slices``, ``naming``).
        reuse: how often, on average, a rendered sample is trained on before it is thrown away.
        learning: beginnings of the names of the layers that learn, all where there are none; the others keep the
            weights that they start from, but for the statistics of their norms.
        patches: how patches are made (``patches`` only).
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
    slab_slices: int = 12
    bone_focus: float = 0.0
    reuse: float = 1.0
    pool: int = 192
    batch: int = 8
    steps: int = 2500
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    ema: float = 0.997
    validate_every: int = 500
    seed: int = 0
    learning: tuple[str, ...] = ()
    losses: Losses = field(default_factory=Losses)
    patches: Patches = field(default_factory=Patches)
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
        if self.kind == "mr-shape":
            return parameter_names(self.shape.modes)
        if self.kind.startswith(MR_PREFIX):
            return MR_CLASSES
        return ("background", *JOINT_BONES[self.joints[0]], OTHER)

    @property
    def in_channels(self) -> int:
        own = {
            "slices": 3,
            "localiser": 2,
            "naming": 1,
            "patches": 3,
            "mr-slices": 1,
            "mr-patches": len(MR_CLASSES),
            "mr-shape": 2,
        }
        return own[self.kind] + len(self.neighbour_offsets_mm)

    @property
    def network_config(self) -> dict[str, Any]:
        """How to build the network, in the form of a MONAI bundle."""
        if self.kind == "mr-shape":
            return {
                "_target_": "KneeSegLib.networks.ShapeRegressor",
                "in_channels": self.in_channels,
                "modes": self.shape.modes,
                "widths": list(self.widths),
            }
        network = "SliceUNet" if self.planar else "CoarseUNet3D"
        return {
            "_target_": f"KneeSegLib.networks.{network}",
            "in_channels": self.in_channels,
            "out_channels": len(self.classes),
            "widths": list(self.widths),
        }

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain data, every default spelled out."""
        return dataclasses.asdict(self)


def read_recipe(name_or_path: str | Path, **changes: Any) -> Recipe:
    """Read a recipe by name (one that ships) or by path; ``changes`` replace single top-level entries.

    Raises:
        InputError: no such recipe, or an entry that is unknown or of the wrong kind; the sentence names it.
    """
    import yaml

    path = Path(name_or_path)
    if not path.is_file():
        path = RECIPES_FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES_FOLDER.glob("*.yaml")))
        raise InputError(f"No recipe {str(name_or_path)!r} was found; give a YAML file or one of: {known}.")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise InputError(f"Recipe {path.name} holds no table of entries; see the recipes that ship for the form.")
    content.update({key: value for key, value in changes.items() if value is not None})
    recipe = _built(Recipe, content, path.name)
    _check(recipe, path.name)
    return recipe


def recipe_from(content: Mapping[str, Any], where: str) -> Recipe:
    """Return the recipe that a bundle's metadata hold; what they say beside it (how it was trained) is left out.

    Raises:
        InputError: as :func:`read_recipe`.
    """
    entries = {entry.name for entry in dataclasses.fields(Recipe)}
    return _built(Recipe, {key: value for key, value in content.items() if key in entries}, where)


def _check(recipe: Recipe, where: str) -> None:
    dimensions = 2 if recipe.planar else 3
    stride = INPUT_SIZE if recipe.kind == "mr-shape" else 2 ** (len(recipe.widths) - 1)
    for shape in recipe.shapes:
        if len(shape) != dimensions or any(size % stride for size in shape):
            raise InputError(
                f"Recipe {where}: sample shape {list(shape)} was found, "
                f"expected {dimensions} sizes that are multiples of {stride}."
            )
    if recipe.kind.startswith(MR_PREFIX) != (recipe.joints == (MR_JOINT,)):
        raise InputError(
            f"Recipe {where}: kind {recipe.kind} with joints {list(recipe.joints)} was found; MR kinds are trained on "
            f"[{MR_JOINT}], and they alone."
        )
    if not recipe.planar and recipe.neighbour_offsets_mm:
        raise InputError(f"Recipe {where}: neighbour_offsets_mm were found; a 3D network has no neighbouring slices.")
    if recipe.kind == "slices" and (len(recipe.joints) != 1 or recipe.joints[0] not in JOINT_BONES):
        raise InputError(
            f"Recipe {where}: a slice network serves one joint of {', '.join(JOINT_BONES)}, not {recipe.joints}."
        )


def _built(kind: type, content: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if kind is Recipe:
        hints["synthesis"] = MrSynthesis if str(content.get("kind")).startswith(MR_PREFIX) else CtSynthesis
        content = {"synthesis": {}, **content}
    unknown = sorted(set(content) - set(hints))
    if unknown:
        raise InputError(f"Recipe {where}: entry {unknown[0]!r} is unknown; known are {', '.join(hints)}.")
    missing = [
        entry.name
        for entry in dataclasses.fields(kind)
        if entry.name not in content
        and entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"Recipe {where}: entry {missing[0]!r} is missing; add it.")
    return kind(**{key: _typed(hints[key], value, f"{where}: {key}") for key, value in content.items()})


def _typed(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"Recipe {where} is {value!r}, expected a table of entries.")
        return _built(hint, value, where)
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        if not isinstance(value, (list, tuple)):
            raise InputError(f"Recipe {where} is {value!r}, expected a list.")
        return tuple(_typed(inner, item, where) for item in value)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise InputError(f"Recipe {where} is {value!r}, expected one of {', '.join(typing.get_args(hint))}.")
        return value
    if origin is types.UnionType:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"Recipe {where} is {value!r}, expected a value of type {hint.__name__}.")
    return value
