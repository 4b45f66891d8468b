import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.anatomy import KNEE_MR_CLASSES
from KneeSegLib.bundles.spec import PatchSpec
from KneeSegLib.errors import Cancelled
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.patches import place_patches, refine_cartilage
from KneeSegLib.mr.settings import PLACING, PatchPlacing
from KneeSegLib.mr.shape_fit import FittedShape
from KneeSegLib.mr.slices import KneeProbabilities
from Testing.phantoms.models import model_of, scan_of
from Testing.phantoms.mr_images import shipped_models
from Testing.phantoms.mr_probabilities import KNEE_BOXES_MM, box_grid, probabilities_of

SHAPE = (8, 16, 12)  # along x, z, y
SCAN = Grid(Axis(0.0, 1.0, 50), Axis(0.0, 1.0, 40), Axis(0.0, 2.0, 20))


class BrightIsFemur(nn.Module):
    """Takes for femur what is bright; with ``known`` what has a high probability of that class."""

    def __init__(self, known: str = "") -> None:
        super().__init__()
        self.channel = KNEE_MR_CLASSES.index(known) if known else 0

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        logits = torch.full_like(patches, -40.0)
        bone = 60.0 * (patches[:, self.channel] - 0.5)
        logits[:, 0], logits[:, KNEE_MR_CLASSES.index("femur")] = -bone, bone
        return logits


def lying(model, offset_mm):
    points = model.mean + np.array(offset_mm)
    return FittedShape(points, np.zeros(1), np.zeros(len(points)), model)


def knee_slices(boxes=KNEE_BOXES_MM):
    return probabilities_of(boxes, box_grid(2.0))


@pytest.fixture(scope="module")
def femur():
    return lying(shipped_models()["femur"], (45.0, 42.0, 80.0))


def signal_and_slices():
    random = torch.Generator().manual_seed(0)
    signal = (resample_to(torch.rand(6, 6, 6, generator=random), _coarse(), SCAN) * 1000).round().numpy()
    values = torch.zeros((len(KNEE_MR_CLASSES), *SCAN.shape), dtype=torch.float16)
    values[0] = 1.0
    return signal.astype(np.int16), KneeProbabilities(SCAN, values, KNEE_MR_CLASSES)


def _coarse():
    return Grid(*(Axis.covering(axis.low_mm, axis.high_mm, (axis.high_mm - axis.low_mm) / 6.0) for axis in SCAN))


def refined(centers_mm, network=None, signal=None, slices=None, temperature=1.0, **more):
    own_signal, own_slices = signal_and_slices()
    patch = PatchSpec(SHAPE, (1.0, 1.0))
    model = model_of(network or BrightIsFemur(), KNEE_MR_CLASSES, patch=patch, temperature=temperature)
    scan = scan_of(own_signal if signal is None else signal, SCAN.spacing_mm)
    return refine_cartilage(model, scan, slices or own_slices, np.array(centers_mm, float), **more)


def test_a_temperature_softens_probabilities():
    sharp, soft = (refined([[20.0, 20.0, 20.0]], temperature=value) for value in (1.0, 5.0))
    inside = sharp.weight == 1.0
    away = [found.values[KNEE_MR_CLASSES.index("femur")][inside].float() - 0.5 for found in (sharp, soft)]
    assert bool((away[1].abs() <= away[0].abs() + 2e-3).all())
    assert away[1].abs().mean() < 0.9 * away[0].abs().mean()


def test_patches_lie_at_landmarks_that_carry_cartilage_apart_from_each_other(femur):
    slices = knee_slices({"femur": KNEE_BOXES_MM["femur"]})
    centers = place_patches({"femur": femur}, slices)
    carrying = femur.points_mm[femur.model.carries_cartilage][:, ::-1]
    assert 5 < len(centers) <= PLACING.most["femur"]
    assert all(np.isclose(carrying, center).all(axis=1).any() for center in centers)
    away = np.abs(centers[:, None] - centers[None]).max(axis=-1) + 1e3 * np.eye(len(centers))
    assert away.min() >= PLACING.apart_mm
    # Every landmark of cartilage in view has a patch nearby.
    assert np.abs(carrying[:, None] - centers[None]).max(axis=-1).min(axis=1).max() <= PLACING.apart_mm + 1e-6


def test_no_more_patches_are_placed_than_a_bone_may_have(femur):
    few = PatchPlacing({"femur": 6, "tibia": 6, "patella": 6})
    assert 1 <= len(place_patches({"femur": femur}, knee_slices({}), few)) <= 6


def test_landmarks_beyond_the_scan_get_no_patch(femur):
    half = Grid(Axis.covering(0.0, 62.0, 2.0), *box_grid(2.0)[1:])
    centers = place_patches({"femur": femur}, probabilities_of({}, half))
    carrying = femur.points_mm[femur.model.carries_cartilage][:, 2]
    assert carrying.max() > 62.0
    assert len(centers) and centers[:, 0].max() < 62.0


def test_the_patella_gets_patches_where_slices_see_its_cartilage():
    centers = place_patches({}, knee_slices())
    box = KNEE_BOXES_MM["patellar_cartilage"]
    assert 3 <= len(centers) <= PLACING.most["patella"]
    for place, (low, high) in zip(centers.T, box):
        assert place.min() >= low and place.max() <= high


def test_without_cartilage_there_are_no_patches():
    assert place_patches({}, knee_slices({})).shape == (0, 3)


def test_what_patches_predict_lies_where_the_image_showed_it():
    signal = np.zeros(SCAN.shape, np.int16)
    place = (slice(20, 24), slice(22, 28), slice(7, 10))
    signal[place] = 100
    signal[40:, 30:, 15:] = 100  # enough bright tissue for a level
    fine = refined([(22.0, 25.0, 16.0)], signal=signal)
    femur = fine.values[KNEE_MR_CLASSES.index("femur")].float()
    box = Box.around((femur > 0.5).numpy(), fine.grid)
    assert np.ravel(box) == pytest.approx([19.5, 23.5, 21.5, 27.5, 13.0, 19.0], abs=1.01)


def test_a_patch_counts_fully_in_its_middle_and_not_at_all_beyond_its_faces():
    fine = refined([(22.0, 20.0, 16.0), (22.0, 20.0, 30.0)])
    for position, expected in (((22.0, 20.0, 16.0), 1.0), ((22.0, 20.0, 23.0), 0.0), ((22.0, 20.0, 30.0), 1.0)):
        index = tuple(int(np.abs(axis.positions_mm - p).argmin()) for axis, p in zip(fine.grid, position))
        assert float(fine.weight[index]) == pytest.approx(expected, abs=0.02)


def test_probabilities_are_those_of_the_network_times_the_weight():
    signal, slices = signal_and_slices()
    fine = refined([(20.0, 18.0, 14.0), (24.0, 20.0, 17.0), (23.0, 15.0, 20.0)], signal=signal, slices=slices)
    total = fine.values.float().sum(dim=0)
    assert torch.allclose(total, fine.weight, atol=5e-3)
    assert fine.weight.max() <= 1.0 and (fine.weight > 0.9).any()


def test_a_patch_sees_the_probabilities_of_the_slices():
    signal, slices = signal_and_slices()
    slices.values[:, 20:24, 22:28, 7:10] = 0.0
    slices.values[KNEE_MR_CLASSES.index("tibial_cartilage"), 20:24, 22:28, 7:10] = 1.0
    fine = refined([(22.0, 25.0, 16.0)], BrightIsFemur("tibial_cartilage"), signal, slices)
    box = Box.around((fine.values[KNEE_MR_CLASSES.index("femur")] > 0.5).numpy(), fine.grid)
    assert np.ravel(box) == pytest.approx([19.5, 23.5, 21.5, 27.5, 13.0, 19.0], abs=1.01)


def test_centres_are_kept_and_counted_and_the_refinement_can_be_stopped():
    told = []
    centers = [(20.0, 18.0, 14.0), (30.0, 20.0, 17.0)]
    fine = refined(centers, progress=lambda fraction, message: told.append((fraction, message)))
    assert fine.centers_mm.tolist() == [list(c) for c in centers]
    assert told[0][1] == "Patches 0 of 2" and told[-1] == (1.0, "Patches 2 of 2")

    def cancelling(fraction, message):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        refined(centers, progress=cancelling)
