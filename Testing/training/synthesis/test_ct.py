from dataclasses import replace

import numpy as np
import pytest
import torch

from KneeSegLib.anatomy import structure
from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.cases import synthesize_case
from KneeSegLib.training.synthesis.ct import render_ct
from KneeSegLib.training.synthesis.metal import add_metal
from KneeSegLib.training.synthesis.scanner import (
    add_cupping,
    average_voxels,
    draw_correlated_noise,
    simulate_scan,
    wrap_values,
)
from KneeSegLib.training.synthesis.settings import DEMINERALISED_HU, BoneTissue, CtSynthesis, Scanner, Warp
from KneeSegLib.training.synthesis.subjects import PreparedSubject

NO_WARP = Warp((0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
CLEAN_SCANNER = Scanner(
    blur_mm=(0.0, 0.0), slice_blur_mm=(0.0, 0.0), overshoot_probability=0.0, noise_hu=(0.0, 0.0), shading_hu=(0.0, 0.0),
    calibration_probability=0.0, metal_probability=0.0, low_ceiling_probability=0.0, round_field_probability=0.0,
    table_probability=0.0, cupping_probability=0.0, wrap_probability=0.0,
)  # fmt: skip
HEALTHY = BoneTissue(cyst_probability=0.0, scar_probability=0.0)
PLAIN = CtSynthesis(
    warp=NO_WARP, bone=HEALTHY, scanner=CLEAN_SCANNER, other_leg_probability=0.0, ossicle_probability=0.0,
    osteophyte_probability=0.0,
)  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_warp_the_truth_is_the_prepared_anatomy(geometric_knee):
    subject = PreparedSubject(geometric_knee)
    image = render_ct(subject, (128, 96, 96), 1.0, (63.5, 47.5, 47.5), PLAIN, seeded())
    truth = torch.where(image.occupancy > 0.5, image.nearest, 0).numpy()
    off_the_surface = geometric_knee.sdf != 0
    assert np.array_equal(truth[off_the_surface], geometric_knee.labels()[off_the_surface])


def test_a_cylinder_is_rendered_with_its_true_area(geometric_knee):
    """The femur's shaft is a cylinder of 24 mm radius: partial volumes must add up to its cross-section."""
    subject = PreparedSubject(geometric_knee)
    image = render_ct(subject, (8, 112, 112), 0.8, (110.0, 48.0, 48.0), PLAIN, seeded())
    femur = CLASSES.index("femur_right")
    area = (image.occupancy[4] * (image.nearest[4] == femur)).sum().item() * 0.8**2
    assert area == pytest.approx(np.pi * 24.0**2, rel=0.01)


def test_the_cortex_is_as_thick_as_prepared(geometric_knee):
    """2 mm were prepared; the thickness is measured as the area of bright ring over its circumference."""
    nothing = {name: (0.0, 0.0) for name in ("trabecular_hu", "marrow_hu", "texture_hu", "patchiness_hu")}
    bone = replace(HEALTHY, cortex_hu=(1500.0, 1500.0), cortex_factor=(1.0, 1.0), **nothing)
    subject = PreparedSubject(geometric_knee)
    image = render_ct(subject, (60, 160, 160), 0.5, (104.0, 48.0, 48.0), replace(PLAIN, bone=bone), seeded(3))
    inside = (image.occupancy > 0.99) & (image.nearest == CLASSES.index("femur_right"))
    bright = (image.hu * inside).sum(dim=(1, 2))[20:40].mean().item() / 1500.0 * 0.5**2
    assert bright / (2 * np.pi * 23.0) == pytest.approx(1.9, abs=0.4)


def test_osteoporosis_leaves_a_fraction_of_what_bone_has_above_soft_tissue(geometric_knee):
    subject, osteoporosis = (
        PreparedSubject(geometric_knee),
        {"osteoporosis_probability": 1.0, "mineral_left": (0.3, 0.3)},
    )
    sick = replace(PLAIN, bone=replace(HEALTHY, **osteoporosis))
    healthy, left = (
        render_ct(subject, (24, 112, 112), 0.8, (110.0, 48.0, 48.0), synthesis, seeded(5))
        for synthesis in (PLAIN, sick)
    )
    within = healthy.occupancy == 1.0
    dense, fatty = within & (healthy.hu > 400.0), within & (healthy.hu < 20.0)
    assert dense.any() and fatty.any()
    assert torch.allclose((left.hu - DEMINERALISED_HU)[dense], 0.3 * (healthy.hu - DEMINERALISED_HU)[dense], atol=0.01)
    assert torch.equal(left.hu[fatty], healthy.hu[fatty])


def test_noise_has_the_requested_strength_and_grain():
    noise = draw_correlated_noise(torch.Size((6, 200, 200)), 30.0, 0.8, seeded())
    assert noise.std().item() == pytest.approx(30.0, rel=0.02)
    neighbours = (noise[:, :, 1:] * noise[:, :, :-1]).mean() / noise.pow(2).mean()
    assert 0.5 < neighbours.item() < 0.9
    slices = (noise[1:] * noise[:-1]).mean() / noise.pow(2).mean()
    assert abs(slices.item()) < 0.05


def test_blur_widens_an_edge_as_a_gaussian_of_that_width_does():
    edge = torch.zeros(5, 40, 80)
    edge[:, :, 40:] = 1000.0
    scanner = replace(CLEAN_SCANNER, blur_mm=(0.7, 0.7))
    profile = simulate_scan(edge, 0.5, scanner, seeded())[2, 20]
    slope = (profile[1:] - profile[:-1]) / 1000.0
    places = torch.arange(len(slope)) * 0.5
    centre = (slope * places).sum()
    assert (slope * (places - centre) ** 2).sum().sqrt().item() == pytest.approx(0.7, rel=0.08)


def test_coarse_voxels_average_fine_ones_and_stay_in_place():
    image = torch.zeros(12, 30, 30)
    image[4:8, 12:18, 12:18] = 900.0
    assert average_voxels(image, (4.0, 6.0, 6.0)).max() == 900.0
    assert average_voxels(image, (4.0, 10.0, 10.0)).max().item() == pytest.approx(900.0 * 36 / 100)
    coarse = simulate_scan(image, 1.0, replace(CLEAN_SCANNER, coarse_probability=1.0, coarse_mm=(3.0, 3.0)), seeded())
    assert coarse.shape == image.shape
    assert coarse.sum().item() == pytest.approx(image.sum().item(), rel=0.05)
    places = torch.arange(30.0)
    assert (coarse.sum(dim=(0, 1)) * places).sum() / coarse.sum() == pytest.approx(14.5, abs=0.1)
    step = torch.zeros(12, 30, 30)
    step[:, :, 15:] = 1000.0
    profile = simulate_scan(step, 1.0, replace(CLEAN_SCANNER, coarse_probability=1.0, coarse_mm=(3.0, 3.0)), seeded())[
        6, 15
    ]
    assert profile.diff().max() == pytest.approx(1000.0 / 3.0, rel=0.01)


def test_noise_of_coarse_voxels_is_as_strong_as_asked_and_as_coarse():
    scanner = replace(CLEAN_SCANNER, noise_hu=(30.0, 30.0), coarse_probability=1.0, coarse_mm=(3.0, 3.0))
    noise = simulate_scan(torch.zeros(60, 120, 120), 1.0, scanner, seeded())
    assert noise[1::3, 1::3, 1::3].std().item() == pytest.approx(30.0, rel=0.03)
    assert noise.diff(dim=2).std() < 0.6 * noise.std()


def test_the_same_seed_gives_the_same_case(geometric_knee):
    subject = PreparedSubject(geometric_knee)
    first, again, other = (synthesize_case(subject, 2.0, seed=seed) for seed in (5, 5, 6))
    import SimpleITK as sitk

    arrays = [sitk.GetArrayFromImage(case.image) for case in (first, again, other)]
    assert np.array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])


def test_a_left_case_is_the_mirror_image_with_left_labels(geometric_knee):
    import SimpleITK as sitk

    subject = PreparedSubject(geometric_knee)
    synthesis = replace(PLAIN, warp=Warp())
    right = sitk.GetArrayFromImage(synthesize_case(subject, 2.0, side="right", seed=2, synthesis=synthesis).labels)
    left = sitk.GetArrayFromImage(synthesize_case(subject, 2.0, side="left", seed=2, synthesis=synthesis).labels)
    for bone in ("femur", "tibia", "fibula", "patella"):
        mirrored = (right == structure(bone, "right").label_value)[:, :, ::-1]
        assert np.array_equal(left == structure(bone, "left").label_value, mirrored)


def test_every_default_ingredient_can_be_drawn(geometric_knee):
    """Many seeds, so that metal, table, the other leg, ossicles and clipping all take part."""
    subject = PreparedSubject(geometric_knee)
    for seed in range(25):
        image = render_ct(subject, (8, 40, 40), 2.0, (64.0, 48.0, 48.0), CtSynthesis(), seeded(seed))
        assert torch.isfinite(image.hu).all()
        assert image.hu.min() >= -1024.0 and image.hu.max() <= 3071.0


def test_cupping_darkens_the_middle_and_spares_rim_and_air():
    hu = torch.full((2, 41, 41), 40.0)
    hu[:, :, :3] = -1000.0
    dark = add_cupping(hu, 100.0)
    assert dark[0, 20, 20].item() == pytest.approx(-60.0)
    assert dark[0, 0, 40].item() == pytest.approx(40.0)
    assert (dark[:, :, :3] == -1000.0).all()


def test_twelve_bits_wrap_metal_around_and_leave_bone():
    hu = torch.tensor([[[-1000.0, 1500.0, 3071.0, 3200.0]]])
    assert wrap_values(hu)[0, 0].tolist() == [-1000.0, 1500.0, 3071.0, -896.0]


def test_a_nail_starts_within_bone():
    hu = torch.full((30, 60, 60), 40.0)
    hu[:, 20:24, 30:34] = 900.0
    for seed in range(5):
        metal = add_metal(hu, 1.0, seeded(seed), in_bone=1.0) > 2000.0
        assert metal[:, 20:24, 30:34].any()
