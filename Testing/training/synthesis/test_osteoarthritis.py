"""Severe osteoarthritis closes one compartment, tilts and shifts the tibia, and the labels follow the changed bone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.ct import draw_scene, render_ct
from KneeSegLib.training.synthesis.fields import fork_generator
from KneeSegLib.training.synthesis.osteoarthritis import knee as module
from KneeSegLib.training.synthesis.osteoarthritis.deformity import draw_deformity
from KneeSegLib.training.synthesis.osteoarthritis.parts import FEMUR, SHANK, take_knee_apart
from KneeSegLib.training.synthesis.osteoarthritis.settings import Osteoarthritis
from KneeSegLib.training.synthesis.settings import CtSynthesis, Warp
from KneeSegLib.training.synthesis.subjects import PreparedSubject

NO_WARP = Warp((0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
HEALTHY = CtSynthesis(warp=NO_WARP, other_leg_probability=0.0, ossicle_probability=0.0, osteophyte_probability=0.0)
FEMUR_CLASS, TIBIA_CLASS = CLASSES.index("femur_right"), CLASSES.index("tibia_right")
WHOLE = ((64, 48, 48), 2.0, (63.5, 47.5, 47.5))
"""Shape, spacing and centre of a picture of all of the geometric knee."""


@pytest.fixture(scope="module")
def knee(geometric_knee) -> PreparedSubject:
    return PreparedSubject(geometric_knee)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def worn(**changes: object) -> CtSynthesis:
    """Without osteophytes, subluxation and cysts, but for what is changed."""
    quiet = Osteoarthritis(
        probability=1.0, shift_mm=(0.0, 0.0), osteophyte_mm=(0.0, 0.0), cysts=(0.0, 0.0), patellofemoral_probability=0.0
    )
    return replace(HEALTHY, osteoarthritis=replace(quiet, **changes))


def label(knee: PreparedSubject, synthesis: CtSynthesis, seed: int = 1) -> np.ndarray:
    scene = draw_scene(knee, *WHOLE, synthesis, seeded(seed))
    return torch.where(scene.distance_mm < 0, scene.nearest, 0).numpy()


def measure_gap_mm(labels: np.ndarray, columns: slice) -> float:
    """Least height between the tibia and the femur above it."""
    part = labels[:, 14:36, columns]
    lowest = np.argmax(part == FEMUR_CLASS, axis=0)
    highest = len(part) - 1 - np.argmax(part[::-1] == TIBIA_CLASS, axis=0)
    both = (part == FEMUR_CLASS).any(axis=0) & (part == TIBIA_CLASS).any(axis=0)
    return 2.0 * float((lowest - highest - 1)[both].min())


def test_the_distance_to_a_part_goes_on_beyond_the_middle_of_the_joint(knee):
    """The femur of cylinders ends 3 mm above the middle, the tibia 2 mm below it: there they are 5 mm apart."""
    parts = take_knee_apart(knee)
    assert parts is not None
    assert parts.joint_mm.tolist() == pytest.approx([64.5, 49.0, 48.0], abs=1.5)
    within_tibia, within_femur = torch.tensor([[58.0, 50.0, 48.0]]), torch.tensor([[71.0, 50.0, 48.0]])
    assert parts.measure_near(FEMUR, within_tibia).item() == pytest.approx(9.0, abs=0.3)
    assert parts.measure_near(SHANK, within_femur).item() == pytest.approx(9.0, abs=0.3)


@pytest.mark.parametrize(
    ("valgus", "closed", "open_"),
    [(0.0, slice(28, 36), slice(12, 20)), (1.0, slice(12, 20), slice(28, 36))],
)
def test_varus_closes_the_medial_compartment_and_valgus_the_lateral_one(knee, valgus, closed, open_):
    labels = label(knee, worn(valgus_probability=valgus, deviation_degrees=(6.0, 6.0), attrition_mm=(1.0, 1.0)))
    assert measure_gap_mm(labels, closed) <= 2.0  # a voxel at most
    assert measure_gap_mm(labels, open_) >= 2.0
    assert measure_gap_mm(label(knee, HEALTHY), closed) == pytest.approx(4.0, abs=2.0)


@pytest.mark.parametrize(("valgus", "sign"), [(0.0, 1.0), (1.0, -1.0)])
@pytest.mark.parametrize("degrees", [6.0, 20.0])
def test_the_tibia_deviates_by_as_many_degrees_as_drawn(knee, valgus, sign, degrees):
    """Along the axis of the cylinder: in varus the foot goes to the medial side, that of larger x in a right leg."""
    disease = worn(valgus_probability=valgus, deviation_degrees=(degrees, degrees)).osteoarthritis
    parts = take_knee_apart(knee)
    assert parts is not None
    deformity = draw_deformity(parts, disease, seeded(2))
    assert sign * (2.0 * deformity.bent_degrees + deformity.worn_degrees) == pytest.approx(degrees)
    assert abs(deformity.worn_degrees) <= disease.worn_degrees
    # Where places far below lie in the prepared shank: they come from less medial ones in varus.
    below = deformity.joint_mm - torch.tensor([[90.0, 0.0, 0.0], [130.0, 0.0, 0.0]])
    moved = (below - deformity.find_in_shank(below))[:, 2]
    above = deformity.joint_mm + torch.tensor([[90.0, 0.0, 0.0], [130.0, 0.0, 0.0]])
    bent = (above - deformity.find_in_femur(above))[:, 2]
    slopes = np.degrees(np.arctan([(moved[1] - moved[0]).item() / 40.0, (bent[1] - bent[0]).item() / 40.0]))
    assert sign * slopes.sum() == pytest.approx(degrees, abs=0.3)


def test_a_subluxed_tibia_moves_outward_in_varus(knee):
    disease = worn(valgus_probability=0.0, deviation_degrees=(0.0, 0.0), shift_mm=(6.0, 6.0))
    moved, still = (label(knee, replace(disease, osteoarthritis=one)) == TIBIA_CLASS for one in (
        disease.osteoarthritis, replace(disease.osteoarthritis, shift_mm=(0.0, 0.0))))  # fmt: skip
    middles = [np.argwhere(tibia[10:20])[:, 2].mean() * 2.0 for tibia in (moved, still)]
    assert middles[0] - middles[1] == pytest.approx(-6.0, abs=0.5)


def test_osteophytes_belong_to_the_bone_and_grow_at_rims_alone(knee):
    bare, grown = (label(knee, worn(deviation_degrees=(0.0, 0.0), osteophyte_mm=(mm, mm)), seed=4) for mm in (0.0, 9.0))
    more = (grown > 0) & (bare == 0)
    assert more.sum() * 8.0 > 300.0  # mm3
    assert set(np.unique(grown[more])) >= {FEMUR_CLASS, TIBIA_CLASS}
    heights = 2.0 * np.argwhere(more)[:, 0]
    assert heights.min() > 64.5 - 22.0
    assert heights.max() < 64.5 + 40.0  # the patella's included


def test_bone_below_the_worn_joint_is_dense_and_has_cysts_that_remain_bone(knee):
    plain = worn(deviation_degrees=(3.0, 3.0), valgus_probability=0.0)
    none, dense, with_cysts = (
        render_ct(knee, *WHOLE, replace(plain, osteoarthritis=replace(plain.osteoarthritis, **changes)), seeded(7))
        for changes in (
            {"sclerosis_hu": (0.0, 0.0), "sclerosis_mm": (3.0, 3.0)},
            {"sclerosis_hu": (600.0, 600.0), "sclerosis_mm": (9.0, 9.0)},
            {"cysts": (6.0, 6.0), "cyst_mm": (5.0, 6.0)},
        )
    )
    assert torch.equal(dense.occupancy, none.occupancy)
    assert torch.equal(dense.occupancy, with_cysts.occupancy)
    below = (dense.occupancy > 0.99) & (dense.distance_mm < -2.0)
    below[:24] = below[42:] = False  # the joint alone, which lies in the medial half
    below[..., :28] = False
    assert (dense.hu - none.hu)[below].mean() > 50.0
    assert (with_cysts.hu - none.hu)[below].min() < -100.0


def test_everything_but_the_disease_is_as_in_the_healthy_image(knee):
    unlikely = replace(HEALTHY, osteoarthritis=Osteoarthritis(probability=1e-9))
    healthy, same, sick = (
        render_ct(knee, *WHOLE, synthesis, seeded(5)) for synthesis in (HEALTHY, unlikely, worn(worn_degrees=0.0))
    )
    assert torch.equal(healthy.hu, same.hu)
    assert not torch.equal(healthy.hu, sick.hu)
    assert torch.equal(sick.hu, render_ct(knee, *WHOLE, worn(worn_degrees=0.0), seeded(5)).hu)


def test_a_forked_generator_leaves_the_other_one_alone():
    one, other = seeded(3), seeded(3)
    forks = [torch.rand(3, generator=fork_generator(one)) for _ in range(2)]
    assert torch.equal(*forks)
    assert torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=other))
    assert not torch.equal(torch.rand(3, generator=fork_generator(one)), forks[0])


@pytest.mark.parametrize("slices", [slice(54, 58), slice(4, 8)])
def test_a_picture_of_a_shaft_alone_is_bent_as_the_whole_one(knee, slices, monkeypatch):
    """Above and below the joint a shorter way is taken, which must give the same bone."""
    monkeypatch.setattr(module, "ABOVE_JOINT_MM", 40.0)  # the geometric knee is no higher
    synthesis = worn(deviation_degrees=(14.0, 14.0), valgus_probability=0.0)
    centre = slices.start + slices.stop - 0.5
    slab = draw_scene(knee, (4, 48, 48), 2.0, (centre, 47.5, 47.5), synthesis, seeded(9))
    whole = draw_scene(knee, *WHOLE, synthesis, seeded(9))
    assert slab.joint_space_mm is None
    bone = whole.distance_mm[slices] < 0
    assert bone.any()
    assert torch.equal(slab.distance_mm < 0, bone)
    assert torch.equal(slab.nearest[bone], whole.nearest[slices][bone])


def test_a_subject_without_a_tibia_stays_as_it_is(geometric_knee):
    lone = replace(geometric_knee, nearest=np.where(geometric_knee.nearest == TIBIA_CLASS, 1, geometric_knee.nearest))
    scene = draw_scene(PreparedSubject(lone), *WHOLE, worn(), seeded(1))
    assert torch.equal(scene.distance_mm, draw_scene(PreparedSubject(lone), *WHOLE, HEALTHY, seeded(1)).distance_mm)


@pytest.mark.parametrize("size", [96, 99, 101])
def test_the_rim_of_a_joint_lies_where_it_is_whatever_the_size_of_the_picture(size):
    space_mm = torch.clamp(torch.arange(float(size)) - 60.0, min=0.0).expand(12, 12, size)  # beside it from 60 mm on
    outside = module._find_outside(space_mm, 1.0)
    assert int((outside[6, 6] > 0.5).nonzero()[0]) in (60, 61, 62)
