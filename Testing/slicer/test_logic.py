"""The logic as the Python console uses it, with the real child process."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from slicer_support import mrml
from slicer_support.mrml import REPOSITORY

from KneeSegLib import errors
from KneeSegLib.anatomy import JOINT_BONES, structure
from KneeSegLib.bundles import list_bundles
from KneeSegLib.io.resources import samples_folder
from KneeSegLib.io.volume import check_ct, read_volume
from KneeSegLib.pipelines.table import PIPELINES

TRUTH = REPOSITORY / "Testing" / "slicer" / "data" / "knee_ct_truth.nrrd"


@pytest.fixture
def logic():
    from KneeSeg import KneeSegLogic

    return KneeSegLogic()


def test_flat_image_is_refused_by_the_library_in_one_sentence(logic, scene):
    flat = slicer.util.addVolumeFromArray(np.zeros((40, 64, 64), np.int16), name="Flat")
    with pytest.raises(errors.InputError) as caught:
        logic.segment(flat, pipeline="ct-knee", device="cpu")
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_volume_of_unknown_modality_is_refused_in_the_words_of_the_panel(logic, scene):
    values = np.random.default_rng(0).integers(0, 900, (40, 64, 64)).astype(np.int16)
    mr = slicer.util.addVolumeFromArray(values, name="Knee PD")
    with pytest.raises(errors.InputError) as caught:
        logic.segment(mr, device="cpu")
    assert str(caught.value) == (
        "It cannot be told whether 'Knee PD' is a CT or an MR; for an MR of the knee choose \"MR: knee\" under "
        '"Pipeline", for a CT choose "CT: whole leg" under "Pipeline".'
    )


def test_progress_callback_can_cancel(logic, volumeNode):
    def cancel(fraction, message):
        raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        logic.segment(volumeNode, device="cpu", progress=cancel)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_missing_volume_is_an_error(logic, scene):
    with pytest.raises(errors.InputError, match="Choose a CT or MR volume"):
        logic.segment(None)


def test_missing_packages_are_named_before_a_process_is_started(logic, volumeNode, monkeypatch):
    from KneeSegModule import requirements

    monkeypatch.setattr(requirements, "findMissingPackages", lambda pipeline: ["safetensors>=0.4"])
    with pytest.raises(errors.ResourceError, match="safetensors"):
        logic.segment(volumeNode)


def networksOfTheKnee() -> bool:
    try:
        return set(PIPELINES["ct-knee"].bundles) <= {bundle.name for bundle in list_bundles()}
    except errors.ModelError:
        return False


@pytest.mark.skipif(not networksOfTheKnee(), reason="the networks of the knee are not in Resources/Models")
def test_sample_comes_back_as_segments_under_the_transform_of_the_volume(logic, scene):
    volumeNode = mrml.loadVolume(samples_folder() / "knee_ct.nrrd")
    transformNode = mrml.addTransform()
    volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
    heard: list[float] = []

    segmentationNode = logic.segment(
        volumeNode,
        "ct-knee",
        quality="fast",
        device="cpu",
        edge="cortex",  # where the truth ends
        progress=lambda fraction, message: heard.append(fraction),
    )

    assert segmentationNode.GetParentTransformNode() is transformNode
    assert heard == sorted(heard) and len(set(heard)) > 10
    truth = sitk.GetArrayFromImage(sitk.ReadImage(TRUTH))
    for bone in JOINT_BONES["knee"]:
        wanted = truth == structure(bone, "right").label_value
        found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, f"{bone}_right", volumeNode) > 0
        assert 2 * (wanted & found).sum() / (wanted.sum() + found.sum()) > 0.97


@pytest.fixture(scope="module")
def sampleImage() -> sitk.Image:
    return sitk.ReadImage(samples_folder() / "knee_ct.nrrd")


def test_the_volumes_that_the_self_test_expects_are_those_of_the_truth(sampleImage):
    from KneeSeg import SAMPLE_VOLUMES_CM3

    truth = sitk.GetArrayFromImage(sitk.ReadImage(TRUTH))
    voxel_cm3 = np.prod(sampleImage.GetSpacing()) / 1000
    for key, volume_cm3 in SAMPLE_VOLUMES_CM3.items():
        assert np.count_nonzero(truth == structure(key).label_value) * voxel_cm3 == pytest.approx(volume_cm3, abs=0.05)


def test_sample_is_a_small_ct():
    assert (samples_folder() / "knee_ct.nrrd").stat().st_size <= 2e6
    check_ct(read_volume(samples_folder() / "knee_ct.nrrd"))


def test_sample_is_offered_in_the_sample_data_module(monkeypatch):
    from KneeSegModule import sample_data

    registered = []
    source = SimpleNamespace(registerCustomSampleDataSource=lambda **what: registered.append(SimpleNamespace(**what)))
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=source))
    sample_data.registerSampleData()
    (sample,) = registered
    with urllib.request.urlopen(sample.uris) as file:  # as the Sample Data module reads it
        assert "SHA256:" + hashlib.sha256(file.read()).hexdigest() == sample.checksums
    assert f"*{sample.sampleName}*" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert os.path.isfile(sample.thumbnailFileName) and sample.fileNames.endswith(".nrrd")


def test_parameters_are_kept_in_the_scene(logic, volumeNode):
    from KneeSegModule.choices import Pipeline, Side

    parameters = logic.getParameterNode()
    assert (parameters.pipeline, parameters.side, parameters.volume) == (Pipeline.auto, Side.auto, None)
    parameters.pipeline = Pipeline["ct-knee"]
    parameters.volume = volumeNode
    again = logic.getParameterNode()
    assert (again.pipeline, again.volume) == (Pipeline["ct-knee"], volumeNode)


def test_an_unknown_choice_in_a_saved_scene_falls_back_to_automatic(logic, scene):
    from KneeSegModule.choices import Pipeline, Side

    parameters = logic.getParameterNode()
    parameters.side = Side.left
    parameters.parameterNode.SetParameter("pipeline", "ct-shoulder")  # of another version
    again = logic.getParameterNode()
    assert (again.pipeline, again.side) == (Pipeline.auto, Side.left)


def test_every_choice_in_the_parameter_node_may_be_unknown():
    import enum

    from KneeSeg import CHOICES, KneeSegParameterNode

    fields = KneeSegParameterNode.__annotations__.items()
    assert {name: kind for name, kind in fields if issubclass(kind, enum.Enum)} == CHOICES


def test_module_is_found_in_developer_mode_from_its_own_folder():
    script = (
        "import slicer, sys\n"
        f"slicer.__path__.append({str(REPOSITORY / 'Testing' / 'slicer' / 'documented_bases')!r})\n"
        "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in str(finder).lower()]\n"
        f"sys.path = [{str(REPOSITORY / 'KneeSeg')!r}] + [p for p in sys.path if p not in ('', {str(REPOSITORY)!r})]\n"
        "import KneeSeg, KneeSegLib\n"
        "print(KneeSegLib.__file__)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert os.path.samefile(done.stdout.strip(), REPOSITORY / "KneeSegLib" / "__init__.py")


def test_loading_the_module_into_slicer_costs_little():
    script = (
        "import numpy, slicer, sys, vtk\n"
        f"slicer.__path__.append({str(REPOSITORY / 'Testing' / 'slicer' / 'documented_bases')!r})\n"
        f"sys.path[:0] = [{str(REPOSITORY / 'KneeSeg')!r}, {str(REPOSITORY)!r}]\n"
        "import KneeSeg\n"
        "print(sorted({'SimpleITK', 'scipy', 'torch', 'typer', 'jinja2', 'qt'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8")
    assert done.stdout.strip() == "[]", done.stderr


ALLOWED = {"slicer", "vtk", "SimpleITK", "numpy", "KneeSegLib", "KneeSegModule"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "KneeSeg").rglob("*.py")), ids=lambda path: path.name)
def test_file_scope_imports_only_what_every_slicer_has(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        for statement in ast.walk(node) if isinstance(node, ast.Try) else [node]:
            if isinstance(statement, ast.Import):
                found |= {alias.name.split(".")[0] for alias in statement.names}
            elif isinstance(statement, ast.ImportFrom):
                found.add(statement.module.split(".")[0])
    assert found <= ALLOWED


def test_self_tests_of_the_module_pass(scene):
    from KneeSeg import KneeSegTest

    KneeSegTest().runTest()
