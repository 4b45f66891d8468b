"""What is compared, as it is given on the command line; and what label maps of others mean."""

from __future__ import annotations

import json

import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.evaluation.compare.cases import find_cases
from KneeSegLib.evaluation.compare.systems import parse_system, parse_systems
from KneeSegLib.io.label_mapping import describe_mapping
from KneeSegLib.io.label_meaning import LabelMeaning
from KneeSegLib.pipelines.table import PIPELINES

FEMUR, TIBIA = structure("femur_left"), structure("tibia_left")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "label maps, round 2"
    made.mkdir()
    return made


def test_a_pipeline_has_a_name_options_and_its_own_edge():
    system = parse_system("quick=ct-knee,quality=fast,device=cpu")
    assert (system.name, system.pipeline) == ("quick", "ct-knee")
    assert dict(system.options) == {"quality": "fast", "device": "cpu"}
    assert system.own_edge == PIPELINES["ct-knee"].edge == "half-maximum"
    assert parse_system("ct-knee").name == "ct-knee"


def test_a_pipeline_that_draws_either_edge_is_told_which():
    assert parse_system("mr-low-field").own_edge == "marrow"
    system = parse_system("mr-low-field,edge=cortex")
    assert (system.own_edge, dict(system.options)) == ("cortex", {"edge": "cortex"})
    assert dict(parse_system("ct-knee,edge=cortex").options) == {"edge": "cortex"}


def test_the_edge_of_a_pipeline_with_other_networks_can_be_given():
    system = parse_system("mr-knee,edge=marrow")
    assert (system.own_edge, dict(system.options)) == ("marrow", {})


def test_a_folder_may_have_commas_and_a_table_of_labels(folder):
    system = parse_system(f"theirs={folder},labels=5=femur_left,6=tibia_left,edge=marrow")
    assert (system.name, system.folder, system.own_edge) == ("theirs", folder, "marrow")
    assert system.meaning.table == {5: FEMUR, 6: TIBIA}
    with pytest.raises(InputError, match="cannot be called 'label maps, round 2'"):
        parse_system(str(folder))
    assert parse_system(f"a={folder}").own_edge == ""


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        ([], "Say what to compare"),
        (["ct-elbow"], "neither a pipeline nor a folder 'ct-elbow'"),
        (["ct-knee", "ct-knee,quality=fast"], "Two systems are called 'ct-knee'"),
        (["ct-knee,edge=bone"], "no convention of the edge 'bone'; choose one of cortex, half-maximum, marrow"),
        (["../x=ct-knee"], "neither a pipeline nor a folder '../x=ct-knee'"),
        (["a?b=ct-knee"], "cannot be called 'a?b'"),
        (["a=.,quality=fast"], "A folder of label maps has no option 'quality'"),
        (["a=.,labels=nowhere.json"], "There is no label mapping nowhere.json"),
    ],
)
def test_a_system_that_cannot_be_is_refused(texts, complaint):
    with pytest.raises(InputError) as refused:
        parse_systems(texts)
    assert complaint in str(refused.value)


def test_a_mapping_that_tells_no_sides_takes_that_of_the_case(folder):
    image = sitk.Image([4, 4, 4], sitk.sitkUInt8)
    image[0, 0, 0], image[1, 1, 1] = 7, 8
    sitk.WriteImage(image, str(folder / "anna.nrrd"))
    (folder / "mapping.json").write_text(json.dumps(describe_mapping({"7": "femur", "8": "tibia"})), encoding="utf-8")
    meaning = LabelMeaning.parse(str(folder / "mapping.json"))
    labels, _ = meaning.read(folder / "anna.nrrd", "left", "labels=")
    assert (labels[0, 0, 0], labels[1, 1, 1]) == (FEMUR.label_value, TIBIA.label_value)
    with pytest.raises(InputError, match="does not tell the sides of its labels"):
        meaning.read(folder / "anna.nrrd", None, "labels=")


def test_a_mapping_by_names_alone_does_not_fit_numbers(folder):
    (folder / "names.json").write_text(json.dumps(describe_mapping({"thigh bone": "femur"})), encoding="utf-8")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkUInt8) + 7, str(folder / "anna.nrrd"))
    with pytest.raises(InputError, match="names no label of anna.nrrd by its value"):
        LabelMeaning.parse(str(folder / "names.json")).read(folder / "anna.nrrd", "left", "labels=")


def test_shipped_mappings_are_known_by_name():
    mapping = LabelMeaning.parse("openmsk-knee-mr").mapping
    assert mapping is not None and mapping.labels[7].tissue == "femur"


@pytest.mark.parametrize(
    ("labels", "images"), [("labels", "images"), ("labelsTs", "imagesTs"), ("labelsTr", "imagesTr")]
)
def test_cases_are_found_with_the_images_of_their_names(tmp_path, labels, images):
    for path in (f"{labels}/anna.nrrd", f"{labels}/bert.nii.gz", f"{images}/anna_0000.nii.gz"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    anna, bert = find_cases(tmp_path)
    assert (anna.name, anna.image) == ("anna", tmp_path / images / "anna_0000.nii.gz")
    assert (bert.name, bert.image) == ("bert", None)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"with labels/ and images/ in it"):
        find_cases(tmp_path / "nowhere")
