"""Bones are named by position and size, whatever the order in which components are found, also where they touch."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.errors import AnatomyNotFoundError
from KneeSegLib.mr.low_field.naming import name_bones

SHAPE = (120, 90, 80)
BOXES = {
    "femur": np.s_[66:116, 30:70, 15:65],
    "tibia": np.s_[4:60, 32:66, 18:62],
    "patella": np.s_[70:95, 4:18, 28:52],
    "fibula": np.s_[4:45, 72:84, 64:76],
}


def bone_of(*names: str) -> np.ndarray:
    bone = np.zeros(SHAPE, bool)
    for name in names:
        bone[BOXES[name]] = True
    return bone


def test_three_bones_are_named_and_the_fourth_is_left_out():
    named = name_bones(bone_of(*BOXES), 1.0, "scan")
    assert set(named) == {"femur", "tibia", "patella"}
    for name, mask in named.items():
        assert np.array_equal(mask, bone_of(name)), name


def test_a_piece_of_fat_larger_than_the_patella_is_not_it():
    bone = bone_of(*BOXES)
    bone[60:112, 76:88, 5:60] = True
    assert np.array_equal(name_bones(bone, 1.0, "scan")["patella"], bone_of("patella"))


def test_a_tibia_larger_than_the_femur_is_still_below_it():
    bone = bone_of("tibia", "patella")
    bone[80:116, 40:66, 20:60] = True
    named = name_bones(bone, 1.0, "scan")
    assert np.array_equal(named["tibia"], bone_of("tibia"))


@pytest.mark.parametrize("bridge", [np.s_[60:66, 45:48, 40:43], np.s_[80:83, 18:30, 40:43]], ids=["joint", "patella"])
def test_bones_that_touch_are_taken_apart_and_lose_little(bridge):
    bone = bone_of(*BOXES)
    bone[bridge] = True
    named = name_bones(bone, 1.0, "scan")
    for name in ("femur", "tibia", "patella"):
        wrong = np.count_nonzero(named[name] ^ bone_of(name))
        assert wrong <= np.count_nonzero(bone[bridge]), name


def test_without_a_patella_two_bones_are_named():
    assert set(name_bones(bone_of("femur", "tibia", "fibula"), 1.0, "scan")) == {"femur", "tibia"}


@pytest.mark.parametrize("names", [(), ("patella",), ("femur",)])
def test_less_than_a_knee_is_said(names):
    with pytest.raises(AnatomyNotFoundError, match="No knee was found in 'scan': no femur"):
        name_bones(bone_of(*names), 1.0, "scan")
