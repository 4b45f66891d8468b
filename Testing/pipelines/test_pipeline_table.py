import subprocess
import sys

import pytest

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.errors import InputError
from KneeSegLib.pipelines.choice import create_pipeline
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES, QUALITIES


def test_pipelines_are_listed_without_loading_networks():
    heavy = ("torch", "SimpleITK", "vtk", "numpy")
    code = f"import sys, KneeSegLib.pipelines; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_each_pipeline_names_the_bundles_of_its_joints():
    for name, pipeline in PIPELINES.items():
        assert pipeline.name == name
        assert set(pipeline.joints) <= set(JOINT_BONES)
        ct = {"ct-localiser", "ct-naming", *(f"ct-{joint}" for joint in pipeline.joints)}
        ct |= {"ct-femur-vnet"} if name == "ct-femur-vnet" else set()
        mr = {"mr-shape-femur", "mr-shape-tibia"}
        mr |= {"mr-knee-slices", "mr-knee-patches"} if name == "mr-knee" else {"mr-low-field"}
        assert set(pipeline.bundles) == {"CT": ct, "MR": mr, None: set()}[pipeline.modality]


def test_only_a_high_run_needs_the_refinement():
    assert {name for name, quality in QUALITIES.items() if quality.refines} == {"high"}
    assert QUALITIES["high"].bundles == ("ct-refine",) and QUALITIES["standard"].bundles == ()


def test_titles_and_descriptions_are_there_and_differ():
    for table in (PIPELINES, QUALITIES):
        assert len({entry.title for entry in table.values()}) == len(table)
        assert all(entry.description.endswith(".") for entry in table.values())


def test_systems_for_comparison_come_last_and_say_so():
    comparisons = [pipeline.comparison for pipeline in PIPELINES.values()]
    assert comparisons == sorted(comparisons) and any(comparisons)
    for pipeline in PIPELINES.values():
        assert pipeline.label == ("For comparison: " if pipeline.comparison else "") + pipeline.title


@pytest.mark.parametrize(
    ("name", "edge", "sentence"),
    [
        (
            "ct-knee",
            "marrow",
            "The edge marrow was asked for, which the pipeline ct-knee does not draw; choose half-max",
        ),
        ("mr-knee", "half-maximum", "which the pipeline mr-knee does not draw; choose cortex"),
        ("mr-low-field", "half-maximum", "which the pipeline mr-low-field does not draw; choose marrow or cortex"),
    ],
)
def test_an_edge_that_a_pipeline_does_not_draw_is_refused(name, edge, sentence):
    with pytest.raises(InputError, match=sentence):
        create_pipeline(PIPELINES[name], Request(name, edge=edge))


def test_each_pipeline_draws_its_own_edge_unless_told_otherwise():
    drawn = {name: PIPELINES[name].edge for name in ("ct-leg", "ct-femur-vnet", "mr-knee", "mr-low-field", "nnunet")}
    assert list(drawn.values()) == ["half-maximum", "half-maximum", "cortex", "marrow", None]
    for edge in (None, "cortex"):
        pipeline = create_pipeline(PIPELINES["mr-knee"], Request("mr-knee", edge=edge))
        assert pipeline.edge == "cortex"
