"""Quality features of a knee in MR, and components of cartilage that lie on no bone."""

from types import SimpleNamespace

import numpy as np
import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.cleaning.attached import keep_attached
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.labels import LegLabels, Margin
from KneeSegLib.quality import assess_quality
from KneeSegLib.quality.knee import measure_knee_features

SHAPE = (30, 30, 30)


def labelled(margin_value: int = 127) -> LegLabels:
    labels = np.zeros(SHAPE, np.uint8)
    labels[15:, 5:25, 5:25] = structure("femur", "right").label_value
    inside = labels > 0
    values = np.where(inside, margin_value, -margin_value).astype(np.int8)
    place = tuple(slice(0, size) for size in SHAPE)
    return LegLabels("right", labels, place, {"femur": Margin(values, place)})


def features_of(knee: LegLabels, residual_mm: float = 0.5):
    shapes = {"femur": SimpleNamespace(mean_residual_mm=residual_mm)}
    found = measure_knee_features(knee, knee.labels, shapes, Grid.of_scan(SHAPE, (1.0, 1.0, 1.0)))
    return found["femur_right"]


def test_a_certain_bone_that_fits_its_shape_is_good():
    result = assess_quality(structure("femur_right"), features_of(labelled()))
    assert result.level == "good"
    assert result.features.volume_cm3 == pytest.approx(6.0)
    assert result.notes == ("It goes on beyond the upper border of the scan.",)


def test_a_bone_far_from_its_shape_is_to_be_checked():
    result = assess_quality(structure("femur_right"), features_of(labelled(), residual_mm=4.0))
    assert result.level == "check" and "4.0 mm from its surface" in result.reasons[0]


def test_a_network_that_is_sure_of_nothing_is_not_believed():
    result = assess_quality(structure("femur_right"), features_of(labelled(margin_value=30)))
    assert result.level == "check" and "uncertain of its edge" in result.reasons[0]


def test_cartilage_stays_where_it_lies_on_bone():
    bone = np.zeros(SHAPE, bool)
    bone[:10] = True
    cartilage = np.zeros(SHAPE, bool)
    cartilage[10:12, 3:20, 3:20] = True  # on the bone
    cartilage[20:23, 3:20, 3:20] = True  # in the air
    cartilage[10, 28, 28] = True  # on the bone, a fragment
    kept = keep_attached(cartilage, bone, (1.0, 1.0, 1.0))
    assert kept[10:12, 3:20, 3:20].all()
    assert np.count_nonzero(kept) == 2 * 17 * 17
