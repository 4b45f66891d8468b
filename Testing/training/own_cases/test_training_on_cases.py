"""``kneeseg train --cases``: from a folder of images and labels to a bundle that ``kneeseg segment --models`` takes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml

from KneeSegLib.bundles import find_bundle
from KneeSegLib.bundles.own import list_own_bundles, require_own_bundles
from KneeSegLib.training.curves import draw_learning_curves, read_series
from KneeSegLib.training.losses import NOWHERE, compute_loss, give_to_background
from KneeSegLib.training.objectives import LabelObjective
from KneeSegLib.training.recipe import Losses
from KneeSegLib.training.samples import Samples, SoftLabels

SMALL = {"shapes": [[64, 64]], "slab_slices": 2, "batch": 2, "pool": 8}


@pytest.fixture
def recipe(tmp_path):
    """The shipped knee network's recipe on small samples: its weights fit."""
    shipped = dict(find_bundle("ct-knee").spec.recipe)
    content = {key: shipped[key] for key in ("name", "kind", "joints", "neighbour_offsets_mm", "widths", "losses")}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**json.loads(json.dumps(content)), "spacing_mm": 2.0, **SMALL}), encoding="utf-8")
    return path


def train(kneeseg, recipe, tmp_path, *options):
    arguments = ("--cases", tmp_path, "-o", tmp_path / "work", "--steps", 2, "--device", "cpu", "--progress", "json")
    return kneeseg("train", recipe, *arguments, *options)


def test_a_shipped_network_is_fine_tuned_to_a_bundle_that_segmenting_takes(kneeseg, knees, recipe, tmp_path):
    knees.write_plain(tmp_path, 2)
    outcome = train(kneeseg, recipe, tmp_path, "--from", "ct-knee", "--bundles", tmp_path / "models")
    assert outcome.status == 0, outcome.err
    work = tmp_path / "work"
    assert {"checkpoint.pt", "best.pt", "log.csv", "curves.svg"} <= {path.name for path in work.iterdir()}
    steps = [step for step, _ in read_series(work / "log.csv")["dice_femur"]]
    assert steps == [0, 1, 2]
    require_own_bundles(tmp_path / "models", ["ct-knee"])
    spec = list_own_bundles(tmp_path / "models")["ct-knee"].spec
    shipped = find_bundle("ct-knee").spec
    assert spec.training_statement == (
        f"Trained by its user on 1 case (1 subject) of their own, starting from ct-knee {shipped.version}; "
        "not a medical device."
    )
    assert spec.sources[0]["name"] == "Cases of the user's own" and len(spec.sources) == 1 + len(shipped.sources)
    assert "case0" not in json.dumps(list_own_bundles(tmp_path / "models")["ct-knee"].metadata)
    assert spec.recipe["learning_rate"] < 3e-3 and spec.recipe["started_from"].startswith("ct-knee ")
    best = torch.load(work / "best.pt", weights_only=True)
    assert spec.figures["step"] == best["step"]

    again = train(kneeseg, recipe, tmp_path, "--from", "ct-knee", "--steps", 3)
    assert again.status == 0 and torch.load(work / "checkpoint.pt", weights_only=True)["step"] == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Say what to train on: --prepared FOLDER of prepared anatomy, --cases FOLDER, or both."),
        (("--prepared", "here", "--side", "left"), "--side, --fold and --synthetic belong to --cases FOLDER."),
        (("--cases", "here", "--synthetic", 0.3), "give its folder with --prepared."),
        (("--cases", "here"), "The layout of here is not known: it holds nothing"),
        (("--cases", "here", "--fold", "2"), 'A fold is given like "1/5", the first of five; "2" is not of that form.'),
        (("--cases", "here", "--from", "ct-elbow"), "There is no file or folder ct-elbow and no network of that name"),
        (("--cases", "here", "--layout", "oai"), "There is no layout 'oai'; give a YAML file or one of enhance-pet"),
    ],
)
def test_options_that_cannot_be_are_refused(kneeseg, recipe, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    outcome = kneeseg("train", recipe, "-o", tmp_path / "work", "--progress", "json", *options)
    assert outcome.status == 2 and sentence in outcome.events[-1]["message"]
    assert not (tmp_path / "work" / "checkpoint.pt").exists()


def test_the_network_of_low_field_mr_is_fine_tuned_on_cases(kneeseg, knee_mr, tmp_path):
    for number in range(2):
        image = sitk.GetArrayFromImage(knee_mr.image).astype(np.float32) * (1.0 + 0.1 * number)
        scaled = sitk.GetImageFromArray(image)
        scaled.CopyInformation(knee_mr.image)
        for kind, content in (("images", scaled), ("labels", knee_mr.truth)):
            (tmp_path / kind).mkdir(exist_ok=True)
            sitk.WriteImage(content, str(tmp_path / kind / f"case{number}.nrrd"))
    quick = ("--set", "shapes=[[16,16,16]]", "--set", "pool=2", "--set", "batch=2", "--bundles", tmp_path / "models")
    outcome = train(kneeseg, "mr-low-field", tmp_path, "--from", "mr-low-field", *quick)
    assert outcome.status == 0, outcome.err
    require_own_bundles(tmp_path / "models", ["mr-low-field"])
    log = read_series(tmp_path / "work" / "log.csv")
    assert len(log["dice_marrow"]) == 3 and not log.get("dice_cortex")


def test_a_case_on_another_grid_is_refused_by_the_command(kneeseg, knees, recipe, tmp_path):
    knees.write_plain(tmp_path, 2)
    path = tmp_path / "labels" / "case1.nrrd"
    sitk.WriteImage(sitk.ReadImage(str(path))[1:], str(path))
    outcome = train(kneeseg, recipe, tmp_path)
    assert outcome.status == 2
    assert "The labels of case1 do not lie on the grid of its image" in outcome.events[-1]["message"]


class TestWhatIsNotLabelled:
    """Where no patella was drawn, background may be one."""

    def labels(self, labelled):
        zeros = torch.zeros(1, 4, 4)
        return SoftLabels(zeros.byte(), zeros, zeros + 1.0, zeros.byte(), torch.tensor([labelled]))

    def test_a_patella_in_background_costs_nothing(self):
        logits = torch.zeros(1, 3, 4, 4)
        logits[:, 2] = 12.0  # everything is patella
        losses = Losses(cross_entropy=1.0, dice=1.0)
        assert compute_loss(logits, self.labels([True, True, False]), losses) < 1e-3
        assert compute_loss(logits, self.labels([True, True, True]), losses) > 5.0

    def test_probabilities_still_sum_to_one(self):
        log_probability = torch.randn(2, 4, 3, 3).log_softmax(dim=1)
        labelled = torch.tensor([[True, True, False, False], [True, False, True, True]])
        given = give_to_background(log_probability, labelled)
        assert torch.allclose(given.exp().sum(dim=1), torch.ones(2, 3, 3), atol=1e-5)
        assert torch.all(given[0, 2:] == NOWHERE)

    def test_figures_leave_it_out(self, tiny_knee):
        objective = LabelObjective(tiny_knee)
        labels = self.labels([True, True, True, False, True, True])
        prediction = torch.zeros(1, 6, 4, 4)
        prediction[:, 3] = 5.0
        figures = objective.measure([(prediction, Samples(torch.zeros(1, 1, 4, 4), labels))])
        assert figures["dice_background"] == 1.0 and math.isnan(figures["dice_patella"])
        assert objective.score(figures) == -math.inf

    def test_samples_keep_what_is_labelled(self):
        samples = Samples(torch.zeros(1, 2, 4, 4), self.labels([True, False]))
        joined = Samples.join([*samples.split(), *samples.split()])
        assert joined.labels.labelled.tolist() == [[True, False]] * 2


class TestCurves:
    def test_loss_and_figures_are_drawn_with_their_last_values(self, tmp_path):
        rows = ["step,loss,seconds,dice_background,dice_femur", "0,,,0.9,0.2", "50,0.7,12,,", "100,0.3,25,0.99,0.81"]
        (tmp_path / "log.csv").write_text("\n".join([*rows, "100,,,nan,nan"]), encoding="utf-8")
        text = draw_learning_curves(tmp_path).read_text(encoding="utf-8")
        assert "Training loss" in text and "Validation" in text
        assert "femur  0.8100" in text and "loss  0.3000" in text
        assert text.count("<polyline") == 3
        assert read_series(tmp_path / "log.csv")["dice_femur"] == [(0.0, 0.2), (100.0, 0.81)]

    def test_a_step_that_was_trained_again_counts_once(self, tmp_path):
        (tmp_path / "log.csv").write_text("step,loss\n50,0.9\n100,0.8\n50,0.7\n", encoding="utf-8")
        assert read_series(tmp_path / "log.csv")["loss"] == [(50.0, 0.7), (100.0, 0.8)]


def test_the_best_weights_are_kept_and_not_the_last(knees, tiny_knee, tmp_path):
    from KneeSegLib.training.loop import Training
    from KneeSegLib.training.own_cases import OwnCases, Wanted

    data = OwnCases.prepare(tiny_knee, knees.write_plain(tmp_path, 2), tmp_path / "store", Wanted())
    training = Training(tiny_knee, data, tmp_path / "run")
    figures = iter([0.5, 0.9])
    training.validate = lambda: dict.fromkeys(training.objective.figures, 1.5 - next(figures))  # worse each time
    training.run(report=lambda line: None)
    best = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert best["step"] == 1 and best["figures"]["dice_femur"] == 1.0
    assert Training(tiny_knee, data, tmp_path / "run").best == 1.0
    assert np.isfinite(best["best"])
