"""A second, finer look: which joint model looks at bone without a label, and what of its result is taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES, structure
from KneeSegLib.ct.joints import FoundJoint
from KneeSegLib.ct.leg import JointRoi, Leg
from KneeSegLib.ct.unlabelled.bone_map import BoneMap
from KneeSegLib.ct.unlabelled.search import UnlabelledBone
from KneeSegLib.ct.unlabelled.settings import LEAST_EXPECTED_CM3, LOOK_ALONG_MM, LOOK_AROUND_MM, SAME_LEG_MM
from KneeSegLib.geometry.grid import Box
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.quality.features import QualityFeatures

_JOINT_OF_TISSUE = {"hip_bone": "hip", "patella": "knee", "talus": "ankle", "calcaneus": "ankle"}
_JOINTS_OF_SHAFT = {"femur": ("knee", "hip"), "tibia": ("ankle", "knee"), "fibula": ("ankle", "knee")}
"""At the lower and at the upper end."""


def place_second_look(one: UnlabelledBone, bones: BoneMap) -> Leg | None:
    """Return a leg whose only joint lies where bone has no label; None where no labelled bone is near.

    The localiser saw nothing there, so the leg has no bones of it: what is found has to be checked by a person.
    """
    if one.nearest is None or one.distance_mm > SAME_LEG_MM:
        return None
    tissue, side = structure(one.nearest).tissue.key, structure(one.nearest).side
    joint = _choose_joint(one, tissue, bones)
    box = Box(*(_widen(bounds, LOOK_AROUND_MM) for bounds in one.box))._replace(z=_widen(one.box.z, LOOK_ALONG_MM))
    box = box.within(Box.of_grid(bones.grid))
    region = np.zeros(bones.grid.shape, bool)
    region[bones.grid.slices_within(box)] = True
    return Leg(
        side=side,
        side_confidence=1.0,
        bones={},
        joints={joint: FoundJoint(joint, one.center_mm, box, 0.0, ())},
        regions={JOINT_BONES[joint][0]: region},
        grid=bones.grid,
        uncertainties=(),
        rois=(JointRoi(joint, *box.z),),
    )


def take_new_bones(
    found: LegLabels, features: Mapping[str, QualityFeatures], known: Collection[str]
) -> tuple[LegLabels, dict[str, QualityFeatures]] | None:
    """Return labels and features of the bones that had no label before; None where there are none.

    Args:
        known: keys of the structures that have one.
    """
    new = {key: of_it for key, of_it in features.items() if key not in known and of_it.volume_cm3 >= LEAST_EXPECTED_CM3}
    if not new:
        return None
    values = [structure(key).label_value for key in new]
    tissues = {structure(key).tissue.key for key in new}
    labels = np.where(np.isin(found.labels, values), found.labels, 0).astype(np.uint8)
    margins = {tissue: margin for tissue, margin in found.margins.items() if tissue in tissues}
    return LegLabels(found.side, labels, found.place, margins), new


def _choose_joint(one: UnlabelledBone, nearest: str, bones: BoneMap) -> str:
    if one.expected is not None:
        pair = {one.expected[0], nearest}
        for joint, members in JOINT_BONES.items():
            if pair <= set(members):
                return joint
    if nearest in _JOINT_OF_TISSUE:
        return _JOINT_OF_TISSUE[nearest]
    lower, upper = _JOINTS_OF_SHAFT[nearest]
    z = bones.labelled[one.nearest or ""][:, 0]
    return upper if one.center_mm[0] > (z.min() + z.max()) / 2.0 else lower


def _widen(bounds: tuple[float, float], margin_mm: float) -> tuple[float, float]:
    return bounds[0] - margin_mm, bounds[1] + margin_mm
