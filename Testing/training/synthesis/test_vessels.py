"""Arteries full of contrast medium beside bones."""

import torch

from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.settings import SoftTissue
from KneeSegLib.training.synthesis.vessels import add_arteries

TISSUE = SoftTissue(contrast_hu=(400.0, 400.0), artery_mm=(3.0, 3.0), artery_depth_mm=(6.0, 6.0))
MM = 1.0


def shaft() -> Scene:
    """A rod of 10 mm radius along the slices."""
    y, x = torch.meshgrid(torch.arange(60.0) - 30, torch.arange(60.0) - 30, indexing="ij")
    distance = ((y**2 + x**2).sqrt() - 10.0).expand(80, 60, 60)
    zeros = torch.zeros(80, 60, 60)
    return Scene(distance, zeros.to(torch.uint8), zeros, distance.clamp(min=0.0), zeros == 0.0, MM)


def test_an_artery_runs_along_the_bone_in_every_slice_and_never_into_it():
    scene = shaft()
    body = add_arteries(torch.zeros(80, 60, 60), scene, TISSUE, torch.Generator().manual_seed(2))
    vessel = body > 200.0
    per_slice = vessel.flatten(1).sum(1)
    assert (per_slice >= 20).all(), "a disc of 3 mm radius has 28 voxels"
    assert float(scene.distance_mm[vessel].min()) > 0.0
    assert float(scene.distance_mm[vessel].max()) < 22.0
    assert float(body.max()) == 400.0


def test_where_there_is_no_place_at_that_distance_there_is_no_artery():
    scene = shaft()
    scene.far_mm = scene.far_mm + 100.0
    body = torch.full((80, 60, 60), 40.0)
    assert torch.equal(add_arteries(body, scene, TISSUE, torch.Generator().manual_seed(0)), body)
