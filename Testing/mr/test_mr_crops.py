import pytest
import torch

from KneeSegLib.mr.crops import crop_centre
from KneeSegLib.mr.settings import END_TO_CENTRE_MM, SPACING_MM, WITHIN_MM
from KneeSegLib.networks.shape_regressor import INPUT_SIZE


def column(low: float, high: float, x: float = 0.0) -> torch.Tensor:
    """Points of a square column 20 mm wide around x."""
    corners = torch.tensor([[x - 10.0, -10.0], [x + 10.0, -10.0], [x - 10.0, 10.0], [x + 10.0, 10.0]])
    heights = torch.arange(low, high + 0.5)
    return torch.cat([torch.cat([corners, torch.full((4, 1), float(z))], dim=1) for z in heights])


@pytest.mark.parametrize(("bone", "end", "far", "upward"), [("femur", 30.0, 120.0, 1), ("tibia", 20.0, -70.0, -1)])
def test_the_crop_hangs_from_the_end_at_the_knee(bone, end, far, upward):
    centre = crop_centre(column(min(end, far), max(end, far), x=7.0), bone)
    assert centre.tolist() == pytest.approx([7.0, 0.0, end + upward * END_TO_CENTRE_MM])


def test_how_much_of_the_shaft_is_in_view_does_not_matter():
    assert torch.equal(crop_centre(column(0.0, 70.0), "femur"), crop_centre(column(0.0, 200.0), "femur"))


@pytest.mark.parametrize(("bone", "upward"), [("femur", 1.0), ("tibia", -1.0)])
def test_a_leaning_shaft_does_not_move_the_crop(bone, upward):
    up = torch.tensor([1.0, 1.0, upward])
    near, far = column(0.0, WITHIN_MM) * up, column(WITHIN_MM + 1.0, 120.0, x=40.0) * up
    assert torch.equal(crop_centre(torch.cat([near, far]), bone), crop_centre(near, bone))


def test_the_cube_shows_ten_millimetres_beyond_the_end_and_a_hundred_of_bone():
    edge_mm = INPUT_SIZE * SPACING_MM
    assert edge_mm / 2.0 - END_TO_CENTRE_MM == pytest.approx(10.0)
    assert edge_mm == pytest.approx(110.0)
