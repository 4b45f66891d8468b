import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

import KneeSegLib as ks
from KneeSegLib.anatomy import BONES, JOINT_BONES, SIDES, structure
from KneeSegLib.assembly import assemble_case
from KneeSegLib.bundles.model import load_model
from KneeSegLib.errors import AnatomyNotFoundError, Cancelled, InputError, ModelError, ResourceError
from KneeSegLib.io.volume import Volume, read_volume
from KneeSegLib.pipelines.choice import choose_pipeline
from KneeSegLib.pipelines.ct_leg import CtLeg
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.progress import no_progress
from Testing.phantoms.legs import KnowsRightKnees, OracleLocaliser, OracleModels, is_mirrored, leg_phantom

ROOT = Path(__file__).resolve().parents[2]


def segmented(image, pipeline="ct-leg", load=None, progress=no_progress, **options):
    volume = image if isinstance(image, Volume) else read_volume(image)
    request = Request(pipeline, device="cpu", **options)
    findings = CtLeg(PIPELINES[pipeline], request, load or OracleModels()).segment(volume, progress)
    return assemble_case(volume, findings)


def dice(case, phantom):
    found, truth = (sitk.GetArrayViewFromImage(image) for image in (case.labels, phantom.truth))
    scores = {}
    for value in np.unique(np.concatenate([np.unique(found), np.unique(truth)])):
        if value:
            a, b = found == value, truth == value
            scores[int(value)] = 2.0 * np.logical_and(a, b).sum() / (a.sum() + b.sum())
    return scores


@pytest.fixture(scope="module")
def knee():
    return leg_phantom(("right",), (390.0, 590.0))


@pytest.fixture(scope="module")
def knee_case(knee):
    return segmented(knee.image)


def test_both_legs_come_out_whole_with_every_bone_on_its_side():
    phantom = leg_phantom()
    scores = dice(segmented(phantom.image), phantom)
    assert set(scores) == {structure(bone, side).label_value for bone in BONES for side in SIDES}
    assert min(scores.values()) > 0.97


@pytest.mark.parametrize("side", SIDES)
def test_a_single_knee_comes_out_with_the_shafts_to_the_end_of_the_scan(side):
    phantom = leg_phantom((side,), (390.0, 590.0))
    scores = dice(segmented(phantom.image, "auto"), phantom)
    assert set(scores) == {structure(bone, side).label_value for bone in ("femur", "tibia", "patella", "fibula")}
    assert min(scores.values()) > 0.98


def test_a_result_says_where_its_bones_end_and_how_far_the_other_edge_lies(knee, knee_case):
    cortex = segmented(knee.image, edge="cortex", quality="fast")
    for case, edge, given in ((knee_case, "half-maximum", None), (cortex, "cortex", "cortex")):
        assert (case.provenance["edge"], case.provenance["options"]["edge"]) == (edge, given)
        told = {found.structure.key: found.edge for found in case.structures}
        assert all(0.0 <= each.kept_fraction <= 1.0 for each in told.values())
        assert abs(told["tibia_right"].median_mm) < 0.5  # voxels of 3 mm tell no more


class ToSidesUnknown(OracleLocaliser):
    """Finds every bone as likely on the right as on the left, or a little likelier on one side."""

    def __init__(self, likelier):
        super().__init__()
        self.likelier = likelier

    def forward(self, volume):
        logits = super().forward(volume)
        either = torch.maximum(logits[:, 2:9], logits[:, 9:16])
        logits[:, 2:9] = logits[:, 9:16] = either
        right_here = (self.likelier == "right") != is_mirrored(volume[0, 0])
        (logits[:, 2:9] if right_here else logits[:, 9:16])[either > 4.0] += 0.2
        return logits


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("likelier", SIDES)
def test_a_leg_that_may_be_of_either_side_is_named_after_the_way_it_makes_sense(side, likelier, monkeypatch):
    monkeypatch.setattr("KneeSegLib.ct.legs.infer_sides", lambda *given: {})  # as where no fibula is seen
    phantom = leg_phantom((side,), (390.0, 590.0))
    models = OracleModels(localiser=ToSidesUnknown(likelier), semantic=KnowsRightKnees())
    case = segmented(phantom.image, load=models)
    assert {found.structure.side for found in case.structures} == {side}
    assert "side" in case.provenance["timings"]
    assert not any("right or a left" in warning for warning in case.warnings)
    unsettled = segmented(phantom.image, load=OracleModels(localiser=ToSidesUnknown(likelier)))
    assert {found.structure.side for found in unsettled.structures} == {likelier}
    assert any("right or a left" in warning for warning in unsettled.warnings)
    asked = segmented(phantom.image, side=side, load=OracleModels(localiser=ToSidesUnknown(likelier)))
    assert "side" not in asked.provenance["timings"]


def test_a_fast_run_gives_nearly_the_same(knee):
    scores = dice(segmented(knee.image, quality="fast"), knee)
    assert min(scores.values()) > 0.9


def test_a_high_run_brings_the_edges_nearer_to_the_truth():
    phantom = leg_phantom(("left",), (440.0, 560.0), spacing_mm=(1.5, 1.5, 1.5))
    models = OracleModels(edge_hu=160.0)
    standard = dice(segmented(phantom.image, load=OracleModels(edge_hu=160.0), edge="cortex"), phantom)
    case = segmented(phantom.image, quality="high", load=models, edge="cortex")
    high = dice(case, phantom)
    for bone in ("femur", "patella", "tibia"):
        value = structure(bone, "left").label_value
        assert standard[value] < 0.98 and high[value] > 0.99
    assert models.asked[0] == "ct-refine"
    assert list(case.provenance["timings"])[3] == "refine"
    assert "ct-refine" in {bundle["name"] for bundle in case.provenance["bundles"]}


def test_progress_of_a_high_run_rises_to_one_and_names_the_patches(knee):
    told = []
    segmented(knee.image, quality="high", progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] > 0.95
    assert any(message.startswith("Refining the femur: patch") for _, message in told)


def test_a_missing_refinement_is_said_before_the_work_starts(knee):
    def models(name, device):
        return load_model("ct-refine-of-nobody", device) if name == "ct-refine" else OracleModels()(name, device)

    told = []
    with pytest.raises(ModelError, match="'ct-refine-of-nobody' was expected in"):
        segmented(knee.image, quality="high", load=models, progress=lambda *given: told.append(given))
    assert told == []


def test_only_the_wanted_side_is_labelled_and_only_its_networks_are_loaded():
    phantom = leg_phantom(z_mm=(390.0, 590.0))
    models = OracleModels()
    scores = dice(segmented(phantom.image, "ct-knee", side="left", load=models), phantom)
    assert {value for value, score in scores.items() if score > 0} == {
        structure(bone, "left").label_value for bone in ("femur", "tibia", "patella", "fibula")
    }
    assert set(models.asked) == {"ct-localiser", "ct-naming", "ct-knee"}


def turned(image, directions):
    """The same voxels in the same places, stored along other axes (e.g. ``"RAS"``)."""
    return sitk.DICOMOrient(image, directions)


@pytest.mark.parametrize("directions", ["RAI", "SPL", "ASR", "PIR"])
def test_labels_do_not_depend_on_how_the_image_is_stored(knee, knee_case, directions):
    image = turned(knee.image, directions)
    case = segmented(image)
    assert case.labels.GetSize() == image.GetSize() and case.labels.GetDirection() == image.GetDirection()
    back = sitk.DICOMOrient(case.labels, "LPS")
    assert np.array_equal(sitk.GetArrayViewFromImage(back), sitk.GetArrayViewFromImage(knee_case.labels))


def test_an_oblique_image_is_segmented_on_its_own_grid(knee, knee_case):
    image = sitk.Image(knee.image)
    angle = np.radians(12.0)
    image.SetDirection([np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1])
    case = segmented(image)
    assert case.labels.GetDirection() == image.GetDirection()
    assert np.array_equal(sitk.GetArrayViewFromImage(case.labels), sitk.GetArrayViewFromImage(knee_case.labels))


@pytest.mark.parametrize("directions", ["LPS", "SPL"])
def test_margins_lie_on_the_inputs_grid_and_agree_with_the_labels(knee, directions):
    case = segmented(turned(knee.image, directions))
    labels = sitk.GetArrayViewFromImage(case.labels)
    assert {found.structure.key for found in case.structures} <= set(case.margins)
    for found in case.structures:
        margin = case.margins[found.structure.key]
        first = case.labels.TransformPhysicalPointToIndex(margin.GetOrigin())
        place = tuple(slice(i, i + n) for i, n in zip(reversed(first), reversed(margin.GetSize())))
        inside = np.zeros(labels.shape, bool)
        inside[place] = sitk.GetArrayViewFromImage(margin) > 0
        assert np.array_equal(inside, labels == found.structure.label_value)


class NamesByHeight(nn.Module):
    """Calls everything below a height femur no more, but tibia."""

    stride = 16

    def __init__(self, voxels: int) -> None:
        super().__init__()
        self.voxels = voxels

    def forward(self, volume):
        logits = torch.zeros((1, 1 + len(BONES), *volume.shape[2:]))
        logits[:, 1 + BONES.index("tibia"), : self.voxels] = 9.0
        logits[:, 1 + BONES.index("femur"), self.voxels :] = 9.0
        return logits


def test_a_tibia_that_the_slices_call_femur_gets_its_name_back():
    phantom = leg_phantom(("right",), (390.0, 590.0))
    confused = {"tibia": "femur"}
    joint_line = int((479.0 - 390.0) / 4.0)
    rescued = dice(
        segmented(phantom.image, load=OracleModels(semantic=NamesByHeight(joint_line), confused=confused)), phantom
    )
    assert min(rescued[structure(bone, "right").label_value] for bone in ("femur", "tibia")) > 0.9


def test_thick_slices_coarse_pixels_and_cut_joints_are_warned_about():
    phantom = leg_phantom(("right",), (455.0, 640.0))
    warnings = segmented(phantom.image).warnings
    assert any("slices lie 3.0 mm apart" in warning for warning in warnings)
    assert any("pixels measure 3.0 mm" in warning for warning in warnings)
    assert any("right knee is cut by the lower border" in warning for warning in warnings)


def test_the_record_says_how_the_result_was_made(knee_case):
    record = json.loads(json.dumps(knee_case.provenance))
    assert record["pipeline"] == "ct-leg" and record["options"] == {
        "side": "auto",
        "quality": "standard",
        "device": "cpu",
        "edge": None,
    }
    assert {bundle["name"] for bundle in record["bundles"]} == {"ct-localiser", "ct-naming", "ct-knee"}
    stages = ["localise", "slices", "semantics", "label", "clean", "check", "edges", "unlabelled"]
    assert list(record["timings"]) == stages
    assert record["legs"][0]["side"] == "right" and list(record["legs"][0]["joints"]) == ["knee"]


def test_progress_rises_to_one_and_names_the_slices(knee):
    told = []
    segmented(knee.image, progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] == 1.0
    assert any(message.startswith("Knee, right: slices") for _, message in told)


@pytest.mark.parametrize("after", [1, 5, 9])
def test_a_cancel_passes_through(knee, after):
    calls = []

    def cancel(fraction, message):
        calls.append(message)
        if len(calls) == after:
            raise Cancelled

    with pytest.raises(Cancelled):
        segmented(knee.image, progress=cancel)
    assert len(calls) == after


def test_no_leg_in_view_is_one_sentence():
    phantom = leg_phantom(("right",), (560.0, 780.0))
    with pytest.raises(AnatomyNotFoundError, match="No hip, knee or ankle was found in"):
        segmented(phantom.image)


class SeesNothing(nn.Module):
    """A specialist that finds background everywhere."""

    stride = 32

    def forward(self, slices):
        logits = torch.zeros((len(slices), 1 + len(JOINT_BONES["knee"]), *slices.shape[2:]))
        logits[:, 0] = 9.0
        return logits


def knee_model_changed(network=None, classes=None):
    """The models of the phantom, but for changes to that of the knee."""

    def load(name, device):
        model = OracleModels()(name, device)
        if name != "ct-knee":
            return model
        spec = replace(model.spec, classes=classes or model.spec.classes)
        return replace(model, spec=spec, network=network or model.network)

    return load


def test_a_leg_in_which_no_bone_can_be_labelled_is_no_empty_result(knee):
    with pytest.raises(AnatomyNotFoundError, match="seems to show the right knee, but no bone in it could be labelled"):
        segmented(knee.image, load=knee_model_changed(SeesNothing()))


def test_a_joint_model_with_its_classes_in_another_order_is_refused(knee):
    classes = ["background", *reversed(JOINT_BONES["knee"])]
    with pytest.raises(ModelError, match="install the weights that belong to this version"):
        segmented(knee.image, load=knee_model_changed(classes=tuple(classes)))


def test_a_joint_that_is_not_in_view_is_named_with_what_is(knee):
    with pytest.raises(AnatomyNotFoundError, match="No ankle was found in .*, which shows the right knee"):
        segmented(knee.image, "ct-ankle")


def test_a_leg_that_is_not_in_view_is_named_with_what_is(knee):
    with pytest.raises(AnatomyNotFoundError, match="No left leg was found in .*, which shows the right knee"):
        segmented(knee.image, side="left")
    with pytest.raises(AnatomyNotFoundError, match="Both legs were asked for, .* only the right knee"):
        segmented(knee.image, side="both")


def test_too_little_memory_is_said_before_the_work_starts(knee, monkeypatch):
    monkeypatch.setattr("KneeSegLib.memory.measure_available_memory", lambda: 10**8)
    told = []
    with pytest.raises(ResourceError, match="GB"):
        segmented(knee.image, progress=lambda *given: told.append(given))
    assert told == []


def test_mr_images_are_refused_by_name(knee):
    mr = Volume(knee.image, "MR", "knee MR")
    with pytest.raises(InputError, match="'knee MR' is an MR image, expected a CT"):
        choose_pipeline(Request("ct-knee"), mr)


def test_the_automatic_pipeline_takes_a_ct_to_the_leg_and_an_mr_to_the_knee(knee):
    assert choose_pipeline(Request("auto"), Volume(knee.image, "CT", "leg")).name == "ct-leg"
    assert choose_pipeline(Request("auto"), Volume(knee.image, None, "leg")).name == "ct-leg"
    assert choose_pipeline(Request("auto"), Volume(knee.image, "MR", "knee")).name == "mr-knee"


def test_an_image_of_unknown_modality_that_is_no_ct_is_not_guessed_at(knee):
    signal = sitk.Cast(knee.image, sitk.sitkInt16) + 1100
    with pytest.raises(InputError, match="cannot be told whether 'knee' is a CT or an MR.*choose --pipeline mr-knee"):
        choose_pipeline(Request("auto"), Volume(signal, None, "knee"))


def test_an_image_of_unknown_modality_that_is_too_small_is_told_so(knee):
    with pytest.raises(InputError, match="'knee' covers .* give more of the scan"):
        choose_pipeline(Request("auto"), Volume(knee.image[:, :, :4], None, "knee"))


def test_an_unusable_scan_is_refused_before_torch_is_loaded(tmp_path):
    picture = sitk.GetImageFromArray(np.full((60, 60, 60), 7, np.uint8))
    sitk.WriteImage(picture, str(tmp_path / "picture.nrrd"))
    program = f"""
import sys
import KneeSegLib as ks
from KneeSegLib.errors import InputError
try:
    ks.segment({str(tmp_path / "picture.nrrd")!r})
except InputError:
    print("refused,", "with" if "torch" in sys.modules else "without", "torch")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.stdout == "refused, without torch\n", done.stderr


def test_missing_weights_are_named(knee, monkeypatch, tmp_path):
    monkeypatch.setattr("KneeSegLib.bundles.bundle.models_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="ct-localiser"):
        ks.segment(knee.image)


@pytest.mark.parametrize(
    "option, value", [("pipeline", "ct-elbow"), ("side", "top"), ("quality", "utmost"), ("device", "abacus")]
)
def test_unknown_options_are_refused_with_the_choices(knee, option, value):
    with pytest.raises(InputError, match=f"no {option} '{value}'; choose one of"):
        ks.segment(knee.image, **{option: value})
