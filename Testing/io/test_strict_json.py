"""What strict JSON knows and Python's does not."""

from __future__ import annotations

import numpy as np

from KneeSegLib.io.strict_json import as_strict_json


def test_not_a_number_becomes_null():
    assert as_strict_json({"a": float("nan"), "b": (np.float32(np.inf), np.int64(3)), "c": np.array([1.5])}) == {
        "a": None,
        "b": [None, 3],
        "c": [1.5],
    }
