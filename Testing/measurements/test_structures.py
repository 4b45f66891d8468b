"""What is measured of each structure in a label image."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.measurements.structures import measure_structures
from Testing.phantoms.cases import KNEE_BOXES, KNEE_SHAPE, SPACING_MM, box_labels, voxels_of


def test_every_structure_is_measured_in_voxels_and_cubic_millimetres():
    found = {entry.structure.key: entry for entry in measure_structures(box_labels(KNEE_BOXES, KNEE_SHAPE))}
    assert list(found) == ["femur_right", "patella_right", "tibia_right", "fibula_right"]
    for key, entry in found.items():
        assert entry.voxels == voxels_of(structure(key))
        assert entry.volume_mm3 == pytest.approx(entry.voxels * np.prod(SPACING_MM))


def test_the_box_of_a_structure_is_the_smallest_that_holds_it():
    (entry,) = measure_structures(box_labels({"talus_left": (slice(3, 5), slice(7, 8), slice(10, 20))}, (9, 9, 30)))
    assert entry.box == np.s_[3:5, 7:8, 10:20]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", ["first", "last"])
def test_contact_with_each_edge_of_the_scan_is_noticed(axis, end):
    box = [slice(2, 6)] * 3
    box[axis] = slice(0, 6) if end == "first" else slice(2, 8)
    labels = box_labels({"femur_left": box, "femur_right": [slice(6, 7)] * 3}, (8, 8, 8))
    inside, touching = measure_structures(labels)
    assert touching.structure.side == "left"
    assert touching.touches_border
    assert not inside.touches_border


def test_an_image_without_structures_has_none():
    assert measure_structures(box_labels({}, (4, 5, 6))) == []
