"""A knee of cylinders whose cartilage is 2.5 mm thick everywhere, as prepared for MR."""

from __future__ import annotations

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.mr.anatomy_file import (
    CAVITY_UNIT_MM,
    COARSE,
    CORTEX_UNIT_MM,
    FLESH_UNIT_MM,
    SDF_UNIT_MM,
    MrSubject,
    MrTemplate,
)
from KneeSegLib.training.synthesis.mr.structures import BONES, FAT, FIRST_MUSCLE
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, TemplateTensors

THICKNESS_MM = 2.5
SHAFT_RADIUS_MM = 24.0
MENISCUS_RADII_MM = (18.0, 27.0)


def cylinder_knee_template() -> MrTemplate:
    """1 mm voxels; femur above, tibia below, a ball of a patella in front, a thin fibula; muscle behind."""
    size = (96, 96, 80)
    z, y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in size), indexing="ij")

    def cylinder(cx: float, cy: float, radius: float, bottom: float, top: float) -> np.ndarray:
        return np.maximum(np.hypot(x - cx, y - cy) - radius, np.maximum(bottom - z, z - top))

    bones = np.stack(
        [
            cylinder(0, 0, SHAFT_RADIUS_MM, 3, 400),
            cylinder(0, 0, SHAFT_RADIUS_MM, -400, -3),
            np.sqrt(x**2 + (y + 38) ** 2 + (z - 16) ** 2) - 9,
            cylinder(-31, 10, 5, -400, -15),
        ]
    )
    covers = bones.copy()
    covers[0] = cylinder(0, 0, SHAFT_RADIUS_MM, 3 - THICKNESS_MM, 400)
    covers[1] = cylinder(0, 0, SHAFT_RADIUS_MM, -400, -3 + THICKNESS_MM)
    covers[2] = np.where(y > -38, bones[2] - THICKNESS_MM, bones[2])
    owner = covers.argmin(axis=0)
    bone, cover = (np.take_along_axis(fields, owner[None], 0)[0] for fields in (bones, covers))
    radius = np.hypot(x, y)
    inner, outer = MENISCUS_RADII_MM
    meniscus = np.maximum(np.maximum(inner - radius, radius - outer), np.abs(z) - 2.5)
    soft = np.where((y > 28) & (np.abs(z) > 6) & (y < 40), FIRST_MUSCLE, FAT).astype(np.uint8)
    middles = tuple(slice(1, None, COARSE) for _ in size)
    hull = np.maximum(np.hypot(x, y) - 40, 0)[middles]
    cavity = np.maximum(np.maximum(np.abs(z) - 3, radius - 27), 0)[middles]

    def units(values: np.ndarray, unit: float, kind: type) -> np.ndarray:
        return np.clip(np.round(values / unit), -127 if kind is np.int8 else 0, np.iinfo(kind).max).astype(kind)

    return MrTemplate(
        bone=units(bone, SDF_UNIT_MM, np.int8),
        cover=units(cover, SDF_UNIT_MM, np.int8),
        owner=(owner + 1).astype(np.uint8),
        meniscus=units(meniscus, SDF_UNIT_MM, np.int8),
        soft=soft,
        flesh=units(hull, FLESH_UNIT_MM, np.uint8),
        cavity=units(cavity, CAVITY_UNIT_MM, np.uint8),
        cortex=np.full(hull.shape, round(1.0 / CORTEX_UNIT_MM), np.uint8),
        vertices={name: np.zeros((3, 3), np.float32) for name in BONES},
        spacing_mm=1.0,
        origin_mm=(-40.0, -48.0, -48.0),
        name="cylinders",
        sources=("geometry (none)",),
    )


def cylinder_knee_subject(group: Group = "train", step_mm: float = 0.0) -> MrSubject:
    """The template seen as it is, or ``step_mm`` further to the left."""
    steps = np.zeros((3, 13, 13, 11), np.int16)
    steps[0] = round(step_mm / 0.05)
    return MrSubject("cylinders", steps, 8.0, (-40.0, -48.0, -48.0), group, "cylinders", ("geometry (none)",))


def cylinder_knee(step_mm: float = 0.0) -> PreparedKnee:
    """Template and subject together."""
    return PreparedKnee(cylinder_knee_subject(step_mm=step_mm), TemplateTensors(cylinder_knee_template()))
