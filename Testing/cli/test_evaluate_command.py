"""``kneeseg evaluate``."""

from __future__ import annotations

import json

import pytest
import SimpleITK as sitk


def test_two_label_maps_give_a_table(kneeseg, label_file):
    reference = label_file("reference.nrrd", "femur_right", "tibia_right")
    prediction = label_file("prediction.nii.gz", "femur_right", "tibia_right", shorter=1)
    outcome = kneeseg("evaluate", reference, prediction, "--progress", "none")
    assert outcome.status == 0
    assert outcome.err.count("KneeSeg's own numbers were taken (2 Right femur, 4 Right tibia)") == 2
    assert len(outcome.err.splitlines()) == 2
    femur = next(line for line in outcome.out.splitlines() if "Right femur" in line)
    assert "0.9474" in femur  # Dice: 9 of 10 columns, 2 * 9 / 19


def test_folders_give_each_case_and_a_summary(kneeseg, label_file, tmp_path):
    for case, shorter in (("anna", 0), ("bert", 2)):
        label_file(f"references/{case}.nrrd", "femur_right")
        label_file(f"predictions/{case}.nrrd", "femur_right", shorter=shorter)
    outcome = kneeseg("evaluate", tmp_path / "references", tmp_path / "predictions")
    assert all(word in outcome.out for word in ("anna", "bert", "2 cases", "± SD", "median", "IQR"))


def test_json_file_and_json_event_hold_the_same_figures(kneeseg, label_file, tmp_path):
    reference = label_file("reference.nrrd", "femur_right")
    prediction = label_file("prediction.nrrd", "femur_right", "patella_left", shorter=5)
    reference = label_file("reference.nrrd", "femur_right", "patella_left")
    label_file("prediction.nrrd", "femur_right", "patella_left", shorter=5)
    outcome = kneeseg("evaluate", reference, prediction, "--json", tmp_path / "out.json", "--progress", "json")
    written = json.loads((tmp_path / "out.json").read_text())
    event = outcome.events[-1]
    assert event.pop("event") == "result"
    assert event == written
    (case,) = written["cases"]
    assert case["structures"][0]["key"] == "femur_right"
    assert case["structures"][0]["metrics"]["recall"] == pytest.approx(0.5)


def test_other_values_are_given_a_meaning(kneeseg, label_file):
    left = label_file("reference.nrrd", "femur_left")
    right = label_file("prediction.nrrd", "femur_right")
    assert "only in the reference" in kneeseg("evaluate", left, right).out
    from KneeSegLib.anatomy import structure

    labels = f"{structure('femur_left').label_value}=femur_right"
    assert "1.0000" in kneeseg("evaluate", left, right, "--labels", labels).out


def test_values_of_the_prediction_are_given_a_meaning(kneeseg, label_file):
    reference = label_file("reference.nrrd", "femur_right")
    mask = label_file("mask.nii.gz", "femur_right")
    image = sitk.ReadImage(str(mask))
    sitk.WriteImage(sitk.Cast(image != 0, sitk.sitkUInt8) * 255, str(mask))
    outcome = kneeseg("evaluate", reference, mask, "--labels", "2=femur_right", "--progress", "none")
    assert outcome.status == 2 and "mask.nii.gz holds the value 255, which stands for no structure" in outcome.err
    assert '--prediction-labels "255=femur_right"' in outcome.err
    assert "1.0000" in kneeseg("evaluate", reference, mask, "--prediction-labels", "255=femur_right").out
    outcome = kneeseg("evaluate", reference, mask, "--labels", "255=femur_right", "--progress", "none")
    assert "1.0000" in outcome.out and "they were taken for those of the prediction" in outcome.err


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (("reference.nrrd", "other_grid.nrrd"), "same grid"),
        (("reference.nrrd", "nowhere.nrrd"), "no file or folder"),
        (("reference.nrrd", "reference.nrrd", "--labels", "1=thigh"), 'No structure is called "thigh"'),
        (("reference.nrrd", "reference.nrrd", "--json", "existing.json"), "existing.json exists already"),
        (("text.nrrd", "reference.nrrd"), "cannot be read as an image"),
    ],
)
def test_bad_input_is_one_sentence(kneeseg, label_file, tmp_path, monkeypatch, arguments, complaint):
    label_file("reference.nrrd", "femur_right")
    label_file("other_grid.nrrd", "femur_right", "tibia_right")
    (tmp_path / "existing.json").touch()
    (tmp_path / "text.nrrd").write_text("no image")
    monkeypatch.chdir(tmp_path)
    outcome = kneeseg("evaluate", *arguments, "--progress", "none")
    assert outcome.status in (2, 5)
    assert len(outcome.err.splitlines()) == 1
    assert complaint in outcome.err
    assert (tmp_path / "existing.json").read_text() == ""


def test_error_maps_are_written_to_a_page(kneeseg, label_file, tmp_path):
    reference = label_file("reference.nrrd", "femur_right", "tibia_right")
    label_file("prediction.nrrd", "femur_right", "tibia_right", shorter=2)
    scan = sitk.Cast(sitk.ReadImage(str(reference)), sitk.sitkInt16) * 100
    sitk.WriteImage(scan, str(tmp_path / "scan.nrrd"))
    options = ("--error-maps", tmp_path / "errors.html", "--progress", "none")
    files = (reference, tmp_path / "prediction.nrrd")
    assert kneeseg("evaluate", *files, *options, "--image", tmp_path / "scan.nrrd").status == 0
    page = (tmp_path / "errors.html").read_text(encoding="utf-8")
    assert "<h2>reference</h2>" in page and "Right knee" in page and "data:image/png" in page
    assert "errors.html exists already" in kneeseg("evaluate", *files, *options).err
    assert (tmp_path / "errors.html").read_text(encoding="utf-8") == page


def test_scans_of_a_folder_belong_to_the_references_of_their_name(kneeseg, label_file, tmp_path):
    for case in ("anna", "bert"):
        label_file(f"references/{case}.nrrd", "femur_right")
    (tmp_path / "scans").mkdir()
    sitk.WriteImage(sitk.Image([6, 6, 6], sitk.sitkInt16), str(tmp_path / "scans" / "anna_0000.nii.gz"))
    folder = tmp_path / "references"
    arguments = ("evaluate", folder, folder, "--image", tmp_path / "scans")
    assert "say where they go with --error-maps" in kneeseg(*arguments, "--progress", "none").err
    outcome = kneeseg(*arguments, "--error-maps", tmp_path / "errors.html", "--progress", "none")
    assert outcome.status == 2 and "scans holds no scan called bert" in outcome.err
    assert not (tmp_path / "errors.html").exists()
