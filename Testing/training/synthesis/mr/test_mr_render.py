"""Rendering of a knee of cylinders: truth is the anatomy, disease changes it as asked, seeds decide."""

from dataclasses import replace

import pytest
import torch

from KneeSegLib.training.synthesis.mr.disease import draw_fluid_fraction
from KneeSegLib.training.synthesis.mr.lattice import draw_lattice
from KneeSegLib.training.synthesis.mr.render import compute_class_fractions, draw_diseased_scene, reduce_warp, render_mr
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.settings import Disease, MrSynthesis
from KneeSegLib.training.synthesis.mr.structures import CLASSES, POUCH
from KneeSegLib.training.synthesis.settings import Warp
from Testing.phantoms.mr_knees import MENISCUS_RADII_MM, SHAFT_RADIUS_MM, THICKNESS_MM, cylinder_knee

NO_WARP = Warp((0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
HEALTHY = Disease(
    thickness=(1.0, 1.0), thickness_waves=(0.0, 0.0), worn_mm=(0.0, 0.0), lesion_probability=0.0,
    denuded_probability=0.0, osteophyte_probability=0.0, extrusion_probability=0.0, effusion_probability=0.0,
    film_mm=(0.0, 0.0), recess_probability=0.0,
)  # fmt: skip
SLAB = Slab((61, 61, 61), (1.0, 1.0, 1.0))
SHAPE = SLAB.shape


@pytest.fixture(scope="module")
def knee():
    return cylinder_knee()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene_with(knee, seed: int = 0, **changes):
    lattice = draw_lattice(SLAB, NO_WARP, seeded(seed))
    return draw_diseased_scene(knee, lattice, SLAB, replace(HEALTHY, **changes), seeded(seed))


def volumes(scene) -> dict[str, float]:
    return dict(zip(CLASSES, compute_class_fractions(scene).sum(dim=(1, 2, 3)).tolist()))


def test_fractions_sum_to_one(knee):
    total = compute_class_fractions(scene_with(knee)).sum(dim=0)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)


def test_femoral_cartilage_has_the_volume_of_its_disc(knee):
    expected = torch.pi * SHAFT_RADIUS_MM**2 * THICKNESS_MM
    assert volumes(scene_with(knee))["femoral_cartilage"] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_cartilage_is_thinned_by_the_factor_and_bone_is_not(knee, factor):
    healthy, thin = volumes(scene_with(knee)), volumes(scene_with(knee, thickness=(factor, factor)))
    for name in ("femoral_cartilage", "tibial_cartilage"):
        assert thin[name] == pytest.approx(factor * healthy[name], rel=0.1, abs=1.0)
    assert thin["femur"] == pytest.approx(healthy["femur"], rel=1e-6)


def test_cartilage_is_wet_by_a_film_or_dry(knee):
    scene = scene_with(knee)
    beside = (scene.cavity_mm > 0.0) & (scene.cavity_mm < 1.0)
    wet, dry = (draw_fluid_fraction(scene, replace(HEALTHY, film_mm=(film, film)), seeded()) for film in (0.8, -3.0))
    assert wet[beside].mean() > 0.4
    assert dry[beside].mean() < 0.05


def test_the_recess_fills_as_deep_as_asked_and_nothing_else_does(knee):
    scene = scene_with(knee)
    above = torch.zeros(SHAPE, dtype=torch.bool)
    above[20:40, 40:, :] = True
    scene = replace(scene, soft=torch.where(above & (scene.bone_mm > 0), POUCH, scene.soft).to(torch.uint8))
    recess = (scene.soft == POUCH) & (scene.bone_mm < 6.0)
    dry = replace(HEALTHY, film_mm=(-3.0, -3.0))
    fractions = []
    for depth in (2.0, 4.0):
        disease = replace(dry, recess_probability=1.0, recess_mm=(depth, depth))
        fluid = (draw_fluid_fraction(scene, disease, seeded()) - draw_fluid_fraction(scene, dry, seeded())).abs()
        assert fluid[:19].max() == 0.0 and fluid[:, :35].max() == 0.0
        fractions.append(fluid[recess].mean().item())
    assert 0.02 < fractions[0] < 0.7 * fractions[1]


def test_lesions_tear_holes_down_to_the_bone(knee):
    torn = scene_with(knee, seed=1, lesion_probability=1.0)
    healthy = scene_with(knee)
    covered = (healthy.cover_mm < -0.5) & (healthy.bone_mm > 0.5)
    bare = covered & (torn.cover_mm > 0)
    assert 0.01 < bare.float().sum() / covered.float().sum() < 0.6


def test_wear_narrows_and_growth_broadens_cartilage(knee):
    def area(scene) -> float:
        return float((scene.thickness_mm > 0.3).any(dim=1).float().sum())

    assert area(scene_with(knee, worn_mm=(-0.5, -0.5))) > area(scene_with(knee))
    worn, healthy = (volumes(scene_with(knee, worn_mm=bounds)) for bounds in ((0.7, 0.7), (0.0, 0.0)))
    assert worn["femoral_cartilage"] < 0.8 * healthy["femoral_cartilage"]


def test_osteophytes_add_bone_at_the_edge_of_the_joint(knee):
    healthy, grown = scene_with(knee), scene_with(knee, seed=2, osteophyte_probability=1.0)
    new = (grown.bone_mm < 0) & (healthy.bone_mm > 0)
    assert new.any() and not ((grown.bone_mm > 0) & (healthy.bone_mm < 0)).any()
    assert healthy.cavity_mm[new].max() < 15.0


def test_extruded_menisci_stand_out_sideways_and_not_backward(knee):
    def reach(scene, axis: int) -> float:
        inside = torch.nonzero(scene.meniscus_mm < 0)[:, axis].float() - (SHAPE[axis] - 1) / 2
        return float(inside.max())

    healthy, out = scene_with(knee), scene_with(knee, extrusion_probability=1.0, extrusion_mm=(4.0, 4.0))
    expected = 4.0 * MENISCUS_RADII_MM[1] / 32.0
    assert reach(out, 0) - reach(healthy, 0) == pytest.approx(expected, abs=1.0)
    assert abs(reach(out, 2) - reach(healthy, 2)) <= 1.0


def test_the_displacement_leads_from_the_subject_to_the_template():
    shifted = cylinder_knee(step_mm=5.0)
    lattice = draw_lattice(SLAB, NO_WARP, seeded())
    scene = shifted.sample(lattice, SLAB)
    femur = (scene.bone_mm < 0) & (scene.owner == 1)
    across = torch.nonzero(femur)[:, 0].float().mean() - (SHAPE[0] - 1) / 2
    assert across == pytest.approx(-5.0, abs=0.3)
    point = shifted.draw_bone_point("femur", seeded())
    assert abs(float(point[0]) + 5.0) < SHAFT_RADIUS_MM


def test_the_same_seed_gives_the_same_image_and_another_one_does_not(knee):
    def image(seed: int) -> torch.Tensor:
        return render_mr(knee, Slab((8, 48, 48), (1.0, 1.0, 1.0)), MrSynthesis(), seeded(seed)).image

    assert torch.equal(image(3), image(3))
    assert not torch.allclose(image(3), image(4))


def test_thick_slices_hold_the_mean_of_their_truth(knee):
    synthesis = MrSynthesis(warp=NO_WARP, disease=HEALTHY)
    slab = Slab((12, 40, 40), (1.0, 1.0, 1.0))
    thin, thick = (render_mr(knee, slab, synthesis, seeded(), slices_averaged=count) for count in (1, 3))
    assert thick.image.shape == (4, 40, 40) and thick.spacing_mm[0] == 3.0
    assert torch.allclose(thick.fractions[:, 1], thin.fractions[:, 3:6].mean(dim=1), atol=1e-6)


def test_gentle_warps_stay_near_none():
    warp = reduce_warp(MrSynthesis().warp)
    assert warp.scale[0] > MrSynthesis().warp.scale[0] and warp.bend_mm[1] < MrSynthesis().warp.bend_mm[1]
