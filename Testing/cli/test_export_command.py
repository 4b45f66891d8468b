from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import structure


def test_a_network_is_written_for_others_and_the_folder_told(kneeseg, tmp_path):
    outcome = kneeseg("export", "bundle", "ct-knee", "-o", tmp_path / "ct-knee", "--progress", "json")
    assert outcome.status == 0
    assert outcome.events[-1]["folder"] == str(tmp_path / "ct-knee")
    assert (tmp_path / "ct-knee" / "models" / "model.ts").is_file()


def test_a_network_that_needs_others_is_refused_in_a_sentence(kneeseg, tmp_path):
    outcome = kneeseg("export", "bundle", "mr-shape-femur", "-o", tmp_path / "out")
    assert outcome.status == 2
    assert "fits a shape model to the predicted bone in a crop" in outcome.sentence
    assert not (tmp_path / "out").exists()


def test_an_unknown_network_is_refused_with_those_there_are(kneeseg, tmp_path):
    outcome = kneeseg("export", "bundle", "ct-elbow", "-o", tmp_path / "out")
    assert outcome.status == 4 and "ct-knee" in outcome.sentence


def test_cases_are_written_for_nnunet_and_the_labels_told(kneeseg, tmp_path):
    for kind, values in (("images", (40, 900)), ("labels", (0, structure("femur_left").label_value))):
        (tmp_path / "cases" / kind).mkdir(parents=True)
        array = np.full((30, 30, 30), values[0], np.int16)
        array[10:20, 10:20, 10:20] = values[1]
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((2.0, 2.0, 2.0))
        sitk.WriteImage(image, str(tmp_path / "cases" / kind / "knee.nrrd"))
    output = tmp_path / "Dataset042_Knee"
    outcome = kneeseg("export", "nnunet", tmp_path / "cases", "-o", output, "--modality", "MR", "--progress", "json")
    assert outcome.status == 0
    assert outcome.events[-1]["labels"] == {"femur": 1} and outcome.events[-1]["cases"] == 1
    assert (output / "imagesTr" / "knee_0000.nii.gz").is_file() and (output / "label_mapping.json").is_file()
    outcome = kneeseg("export", "nnunet", tmp_path / "cases", "-o", tmp_path / "knees")
    assert outcome.status == 2 and "nnU-Net takes folders called" in outcome.sentence
