"""The label maps that templates are made of, and the meaning of their labels."""

from __future__ import annotations

from dataclasses import dataclass, field

from KneeSegLib.training.synthesis.label_knees import LABEL_MAPS, LabelMap
from KneeSegLib.training.synthesis.mr.structures import ARTERY, FAT_PAD, FIRST_MUSCLE, NERVE, TENDON, VEIN


@dataclass(frozen=True)
class KneeMap:
    """A label map with cartilage, and the meaning of its labels.

    Attributes:
        bones_of: the file, its side and the labels of its bones.
        cartilages: bone -> labels of its cartilage.
        menisci: labels of both.
        soft: label -> soft tissue; empty where the map has none.
    """

    bones_of: LabelMap
    cartilages: dict[str, tuple[int, ...]]
    menisci: tuple[int, ...]
    soft: dict[int, int] = field(default_factory=dict)


_TENDONS = (31, 32, 33, 34, 35, 41, 42, 43, 44, 46, 47, 48)
_NERVES = (61, 62, 63, 64)
_ARTERIES, _VEINS = (71, 73, 74, 75), (72, 77, 78)
_MUSCLES = (12, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26)

KNEE_MAPS: dict[str, KneeMap] = {
    "spl": KneeMap(
        LABEL_MAPS["labelspl"],
        {"femur": (83,), "tibia": (84, 85), "patella": (86,)},
        (81, 82),
        {
            9: FAT_PAD,
            **dict.fromkeys(_TENDONS, TENDON),
            **dict.fromkeys(_NERVES, NERVE),
            **dict.fromkeys(_ARTERIES, ARTERY),
            **dict.fromkeys(_VEINS, VEIN),
            **{label: FIRST_MUSCLE + number for number, label in enumerate(_MUSCLES)},
        },
    ),
    "dess": KneeMap(
        LABEL_MAPS["labeldess"],
        {"femur": (1,), "tibia": (2, 3), "patella": (4,)},
        (9, 10),
    ),
}
