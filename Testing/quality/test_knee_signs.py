"""Signs of a knee in MR, and pieces of cartilage that lie on no bone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from KneeSegLib.anatomy import structure
from KneeSegLib.cleaning.attached import keep_attached
from KneeSegLib.inference.axes import Axis, Grid
from KneeSegLib.inference.labelling import LegLabels, Margin
from KneeSegLib.inference.mr.slices import KneeProbabilities
from KneeSegLib.quality import verdict_on
from KneeSegLib.quality.knee import signs_of_knee

SHAPE = (30, 30, 30)


def labelled(margin_value: int = 127) -> LegLabels:
    labels = np.zeros(SHAPE, np.uint8)
    labels[15:, 5:25, 5:25] = structure("femur", "right").label_value
    inside = labels > 0
    values = np.where(inside, margin_value, -margin_value).astype(np.int8)
    place = tuple(slice(0, size) for size in SHAPE)
    return LegLabels("right", labels, place, {"femur": Margin(values, place)})


GRID = Grid.of_scan(SHAPE, (1.0, 1.0, 1.0))


def seen_above(height: int, likely: float = 0.95) -> KneeProbabilities:
    """A coarse look that sees femur from a height on, in voxels of 2 mm."""
    coarse = Grid(*(Axis(0.5, 2.0, size // 2) for size in SHAPE))
    femur = torch.zeros(coarse.shape, dtype=torch.float16)
    femur[height // 2 :, 3:12, 3:12] = likely
    return KneeProbabilities(coarse, torch.stack([1.0 - femur, femur]), ("background", "femur"))


def signs(knee: LegLabels, residual_mm: float = 0.5, context: KneeProbabilities | None = None):
    shapes = {"femur": SimpleNamespace(mean_residual_mm=residual_mm)}
    return signs_of_knee(knee, knee.labels, shapes, context or seen_above(15), GRID)["femur_right"]


def test_a_certain_bone_that_fits_its_shape_is_good():
    verdict = verdict_on(structure("femur_right"), signs(labelled()))
    assert verdict.level == "good"
    assert verdict.signs.volume_cm3 == pytest.approx(6.0)
    assert verdict.notes == ("It goes on beyond the upper border of the scan.",)


def test_a_bone_far_from_its_shape_is_to_be_checked():
    verdict = verdict_on(structure("femur_right"), signs(labelled(), residual_mm=4.0))
    assert verdict.level == "check" and "4.0 mm from its surface" in verdict.reasons[0]


def test_a_bone_that_agrees_with_the_look_at_the_whole_knee_is_good():
    found = signs(labelled())
    assert found.localiser_agreement > 0.98 and found.localiser_certainty == pytest.approx(0.95, abs=1e-3)


def test_a_bone_that_is_elsewhere_than_the_whole_knee_shows_it_is_to_be_checked():
    verdict = verdict_on(structure("femur_right"), signs(labelled(), context=seen_above(26)))
    assert verdict.signs.localiser_agreement < 0.6
    assert verdict.level == "check" and "the first look at the whole scan saw it" in verdict.reasons[0]


def test_a_bone_that_the_whole_knee_does_not_show_is_to_be_checked():
    verdict = verdict_on(structure("femur_right"), signs(labelled(), context=seen_above(15, likely=0.2)))
    assert verdict.level == "check" and "did not see this bone" in verdict.reasons[0]


def test_a_network_that_is_sure_of_nothing_is_not_believed():
    verdict = verdict_on(structure("femur_right"), signs(labelled(margin_value=30)))
    assert verdict.level == "check" and "unsure of its edge" in verdict.reasons[0]


def test_cartilage_stays_where_it_lies_on_bone():
    bone = np.zeros(SHAPE, bool)
    bone[:10] = True
    cartilage = np.zeros(SHAPE, bool)
    cartilage[10:12, 3:20, 3:20] = True  # on the bone
    cartilage[20:23, 3:20, 3:20] = True  # in the air
    cartilage[10, 28, 28] = True  # on the bone, a crumb
    kept = keep_attached(cartilage, bone, (1.0, 1.0, 1.0))
    assert kept[10:12, 3:20, 3:20].all()
    assert np.count_nonzero(kept) == 2 * 17 * 17
