"""Bone in view that has no label: nothing of it is lost in silence."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.anatomy import SIDES
from KneeSegLib.assembly import assemble_case
from KneeSegLib.ct.unlabelled.bone_map import BoneMap
from KneeSegLib.ct.unlabelled.search import find_unlabelled_bone
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.io.volume import read_volume
from KneeSegLib.pipelines.ct_leg import CtLeg
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES
from Testing.phantoms.legs import OracleLocaliser, OracleModels, leg_phantom

FOOT_TAKEN_FOR_OTHER = {f"{bone}_{side}": "other" for bone in ("talus", "calcaneus") for side in SIDES}


def segment_without_foot(**models):
    volume = read_volume(leg_phantom(("right",), (0.0, 590.0)).image)
    load = OracleModels(localiser=OracleLocaliser(FOOT_TAKEN_FOR_OTHER), **models)
    return assemble_case(volume, CtLeg(PIPELINES["ct-leg"], Request("ct-leg", device="cpu"), load).segment(volume))


def test_a_foot_that_the_localiser_lost_is_found_by_the_second_look_and_has_to_be_checked():
    case = segment_without_foot()
    levels = {found.structure.key: found.quality.level for found in case.structures}
    assert levels["talus_right"] == levels["calcaneus_right"] == "check"
    assert case.provenance["unlabelled_bone"] == []


def test_what_the_second_look_does_not_find_is_said_with_its_place_and_volume():
    case = segment_without_foot(confused={"talus": "other", "calcaneus": "other"})
    assert "talus_right" not in {found.structure.key for found in case.structures}
    said = [warning for warning in case.warnings if "have no label" in warning]
    assert all("cm3 of bone below the right tibia" in sentence for sentence in said)
    assert any("the right talus should be there" in sentence for sentence in said)
    talus = next(one for one in case.provenance["unlabelled_bone"] if one["expected"] == "talus_right")
    x, y, z = talus["center_lps_mm"]
    assert -120.0 < x < -70.0 and -30.0 < y < 60.0 and 0.0 < z < 75.0  # the foot of the phantom


SIZE = (100, 40, 60)
"""Voxels of 2 mm: z to the head, y to the back, x to the left."""


def block(z, y, x):
    mask = np.zeros(SIZE, bool)
    mask[slice(*z), slice(*y), slice(*x)] = True
    return mask


def map_of(labelled, unlabelled, bone=0.0, other=0.8, none=0.1):
    grid = Grid.of_scan(SIZE, (2.0, 2.0, 2.0))
    points = {key: np.argwhere(mask) * 2.0 for key, mask in labelled.items()}
    full = [np.full(SIZE, value, np.float32) for value in (bone, other, none)]
    return BoneMap(grid, points, unlabelled, *full)


TIBIA = block((50, 95), (10, 20), (20, 30))
TALUS = block((38, 48), (10, 22), (20, 30))
CALCANEUS = block((25, 36), (12, 28), (20, 30))
MIDFOOT = block((20, 40), (0, 8), (20, 30))


def test_a_midfoot_beyond_talus_and_calcaneus_needs_no_label():
    labelled = {"tibia_left": TIBIA, "talus_left": TALUS, "calcaneus_left": CALCANEUS}
    assert find_unlabelled_bone(map_of(labelled, MIDFOOT)) == []


@pytest.mark.parametrize(("lost", "mask"), [("talus_left", TALUS), ("calcaneus_left", CALCANEUS)])
def test_a_bone_of_the_hindfoot_is_demanded_by_its_neighbour_although_the_localiser_calls_it_another(lost, mask):
    labelled = {"tibia_left": TIBIA, "talus_left": TALUS, "calcaneus_left": CALCANEUS}
    del labelled[lost]
    found = find_unlabelled_bone(map_of(labelled, MIDFOOT | mask))
    assert (lost.removesuffix("_left"), "left") in {one.expected for one in found}


def test_a_fibula_beside_the_shaft_and_a_patella_before_the_condyles_are_demanded_however_little_is_dense():
    fibula, patella = block((60, 88), (10, 13), (33, 36)), block((52, 60), (2, 6), (24, 31))
    shank = {"tibia_left": TIBIA, "talus_left": TALUS, "calcaneus_left": CALCANEUS}
    (found,) = find_unlabelled_bone(map_of(shank, fibula, other=0.6))
    assert found.expected == ("fibula", "left") and found.volume_cm3 < 3.0
    (found,) = find_unlabelled_bone(map_of({"femur_left": TIBIA, "tibia_left": TALUS}, patella, other=0.6))
    assert found.expected == ("patella", "left") and found.volume_cm3 < 3.0
    assert find_unlabelled_bone(map_of(shank | {"fibula_left": fibula}, block((4, 8), (2, 6), (24, 31)))) == []


def test_a_vessel_of_contrast_behind_the_thigh_is_no_patella():
    """The border of a hip's scan cuts the shaft, below which a patella may lie."""
    vessel = block((50, 60), (22, 26), (24, 31))
    found = find_unlabelled_bone(map_of({"femur_left": TIBIA}, vessel, other=0.6))
    assert ("patella", "left") not in {one.expected for one in found}


def test_a_bone_of_a_leg_that_the_localiser_sees_is_said_although_it_is_small():
    shank, small = {"talus_left": TALUS}, block((70, 80), (10, 16), (35, 39))
    assert find_unlabelled_bone(map_of(shank, small, bone=0.1, other=0.4, none=0.5)) == []
    (found,) = find_unlabelled_bone(map_of(shank, small, bone=0.7, other=0.2))
    assert found.volume_cm3 == pytest.approx(small.sum() * 0.008)


def test_the_other_foot_is_not_the_midfoot_of_this_one():
    foot = {"talus_left": TALUS, "calcaneus_left": CALCANEUS}
    other_foot = block((25, 48), (0, 28), (48, 58))
    (found,) = find_unlabelled_bone(map_of(foot, MIDFOOT | other_foot))
    assert found.center_mm[2] > 90.0


def test_a_shank_above_a_labelled_foot_is_no_midfoot_although_the_localiser_calls_it_another():
    foot = {"talus_left": TALUS, "calcaneus_left": CALCANEUS}
    (found,) = find_unlabelled_bone(map_of(foot, TIBIA | MIDFOOT))
    assert found.center_mm[0] > 130.0


def test_a_femur_of_which_only_the_condyles_are_in_view_demands_no_hip():
    condyles = {"femur_left": block((84, 100), (10, 20), (20, 30))}
    beside = block((80, 98), (10, 20), (32, 36))
    assert {one.expected for one in find_unlabelled_bone(map_of(condyles, beside))} <= {
        None,
        ("tibia", "left"),
        ("patella", "left"),
    }


def test_a_second_leg_is_found_and_an_arm_beside_the_thigh_is_not():
    thigh = {"femur_left": block((5, 95), (10, 20), (25, 35))}
    inner, outer = block((5, 95), (10, 20), (2, 10)), block((60, 95), (10, 20), (48, 55))
    (second,) = find_unlabelled_bone(map_of(thigh, inner | outer))
    assert second.center_mm[2] < 25.0 and second.volume_cm3 == pytest.approx(inner.sum() * 0.008)


def test_a_table_is_no_bone_and_what_was_not_asked_for_is_not_looked_for():
    thigh = {"femur_left": block((5, 95), (10, 20), (25, 35))}
    inner = block((5, 95), (10, 20), (2, 10))
    assert find_unlabelled_bone(map_of(thigh, inner, other=0.05, none=0.9)) == []
    asked = Box((0.0, 200.0), (0.0, 80.0), (40.0, 80.0))
    assert find_unlabelled_bone(map_of(thigh, inner), asked) == []
