"""What KneeSeg reads of a bundle's metadata, checked once and typed; read without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from KneeSegLib.bundles.kinds import KINDS, MR_INPUTS, VOLUME_INPUTS, MrInput, VolumeInput
from KneeSegLib.bundles.metadata import FACTS, channel_names
from KneeSegLib.errors import ModelError


@dataclass(frozen=True)
class PatchSpec:
    """The patches of a 3D network: ``shape`` in voxels, in the order of the network's axes, and known spacings."""

    shape: tuple[int, int, int]
    spacing_range_mm: tuple[float, float]

    def spacing_mm(self, pixel_mm: float) -> float:
        """Return the spacing of patches in a scan with pixels of ``pixel_mm``: the nearest one the network knows."""
        finest, coarsest = self.spacing_range_mm
        return min(max(pixel_mm, finest), coarsest)


@dataclass(frozen=True)
class VolumeSpec:
    """What a network of whole bones sees: ``shape`` (slices, rows, columns) of its grid, and the image or its gradient.

    A bone's box is brought to this grid, whatever spacings that takes.
    """

    shape: tuple[int, int, int]
    input: VolumeInput


@dataclass(frozen=True)
class ModelSpec:
    """A network's description.

    Attributes:
        name, version: of the bundle.
        sha256: of the weights.
        kind: what the network takes, a key of :data:`KneeSegLib.bundles.kinds.KINDS`.
        classes: one for each output channel, background first; of a shape network its parameters.
        spacing_mm: of the input, x, y, z.
        channels: what each input channel holds.
        neighbour_offsets_mm: of the neighbouring slices among the channels; empty where there are none.
        temperature: logits are divided by it before the softmax.
        patch: of networks that take patches.
        volume: of networks of whole bones.
        bone: of shape networks, the bone that they fit; ``both`` for femur and tibia at once.
        input: of shape networks and patches of MR, what they see.
        shape_variances_mm2: of shape networks, the variances of the modes of the shape model they were trained with; of
            ``both`` the femur's first.
        recipe: how the network was trained.
        figures: what was measured, and on what.
        sources: what it was trained on, each with ``name``, ``licence`` and ``use``.
        training_statement: one sentence about the training data that goes with every use.
    """

    name: str
    version: str
    sha256: str
    kind: str
    classes: tuple[str, ...]
    spacing_mm: tuple[float, float, float]
    channels: tuple[str, ...] = ()
    neighbour_offsets_mm: tuple[float, ...] = ()
    temperature: float = 1.0
    patch: PatchSpec | None = None
    volume: VolumeSpec | None = None
    bone: str | None = None
    input: MrInput = "probabilities"
    shape_variances_mm2: tuple[float, ...] | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Mapping[str, str], ...] = ()
    training_statement: str = ""

    def require_patch(self) -> PatchSpec:
        """Return the patches of the network.

        Raises:
            ModelError: the description does not say how large they are.
        """
        if self.patch is None:
            raise ModelError(
                f"The description of the model {self.name} does not say how large its patches are; "
                "install the weights that belong to this version."
            )
        return self.patch

    def require_volume(self) -> VolumeSpec:
        """Return what the network sees of a bone's box.

        Raises:
            ModelError: the description does not say it.
        """
        if self.volume is None:
            raise ModelError(
                f"The description of the model {self.name} does not say which grid and which input it takes; "
                "install the weights that belong to this version."
            )
        return self.volume

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any]) -> ModelSpec:
        """Read the content of ``metadata.json``, which has all required entries.

        Raises:
            ModelError: an entry is not what it should be.
        """
        entries = _Entries(str(metadata[FACTS]["name"]), metadata[FACTS])
        kind = entries.text("kind")
        if kind not in KINDS:
            raise entries.error("kind", kind, "a kind of network that this version of KneeSeg knows")
        neighbours = entries.section("channels")
        offsets_mm = neighbours.numbers("neighbour_offsets_mm") if neighbours.has("neighbour_offsets_mm") else ()
        volume = _volume(entries.section("volume")) if entries.has("volume") else None
        shape_model = entries.section("shape_model") if entries.has("shape_model") else None
        return cls(
            name=entries.model,
            version=str(metadata["version"]),
            sha256=entries.text("sha256"),
            kind=kind,
            classes=entries.names("classes"),
            spacing_mm=_three(entries.positive_numbers("spacing_mm", 3)),
            channels=tuple(channel_names(metadata[FACTS])),
            neighbour_offsets_mm=offsets_mm,
            temperature=entries.positive_number("temperature") if entries.has("temperature") else 1.0,
            patch=_patch(entries.section("patches")) if entries.has("patches") else None,
            volume=volume,
            bone=entries.text("bone") if entries.has("bone") else None,
            input=_mr_input(entries) if entries.has("input") else "probabilities",
            shape_variances_mm2=shape_model.numbers("variances_mm2") if shape_model is not None else None,
            recipe=entries.table("recipe"),
            figures=entries.table("figures"),
            sources=entries.tables("sources"),
            training_statement=entries.text("training_statement"),
        )


class _Entries:
    """A table of the metadata whose values are checked when they are read."""

    def __init__(self, model: str, table: Mapping[str, Any], prefix: str = "") -> None:
        self.model = model
        self._table = table
        self._prefix = prefix

    def has(self, key: str) -> bool:
        return key in self._table

    def error(self, key: str, found: object, expected: str) -> ModelError:
        return ModelError(
            f"The description of the model {self.model} says {self._prefix}{key} is {found!r}, expected {expected}; "
            "install KneeSeg again."
        )

    def text(self, key: str) -> str:
        value = self._table.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, value, "a text")
        return value

    def table(self, key: str) -> Mapping[str, Any]:
        value = self._table.get(key, {})
        if not isinstance(value, Mapping):
            raise self.error(key, value, "a table")
        return value

    def tables(self, key: str) -> tuple[Mapping[str, Any], ...]:
        value = self._table.get(key)
        if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
            raise self.error(key, value, "a list of tables")
        return tuple(value)

    def section(self, key: str) -> _Entries:
        return _Entries(self.model, self.table(key), f"{self._prefix}{key}.")

    def names(self, key: str) -> tuple[str, ...]:
        value = self._table.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise self.error(key, value, "a list of names")
        return tuple(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self._table.get(key)
        if not isinstance(value, list) or not all(map(_is_number, value)):
            raise self.error(key, value, "a list of numbers")
        return tuple(float(number) for number in value)

    def positive_numbers(self, key: str, count: int) -> tuple[float, ...]:
        value = self.numbers(key)
        if len(value) != count or min(value) <= 0.0:
            raise self.error(key, self._table[key], f"{count} positive numbers")
        return value

    def positive_number(self, key: str) -> float:
        value = self._table.get(key)
        if not _is_number(value) or value <= 0.0:
            raise self.error(key, value, "a positive number")
        return float(value)


def _patch(entries: _Entries) -> PatchSpec:
    shape = _three(entries.positive_numbers("shape", 3))
    finest, coarsest = entries.positive_numbers("spacing_range_mm", 2)
    return PatchSpec((int(shape[0]), int(shape[1]), int(shape[2])), (finest, coarsest))


def _volume(entries: _Entries) -> VolumeSpec:
    shape, wanted = _three(entries.positive_numbers("shape", 3)), entries.text("input")
    for known in VOLUME_INPUTS:
        if wanted == known:
            return VolumeSpec((int(shape[0]), int(shape[1]), int(shape[2])), known)
    raise entries.error("input", wanted, f"one of {', '.join(VOLUME_INPUTS)}")


def _mr_input(entries: _Entries) -> MrInput:
    wanted = entries.text("input")
    for known in MR_INPUTS:
        if wanted == known:
            return known
    raise entries.error("input", wanted, f"one of {', '.join(MR_INPUTS)}")


def _three(numbers: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = numbers
    return x, y, z


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
