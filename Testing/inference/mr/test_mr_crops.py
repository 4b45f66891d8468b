import pytest
import torch

from KneeSegLib.inference.mr.crops import END_TO_CENTRE_MM, WITHIN_MM, crop_centre, edge_mm


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


def test_a_leaning_shaft_does_not_move_the_crop():
    leaning = torch.cat([column(0.0, WITHIN_MM), column(WITHIN_MM + 1.0, 120.0, x=40.0)])
    assert torch.equal(crop_centre(leaning, "femur"), crop_centre(column(0.0, WITHIN_MM), "femur"))


def test_the_cube_shows_ten_millimetres_beyond_the_end_and_a_hundred_of_bone():
    assert edge_mm() / 2.0 - END_TO_CENTRE_MM == pytest.approx(10.0)
    assert edge_mm() == pytest.approx(110.0)
