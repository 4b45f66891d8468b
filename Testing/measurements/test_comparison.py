"""Label images against label images: which structures, on which grid, in which part of the scan."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.measurements.comparison import evaluate

SPACING_MM = (0.5, 0.6, 0.8)


def label_image(boxes: dict[str, tuple[slice, slice, slice]], shape=(20, 24, 28)) -> sitk.Image:
    labels = np.zeros(shape, np.uint8)
    for key, box in boxes.items():
        labels[box] = structure(key).label_value
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING_MM)
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    return image


FEMUR = (slice(2, 8), slice(3, 12), slice(4, 20))
TIBIA = (slice(10, 16), slice(3, 12), slice(4, 20))


def test_each_structure_has_its_own_metrics_and_volumes():
    shorter_tibia = (slice(10, 16), slice(3, 12), slice(4, 12))
    result = evaluate(
        label_image({"femur_right": FEMUR, "tibia_right": TIBIA}),
        label_image({"femur_right": FEMUR, "tibia_right": shorter_tibia}),
    )
    assert list(result) == ["femur_right", "tibia_right"]
    assert result["femur_right"].metrics["dice"] == 1
    assert result["tibia_right"].metrics["recall"] == pytest.approx(0.5)
    assert result["tibia_right"].metrics["hd_mm"] == pytest.approx(8 * 0.5)
    assert result["tibia_right"].reference_mm3 == pytest.approx(6 * 9 * 16 * 0.5 * 0.6 * 0.8)
    assert result["tibia_right"].prediction_mm3 == pytest.approx(6 * 9 * 8 * 0.5 * 0.6 * 0.8)


def test_right_and_left_taken_for_each_other_is_undefined_not_perfect():
    result = evaluate(label_image({"femur_right": FEMUR}), label_image({"femur_left": FEMUR}))
    assert result["femur_right"].presence == "reference only"
    assert result["femur_left"].presence == "prediction only"
    assert all(math.isnan(value) for agreement in result.values() for value in agreement.metrics.values())


def test_outside_of_the_reference_does_not_count_when_asked():
    whole_leg = {"femur_right": (slice(0, 20), slice(3, 12), slice(4, 20))}
    drawn_part = {"femur_right": FEMUR}
    assert evaluate(label_image(drawn_part), label_image(whole_leg))["femur_right"].metrics["dice"] < 1
    within = evaluate(label_image(drawn_part), label_image(whole_leg), within_reference=True)
    assert within["femur_right"].metrics["dice"] == 1


def test_another_size_is_named_in_the_error():
    with pytest.raises(InputError, match="28 x 24 x 20 voxels and the prediction 28 x 24 x 21.*same grid"):
        evaluate(label_image({"femur_right": FEMUR}), label_image({"femur_right": FEMUR}, shape=(21, 24, 28)))


@pytest.mark.parametrize("change", ["origin", "spacing", "direction"])
def test_another_place_is_named_in_the_error(change):
    moved = label_image({"femur_right": FEMUR})
    if change == "origin":
        moved.SetOrigin((0, 0.1, 0))
    elif change == "spacing":
        moved.SetSpacing((0.5, 0.6, 0.81))
    else:
        moved.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))
    with pytest.raises(InputError, match="mm apart .*same grid"):
        evaluate(label_image({"femur_right": FEMUR}), moved)


def test_rounding_of_file_formats_is_no_other_grid():
    rounded = label_image({"femur_right": FEMUR})
    rounded.SetOrigin((0.0005, -0.0005, 0.0005))
    assert evaluate(label_image({"femur_right": FEMUR}), rounded)["femur_right"].metrics["dice"] == 1


def test_nothing_to_compare_is_an_error():
    with pytest.raises(InputError, match="nothing to compare"):
        evaluate(label_image({}), label_image({}))


def test_unknown_label_value_is_named_in_the_error():
    odd = label_image({"femur_right": FEMUR})
    odd = odd + sitk.Cast(odd == structure("femur_right").label_value, sitk.sitkUInt8) * 50
    with pytest.raises(InputError, match="label value 52"):
        evaluate(odd, odd)
