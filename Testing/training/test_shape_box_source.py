"""Grey values in boxes, with the landmarks of the bones that are seen there."""

from dataclasses import replace

import pytest
import torch

from KneeSegLib.errors import InputError
from KneeSegLib.mr.shape_boxes import NominalBox
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.shape_box_source import ShapeBoxSource
from KneeSegLib.training.shape_source import ShapeSamples, ShapeSource
from KneeSegLib.training.sources import choose_source
from KneeSegLib.training.synthesis.mr.settings import MrSynthesis
from Testing.phantoms.mr_images import NO_WARP
from Testing.phantoms.mr_knees import SHAFT_RADIUS_MM, cylinder_knee
from Testing.phantoms.mr_landmarks import END_MM, cylinder_modes, landmarks

CUBE = (INPUT_SIZE,) * 3
VIEW_MM = ((66.0, 66.0), (60.0, 60.0), (78.0, 78.0))


def recipe_of(bone: str, **shape) -> Recipe:
    return read_recipe(
        f"as-published-mr-shape-{bone}",
        shape={"bone": bone, "modes": 3, "input": "signal", "off_centre_mm": 0.0, "view_mm": VIEW_MM, **shape},
        spacing_mm=2.0,
    )


def seen(bone: str, seed: int = 0, **shape) -> ShapeSamples:
    recipe = replace(recipe_of(bone, **shape), synthesis=replace(MrSynthesis(), warp=NO_WARP))
    return ShapeBoxSource(recipe, [cylinder_knee()], landmarks()).render(CUBE, torch.Generator().manual_seed(seed))


def test_a_bone_fills_its_box_whatever_the_margins():
    for margin in (0.0, 6.0):
        samples = seen("femur", box_margin_mm=(margin, margin))
        nominal = NominalBox.of_shape(cylinder_modes("femur")[0])
        assert samples.inputs.shape == (1, 1, *CUBE) and 0.0 < float(samples.inputs.mean()) < 2.0
        across = float(samples.scale[0, 0]) * (nominal.high_mm - nominal.low_mm)[0]
        assert across == pytest.approx(2.0 * (SHAFT_RADIUS_MM + margin), abs=2.5)
        # In mm landmarks do not depend on the box.
        width = samples.landmarks_mm[0, :, 0]
        assert float(width.max() - width.min()) == pytest.approx(2.0 * SHAFT_RADIUS_MM, abs=2.0)
        # The end lies a margin above the box's lowest face, which is the nominal box's.
        lowest = float(samples.scale[0, 2] * nominal.low_mm[2])
        assert float(samples.landmarks_mm[0, :, 2].min()) - lowest == pytest.approx(margin, abs=1.5)


def test_a_box_ends_where_the_view_does():
    samples = seen("tibia", box_margin_mm=(30.0, 30.0))
    nominal = NominalBox.of_shape(cylinder_modes("tibia")[0])
    size = samples.scale[0].double().numpy() * (nominal.high_mm - nominal.low_mm)
    below, above = 30.0, 30.0 + END_MM["tibia"]  # of the view's middle: its lower end, and the margin above the bone
    assert size == pytest.approx([66.0, 78.0, below + above], abs=1.5)


def test_both_bones_lie_in_the_whole_view_one_above_the_other():
    samples = seen("both")
    assert samples.scale[0].tolist() == pytest.approx([66.0 / 110.0, 78.0 / 110.0, 60.0 / 110.0], rel=1e-5)
    femur, tibia = samples.landmarks_mm[0].chunk(2)
    assert float(femur[:, 2].min()) == pytest.approx(END_MM["femur"], abs=0.5)
    assert float(tibia[:, 2].max()) == pytest.approx(END_MM["tibia"], abs=0.5)


def test_bright_fluid_and_air_come_from_the_recipes_contrast_and_the_seed():
    first, again, other = (seen("femur", seed) for seed in (3, 3, 4))
    assert torch.equal(first.inputs, again.inputs) and not torch.equal(first.inputs, other.inputs)


def test_the_input_of_a_recipe_decides_its_source():
    assert choose_source(recipe_of("femur")) is ShapeBoxSource
    assert choose_source(read_recipe("mr-shape-femur")) is ShapeSource


@pytest.mark.parametrize("view", [[[90, 120]], [[120, 90]] * 3, [[90, 1e9]] * 3])
def test_a_field_of_view_that_cannot_be_is_refused(view):
    with pytest.raises(InputError, match="shape.view_mm is .*, expected three pairs of bounds from 20 to 400 mm"):
        read_recipe("as-published-mr-shape-femur", shape={"bone": "femur", "input": "signal", "view_mm": view})


def test_a_bound_without_the_other_is_refused():
    shape = {"bone": "femur", "input": "signal", "view_mm": [[90.0]] * 3}
    with pytest.raises(InputError, match=r"view_mm is \[90.0\], expected a list of 2 values"):
        read_recipe("as-published-mr-shape-femur", shape=shape)


def test_both_bones_without_grey_values_are_refused():
    with pytest.raises(InputError, match="shape.bone both with shape.input probabilities was found"):
        read_recipe("mr-shape-femur", shape={"bone": "both"})
