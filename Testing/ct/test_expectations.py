"""Bones that should be there and are not."""

from __future__ import annotations

from types import SimpleNamespace

from KneeSegLib.ct.expectations import describe_missing
from KneeSegLib.ct.leg import JointRoi

ALL = {"femur_right", "tibia_right", "patella_right", "fibula_right"}


def missing(found, seen=("femur", "tibia"), cut_by=()):
    leg = SimpleNamespace(
        side="right",
        bones=dict.fromkeys(seen),
        joints={"knee": SimpleNamespace(name="knee", cut_by=cut_by)},
        rois=(JointRoi("knee", 0.0, 200.0),),
    )
    return describe_missing([leg], found)


def test_a_whole_knee_with_all_its_bones_lacks_nothing():
    assert missing(ALL) == []


def test_a_bone_that_the_localiser_saw_is_missed_even_in_a_cut_knee():
    assert missing(ALL - {"tibia_right"}, cut_by=("lower",)) == [
        "The right tibia seems to be in view but could not be labelled: check this leg."
    ]


def test_a_bone_that_nobody_saw_is_missed_in_a_whole_knee_only():
    assert missing(ALL - {"patella_right"}) == [
        "The right patella was not found, although the right knee is in view: check this leg."
    ]
    assert missing(ALL - {"patella_right"}, cut_by=("front",)) == []


def test_a_border_beyond_one_side_of_the_joint_excuses_only_the_bones_there():
    assert missing(ALL - {"fibula_right"}, cut_by=("lower",)) == []
    assert missing(ALL - {"fibula_right"}, cut_by=("upper",)) == [
        "The right fibula was not found, although the right knee is in view: check this leg."
    ]
    assert missing(ALL - {"patella_right"}, cut_by=("upper",)) == []
    assert len(missing(ALL - {"patella_right"}, cut_by=("lower",))) == 1
    assert missing(ALL - {"patella_right"}, cut_by=("lower", "front")) == []
