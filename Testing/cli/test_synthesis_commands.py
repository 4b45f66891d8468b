"""``kneeseg synthesize`` and ``kneeseg train`` on one tiny person."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from Testing.phantoms.mr_knees import cylinder_knee_subject, cylinder_knee_template

RECIPE = """
name: ct-ankle
kind: slices
joints: [ankle]
spacing_mm: 2.0
shapes: [[32, 32]]
widths: [4, 8]
slab_slices: 2
pool: 8
batch: 2
steps: 3
"""


@pytest.fixture
def prepared(tmp_path):
    """Prepared ankles of three people, one in each group: a ball of a talus, 40 mm across."""
    from KneeSegLib.training.synthesis.anatomy_file import CLASSES, COARSE, SDF_UNIT_MM, Anatomy

    size, spacing_mm = 48, 1.5
    place = (np.indices((size, size, size)) - (size - 1) / 2) * spacing_mm
    distance_mm = np.sqrt((place**2).sum(0)) - 20
    coarse = (size // COARSE,) * 3
    for group in ("train", "validation", "test"):
        Anatomy(
            nearest=np.full(distance_mm.shape, CLASSES.index("talus_right"), np.uint8),
            sdf=np.clip(distance_mm / SDF_UNIT_MM, -127, 127).astype(np.int8),
            cortex=np.full(coarse, 30, np.uint8),
            far=np.clip(np.abs(distance_mm[::COARSE, ::COARSE, ::COARSE]), 0, 255).astype(np.uint8),
            spacing_mm=(spacing_mm,) * 3,
            origin_mm=(0.0, 0.0, 0.0),
            joint="ankle",
            group=group,
            name=f"ball-{group}",
            sources=("a ball",),
        ).save(tmp_path / "prepared" / f"ankle_{group}_ball.npz")
    return tmp_path / "prepared"


def test_scans_and_labels_lie_on_the_same_grid_under_the_same_name(kneeseg, prepared, tmp_path):
    options = ("--group", "test", "--side", "left", "--spacing", "2", "--slice-spacing", "4", "--seed", "3")
    outcome = kneeseg("synthesize", prepared, "-o", tmp_path / "out", *options, "--progress", "json")
    assert outcome.status == 0, outcome.err
    assert outcome.events[-1]["cases"] == [
        {"case": "ankle_test_ball", "subject": "ball-test", "group": "test", "side": "left"}
    ]
    scan = sitk.ReadImage(str(tmp_path / "out" / "images" / "ankle_test_ball.nrrd"))
    labels = sitk.ReadImage(str(tmp_path / "out" / "labels" / "ankle_test_ball.nrrd"))
    assert scan.GetSpacing() == labels.GetSpacing() == (2.0, 2.0, 4.0)
    assert scan.GetSize() == labels.GetSize()
    found = set(np.unique(sitk.GetArrayViewFromImage(labels))) - {0}
    assert found == {structure("talus_left").label_value}


def test_same_seed_gives_the_same_scan(kneeseg, prepared, tmp_path):
    person = prepared / "ankle_test_ball.npz"
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        kneeseg("synthesize", person, "-o", tmp_path / name, "--spacing", "3", "--seed", seed)
    one, again, other = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name / "images" / "ankle_test_ball.nrrd")))
        for name in ("one", "again", "other")
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_slices_that_are_no_multiple_of_the_voxels_are_refused(kneeseg, prepared, tmp_path):
    outcome = kneeseg("synthesize", prepared, "-o", tmp_path / "out", "--spacing", "2", "--slice-spacing", "5")
    assert (outcome.status, (tmp_path / "out").exists()) == (2, False)
    assert "such as 4 mm" in outcome.sentence


def test_no_prepared_anatomy_is_explained(kneeseg, tmp_path):
    outcome = kneeseg("synthesize", tmp_path, "-o", tmp_path / "out")
    assert outcome.status == 2
    assert "--prepare" in outcome.sentence
    assert not (tmp_path / "out").exists()


def test_a_recipe_and_an_edge_change_mr(kneeseg, tmp_path):
    cylinder_knee_template().save(tmp_path / "knees")
    cylinder_knee_subject("test").save(tmp_path / "knees")
    options = ("--spacing", "2", "--slice-spacing", "4", "--progress", "none")
    read = []
    for name, more in (("plain", ()), ("low", ("--recipe", "mr-low-field")), ("marrow", ("--edge", "marrow"))):
        outcome = kneeseg("synthesize", tmp_path / "knees", "-o", tmp_path / name, *options, *more)
        assert outcome.status == 0, outcome.err
        read.append(
            [
                sitk.GetArrayFromImage(sitk.ReadImage(str(next((tmp_path / name / folder).iterdir()))))
                for folder in ("images", "labels")
            ]
        )
    (plain, labels), (low, _), (same, inner) = read
    assert not np.array_equal(plain, low) and np.array_equal(plain, same)
    assert np.count_nonzero(inner) < np.count_nonzero(labels)


@pytest.mark.parametrize("options", [("--edge", "marrow"), ("--recipe", "mr-low-field")])
def test_options_of_mr_are_refused_for_ct(kneeseg, prepared, tmp_path, options):
    outcome = kneeseg("synthesize", prepared, "-o", tmp_path / "out", *options)
    assert (outcome.status, (tmp_path / "out").exists()) == (2, False)
    assert "which are of MR alone" in outcome.sentence and "--joint mr-knee" in outcome.sentence


def test_preparing_without_the_data_pack_is_one_sentence(kneeseg, tmp_path):
    (tmp_path / "data").mkdir()
    outcome = kneeseg(
        *("synthesize", tmp_path / "data", "-o", tmp_path / "out", "--prepare", "--joint", "knee", "--count", "1"),
        *("--progress", "none"),
    )
    assert outcome.status == 2, outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_training_goes_on_where_it_stood_and_ends_in_a_bundle(kneeseg, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("KneeSegLib.training.feed.VALIDATION_RENDERS", 1)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    common = ("train", tmp_path / "tiny.yaml", "--prepared", prepared, "-o", tmp_path / "run", "--device", "cpu")
    first = kneeseg(*common, "--steps", "2", "--progress", "json")
    assert first.status == 0, first.err
    assert first.events[-1] == {"event": "result", "folder": str(tmp_path / "run"), "recipe": "ct-ankle", "steps": 2}
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    second = kneeseg(*common, "--bundles", tmp_path / "bundles", "--progress", "json")
    assert second.status == 0, second.err
    assert second.events[-1]["steps"] == 3

    from KneeSegLib.bundles import Bundle

    Bundle(tmp_path / "bundles" / "ct-ankle").verify()
    third = kneeseg(*common, "--bundles", tmp_path / "bundles", "--progress", "none")
    assert (third.status, len(third.err.splitlines())) == (5, 1)


def test_a_time_limit_ends_a_training_with_a_bundle_that_says_how_many_steps(kneeseg, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("KneeSegLib.training.feed.VALIDATION_RENDERS", 1)
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("steps: 3", "steps: 100000"))
    common = ("train", tmp_path / "tiny.yaml", "--prepared", prepared, "-o", tmp_path / "run", "--device", "cpu")
    refused = kneeseg(*common, "--time-limit", "2", "--steps", "5")
    assert (refused.status, (tmp_path / "run").exists()) == (2, False)
    assert "--steps" in refused.sentence and "--time-limit" in refused.sentence
    done = kneeseg(*common, "--time-limit", "2", "--bundles", tmp_path / "bundles", "--progress", "json")
    assert done.status == 0, done.err
    steps = done.events[-1]["steps"]

    from KneeSegLib.bundles import Bundle

    recipe = Bundle(tmp_path / "bundles" / "ct-ankle").metadata["kneeseg"]["recipe"]
    assert 0 < steps < 100000 and recipe["steps"] == recipe["trained_steps"] == steps


def test_interrupted_training_says_how_to_go_on(kneeseg, prepared, tmp_path, monkeypatch):
    def interrupted(training, report):
        raise KeyboardInterrupt

    monkeypatch.setattr("KneeSegLib.training.loop.Training.run", interrupted)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    outcome = kneeseg("train", tmp_path / "tiny.yaml", "--prepared", prepared, "-o", tmp_path / "run")
    assert outcome.status == 130
    assert outcome.sentence == "Stopped at step 0 of 3; the same command begins anew, no checkpoint was saved yet."


def test_interrupted_training_with_a_checkpoint_says_that_it_goes_on(kneeseg, prepared, tmp_path, monkeypatch):
    def interrupted(training, report):
        training.save()
        raise KeyboardInterrupt

    monkeypatch.setattr("KneeSegLib.training.loop.Training.run", interrupted)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    outcome = kneeseg("train", tmp_path / "tiny.yaml", "--prepared", prepared, "-o", tmp_path / "run")
    assert outcome.sentence == "Stopped at step 0 of 3; the same command goes on from the last checkpoint."


def test_unknown_recipe_lists_those_there_are(kneeseg, prepared, tmp_path):
    outcome = kneeseg("train", "ct-elbow", "--prepared", prepared, "-o", tmp_path / "run")
    assert outcome.status == 2
    assert "ct-knee" in outcome.sentence
    assert not (tmp_path / "run").exists()
