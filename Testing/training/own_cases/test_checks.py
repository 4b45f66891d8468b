"""What is checked of each case before anything learns from it."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.io.label_mapping import read_label_mapping
from KneeSegLib.training.own_cases.checks import find_side, require_different, require_same_grid, require_sides
from KneeSegLib.training.own_cases.label_tables import as_mapping
from KneeSegLib.training.own_cases.layouts import find_cases
from KneeSegLib.training.own_cases.reading import Labelling, read_case
from Testing.training.own_cases.conftest import write_json

GRID = Grid.of_scan((4, 4, 40), (1.0, 1.0, 1.0))


def image(size=(10, 12, 14), spacing=(1.0, 1.0, 2.0), origin=(0.0, 0.0, 0.0), direction=None):
    made = sitk.Image(size, sitk.sitkUInt8)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    if direction:
        made.SetDirection(direction)
    return made


def labels_at(**places):
    """Labels in columns of a volume whose x axis runs to the patient's left."""
    made = np.zeros(GRID.shape, np.uint8)
    for key, x in places.items():
        made[:, :, x : x + 2] = structure(key).label_value
    return made


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"size": (10, 12, 13)}, "10 x 12 x 13 voxels were found, expected 10 x 12 x 14 voxels"),
        ({"spacing": (1.0, 1.0, 2.5)}, "voxels of 1 x 1 x 2.5 mm were found, expected voxels of 1 x 1 x 2 mm"),
        ({"origin": (0.0, 3.0, 0.0)}, "a first voxel at 0 x 3 x 0 mm were found, expected a first voxel at 0 x 0 x 0"),
        ({"direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)}, "other directions of its axes were found"),
    ],
)
def test_labels_on_another_grid_are_refused(changed, sentence):
    with pytest.raises(InputError, match=f"The labels of P1 do not lie on the grid of its image: {sentence}"):
        require_same_grid(image(**changed), image(), "P1")


def test_what_nifti_rounds_is_no_other_grid():
    require_same_grid(image(origin=(0.01, 0.0, 0.0), spacing=(1.0, 1.0001, 2.0)), image(), "P1")


def test_exchanged_legs_are_refused():
    require_sides(labels_at(femur_right=2, femur_left=30), GRID, "P1")
    with pytest.raises(InputError, match="In P1 the right femur lies on the patient's left of the other one"):
        require_sides(labels_at(femur_right=30, femur_left=2), GRID, "P1")


@pytest.mark.parametrize(("side", "fibula", "tibia"), [("right", 5, 20), ("left", 35, 20)])
def test_a_fibula_on_the_inner_side_is_refused(side, fibula, tibia):
    require_sides(labels_at(**{f"fibula_{side}": fibula, f"tibia_{side}": tibia}), GRID, "P1")
    with pytest.raises(InputError, match=f"the fibula lies on the inner side of the {side} tibia"):
        require_sides(labels_at(**{f"fibula_{side}": tibia, f"tibia_{side}": fibula}), GRID, "P1")


def test_a_leg_whose_labels_tell_no_side_is_known_by_its_fibula():
    right, left = labels_at(tibia_right=20, fibula_right=5), labels_at(tibia_right=20, fibula_right=35)
    assert np.array_equal(find_side(right, GRID, "P1", "CT"), right)
    assert np.array_equal(find_side(left, GRID, "P1", "CT"), labels_at(tibia_left=20, fibula_left=35))
    alone = labels_at(tibia_right=20)
    assert np.array_equal(find_side(alone, GRID, "P1", "MR"), alone)
    with pytest.raises(InputError, match="do not tell which leg it is .* say it with --side right or --side left"):
        find_side(alone, GRID, "P1", "CT")


def test_one_image_under_two_names_is_refused():
    seen: dict[str, str] = {}
    require_different(seen, "abc", "P1")
    require_different(seen, "abd", "P2")
    with pytest.raises(InputError, match="The cases P1 and P3 show the same image"):
        require_different(seen, "abc", "P3")


class TestReading:
    """Labels of all kinds become ours."""

    def read(self, folder, mapping=None, side=None):
        found = find_cases(folder)
        labelling = Labelling(found.names, {"": mapping}, side)
        return read_case(found.cases[0], found, labelling, "CT")

    def expect(self, case, rendered):
        assert np.array_equal(case.labels, sitk.GetArrayFromImage(rendered.labels))

    def test_our_own_numbers(self, knees, tmp_path):
        self.expect(self.read(knees.write_plain(tmp_path, 1)), knees.render())

    def test_the_sides_of_a_left_leg_are_found(self, knees, tmp_path):
        values = {"femur_left": 1, "tibia_left": 2, "patella_left": 3, "fibula_left": 4}
        write_json(tmp_path / "map.json", {
            "format": "KneeSeg label mapping", "format_version": 1,
            "labels": {"1": "femur", "2": "tibia", "3": "patella", "4": "fibula"},
        })  # fmt: skip
        folder = knees.write_plain(tmp_path, 1, side="left", values=values)
        self.expect(self.read(folder, read_label_mapping(tmp_path / "map.json")), knees.render(0, "left"))

    def test_names_in_dataset_json(self, knees, tmp_path):
        values = {"femur_right": 4, "tibia_right": 2, "patella_right": 3, "fibula_right": 1}
        knees.write(tmp_path / "imagesTr" / "k_0000.nii.gz", tmp_path / "labelsTr" / "k.nii.gz", values=values)
        names = {"background": 0, "Right Femur": 4, "tibia-right": 2, "patella_right": 3, "fibula right": 1}
        write_json(tmp_path / "dataset.json", {"labels": names})
        self.expect(self.read(tmp_path), knees.render())

    def test_names_of_segments(self, knees, tmp_path):
        folder = knees.write_plain(tmp_path, 1, values={"femur_right": 1, "tibia_right": 2})
        labels = sitk.ReadImage(str(folder / "labels" / "case0.nrrd"))
        for number, name in enumerate(("Right femur", "Right tibia")):
            labels.SetMetaData(f"Segment{number}_Name", name)
            labels.SetMetaData(f"Segment{number}_LabelValue", str(number + 1))
            labels.SetMetaData(f"Segment{number}_Layer", "0")
        (folder / "labels" / "case0.nrrd").unlink()
        sitk.WriteImage(labels, str(folder / "labels" / "case0.seg.nrrd"))
        assert set(np.unique(self.read(folder).labels)) == {
            0, structure("femur_right").label_value, structure("tibia_right").label_value
        }  # fmt: skip

    def test_a_value_that_the_mapping_does_not_know_is_refused(self, knees, tmp_path):
        folder = knees.write_plain(tmp_path, 1, values={"femur_right": 1, "tibia_right": 2})
        mapping = as_mapping({1: structure("femur_right")})
        with pytest.raises(InputError, match="The labels of case0 hold the value 2, which the mapping --labels does"):
            self.read(folder, mapping)

    def test_names_that_are_none_of_ours_are_refused(self, knees, tmp_path):
        knees.write(tmp_path / "imagesTr" / "k_0000.nii.gz", tmp_path / "labelsTr" / "k.nii.gz")
        write_json(tmp_path / "dataset.json", {"labels": {"background": 0, "os femoris": 1}})
        with pytest.raises(InputError, match="calls its labels 1 os femoris, none of them as KneeSeg does"):
            self.read(tmp_path)

    def test_voxels_to_ignore_are_refused(self, knees, tmp_path):
        values = {"femur_right": 1, "tibia_right": 2}
        knees.write(tmp_path / "imagesTr" / "k_0000.nii.gz", tmp_path / "labelsTr" / "k.nii.gz", values=values)
        write_json(tmp_path / "dataset.json", {"labels": {"background": 0, "femur_right": 1, "ignore": 2}})
        with pytest.raises(InputError, match=r"have voxels to ignore \(value 2\)"):
            self.read(tmp_path)

    def test_empty_labels_are_refused(self, knees, tmp_path):
        folder = knees.write_plain(tmp_path, 1, values={})
        with pytest.raises(InputError, match="The labels of case0 are empty"):
            self.read(folder)

    def test_labels_on_another_grid_than_their_image_are_refused(self, knees, tmp_path):
        folder = knees.write_plain(tmp_path, 1)
        path = folder / "labels" / "case0.nrrd"
        labels = sitk.ReadImage(str(path))
        sitk.WriteImage(labels[:, :, 1:], str(path))
        with pytest.raises(InputError, match="The labels of case0 do not lie on the grid of its image"):
            self.read(folder)
