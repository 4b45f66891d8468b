"""What the refinement learns from: patches on a surface, and probabilities that are wrong by a plausible amount."""

from dataclasses import replace

import pytest
import torch

from KneeSegLib.bundles.spec import PatchSpec
from KneeSegLib.networks.ct_channels import patch_channels
from KneeSegLib.training.bundle_files import write_bundle
from KneeSegLib.training.ct_patches import PatchSource
from KneeSegLib.training.ct_priors import PriorErrors, simulate_prior
from KneeSegLib.training.export import describe_bundle
from KneeSegLib.training.initialisation import build_network
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.subjects import PreparedSubject
from KneeSegLib.training.thick_slices import simulate_slices

SHAPE = (32, 32, 32)
SPACING_MM = 0.5
FLAWLESS = PriorErrors(
    offset_mm=(0.0, 0.0),
    wave_mm=(0.0, 0.0),
    slice_jitter_mm=(0.0, 0.0),
    softness_mm=(0.3, 0.3),
    certainty=(1.0, 1.0),
    missing_probability=0.0,
    extra_probability=0.0,
    leak_probability=0.0,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance_to_a_plane() -> torch.Tensor:
    """A bone that fills the lower half of each row; its surface lies half-way between two voxels."""
    x = (torch.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2.0) * SPACING_MM
    return x.expand(SHAPE).clone()


FAR = torch.full(SHAPE, 5.0)


def edges_mm(prior: torch.Tensor) -> torch.Tensor:
    """Where each row falls through one half, from the true surface; rows ``(D, H)`` must be falling."""
    below = (prior < 0.5).int().argmax(dim=2, keepdim=True)
    high, low = prior.gather(2, below - 1), prior.gather(2, below)
    crossing = below - 1 + (high - 0.5) / (high - low)
    return ((crossing - (SHAPE[2] - 1) / 2.0) * SPACING_MM)[..., 0]


def test_a_prior_without_errors_has_the_true_surface():
    prior = simulate_prior(distance_to_a_plane(), FAR, SPACING_MM, 0.5, FLAWLESS, seeded())
    assert edges_mm(prior).abs().max() < 0.05
    assert prior.min() < 0.01 and prior.max() > 0.99


def test_an_offset_moves_the_surface_outward_by_as_much():
    errors = replace(FLAWLESS, offset_mm=(0.6, 0.6))
    prior = simulate_prior(distance_to_a_plane(), FAR, SPACING_MM, 0.5, errors, seeded())
    assert edges_mm(prior).mean() == pytest.approx(0.6, abs=0.05)


def test_waves_displace_the_surface_smoothly_by_some_tenths_of_a_millimetre():
    errors = replace(FLAWLESS, wave_mm=(0.5, 0.5))
    found = torch.stack(
        [edges_mm(simulate_prior(distance_to_a_plane(), FAR, SPACING_MM, 0.5, errors, seeded(s))) for s in range(12)]
    )
    assert 0.3 < found.std() < 0.7 and found.abs().max() < 1.6
    assert found.diff(dim=-1).abs().mean() < 0.1


def test_slices_that_lie_apart_are_displaced_apart():
    errors = replace(FLAWLESS, slice_jitter_mm=(0.3, 0.3))
    edges = edges_mm(simulate_prior(distance_to_a_plane(), FAR, SPACING_MM, 1.0, errors, seeded()))
    assert edges.std(dim=1).max() < 0.02 < 0.1 < edges.mean(dim=1).std()


def test_a_neighbour_leaks_in_and_a_piece_goes_missing_where_they_should():
    neighbour = 4.0 - distance_to_a_plane()
    leaked = simulate_prior(
        distance_to_a_plane(), neighbour, SPACING_MM, 0.5, replace(FLAWLESS, leak_probability=1.0), seeded(1)
    )
    assert (
        leaked[neighbour < -0.5].max() > 0.2 and leaked[(neighbour > 1.0) & (distance_to_a_plane() > 2.0)].max() < 0.1
    )
    pierced = simulate_prior(
        distance_to_a_plane(), FAR, SPACING_MM, 0.5, replace(FLAWLESS, missing_probability=1.0), seeded(1)
    )
    assert pierced[distance_to_a_plane() < -2.0].min() < 0.7 and pierced[distance_to_a_plane() > 2.0].max() < 0.01


def test_slices_that_lie_apart_keep_a_gradient_and_blur_what_is_thinner():
    ramp = (torch.arange(32.0) * 100.0)[:, None, None].expand(32, 4, 4)
    assert torch.allclose(simulate_slices(ramp, 0.5, 1.5)[4:-4], ramp[4:-4], atol=1.0)
    plate = torch.zeros(32, 4, 4)
    plate[16] = 1000.0
    assert simulate_slices(plate, 0.5, 1.5).max() < 600.0
    assert torch.equal(simulate_slices(plate, 0.5, 0.4), plate)


def test_patch_channels_are_two_windows_and_the_prior():
    hu, prior = torch.full((2, 4, 4, 4), 1050.0), torch.full((2, 4, 4, 4), 0.3)
    channels = patch_channels(hu, prior)
    assert channels.shape == (2, 3, 4, 4, 4)
    assert channels[0, :, 0, 0, 0].tolist() == pytest.approx([0.5, 1.0, 0.3])


@pytest.fixture(scope="module")
def samples(geometric_knee):
    source = PatchSource(read_recipe("ct-refine", joints=["knee"]), [PreparedSubject(geometric_knee)])
    return [source.render(SHAPE, seeded(seed)) for seed in range(3)]


def test_the_same_seed_gives_the_same_patches(geometric_knee, samples):
    source = PatchSource(read_recipe("ct-refine", joints=["knee"]), [PreparedSubject(geometric_knee)])
    again = source.render(SHAPE, seeded(2))
    assert torch.equal(again.inputs, samples[2].inputs)
    assert torch.equal(again.labels.occupancy, samples[2].labels.occupancy)


def test_patches_lie_on_the_surface_of_the_bone(samples):
    for rendered in samples:
        assert rendered.inputs.shape == (12, 3, *SHAPE)
        filled = rendered.labels.occupancy.mean(dim=(1, 2, 3))
        assert ((filled > 0.02) & (filled < 0.98)).float().mean() > 0.9


def test_priors_are_nearly_right_and_hardly_ever_quite(samples):
    scores = []
    for rendered in samples:
        found, truth = rendered.inputs[:, 2] > 0.5, rendered.labels.occupancy > 0.5
        scores.append(2.0 * (found & truth).sum((1, 2, 3)) / (found.sum((1, 2, 3)) + truth.sum((1, 2, 3))))
    scores = torch.cat(scores)
    assert 0.85 < scores.median() < 0.99


def test_surface_points_lie_on_the_bone_asked_for(geometric_knee):
    subject = PreparedSubject(geometric_knee)
    for index in set(subject.heights_mm) - {0}:
        for seed in range(5):
            z, y, x = (int(round(float(value))) for value in subject.draw_surface_point(index, seeded(seed)))
            assert geometric_knee.nearest[z, y, x] == index and abs(geometric_knee.sdf_mm[z, y, x]) <= 1.0


def test_a_bundle_says_of_its_patches_what_inference_asks(tmp_path):
    recipe = read_recipe("ct-refine", widths=[4, 6, 8])
    network = build_network(recipe)
    sources = [{"name": "Nobody", "licence": "CC0 1.0", "use": "none"}]
    facts = describe_bundle(recipe, 0, sources, {"note": "not measured yet"})
    bundle = write_bundle(tmp_path / recipe.name, network, recipe.network_config, network.state_dict(), facts)
    assert bundle.spec.patch == PatchSpec((32, 32, 32), (0.35, 0.8))
    channels = patch_channels(torch.zeros(1, 8, 8, 8), torch.zeros(1, 8, 8, 8))
    assert bundle.network()(channels).shape == (1, 2, 8, 8, 8)
