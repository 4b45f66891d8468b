import numpy as np
import pytest
import torch

from KneeSegLib.anatomy import KNEE_MR_CLASSES, SIDES, structure
from KneeSegLib.errors import Cancelled
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.mr.labelling import KneeLayout, apply_bone_odds, label_knee, sum_probabilities
from KneeSegLib.mr.patches import FineProbabilities
from Testing.phantoms.models import ONE_THREAD
from Testing.phantoms.mr_probabilities import KNEE_BOXES_MM, box_grid, probabilities_of

GRID = box_grid(2.0)
FEMUR = KNEE_MR_CLASSES.index("femur")


def labelled(slices, patches=None, side="right", middle_x_mm=45.0, scan=GRID, **more):
    knee = label_knee(slices, patches, scan, KneeLayout(side, middle_x_mm), ONE_THREAD, **more)
    whole = np.zeros(scan.shape, np.uint8)
    whole[knee.place] = knee.labels
    return knee, whole


def all_over(name: str, weight: float) -> FineProbabilities:
    """Patches that predict the same everywhere."""
    values = torch.zeros((len(KNEE_MR_CLASSES), *GRID.shape), dtype=torch.float16)
    values[KNEE_MR_CLASSES.index(name)] = weight
    return FineProbabilities(GRID, torch.full(GRID.shape, weight), values, np.zeros((1, 3)))


@pytest.mark.parametrize("side", SIDES)
def test_every_box_gets_the_label_of_its_structure_and_side(side):
    _, labels = labelled(probabilities_of(KNEE_BOXES_MM, GRID), side=side)
    wanted = probabilities_of(KNEE_BOXES_MM, GRID)
    for name in set(KNEE_BOXES_MM) - {"menisci"}:
        assert np.array_equal(labels == structure(name, side).label_value, (wanted.of(name) > 0.5).numpy()), name


@pytest.mark.parametrize(("side", "medial_is_left"), [("right", True), ("left", False)])
def test_menisci_part_at_the_middle_of_the_tibia(side, medial_is_left):
    _, labels = labelled(probabilities_of(KNEE_BOXES_MM, GRID), side=side)
    to_the_left = GRID.x.positions_mm > 45.0
    for name, expected in (("medial_meniscus", medial_is_left), ("lateral_meniscus", not medial_is_left)):
        columns = (labels == structure(name, side).label_value).any(axis=(0, 1))
        assert columns.any() and set(to_the_left[columns]) == {expected}


def test_margins_are_positive_exactly_where_the_label_is():
    random = torch.Generator().manual_seed(0)
    slices = probabilities_of(KNEE_BOXES_MM, GRID)
    slices.values.add_(0.4 * torch.rand(slices.values.shape, generator=random)).div_(slices.values.sum(dim=0))
    knee, _ = labelled(slices)
    assert set(knee.margins) == (set(KNEE_BOXES_MM) - {"menisci"}) | {"medial_meniscus", "lateral_meniscus"}
    for name, margin in knee.margins.items():
        inside = knee.labels == structure(name, "right").label_value
        assert np.array_equal(margin.values > 0, inside[margin.place]), name
        inside[margin.place] = False
        assert not inside.any(), name


def test_a_class_that_is_nowhere_probable_has_no_margin():
    knee, labels = labelled(probabilities_of({"femur": KNEE_BOXES_MM["femur"]}, GRID))
    assert set(knee.margins) == {"femur"} and set(np.unique(labels)) == {0, structure("femur", "right").label_value}


def test_a_finer_scan_is_labelled_with_the_same_millimetres():
    fine = Grid(*(type(axis).covering(axis.low_mm, axis.high_mm, 1.0) for axis in GRID))
    _, labels = labelled(probabilities_of({"femur": KNEE_BOXES_MM["femur"]}, GRID), scan=fine)
    coarse = float((probabilities_of({"femur": KNEE_BOXES_MM["femur"]}, GRID).of("femur") > 0.5).sum()) * 8.0
    assert np.count_nonzero(labels) == pytest.approx(coarse, rel=0.02)


def test_without_patches_slices_stand_alone():
    slices = probabilities_of({"femur": KNEE_BOXES_MM["femur"]}, GRID, probability=0.6)
    assert torch.allclose(sum_probabilities(slices, None, GRID), slices.values[1:].float(), atol=1e-3)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_patches_count_by_their_weight_and_probabilities_still_sum_to_one(weight):
    slices = probabilities_of({"femur": KNEE_BOXES_MM["femur"]}, GRID, probability=0.6)
    probability = sum_probabilities(slices, all_over("femoral_cartilage", weight), GRID)
    inside = slices.of("femur") > 0.5
    femur, cartilage = (
        probability[FEMUR - 1][inside],
        probability[KNEE_MR_CLASSES.index("femoral_cartilage") - 1][inside],
    )
    assert torch.allclose(femur, torch.full_like(femur, 0.6 / (1.0 + weight)), atol=2e-3)
    assert torch.allclose(cartilage, torch.full_like(cartilage, weight / (1.0 + weight)), atol=2e-3)
    assert probability.sum(dim=0).max() <= 1.0 + 2e-3


def test_patches_decide_where_slices_are_uncertain():
    slices = probabilities_of({"femoral_cartilage": KNEE_BOXES_MM["femoral_cartilage"]}, GRID, probability=0.4)
    cartilage = structure("femoral_cartilage", "right").label_value
    patches = all_over("femoral_cartilage", 1.0)
    patches.values[:, slices.of("femoral_cartilage") < 0.3] = 0.0
    patches.values[0, slices.of("femoral_cartilage") < 0.3] = 1.0
    without, with_patches = (labelled(slices, these)[1] for these in (None, patches))
    assert not (without == cartilage).any()
    assert np.array_equal(with_patches == cartilage, (slices.of("femoral_cartilage") > 0.3).numpy())


@pytest.mark.parametrize(
    ("name", "least"),
    [("femoral_cartilage", 0.5), ("patellar_cartilage", 0.5), ("patella", 0.5), ("femur", 0.4), ("tibia", 0.4)],
)
def test_a_tissue_is_labelled_from_one_half_on_and_femur_and_tibia_a_little_before(name, least):
    for probability in (least - 0.05, least + 0.05):
        _, labels = labelled(probabilities_of({name: KNEE_BOXES_MM[name]}, GRID, probability=probability))
        assert (labels == structure(name, "right").label_value).any() == (probability > least), probability


def test_bones_take_from_the_background_alone():
    probability = torch.tensor([0.3, 0.1, 0.05, 0.0, 0.2, 0.05, 0.0, 0.1])[:, None, None, None]
    changed = apply_bone_odds(probability, KNEE_MR_CLASSES, {"femur": 2.0})
    background, bones = 0.2, 0.45
    expected = torch.tensor([0.6, 0.1, 0.05, 0.0]) * (bones + background) / (0.75 + background)
    assert torch.allclose(changed[:4].flatten(), expected) and torch.equal(changed[4:], probability[4:])
    assert changed[0] > probability[0] and 1.0 - changed.sum() < background
    assert torch.allclose(apply_bone_odds(probability, KNEE_MR_CLASSES, {}), probability)


def test_where_there_is_neither_bone_nor_background_nothing_changes():
    probability = torch.zeros(len(KNEE_MR_CLASSES) - 1, 1, 1, 1)
    probability[4] = 1.0
    assert torch.equal(apply_bone_odds(probability, KNEE_MR_CLASSES), probability)


def test_labelling_counts_its_blocks_and_can_be_stopped():
    told = []
    slices = probabilities_of({"femur": KNEE_BOXES_MM["femur"]}, GRID)
    labelled(slices, progress=lambda fraction, message: told.append(fraction))
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 2

    def cancelling(fraction, message):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        labelled(slices, progress=cancelling)
