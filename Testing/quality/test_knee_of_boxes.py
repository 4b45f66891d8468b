"""Quality features of a knee of boxes, whose sizes are known."""

import math

import numpy as np
import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.geometry.grid import Box
from KneeSegLib.mr.labelling import KneeLayout, label_knee
from KneeSegLib.mr.shape_fit import FittedShape
from KneeSegLib.networks.device import find_device
from KneeSegLib.quality.knee import measure_knee_features
from Testing.phantoms.mr_images import shipped_models
from Testing.phantoms.mr_probabilities import KNEE_BOXES_MM, box_grid, probabilities_of

GRID = box_grid(1.0)
PATELLA_MM = (25.0, 10.0, 30.0)


def knee(**changes):
    return label_knee(
        probabilities_of({**KNEE_BOXES_MM, **changes}, GRID), None, GRID, KneeLayout("right", 45.0), find_device("cpu")
    )


def features_of(labelled, before=None, shapes=None):
    before = labelled.labels if before is None else before
    return measure_knee_features(labelled, before, shapes or {}, GRID)


def shape_off_by(residual_mm: float) -> FittedShape:
    model = shipped_models()["femur"]
    residual = np.full(len(model.mean), residual_mm)
    residual[::2] *= -1.0
    residual[:50] = np.nan
    return FittedShape(model.mean, np.zeros(1), residual, model)


@pytest.fixture(scope="module")
def features():
    return features_of(knee(), shapes={"femur": shape_off_by(0.7)})


def test_every_structure_has_its_features(features):
    names = (*(set(KNEE_BOXES_MM) - {"menisci"}), "medial_meniscus", "lateral_meniscus")
    assert set(features) == {structure(name, "right").key for name in names}


def test_volume_and_extent_are_those_of_the_box(features):
    patella = features["patella_right"]
    assert patella.extent_mm == pytest.approx(PATELLA_MM)
    assert patella.volume_cm3 == pytest.approx(math.prod(PATELLA_MM) / 1000.0)
    assert patella.slice_mm == 1.0


def test_the_patella_alone_can_be_in_view_as_a_whole(features):
    assert [key for key, found in features.items() if found.whole] == ["patella_right"]
    assert features["patella_right"].border_mm2 == {}


def test_a_bone_at_the_border_of_the_scan_touches_it_with_an_area(features):
    width, depth = 60.0, 50.0
    assert features["femur_right"].border_mm2 == {"upper": pytest.approx(width * depth)}
    assert features["tibia_right"].border_mm2 == {"lower": pytest.approx(width * depth)}


def test_a_patella_that_the_scan_cuts_is_not_whole():
    found = features_of(knee(patella=Box((70.0, 95.0), (0.0, 10.0), (30.0, 60.0))))["patella_right"]
    assert not found.whole and set(found.border_mm2) == {"front"}


def test_what_cleaning_took_away_is_a_fraction_of_what_is_left():
    labelled = knee()
    before = labelled.labels.copy()
    value = structure("tibia", "right").label_value
    free = np.argwhere(before == 0)[:1500]
    before[tuple(free.T)] = value
    found = features_of(labelled, before)
    assert found["tibia_right"].cleaned_fraction == pytest.approx(1500.0 / np.count_nonzero(labelled.labels == value))
    assert found["femur_right"].cleaned_fraction == 0.0


def test_the_residual_of_a_shape_is_the_mean_of_its_points_in_view(features):
    assert features["femur_right"].shape_residual_mm == pytest.approx(0.7)
    assert math.isnan(features["tibia_right"].shape_residual_mm)


def test_uncertainty_along_the_edge_is_measured():
    sure = features_of(knee())["tibia_right"].uncertain_band_mm
    slices = probabilities_of(KNEE_BOXES_MM, GRID)
    tibia = slices.values[slices.classes.index("tibia")]
    tibia *= 0.6
    slices.values[0] = 1.0 - slices.values[1:].sum(dim=0)
    labelled = label_knee(slices, None, GRID, KneeLayout("right", 45.0), find_device("cpu"))
    assert features_of(labelled)["tibia_right"].uncertain_band_mm > sure + 2.0
