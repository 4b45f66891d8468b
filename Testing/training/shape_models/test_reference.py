"""Which case becomes the reference."""

from __future__ import annotations

import numpy as np

from KneeSegLib.training.shape_models.bone_image import prepare_bone_image
from KneeSegLib.training.shape_models.reference import choose_reference, measure_pairwise_overlaps
from Testing.phantoms.bones import Pebble


def test_the_reference_is_the_case_that_overlaps_most_with_all_others():
    overlaps = np.array([[1.0, 0.8, 0.7], [0.8, 1.0, 0.9], [0.7, 0.9, 1.0]])
    assert choose_reference(overlaps) == 1


def test_of_three_bones_the_one_between_the_others_is_the_reference():
    cases = [
        prepare_bone_image(Pebble(lean=lean).labels(spacing_mm=2.0), "patella", "right", str(lean), 2.0)
        for lean in (-3.5, 0.0, 3.5)
    ]
    overlaps = measure_pairwise_overlaps(cases)
    assert choose_reference(overlaps) == 1
    np.testing.assert_array_equal(overlaps, overlaps.T)
    assert overlaps[0, 2] < overlaps[0, 1] < 1
