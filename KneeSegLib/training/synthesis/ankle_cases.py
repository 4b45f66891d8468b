"""Ankles with their feet: 26 scanned ankles, scanned hindfeet, and legs of the shape model.

No talus, tibia, fibula or calcaneus of a validation or test subject is in any training case. The unlabelled bones in
front of them are the Visible Human Male's in training and validation, the Female's in tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis import feet
from KneeSegLib.training.synthesis.anatomy_file import Anatomy, Group
from KneeSegLib.training.synthesis.bones import Bone, draw_cortex_factor, enlarge_bones, move_bones
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.legs import find_ankle_axis, find_upright_turn, fit_leg, place_foot_under_leg
from KneeSegLib.training.synthesis.limb_model import SOURCE, read_limb_model
from KneeSegLib.training.synthesis.meshes import Mesh, rotation, scaling, translation
from KneeSegLib.training.synthesis.settings import (
    ANKLE_HEIGHT_MM,
    ANKLE_LENGTH_MM,
    ANKLE_MARGIN_MM,
    ANKLE_SIZE_FACTORS,
    PREPARED_SPACING_MM,
)
from KneeSegLib.training.synthesis.voxels import CaseName, draw_gap_mm, recenter_bones, voxelize_bones


@dataclass(frozen=True)
class Recipe:
    """What a case is made of.

    Attributes:
        group: that it belongs to.
        foot: where the bones come from that nothing else gives.
        ankle: scanned ankle whose tibia and fibula are used (``"R03"``), or None.
        hindfoot: scanned calcaneus (subject, side), or None for that of ``foot``.
        native: the hindfoot's own talus is used instead of the scanned ankle's.
    """

    group: Group
    foot: str
    ankle: str | None = None
    hindfoot: tuple[str, str] | None = None
    native: bool = False


# L06 and R08 are nearly mirror images and may be one subject: both are in training.
HELD_OUT: dict[str, tuple[Group, tuple[str, str]]] = {
    "R11": ("validation", ("NonTTA_10", "right")),
    "R12": ("validation", ("NonTTA_10", "right")),
    "L12": ("validation", ("NonTTA_10", "right")),
    "R13": ("test", ("NonTAR_06", "left")),
    "R14": ("test", ("NonTAR_06", "left")),
    "L13": ("test", ("NonTAR_06", "left")),
}
TRAINING_ANKLES = tuple(
    subject
    for subject in [f"R{n:02d}" for n in range(1, 15)] + [f"L{n:02d}" for n in range(2, 14)]
    if subject not in HELD_OUT
)


def list_recipes() -> dict[str, Recipe]:
    """Return subject name -> recipe, training first, the kinds mixed so that the first few cases show all of them."""
    table: dict[str, Recipe] = {}
    own, hindfeet = feet.FEET["train"], feet.HINDFEET["train"]
    for number, ankle in enumerate(TRAINING_ANKLES):
        foot = own[number // 2 % 2]
        hindfoot = hindfeet[number // 2 % 5] if number % 2 else None
        table[f"scan{ankle}"] = Recipe("train", foot, ankle, hindfoot)
        if number % 3 == 0 and number // 3 < 6:
            table[f"model{number // 3 + 1:02d}"] = Recipe("train", own[number // 3 % 2])
        if number % 4 == 1 and number // 4 < 5:
            subject, side = hindfeet[number // 4]
            donor = TRAINING_ANKLES[(7 * (number // 4) + 3) % 20]
            table[f"foot{subject.replace('_', '')}"] = Recipe(
                "train", own[(number // 4 + 1) % 2], donor, (subject, side), True
            )
    for number, (ankle, (group, hindfoot)) in enumerate(HELD_OUT.items()):
        table[f"scan{ankle}"] = Recipe(group, feet.FEET[group][number % 2], ankle, hindfoot)
    table["footNonTTA10"] = Recipe("validation", "male_right", "L12", ("NonTTA_10", "right"), True)
    table["footNonTAR06"] = Recipe("test", "female_left", "L13", ("NonTAR_06", "left"), True)
    return table


def list_cases() -> list[CaseName]:
    """Return the names of all cases."""
    return [CaseName("ankle", recipe.group, subject) for subject, recipe in list_recipes().items()]


def build_case(name: CaseName, data: Path, random: np.random.Generator) -> Anatomy:
    """Build one right ankle, from the sole to 150 mm above the joint."""
    recipe = list_recipes()[name.subject]
    bones, sources = assemble_ankle(recipe, data, random)
    foot = tuple(part for part in bones if part not in ("tibia", "fibula"))
    bones = enlarge_bones(bones, random.uniform(*ANKLE_SIZE_FACTORS))
    tibia, fibula = (_select_distal(bones[part]) for part in ("tibia", "fibula"))
    axis = find_ankle_axis(tibia, fibula, bones["talus"].mesh)
    bones = move_bones(bones, axis.turn(_draw_plantar_flexion(recipe, random)), *foot)

    shaft = bones["tibia"].axis_ends
    forward = bones["metatarsals_and_phalanges"].mesh.vertices.mean(axis=0) - bones["calcaneus"].mesh.vertices.mean(
        axis=0
    )
    bones = recenter_bones(move_bones(bones, find_upright_turn(shaft, forward)), np.zeros(3))
    turn = rotation(np.array([0.0, 0.0, 1.0]), random.uniform(-20, 20)) @ rotation(
        random.standard_normal(3), random.uniform(0, 5)
    )
    bones = move_bones(bones, turn)
    sided = [(bone, "right") for bone in bones.values()]
    return voxelize_bones(sided, _find_box(bones), draw_gap_mm(random, 2.0), name, sources)


def assemble_ankle(recipe: Recipe, data: Path, random: np.random.Generator) -> tuple[dict[str, Bone], list[str]]:
    """Return bones of a leg and foot that fit together, and the sources that they are from."""
    model = read_limb_model(data)
    factor = draw_cortex_factor(random)
    coefficients = model.draw_coefficients(random)
    if recipe.ankle is None:
        limb = model.build_limb(coefficients, factor)
        home = translation(-limb["tibia"].axis_ends[1])
        leg = {part: limb[part].transform(home) for part in ("tibia", "fibula")}
        meshes = place_foot_under_leg(leg["tibia"].mesh, leg["fibula"].mesh, data, recipe.foot)
        return {**leg, **feet.make_foot_bones(meshes, factor)}, [SOURCE, feet.name_source(recipe.foot)]

    ankle = feet.read_ankle(data, recipe.ankle)
    leg, _ = fit_leg(ankle, model, 0.7 * coefficients, factor)
    sources = [feet.ANKLE_SOURCE, SOURCE, feet.name_source(recipe.foot)]
    if recipe.hindfoot is None:
        meshes = _vary_size(feet.place_foot_under(ankle["talus"], data, recipe.foot)[0], random)
        meshes["talus"] = ankle["talus"]
    else:
        sources.append(feet.HINDFOOT_SOURCE)
        hindfoot = feet.place_hindfoot_under(ankle["talus"], data, *recipe.hindfoot)
        meshes = feet.place_foot_behind(hindfoot, data, recipe.foot) | hindfoot
        if not recipe.native:
            meshes = _vary_size(meshes, random) | {"talus": ankle["talus"]}
    return {**leg, **feet.make_foot_bones(meshes, factor)}, sources


def _vary_size(foot: dict[str, Mesh], random: np.random.Generator) -> dict[str, Mesh]:
    """Return a foot a little longer or broader, about its talus."""
    change = scaling(random.uniform(0.95, 1.05, 3), foot["talus"].vertices.mean(axis=0))
    return {part: mesh.transform(change) for part, mesh in foot.items()}


def _draw_plantar_flexion(recipe: Recipe, random: np.random.Generator) -> float:
    """Draw degrees from the pose of the scan: standing, or lying with the foot pointed where no ankle scan is used."""
    if recipe.ankle is None:
        return random.uniform(-35, 0)
    return random.uniform(-8, 15) if random.random() < 0.6 else random.uniform(-15, 30)


def _select_distal(bone: Bone) -> Mesh:
    """Return the surface of a bone's lower end: the scanned one where there is one."""
    return bone.splice.mesh if bone.splice else bone.mesh


def _find_box(bones: dict[str, Bone]) -> CubicGrid:
    """Return the grid from behind the heel forward and from below the foot up over the joint, as wide as the foot."""
    calcaneus, talus = bones["calcaneus"].mesh.vertices, bones["talus"].mesh.vertices
    leg = np.concatenate([bones[part].mesh.vertices for part in ("tibia", "fibula")])
    top = talus[:, 2].max() + ANKLE_HEIGHT_MM
    back = max(calcaneus[:, 1].max(), leg[leg[:, 2] < top, 1].max()) + ANKLE_MARGIN_MM
    foot = np.concatenate([bone.mesh.vertices for part, bone in bones.items() if part not in ("tibia", "fibula")])
    foot = np.concatenate([foot, leg[leg[:, 2] < top]])
    shown = foot[(foot[:, 1] > back - ANKLE_LENGTH_MM) & (foot[:, 2] < top)]
    low, high = shown.min(axis=0) - ANKLE_MARGIN_MM, shown.max(axis=0) + ANKLE_MARGIN_MM
    low[1], high[1], high[2] = back - ANKLE_LENGTH_MM, back, top
    return CubicGrid.around(low, high, PREPARED_SPACING_MM["ankle"])
