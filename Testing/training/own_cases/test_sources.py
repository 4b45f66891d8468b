"""Joints' sets are cut out of legs, and samples of them are what inference would show the networks."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from KneeSegLib.anatomy import KNEE_MR_CLASSES, structure
from KneeSegLib.bundles import find_bundle
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.networks.mr_channels import order_axes
from KneeSegLib.training.own_cases import OwnCases, Wanted, augmentation
from KneeSegLib.training.own_cases.joint_sets import cut_joint
from KneeSegLib.training.own_cases.mixing import MixedSource
from KneeSegLib.training.own_cases.parts import INDEX
from KneeSegLib.training.own_cases.settings import CROP_MARGIN_MM, SHAFT_MARGIN_MM
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.samples import Samples, SoftLabels

LEG = Grid.of_scan((200, 30, 30), (4.0, 4.0, 4.0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def leg(**extents: tuple[int, int]) -> np.ndarray:
    """Columns of bone between two slices each; the hip bone stands beside the femur."""
    labels = np.zeros(LEG.shape, np.uint8)
    for key, (first, last) in extents.items():
        columns = slice(21, 25) if key == "hip_bone" else slice(10, 20)
        labels[first:last, 10:20, columns] = structure(key, "right").label_value
    return labels


WHOLE = {"hip_bone": (178, 200), "femur": (100, 190), "tibia": (14, 98), "talus": (5, 13)}


class TestCuttingLegs:
    def test_a_joint_reaches_half_way_to_its_neighbours(self):
        box = cut_joint(leg(**WHOLE), LEG, "right", "knee")
        knee_mm, hip_mm, ankle_mm = (4.0 * slices - 2.0 for slices in (99.0, 190.0, 14.0))
        assert box.z == pytest.approx(
            (0.5 * (knee_mm + ankle_mm) - SHAFT_MARGIN_MM, 0.5 * (knee_mm + hip_mm) + SHAFT_MARGIN_MM), abs=2.1
        )
        assert box.x == (10 * 4.0 - 2.0 - CROP_MARGIN_MM, 20 * 4.0 - 2.0 + CROP_MARGIN_MM)

    def test_the_last_joint_in_view_goes_to_the_ends_of_its_bones(self):
        box = cut_joint(leg(femur=(100, 150), tibia=(40, 98)), LEG, "right", "knee")
        assert box.z == (40 * 4.0 - 2.0 - SHAFT_MARGIN_MM, 150 * 4.0 - 2.0 + SHAFT_MARGIN_MM)

    @pytest.mark.parametrize(
        "bones",
        [{"femur": (100, 150)}, {"femur": (100, 150), "tibia": (10, 60)}, {"tibia": (14, 98), "talus": (5, 13)}],
    )
    def test_bones_that_do_not_meet_are_no_knee(self, bones):
        assert cut_joint(leg(**bones), LEG, "right", "knee") is None

    def test_the_other_leg_is_another_one(self):
        assert cut_joint(leg(**WHOLE), LEG, "left", "knee") is None

    @pytest.mark.parametrize("joint", ["hip", "ankle"])
    def test_hip_and_ankle_are_found(self, joint):
        assert cut_joint(leg(**WHOLE), LEG, "right", joint) is not None


def count_voxels(groups) -> Counter[int]:
    """Return the labelled voxels of all sets by label value."""
    return sum((Counter(part.counts) for parts in groups.values() for part in parts), Counter())


@pytest.fixture
def prepare(tmp_path):
    def run(recipe, folder, **wanted) -> OwnCases:
        return OwnCases.prepare(recipe, folder, tmp_path / "store", Wanted(**wanted))

    return run


class TestCt:
    def test_samples_show_the_bones_as_labelled(self, knees, tmp_path, tiny_knee, prepare):
        data = dataclasses.replace(prepare(tiny_knee, knees.write_plain(tmp_path, 2)), start=find_bundle("ct-knee"))
        source = data.open(tiny_knee, "validation")
        samples = source.render((48, 48), seeded())
        assert samples.inputs.shape == (3, tiny_knee.in_channels, 48, 48)
        truth = torch.where(samples.labels.occupancy > 0.5, samples.labels.classes, samples.labels.rest)
        bone = samples.inputs[:, 1]  # the bone window
        assert bone[truth > 0].mean() > 5.0 * bone[truth == 0].mean()
        labelled = dict(zip(tiny_knee.classes, samples.labels.labelled[0].tolist()))
        assert labelled == {**dict.fromkeys(tiny_knee.classes, True), "other": False}

    def test_what_no_case_has_labelled_is_absent_where_training_starts_from_nothing(
        self, knees, tmp_path, tiny_knee, prepare
    ):
        """Told from background by chance, other bone would swallow whole knees."""
        data = prepare(tiny_knee, knees.write_plain(tmp_path, 2))
        assert data.open(tiny_knee, "train").render((48, 48), seeded()).labels.labelled.all()
        (sentence,) = data.describe_absent(tiny_knee)
        assert "No case has other bones labelled" in sentence and "--from" in sentence
        mixed = dataclasses.replace(data, wanted=Wanted(synthetic=tmp_path))
        assert not mixed.describe_absent(tiny_knee)

    def test_left_knees_are_seen_in_a_mirror(self, knees, tmp_path, tiny_knee, prepare):
        """The geometric fibula lies on the same side of the tibia in all samples, whichever leg it is of."""
        for side in ("right", "left"):
            for seed in (0, 1):
                name = f"{side}{seed}.nrrd"
                knees.write(tmp_path / "images" / name, tmp_path / "labels" / name, seed, side)
        source = prepare(tiny_knee, tmp_path).open(dataclasses.replace(tiny_knee, bone_focus=1.0), "train")
        assert {part.side for part in source.parts} == {"right", "left"}
        source.varied = False
        tibia, fibula = tiny_knee.classes.index("tibia"), tiny_knee.classes.index("fibula")
        seen = 0
        for seed in range(6):
            for classes in source.render((48, 48), seeded(seed)).labels.classes:
                columns = [torch.nonzero(classes == index)[:, 1].float() for index in (tibia, fibula)]
                if all(len(found) > 10 for found in columns):
                    seen += 1
                    assert columns[1].mean() < columns[0].mean()
        assert seen > 1

    def test_the_same_generator_gives_the_same_sample_and_training_varies(self, knees, tmp_path, tiny_knee, prepare):
        source = prepare(tiny_knee, knees.write_plain(tmp_path, 2)).open(tiny_knee, "train")
        first, again = (source.render((48, 48), seeded(7)) for _ in range(2))
        assert torch.equal(first.inputs, again.inputs)
        source.varied = False
        assert not torch.equal(source.render((48, 48), seeded(7)).inputs, first.inputs)

    def test_what_was_prepared_is_used_again_until_a_file_changes(self, knees, tmp_path, tiny_knee, prepare):
        folder = knees.write_plain(tmp_path, 2)
        prepare(tiny_knee, folder)
        index = tmp_path / "store" / INDEX
        written = index.stat().st_mtime_ns
        prepare(tiny_knee, folder)
        assert index.stat().st_mtime_ns == written
        knees.write(folder / "images" / "case1.nrrd", folder / "labels" / "case1.nrrd", seed=5)
        prepare(tiny_knee, folder)
        assert index.stat().st_mtime_ns != written

    @pytest.mark.parametrize(
        ("labels", "voxels"),
        [("case1.mhd", "case1.raw"), ("case1/segmentation.seg.nrrd", "case1/segmentation.seg.nrrd")],
    )
    def test_labels_that_are_changed_in_place_are_read_again(self, knees, tmp_path, tiny_knee, prepare, labels, voxels):
        folder = knees.write_plain(tmp_path, 2)
        (folder / "labels" / "case1.nrrd").unlink()
        knees.write(folder / "images" / "case1.nrrd", folder / "labels" / labels, seed=1)
        before = prepare(tiny_knee, folder).groups
        content = bytearray((folder / "labels" / voxels).read_bytes())
        content[content.rindex(structure("femur_right").label_value)] = 0
        (folder / "labels" / voxels).write_bytes(content)
        after = prepare(tiny_knee, folder).groups
        lost = [count_voxels(before)[value] - count_voxels(after)[value] for value in count_voxels(before)]
        assert sorted(lost) == [0, 0, 0, 1]

    def test_a_structure_that_only_some_have_is_said(self, knees, tmp_path, tiny_knee, prepare):
        folder = knees.write_plain(tmp_path, 2)
        path = folder / "labels" / "case0.nrrd"
        labels = sitk.ReadImage(str(path))
        sitk.WriteImage(labels * sitk.Cast(labels != structure("patella_right").label_value, labels.GetPixelID()), path)
        data = prepare(tiny_knee, folder)
        assert "Patella is labelled in 1 of 2 sets; in the others it counts as absent." in data.notes

    def test_cases_without_the_joint_are_refused(self, knees, tmp_path, prepare):
        folder = knees.write_plain(tmp_path, 2)
        with pytest.raises(InputError, match="None of the 2 cases shows the hip of a leg with femur and hip bone"):
            prepare(read_recipe("ct-hip"), folder)

    def test_one_image_under_two_names_is_refused(self, knees, tmp_path, tiny_knee, prepare):
        for name in ("a", "b"):
            knees.write(tmp_path / "images" / f"{name}.nrrd", tmp_path / "labels" / f"{name}.nrrd")
        with pytest.raises(InputError, match="The cases a and b show the same image"):
            prepare(tiny_knee, tmp_path)

    def test_kinds_that_learn_from_synthetic_images_alone_are_refused(self, tmp_path, prepare):
        with pytest.raises(InputError, match="ct-localiser is of the kind localiser, which is trained on synthetic"):
            prepare(read_recipe("ct-localiser"), tmp_path)


class TestMr:
    @pytest.fixture
    def folder(self, tmp_path, knee_mr):
        """Two knees with bones and cartilages, without menisci."""
        menisci = [structure(f"{key}_meniscus", "right").label_value for key in ("medial", "lateral")]
        for number in range(2):
            labels = sitk.GetArrayFromImage(knee_mr.truth)
            truth = sitk.GetImageFromArray(np.where(np.isin(labels, menisci), 0, labels).astype(np.uint8))
            truth.CopyInformation(knee_mr.truth)
            for what, image in (("images", knee_mr.image + number), ("labels", truth)):
                (tmp_path / what).mkdir(exist_ok=True)
                sitk.WriteImage(image, str(tmp_path / what / f"k{number}.nrrd"))
        return tmp_path

    def tiny(self, name, shapes, **changes):
        return read_recipe(name, shapes=shapes, widths=[4, 6, 8], batch=2, pool=8, **changes)

    def test_sagittal_samples(self, folder, prepare):
        recipe = self.tiny("mr-knee-slices", [[64, 64]], spacing_mm=1.3, slab_slices=6)
        data = dataclasses.replace(prepare(recipe, folder), start=find_bundle("mr-knee-slices"))
        for group in ("train", "validation"):
            samples = data.open(recipe, group).render((64, 64), seeded(1))
            assert samples.inputs.shape[1:] == (recipe.in_channels, 64, 64)
            assert samples.inputs.min() >= 0.0 and samples.inputs.max() <= 2.0
            labelled = dict(zip(KNEE_MR_CLASSES, samples.labels.labelled[0].tolist()))
            assert labelled == {**dict.fromkeys(KNEE_MR_CLASSES, True), "menisci": False}
            assert samples.labels.weight.max() > 1.5

    def test_cubes_near_cartilage(self, folder, prepare):
        recipe = self.tiny("mr-knee-patches", [[8, 16, 16]], spacing_mm=1.0)
        samples = prepare(recipe, folder).open(recipe, "train").render((8, 16, 16), seeded(2))
        assert samples.inputs.shape == (1, len(KNEE_MR_CLASSES), 8, 16, 16)
        assert (samples.labels.classes >= KNEE_MR_CLASSES.index("femoral_cartilage")).any()

    def test_patches_as_published_see_the_signal_alone(self, folder, prepare):
        recipe = self.tiny("mr-knee-patches", [[8, 16, 16]], spacing_mm=1.0, mr={"input": "signal"})
        samples = prepare(recipe, folder).open(recipe, "train").render((8, 16, 16), seeded(2))
        assert samples.inputs.shape == (1, 1, 8, 16, 16)

    @pytest.mark.parametrize(("edge", "told"), [("marrow", [True, False]), ("cortex", [False, True])])
    def test_bone_or_not_in_cubes_of_the_whole_knee_tells_only_the_edge_that_labels_have(
        self, folder, prepare, edge, told
    ):
        recipe = self.tiny("mr-low-field", [[16, 32, 32]], spacing_mm=2.0, mr={"labelled_edge": edge})
        data = prepare(recipe, folder)
        for group in ("train", "validation"):
            samples = data.open(recipe, group).render((32, 32, 32), seeded(2))
            labels = samples.labels
            assert samples.inputs.shape == (1, 1, 32, 32, 32) and labels.occupancy.shape == (1, 2, 32, 32, 32)
            assert labels.labelled.tolist() == [told]
            bone = labels.occupancy[0, told.index(True)]
            assert 0.05 < float(bone.mean()) < 0.9 and float(labels.occupancy[0, told.index(False)].max()) == 0.0

    def test_the_views_of_a_recipe_are_orders_of_the_same_cube(self, folder, prepare):
        cubes = {}
        for view in ("axial", "sagittal", "coronal"):
            recipe = self.tiny("mr-low-field", [[32, 32, 32]], spacing_mm=2.0, mr={"views": [view]})
            samples = prepare(recipe, folder).open(recipe, "validation").render((32, 32, 32), seeded(3))
            cubes[view] = [order_axes(f[0, 0], view, "axial") for f in (samples.inputs, samples.labels.occupancy)]
        for view in ("sagittal", "coronal"):
            assert all(torch.equal(a, b) for a, b in zip(cubes["axial"], cubes[view]))

    def test_an_edge_that_the_recipe_does_not_predict_is_refused(self, folder, prepare):
        recipe = self.tiny("mr-low-field", [[16, 16, 16]], mr={"edges": ["cortex"]})
        with pytest.raises(InputError, match="mr.labelled_edge is marrow and mr.edges are cortex"):
            prepare(recipe, folder)


class TestAugmentation:
    def test_cubes_overlap_and_cover_the_volume(self):
        cubes = augmentation.list_cubes((20, 16, 33), (8, 8, 8))
        covered = np.zeros((20, 16, 33), int)
        for cube in cubes:
            covered[cube] += 1
        assert covered.min() >= 1 and covered.max() >= 8
        assert all(part.stop - part.start == 8 for cube in cubes for part in cube)


class _Synthetic:
    def render(self, shape, generator):
        zeros = torch.zeros(1, *shape)
        return Samples(zeros[:, None] + 9.0, SoftLabels(zeros.byte(), zeros, zeros + 1.0, zeros.byte()))


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 0.0), (1.0, 1.0), (0.25, 0.25)])
def test_synthetic_samples_are_mixed_in_as_often_as_asked(knees, tmp_path, tiny_knee, prepare, fraction, expected):
    own = prepare(tiny_knee, knees.write_plain(tmp_path, 2)).open(tiny_knee, "validation")
    source = MixedSource(own, _Synthetic(), fraction)
    generator = seeded()
    drawn = [source.render((16, 16), generator) for _ in range(40)]
    synthetic = [samples for samples in drawn if bool((samples.inputs == 9.0).all())]
    assert len(synthetic) / len(drawn) == pytest.approx(expected, abs=0.15)
    assert all(bool(samples.labels.labelled.all()) for samples in synthetic)
