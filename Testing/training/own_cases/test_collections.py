"""Published collections: small generated folders laid out the same way are read, and their labels become ours."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_mapping import read_label_mapping
from KneeSegLib.training.own_cases.collections_of_others import list_collections, read_collection
from KneeSegLib.training.own_cases.data import Wanted, _choose_mappings
from KneeSegLib.training.own_cases.layouts import find_cases
from KneeSegLib.training.own_cases.mask_slices import name_bones
from KneeSegLib.training.own_cases.parts import count_labels, name_labels
from KneeSegLib.training.own_cases.reading import Labelling, read_case
from Testing.io.dicom.conftest import write_slice
from Testing.training.own_cases.conftest import renumber

OAI_LABELS = {"femur_right": 1, "femoral_cartilage_right": 2, "tibia_right": 3, "tibial_cartilage_right": 4}
OAI_TISSUES = {key.removesuffix("_right") for key in OAI_LABELS}


def write(image: sitk.Image, path, *more) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def read_all(folder, name: str):
    collection = read_collection(name)
    found = find_cases(folder, collection)
    labelling = Labelling(found.names, _choose_mappings(found, collection, Wanted()))
    modality = "MR" if collection.modality == "MR" else "CT"
    return found, [read_case(case, found, labelling, modality) for case in found.cases]


def without_place(image: sitk.Image) -> sitk.Image:
    """Only the voxels, along the patient's axes: as the masks of OAI-ZIB are stored."""
    bare = sitk.GetImageFromArray(sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")))
    bare.SetSpacing(sitk.DICOMOrient(image, "LPS").GetSpacing())
    return bare


def test_every_collection_names_its_licence_source_and_what_was_checked():
    assert list_collections() == [
        "enhance-pet-1-6k", "kneebones3dify", "oai-zib", "oaizib-cm", "ski10", "totalsegmentator"
    ]  # fmt: skip
    for name in list_collections():
        collection = read_collection(name)
        assert collection.licence and collection.source.startswith("https://") and collection.checked
        for pattern in collection.labels:
            assert not pattern.mapping or read_label_mapping(pattern.mapping).labels


def test_oai_zib_whose_masks_have_no_position(knee_mr, tmp_path):
    write(knee_mr.image, tmp_path / "images" / "9001104.nii.gz")
    masks = tmp_path / "segmentation" / "segmentation_masks"
    write(without_place(renumber(knee_mr.truth, "right", OAI_LABELS)), masks / "9001104.segmentation_masks.mhd")
    found, (case,) = read_all(tmp_path, "oai-zib")
    assert found.cases[0].subject == "9001104"
    truth = sitk.GetArrayFromImage(sitk.DICOMOrient(knee_mr.truth, "LPS"))
    for key in OAI_LABELS:
        value = structure(key).label_value
        assert np.array_equal(case.labels == value, truth == value)
    assert name_labels(count_labels(case.labels)) == OAI_TISSUES


@pytest.mark.parametrize("ending", ["_0000", ""])
def test_oaizib_cm_keeps_its_test_cases(knee_mr, tmp_path, ending):
    labels = {**OAI_LABELS, "tibial_cartilage_right": 5}
    for name, group in (("oaizib_001", "Tr"), ("oaizib_405", "Ts")):
        write(knee_mr.image, tmp_path / f"images{group}" / f"{name}{ending}.nii.gz")
        write(renumber(knee_mr.truth, "right", labels), tmp_path / f"labels{group}" / f"{name}.nii.gz")
    found, cases = read_all(tmp_path, "oaizib-cm")
    assert [(case.name, case.group) for case in found.cases] == [("oaizib_001", ""), ("oaizib_405", "test")]
    assert name_labels(count_labels(cases[0].labels)) == OAI_TISSUES


@pytest.mark.parametrize("folders", [("", ""), ("images", "images_labels")])
def test_ski10(knee_mr, tmp_path, folders):
    write(knee_mr.image, tmp_path / folders[0] / "image-001.mhd")
    write(renumber(knee_mr.truth, "right", OAI_LABELS), tmp_path / folders[1] / "labels-001.mhd")
    found, (case,) = read_all(tmp_path, "ski10")
    assert found.cases[0].name == "001" and name_labels(count_labels(case.labels)) == OAI_TISSUES


def test_totalsegmentator_with_a_mask_for_each_structure(knees, tmp_path):
    case = knees.render()
    write(case.image, tmp_path / "s0001" / "ct.nii.gz")
    ours = sitk.GetArrayFromImage(case.labels)
    for name in ("femur_right", "liver", "tibia_right"):  # its own names, of which a knee has only the femur
        mask = np.zeros_like(ours) if name == "liver" else (ours == structure(name).label_value).astype(np.uint8)
        image = sitk.GetImageFromArray(mask)
        image.CopyInformation(case.labels)
        write(image, tmp_path / "s0001" / "segmentations" / f"{name}.nii.gz")
    _, (read,) = read_all(tmp_path, "totalsegmentator")
    assert np.array_equal(read.labels, ours * (ours == structure("femur_right").label_value))


def test_enhance_pet_peripheral_bones(knees, tmp_path):
    values = {"femur_right": 6, "fibula_right": 8, "patella_right": 18, "tibia_right": 27}
    home = tmp_path / "imaging-data"
    knees.write(
        home / "images" / "CT" / "0001.nii.gz",
        home / "ground-truth" / "Peripheral-Bones" / "0001.nii.gz",
        values=values,
    )
    _, (case,) = read_all(tmp_path, "enhance-pet-1-6k")
    assert np.array_equal(case.labels, sitk.GetArrayFromImage(knees.render().labels))


class TestKneeBones3Dify:
    """DICOM slices, and for each a picture of all bones, numbered like the slices' instances."""

    SIZE = 40

    def bones(self):
        """Boxes for femur, tibia and a patella in front: ``(z, y, x)``, z to the head and y to the back."""
        mask = np.zeros((self.SIZE,) * 3, np.uint8)
        mask[24:36, 14:30, 10:30] = 1
        mask[4:16, 14:28, 10:30] = 1
        mask[20:26, 3:8, 16:24] = 1
        return mask

    def write(self, folder, mask, numbers=None):
        """Instances run from the head to the feet, positions from the feet to the head."""
        noise = np.random.default_rng(0).integers(0, 200, mask.shape)
        (folder / "GT-Masks").mkdir(parents=True)
        for place in range(self.SIZE):
            number = self.SIZE - place if numbers is None else numbers[place]
            stored = (1000 * mask[place].astype(int) + noise[place]).astype(np.uint16)
            tags = {"Modality": "MR", "InstanceNumber": number}
            write_slice(folder / "Data" / f"IM{number:03d}.dcm", stored, (0.0, 0.0, 2.0 * place), **tags)
            Image.fromarray(mask[place] * 255).save(folder / "GT-Masks" / f"Mask_{number:03d}.png")
        return folder

    def test_masks_are_placed_by_instance_and_bones_named(self, tmp_path):
        mask = self.bones()
        _, (case,) = read_all(self.write(tmp_path, mask), "kneebones3dify")
        assert np.array_equal(case.labels > 0, mask > 0)
        assert case.labels[30, 20, 20] == structure("femur_right").label_value
        assert case.labels[10, 20, 20] == structure("tibia_right").label_value
        assert case.labels[22, 5, 20] == structure("patella_right").label_value

    def test_several_scans_lie_side_by_side(self, tmp_path):
        for name in ("knee1", "knee2"):
            self.write(tmp_path / name, self.bones())
        found = find_cases(tmp_path, read_collection("kneebones3dify"))
        assert [case.name for case in found.cases] == ["knee1", "knee2"]

    def test_a_missing_picture_is_refused(self, tmp_path):
        self.write(tmp_path, self.bones())
        (tmp_path / "GT-Masks" / "Mask_007.png").unlink()
        with pytest.raises(InputError, match="holds 39 pictures numbered 1 to 40, expected one for each of the 40"):
            read_all(tmp_path, "kneebones3dify")

    def test_pictures_of_another_size_are_refused(self, tmp_path):
        self.write(tmp_path, self.bones())
        Image.new("L", (10, 12)).save(tmp_path / "GT-Masks" / "Mask_001.png")
        with pytest.raises(InputError, match="Mask_001.png has 10 x 12 pixels, expected 40 x 40"):
            read_all(tmp_path, "kneebones3dify")

    def test_bones_that_touch_are_refused(self):
        mask = self.bones()
        mask[4:36, 14:20, 20] = 1
        with pytest.raises(InputError, match="has 2 separate bones, expected femur, tibia and patella"):
            name_bones(sitk.GetImageFromArray(mask), "right", "P1")

    def test_a_knee_seen_from_behind_is_refused(self):
        with pytest.raises(InputError, match="does not lie in front of the others as a patella does"):
            name_bones(sitk.GetImageFromArray(self.bones()[:, ::-1].copy()), "right", "P1")


def test_a_folder_that_is_laid_out_otherwise_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is not laid out as SKI10: nothing lies at image-\{case\}.mhd or"):
        find_cases(tmp_path, read_collection("ski10"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "holds no table of entries"),
        ("title: a\nmodality: CT\nimages: x\n", "has no entry 'labels'"),
        ("title: a\nmodality: CT\nimages: x\nlabels: []\ncolour: red\n", "has an unknown entry 'colour'"),
        (
            "title: a\nmodality: CT\nimages: x\nlabels: [y]\n",
            r"The labels of the layout mine.yaml are \['y'\], ex",
        ),
    ],
)
def test_layouts_of_ones_own_that_are_refused(tmp_path, text, sentence):
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        read_collection(tmp_path / "mine.yaml")


def test_a_layout_that_is_none_lists_those_there_are():
    with pytest.raises(InputError, match="There is no layout 'ski11'; give a YAML file or one of enhance"):
        read_collection("ski11")


def test_a_layout_of_ones_own_is_read(knees, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        'title: Ours\nmodality: CT\nimages: "{case}/scan.nrrd"\nlabels: [{files: "{case}/bones.nrrd"}]\n',
        encoding="utf-8",
    )
    knees.write(tmp_path / "P1" / "scan.nrrd", tmp_path / "P1" / "bones.nrrd")
    collection = read_collection(tmp_path / "mine.yaml")
    assert dataclasses.replace(collection, images=()).title == "Ours"
    assert [case.name for case in find_cases(tmp_path, collection).cases] == ["P1"]
