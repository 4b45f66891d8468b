"""Folders of cases are recognised by their layout; what is amiss is said in one sentence."""

from __future__ import annotations

import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.training.own_cases.files import strip_ending
from KneeSegLib.training.own_cases.layouts import find_cases
from KneeSegLib.training.own_cases.splitting import Folds, split_cases
from Testing.training.own_cases.conftest import write_json


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def names_of(found):
    return [(case.name, case.image.name, case.labels[0].path.name, case.group) for case in found.cases]


@pytest.fixture
def nnunet(tmp_path):
    labels = {"background": 0, "femur_right": 1, "tibia": 2}
    write_json(tmp_path / "dataset.json", {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"})
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/b.nii.gz")
    return touch(tmp_path, "imagesTs/c_0000.nii.gz", "labelsTs/c.nii.gz")


def test_nnunet_raw_folder(nnunet):
    found = find_cases(nnunet)
    assert names_of(found) == [
        ("a", "a_0000.nii.gz", "a.nii.gz", ""),
        ("b", "b_0000.nii.gz", "b.nii.gz", ""),
        ("c", "c_0000.nii.gz", "c.nii.gz", "test"),
    ]
    assert found.layout == "nnU-Net" and dict(found.names) == {1: "femur_right", 2: "tibia"}


def test_further_channels_are_left_out_and_said(nnunet):
    touch(nnunet, "imagesTr/a_0001.nii.gz")
    found = find_cases(nnunet)
    assert [case.name for case in found.cases] == ["a", "b", "c"]
    assert found.notes == ("The cases in imagesTr have several channels; the first of each is used.",)


def test_decathlon_folder(tmp_path):
    listed = [{"image": "./imagesTr/k_1.nii.gz", "label": "./labelsTr/k_1.nii.gz"}]
    write_json(tmp_path / "dataset.json", {"labels": {"0": "background", "1": "femur"}, "training": listed})
    found = find_cases(touch(tmp_path, "imagesTr/k_1_0000.nii.gz", "labelsTr/k_1.nii.gz"))
    assert names_of(found) == [("k_1", "k_1_0000.nii.gz", "k_1.nii.gz", "")]
    assert found.layout == "Medical Segmentation Decathlon" and dict(found.names) == {1: "femur"}


def test_plain_folder_pairs_names_whatever_their_formats(tmp_path):
    touch(tmp_path, "images/p1.nii.gz", "labels/p1.seg.nrrd", "images/p2/1.dcm", "labels/p2.nrrd", "images/p3.mha")
    found = find_cases(touch(tmp_path, "images/.DS_Store", "labels/._p1.seg.nrrd"))
    assert [(case.name, case.image.name) for case in found.cases] == [("p1", "p1.nii.gz"), ("p2", "p2")]
    assert found.notes == ("Images without labels were left out: 1, the first is p3.",)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.b.seg.nrrd", "a.b"), ("a.nii.gz", "a"), ("A.NII", "A"), ("a.raw", None), (".nii", None), ("a.txt", None)],
)
def test_endings(name, stem):
    assert strip_ending(name) == stem


def test_table_names_subjects_and_splits(tmp_path):
    touch(tmp_path, *(f"{kind}/{name}.nrrd" for kind in ("images", "labels") for name in "abc"))
    (tmp_path / "cases.csv").write_text("case,subject,split\na,P,train\nb,P,train\nc,Q,validation\n", encoding="utf-8")
    found = find_cases(tmp_path)
    assert [(case.subject, case.group) for case in found.cases] == [("P", "train"), ("P", "train"), ("Q", "validation")]
    assert split_cases(found.cases, None, 0) == {"a": "train", "b": "train", "c": "validation"}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            "case,subject,split\na,P,train\nb,P,validation\n",
            "The subject P is in two splits: a in train and b in",
        ),
        ("case,subject,split\na,P,train\na,P,validation\n", "lists the case a in two splits"),
        ("case,subject,split\nz,P,train\n", "lists the case z, which is not in the folder"),
        ("case,subject,split\na,P,later\n", "puts a into the split 'later', expected one of train, validation, test"),
        ("name,who\na,P\n", "has no columns case and subject"),
        ("case,subject\na,M\xfcller\n", "is no text in UTF-8; save the table as CSV in UTF-8"),
    ],
)
def test_tables_that_are_refused(tmp_path, table, sentence):
    touch(tmp_path, *(f"{kind}/{name}.nrrd" for kind in ("images", "labels") for name in "abc"))
    (tmp_path / "cases.csv").write_text(table, encoding="latin-1")
    with pytest.raises(InputError, match=sentence):
        find_cases(tmp_path)


def test_a_subject_that_nnunet_both_trains_on_and_tests_is_refused(nnunet):
    (nnunet / "cases.csv").write_text("case,subject\na,P\nc,P\n", encoding="utf-8")
    with pytest.raises(InputError, match="The subject P is in two splits: a in none and c in test"):
        find_cases(nnunet)


def test_unknown_layouts_are_refused(tmp_path):
    with pytest.raises(InputError, match="There is no folder of cases .*nowhere"):
        find_cases(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"it holds nothing, expected nnU-Net \(dataset.json"):
        find_cases(tmp_path)
    with pytest.raises(InputError, match="The layout of .* is not known: it holds scans, expected"):
        find_cases(touch(tmp_path, "scans/a.nrrd"))


def test_a_folder_without_cases_is_refused(tmp_path):
    (tmp_path / "labels").mkdir()
    with pytest.raises(InputError, match="holds no case with an image and labels"):
        find_cases(touch(tmp_path, "images/a.nrrd"))


def test_labels_without_an_image_are_refused(tmp_path):
    with pytest.raises(InputError, match="The labels b in .* have no image of that name"):
        find_cases(touch(tmp_path, "images/a.nrrd", "labels/a.nrrd", "labels/b.nrrd"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"channel_names": {}}, "has no table of labels that can be read"),
        ({"labels": {"bone": [1, 2]}}, r'The label "bone" of .* stands for \[1, 2\], expected one number'),
        ({"labels": {"1": "femur"}, "training": ["x"]}, "has the entry 'x', expected image and label"),
        ({"labels": {"1": "femur"}, "training": [{"image": "a.nii", "label": "b.nii"}]}, "lists .*a.nii, which is not"),
    ],
)
def test_dataset_files_that_are_refused(tmp_path, content, sentence):
    write_json(tmp_path / "dataset.json", content)
    with pytest.raises(InputError, match=sentence):
        find_cases(tmp_path)


class TestSplitting:
    def cases(self, tmp_path, count, per_subject=1):
        names = [f"{subject}{scan}" for subject in "abcdefghij"[:count] for scan in range(per_subject)]
        touch(tmp_path, *(f"{kind}/{name}.nrrd" for kind in ("images", "labels") for name in names))
        rows = "".join(f"{name},{name[0]}\n" for name in names)
        (tmp_path / "cases.csv").write_text("case,subject\n" + rows, encoding="utf-8")
        return find_cases(tmp_path).cases

    def test_subjects_stay_together_and_one_fifth_validates(self, tmp_path):
        groups = split_cases(self.cases(tmp_path, 10, per_subject=2), None, seed=3)
        validated = {name[0] for name, group in groups.items() if group == "validation"}
        trained = {name[0] for name, group in groups.items() if group == "train"}
        assert len(validated) == 2 and len(trained) == 8 and not validated & trained

    def test_folds_validate_each_subject_once(self, tmp_path):
        cases = self.cases(tmp_path, 7)
        chosen = [
            {name for name, group in split_cases(cases, Folds(3, own), 0).items() if group == "validation"}
            for own in (1, 2, 3)
        ]
        assert sum(map(len, chosen)) == 7 == len(set.union(*chosen))

    def test_too_few_subjects_are_refused(self, tmp_path):
        cases = self.cases(tmp_path, 1, per_subject=3)
        with pytest.raises(InputError, match="There are cases of 1 subject to train on, expected at least 2"):
            split_cases(cases, None, 0)

    def test_more_folds_than_subjects_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="There are cases of 3 subjects to train on, expected at least 5"):
            split_cases(self.cases(tmp_path, 3), Folds(5), 0)

    @pytest.mark.parametrize("folds", [(1, 1), (5, 0), (5, 6)])
    def test_folds_that_are_none_are_refused(self, folds):
        with pytest.raises(InputError, match=rf"Fold {folds[1]} of {folds[0]} was asked for"):
            Folds(*folds)
