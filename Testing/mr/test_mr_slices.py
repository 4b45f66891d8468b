import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.errors import Cancelled
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.mr.settings import THINNEST_SLICE_MM
from KneeSegLib.mr.slices import (
    blur_across_slices,
    predict_sagittal,
    sagittal_grid,
    scan_percentile,
)
from Testing.phantoms.models import model_of, scan_of

CLASSES = ("background", "bone")
SCAN = Grid(Axis(0.0, 1.0, 48), Axis(0.0, 1.0, 32), Axis(0.0, 2.0, 12))
MARKED = (slice(34, 44), slice(18, 28), slice(7, 9))  # high, far back, to the left


class BrightIsBone(nn.Module):
    """Takes for bone what is bright in one of its channels."""

    def __init__(self, channel: int = 0) -> None:
        super().__init__()
        self.channel = channel

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        bone = 40.0 * (slices[:, self.channel] - 0.5)
        return torch.stack([-bone, bone], dim=1)


def marked_signal() -> np.ndarray:
    signal = np.zeros(SCAN.shape, np.int16)
    signal[MARKED] = 300
    return signal


def found(network=None, pixel_mm=1.0, offsets=(), temperature=1.0, **more):
    described = {"neighbour_offsets_mm": offsets, "temperature": temperature}
    model = model_of(network or BrightIsBone(), CLASSES, pixel_mm, kind="mr-slices", **described)
    return predict_sagittal(model, scan_of(marked_signal(), SCAN.spacing_mm), **more)


def test_the_networks_prediction_lies_where_the_image_showed_it():
    assert np.array_equal((found().of("bone") > 0.5).numpy(), marked_signal() > 0)


@pytest.mark.parametrize("temperature", [10.0, 20.0])
def test_a_temperature_softens_probabilities(temperature):
    sharp, soft = (found(temperature=value).of("bone") for value in (1.0, temperature))
    assert torch.equal(sharp > 0.5, soft > 0.5)
    assert soft.max() == pytest.approx(1.0 / (1.0 + np.exp(-40.0 / temperature)), abs=5e-3)


def test_probabilities_of_all_classes_sum_to_one():
    predicted = found()
    assert predicted.values.dtype == torch.float16 and predicted.values.shape == (2, *SCAN.shape)
    assert torch.allclose(predicted.values.float().sum(dim=0), torch.ones(SCAN.shape), atol=2e-3)


@pytest.mark.parametrize(("offset_mm", "slices"), [(4.0, 2), (-2.0, -1)])
def test_a_neighbour_to_the_left_is_the_one_at_a_positive_offset(offset_mm, slices):
    predicted = found(BrightIsBone(channel=1), offsets=(offset_mm,))
    expected = np.zeros(SCAN.shape, bool)
    expected[MARKED[0], MARKED[1], 7 - slices : 9 - slices] = True
    assert np.array_equal((predicted.of("bone") > 0.5).numpy(), expected)


def test_on_finer_pixels_the_prediction_covers_the_same_millimetres():
    predicted = found(pixel_mm=0.5)
    box = Box.around((predicted.of("bone") > 0.5).numpy(), predicted.grid)
    assert np.ravel(box) == pytest.approx([33.5, 43.5, 17.5, 27.5, 13.0, 17.0], abs=0.5)


def test_the_scans_own_slices_are_kept():
    assert sagittal_grid(SCAN, 0.5, 32).x == SCAN.x


def test_slices_thinner_than_the_network_knows_are_taken_together():
    scan = SCAN._replace(x=Axis(0.0, 0.25, 400))
    x = sagittal_grid(scan, 0.5, 32).x
    assert x.spacing_mm == THINNEST_SLICE_MM
    assert x.low_mm <= scan.x.low_mm + 1e-6 and x.high_mm >= scan.x.high_mm - 1e-6


def test_rows_and_columns_cover_the_scan_and_fit_the_networks_stride():
    grid = sagittal_grid(SCAN, 0.7, 32)
    for axis, own in zip(grid[:2], SCAN[:2]):
        assert axis.count % 32 == 0 and axis.spacing_mm == 0.7
        assert axis.low_mm <= own.low_mm and axis.high_mm >= own.high_mm


def test_the_level_of_a_scan_is_that_of_its_bright_tissue():
    signal = np.zeros((60, 100, 100), np.int16)
    signal[:, :50] = 700
    signal[0, 0, 0] = 20000
    assert scan_percentile(signal) == pytest.approx(700.0)


def test_a_slice_takes_a_little_from_those_beside_it():
    values = torch.zeros((2, 3, 4, 7), dtype=torch.float16)
    values[1, ..., 3] = 1.0
    values[0] = 1.0 - values[1]
    blurred = blur_across_slices(values, 0.6)
    line = blurred[1, 1, 1].float()
    assert line[2] == line[4] and 0.0 < line[2] < line[3] < 1.0
    assert line[[0, 1, 5, 6]].tolist() == [0.0] * 4
    assert torch.allclose(blurred.float().sum(dim=0), torch.ones(3, 4, 7), atol=1e-3)
    assert float(values[1, 1, 1, 3]) == 1.0  # what was given stays


def test_thick_slices_take_nothing_from_each_other():
    values = torch.rand(2, 3, 4, 7).half()
    assert torch.allclose(blur_across_slices(values, 4.0), values, atol=2e-3)


def test_what_is_the_same_in_all_slices_stays_the_same():
    values = torch.rand(2, 3, 4, 1).half().expand(2, 3, 4, 7).contiguous()
    assert torch.allclose(blur_across_slices(values, 0.6), values, atol=1e-3)


def test_progress_counts_the_slices_and_can_stop_them():
    told = []
    found(progress=lambda fraction, message: told.append((fraction, message)))
    assert told[0] == (0.0, "Slices 0 of 12") and told[-1] == (1.0, "Slices 12 of 12")

    def cancelling(fraction, message):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        found(progress=cancelling)
