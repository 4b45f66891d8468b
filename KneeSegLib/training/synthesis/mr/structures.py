"""The structures of prepared knees.

Bones, cartilages and menisci are what a network learns to label. The other tissues only surround them: they are
distinguished as far as their signal in MR differs, muscles one by one because of the fat between them.
"""

from __future__ import annotations

from KneeSegLib.anatomy import KNEE_MR_CLASSES

BONES: tuple[str, ...] = ("femur", "tibia", "patella", "fibula")
"""Owner ``i + 1`` of a voxel is ``BONES[i]``; 0 is none."""

CARTILAGES: tuple[str, ...] = ("femoral_cartilage", "tibial_cartilage", "patellar_cartilage")
"""The cartilage of ``BONES[i]`` is ``CARTILAGES[i]``; the fibula has none here."""

CLASSES = KNEE_MR_CLASSES
"""Channels of the networks for knee MR."""

FAT, FAT_PAD, POUCH, TENDON, ARTERY, VEIN, NERVE = range(7)
"""Soft tissues. Fat is all that no label names; the pouch is the recess of the joint above the patella."""

FIRST_MUSCLE = 10
"""Muscles are numbered from here."""
