"""Every recipe as published, and what the papers varied, from its command to a bundle that its pipeline takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from KneeSegLib.bundles.own import list_own_bundles, require_own_bundles
from KneeSegLib.bundles.spec import ModelSpec
from KneeSegLib.cli import main
from KneeSegLib.pipelines.table import PIPELINES
from Testing.phantoms.mr_landmarks import prepared_folder

QUICK = ("steps=1", "pool=1", "batch=1")
SLICES = ("shapes=[[64,64]]", "widths=[2,2,2,2,2]", "slab_slices=3", "spacing_mm=1.6")
SIX = "widths=[2,2,2,2,2,2]"
VOLUME = ("joints=[knee]", "shapes=[[32,16,16]]", "widths=[2,4]", "volume.finest_spacing_mm=4", "spacing_mm=4.0")
SHAPE = ("widths=[2,2,2,2,2]", "shape.view_mm=[[60,60],[60,60],[60,60]]", "spacing_mm=3.0", "shape.modes=2")
CUBES = ("shapes=[[16,16,16]]", "spacing_mm=2.0", "mr.per_box=1")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, geometric_knee):
    """Of each modality."""
    ct, mr = tmp_path_factory.mktemp("ct"), tmp_path_factory.mktemp("mr")
    for group in ("train", "validation"):
        replace(geometric_knee, group=group).save(ct / f"{group}.npz")
    return {"ct": ct, "mr": prepared_folder(mr)}


@pytest.fixture
def trained(tmp_path, prepared):
    """Train a recipe by its command, with entries set; return what its bundle says, which the pipeline takes."""

    def train(recipe: str, pipeline: str, *entries: str) -> ModelSpec:
        settings = [part for entry in (*QUICK, *entries) for part in ("--set", entry)]
        modality = "mr" if pipeline.startswith("mr") else "ct"
        where = ["-o", str(tmp_path / "run"), "--bundles", str(tmp_path / "models"), "--overwrite"]
        arguments = ["train", recipe, "--prepared", str(prepared[modality]), *settings, *where, "--progress", "none"]
        assert main([*arguments, "--device", "cpu"]) == 0
        require_own_bundles(tmp_path / "models", PIPELINES[pipeline].bundles)
        (bundle,) = list_own_bundles(tmp_path / "models").values()
        return bundle.spec

    return train


def test_slices_of_ct_have_three_channels_and_no_neighbours(trained):
    spec = trained("as-published-ct-knee", "ct-knee", *SLICES, SIX)
    assert len(spec.channels) == 3 and spec.neighbour_offsets_mm == ()


@pytest.mark.parametrize("encoder", ["resnet50v2", "plain"])
def test_either_encoder(trained, encoder):
    spec = trained("as-published-ct-knee-resnet", "ct-knee", *SLICES, SIX, f"encoder={encoder}", "encoder_width=4")
    assert spec.recipe["encoder"] == encoder


@pytest.mark.parametrize("given", ["gradient", "image"])
def test_gradient_or_image(trained, given):
    spec = trained("as-published-ct-femur-vnet", "ct-femur-vnet", *VOLUME, f"volume.input={given}")
    assert spec.require_volume().input == given


@pytest.mark.parametrize("gain", [3, 0])
def test_distance_weighted_loss_or_not(trained, gain):
    spec = trained("as-published-mr-knee-slices", "mr-knee", *SLICES, f"mr.boundary_gain={gain}")
    assert spec.recipe["mr"]["boundary_gain"] == gain and len(spec.channels) == 1


@pytest.mark.parametrize("bone", ["femur", "tibia", "both"])
def test_one_bone_or_two(trained, bone):
    spec = trained(f"as-published-mr-shape-{bone}", "mr-knee", *SHAPE)
    assert (spec.bone, spec.input, len(spec.shape_variances_mm2)) == (bone, "signal", 4 if bone == "both" else 2)


def test_patches_see_the_mr_alone(trained):
    spec = trained("as-published-mr-knee-patches", "mr-knee", *CUBES, "widths=[2,2,2]")
    assert (spec.input, len(spec.channels)) == ("signal", 1)


@pytest.mark.parametrize("views", ["axial,sagittal,coronal", "axial"])
def test_one_view_or_three(trained, views):
    two = ("batch=2", "pool=2", "widths=[2,2,2,2,2]")  # batch normalisation needs more than one voxel at the bottom
    spec = trained("as-published-mr-low-field", "mr-low-field", *CUBES, *two, f"mr.views=[{views}]")
    assert spec.classes == ("marrow",)
