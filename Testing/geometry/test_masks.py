"""Connected components and distances of masks."""

import numpy as np
import pytest

from KneeSegLib.geometry.masks import FACES_AND_EDGES, label_components, measure_distance_mm


@pytest.fixture
def steps():
    """Two bars that share an edge, and one voxel apart from them."""
    mask = np.zeros((5, 6, 7), bool)
    mask[0, 0, :4] = mask[1, 1, :4] = mask[4, 5, 6] = True
    return mask


def test_components_are_numbered_and_counted_with_the_background_first(steps):
    numbers, voxels = label_components(steps)
    assert voxels.tolist() == [steps.size - 9, 4, 4, 1]
    assert [np.count_nonzero(numbers == number) for number in range(4)] == voxels.tolist()


def test_voxels_that_share_an_edge_are_connected_where_it_is_asked_for(steps):
    assert label_components(steps, FACES_AND_EDGES)[1].tolist() == [steps.size - 9, 8, 1]


def test_an_empty_mask_has_no_component():
    assert label_components(np.zeros((2, 3, 4), bool))[1].tolist() == [24]


def test_distances_are_those_of_voxel_centres_in_mm():
    mask = np.zeros((5, 6, 7), bool)
    mask[1, 2, 3] = True
    distance_mm = measure_distance_mm(mask, (3.0, 2.0, 0.5))
    z, y, x = np.ogrid[:5, :6, :7]
    np.testing.assert_allclose(distance_mm, np.sqrt((3.0 * (z - 1)) ** 2 + (2.0 * (y - 2)) ** 2 + (0.5 * (x - 3)) ** 2))
