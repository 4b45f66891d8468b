"""The table of structures: label value, name, side, SNOMED CT code and colour.

This is the only place where a label number stands. Everything else asks for structures by name::

    >>> structure("femur", "right").label_value == structure("femur_right").label_value
    True

Codes are SNOMED CT concept identifiers. Sides are the patient's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")


@dataclass(frozen=True)
class Code:
    """A coded concept: scheme designator, value, meaning (DICOM PS3.3 section 8)."""

    value: str
    meaning: str
    scheme: str = "SCT"


ANATOMICAL_STRUCTURE = Code("123037004", "Anatomical Structure")
SIDE_CODES: dict[Side, Code] = {"right": Code("24028007", "Right"), "left": Code("7771000", "Left")}


@dataclass(frozen=True)
class Tissue:
    """One kind of structure, before it has a side."""

    key: str
    name: str
    kind: Literal["bone", "cartilage", "meniscus"]
    code: Code
    color: tuple[int, int, int]
    right_label_value: int


@dataclass(frozen=True)
class Structure:
    """A structure of one side: what a voxel, a surface or a row of a report stands for."""

    tissue: Tissue
    side: Side

    @property
    def key(self) -> str:
        """Identifier used in files and code, for example ``femur_right``."""
        return f"{self.tissue.key}_{self.side}"

    @property
    def name(self) -> str:
        """Display name, for example ``Right femur``."""
        return f"{self.side.capitalize()} {self.tissue.name}"

    @property
    def label_value(self) -> int:
        """Value in label images (1..255)."""
        return self.tissue.right_label_value + (_LEFT_OFFSET if self.side == "left" else 0)

    @property
    def color(self) -> tuple[int, int, int]:
        """Display colour, 8-bit sRGB."""
        return self.tissue.color

    @property
    def code(self) -> Code:
        """What it is, without its side."""
        return self.tissue.code

    @property
    def side_code(self) -> Code:
        """The patient's side, as a modifier of :attr:`code`."""
        return SIDE_CODES[self.side]


_LEFT_OFFSET = 100
_CARTILAGE = Code("309312004", "Cartilage")
_MENISCUS = Code("74135004", "Meniscus")

TISSUES: tuple[Tissue, ...] = (
    Tissue("hip_bone", "hip bone", "bone", Code("29836001", "Hip bone"), (221, 130, 101), 1),
    Tissue("femur", "femur", "bone", Code("71341001", "Femur"), (240, 214, 145), 2),
    Tissue("patella", "patella", "bone", Code("64234005", "Patella"), (147, 197, 114), 3),
    Tissue("tibia", "tibia", "bone", Code("12611008", "Tibia"), (111, 168, 220), 4),
    Tissue("fibula", "fibula", "bone", Code("87342007", "Fibula"), (186, 120, 200), 5),
    Tissue("talus", "talus", "bone", Code("67453005", "Talus"), (88, 190, 178), 6),
    Tissue("calcaneus", "calcaneus", "bone", Code("80144004", "Calcaneus"), (226, 110, 132), 7),
    Tissue("femoral_cartilage", "femoral cartilage", "cartilage", _CARTILAGE, (120, 220, 255), 21),
    Tissue("tibial_cartilage", "tibial cartilage", "cartilage", _CARTILAGE, (255, 180, 60), 22),
    Tissue("patellar_cartilage", "patellar cartilage", "cartilage", _CARTILAGE, (180, 255, 120), 23),
    Tissue("medial_meniscus", "medial meniscus", "meniscus", _MENISCUS, (255, 110, 220), 31),
    Tissue("lateral_meniscus", "lateral meniscus", "meniscus", _MENISCUS, (170, 90, 255), 32),
)

STRUCTURES: tuple[Structure, ...] = tuple(Structure(tissue, side) for side in SIDES for tissue in TISSUES)

JOINT_BONES: dict[str, tuple[str, ...]] = {
    "hip": ("femur", "hip_bone"),
    "knee": ("femur", "tibia", "patella", "fibula"),
    "ankle": ("tibia", "fibula", "talus", "calcaneus"),
}
"""The bones that each joint's model tells apart, in the order of its output channels after background."""

LONG_BONES = ("femur", "tibia", "fibula")
"""Bones with a shaft, which the scan of one joint shows in part."""

OTHER = "other"
"""What networks call a bone that is none of those they name, or of the other leg."""

BONES: tuple[str, ...] = tuple(tissue.key for tissue in TISSUES if tissue.kind == "bone")

CARTILAGES: dict[str, str] = {
    "femur": "femoral_cartilage",
    "tibia": "tibial_cartilage",
    "patella": "patellar_cartilage",
}
"""The cartilage that each bone of the knee carries."""

MENISCUS_OF_COMPARTMENT: dict[str, str] = {"medial": "medial_meniscus", "lateral": "lateral_meniscus"}
"""The meniscus of each compartment of the knee."""

MENISCI = "menisci"
KNEE_MR_CLASSES: tuple[str, ...] = ("background", *JOINT_BONES["knee"], *CARTILAGES.values(), MENISCI)
"""Channels of the networks for knee MR. Both menisci are one class: the tibia's middle tells them apart."""

BoneEdge = Literal["marrow", "cortex"]
"""Where a bone ends in MR, by the convention of who drew it: where its bright marrow does, or its dark cortex."""
BONE_EDGES: tuple[BoneEdge, ...] = ("marrow", "cortex")

_BY_KEY = {entry.key: entry for entry in STRUCTURES}
_BY_LABEL_VALUE = {entry.label_value: entry for entry in STRUCTURES}


def structure(key: str, side: Side | None = None) -> Structure:
    """Return the structure called ``key`` (``"femur_right"``, or ``"femur"`` with ``side="right"``).

    Raises:
        KeyError: no such structure; the message lists the known ones.
    """
    full_key = key if side is None else f"{key}_{side}"
    try:
        return _BY_KEY[full_key]
    except KeyError:
        raise KeyError(f"No structure is called {full_key!r}; known are {', '.join(_BY_KEY)}.") from None


def structure_of_label(label_value: int) -> Structure:
    """Return the structure that label images mark with ``label_value``; raises ``KeyError`` for an unknown value."""
    try:
        return _BY_LABEL_VALUE[int(label_value)]
    except KeyError:
        raise KeyError(f"No structure has the label value {label_value}.") from None


def as_side(name: str) -> Side:
    """Return a side by its name; raises ``ValueError`` for another word."""
    if name == "right":
        return "right"
    if name == "left":
        return "left"
    raise ValueError(f"A side is right or left, not {name!r}.")
