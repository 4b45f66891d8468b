"""A bone that lies in pieces is told from one with specks beside it."""

from __future__ import annotations

import numpy as np

from KneeSegLib.quality.pieces import count_pieces


def test_a_gap_makes_two_pieces_and_specks_none():
    shaft = np.zeros((60, 9, 9), bool)
    shaft[2:58, 3:6, 3:6] = True
    shaft[0, 0, 0] = shaft[59, 8, 8] = True
    assert count_pieces(shaft) == 1
    shaft[40:43] = False
    assert count_pieces(shaft) == 2
