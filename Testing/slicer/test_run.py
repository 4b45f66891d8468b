"""One segmentation from start to end, with a process that the test speaks for: the ugly moments."""

from __future__ import annotations

import pytest
import slicer
from KneeSegModule import run as run_module
from KneeSegModule.dicom_facts import DicomFacts
from KneeSegModule.run import GRACE_S, Options, SegmentationRun, State
from slicer_support import mrml
from slicer_support.runners import FakeRunner, ScriptRunner

from KneeSegLib import errors


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def runner():
    return FakeRunner()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def run(volumeNode, runner, clock):
    run = SegmentationRun(volumeNode, Options("ct-knee", "right", "fast", "cpu"), runner, clock)
    run.start()
    yield run
    run.stop(patience_s=0.0)  # removes the temporary files of a run that the test left in the middle


def segmentations() -> int:
    return slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def test_child_is_given_the_volume_the_options_and_the_json_stream(run, runner):
    assert runner.command[1:4] == ["-m", "KneeSegLib", "segment"]
    assert (runner.folder / "volume.nrrd").is_file()
    text = " ".join(runner.command)
    for part in ("--pipeline ct-knee", "--side right", "--quality fast", "--device cpu", "--progress json"):
        assert part in text
    assert "--cancel-on-stdin-close" in runner.command
    assert runner.command[runner.command.index("-o") + 1] == str(runner.folder / "result")


def optionsGiven(volumeNode, options: Options) -> dict[str, str]:
    """Return what the child is told, by the name of the option."""
    runner = FakeRunner()
    run = SegmentationRun(volumeNode, options, runner)
    run.start()
    run.stop(patience_s=0.0)
    return {name[2:]: value for name, value in zip(runner.command, runner.command[1:]) if name.startswith("--")}


@pytest.mark.parametrize(
    ("facts", "asked", "modality", "side"),
    [
        (DicomFacts(), "auto", "auto", "auto"),
        (DicomFacts("MR", "left", "KNEE"), "auto", "MR", "left"),
        (DicomFacts("MR", "left", "KNEE"), "right", "MR", "right"),
        (DicomFacts("CT", "left"), "auto", "CT", "auto"),  # it may show both legs whatever its header says
    ],
)
def test_child_is_told_what_dicom_says_of_the_volume(volumeNode, monkeypatch, facts, asked, modality, side):
    monkeypatch.setattr(run_module, "readDicomFacts", lambda node: facts)
    options = optionsGiven(volumeNode, Options(side=asked))
    assert (options["pipeline"], options["modality"], options["side"]) == ("auto", modality, side)


def test_child_is_given_a_folder_of_own_models(volumeNode):
    assert optionsGiven(volumeNode, Options(models="/home/me/models"))["models"] == "/home/me/models"
    assert "models" not in optionsGiven(volumeNode, Options())


def test_child_is_told_where_bones_end_if_that_is_chosen(volumeNode):
    assert optionsGiven(volumeNode, Options(edge="cortex"))["edge"] == "cortex"
    assert "edge" not in optionsGiven(volumeNode, Options())


def test_child_is_given_a_trained_nnunet_folder(volumeNode):
    options = optionsGiven(volumeNode, Options(pipeline="nnunet", models="/home/me/Dataset500_KneeMRI"))
    assert (options["pipeline"], options["nnunet"]) == ("nnunet", "/home/me/Dataset500_KneeMRI")
    assert "models" not in options


def test_nnunet_without_a_folder_is_refused_with_where_to_choose_it():
    with pytest.raises(errors.InputError, match='none is chosen; choose it under "Own models" \\(Advanced\\)'):
        Options(pipeline="nnunet")


def test_an_mr_of_another_body_part_is_refused_unless_the_knee_is_insisted_on(volumeNode, monkeypatch):
    monkeypatch.setattr(run_module, "readDicomFacts", lambda node: DicomFacts("MR", "", "HEAD"))
    with pytest.raises(errors.InputError, match='\'Leg CT\' is an MR of the head.*"MR: knee" under "Pipeline"'):
        optionsGiven(volumeNode, Options())
    assert optionsGiven(volumeNode, Options(pipeline="mr-knee"))["pipeline"] == "mr-knee"


def test_progress_is_that_of_the_child(run, runner):
    runner.says(event="progress", fraction=0.31, message="Knee, right: slices 40 of 210")
    run.poll()
    assert (run.state, run.fraction, run.message) == (State.running, 0.31, "Knee, right: slices 40 of 210")


def test_warnings_of_the_result_go_to_the_log(run, runner, resultFolder, caplog):
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends()
    run.poll()
    assert "KneeSeg: The femur is cut by the edge of the scan." in caplog.messages


@pytest.mark.parametrize(
    "line", ["Downloading...", "", "[1, 2]", "3", '{"event": "progress"}', '{"fraction": 1}', '{"event"']
)
def test_lines_that_are_no_events_are_passed_over(run, runner, line):
    runner.says(line)
    runner.says(event="progress", fraction=0.5, message="Half")
    run.poll()
    assert run.fraction == 0.5


def test_result_becomes_a_node_and_the_temporary_files_go(run, runner, resultFolder):
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends()
    run.poll()
    assert run.state is State.done and run.error is None and run.fraction == 1.0
    assert run.segmentationNode.GetSegmentation().GetNumberOfSegments() == 2
    assert not runner.folder.exists()


def test_error_of_the_child_is_told_by_its_kind_in_the_words_of_the_panel(run, runner):
    sentence = "No knee was found in 'volume.nrrd'; choose --pipeline ct-hip for that."
    runner.says(event="error", message=sentence, exit_status=3)
    runner.ends(3)
    run.poll()
    assert run.state is State.failed and segmentations() == 0
    assert type(run.error) is errors.AnatomyNotFoundError
    assert str(run.error) == 'No knee was found in \'Leg CT\'; choose "CT: hip" under "Pipeline" for that.'
    assert not runner.folder.exists()


def test_crash_without_a_word_is_told_with_the_last_line_it_wrote(run, runner):
    runner.words = ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'typer'", ""]
    runner.ends(1)
    run.poll()
    assert run.state is State.failed
    assert "broke off" in str(run.error) and "No module named 'typer'" in str(run.error)


@pytest.mark.parametrize("status", [-9, 137], ids=["the child", "the interpreter behind Slicer's launcher"])
def test_killed_by_the_system_is_told_as_lack_of_memory(run, runner, status):
    runner.ends(status)
    run.poll()
    assert "memory" in str(run.error)


def test_good_end_without_a_result_is_an_error(run, runner):
    runner.ends(0)
    run.poll()
    assert run.state is State.failed and "without a result" in str(run.error)


def test_result_that_cannot_be_read_is_an_error(run, runner, tmp_path):
    runner.says(event="result", folder=str(tmp_path), structures=[])
    runner.ends()
    run.poll()
    assert run.state is State.failed and "could not be read" in str(run.error) and segmentations() == 0


def test_cancel_asks_the_child_and_waits_for_its_end(run, runner):
    run.cancel()
    assert runner.cancelled and run.state is State.cancelling and not run.finished
    runner.says(event="error", message="Cancelled; nothing was written.", exit_status=130)
    runner.ends(130)
    run.poll()
    assert run.state is State.cancelled and isinstance(run.error, errors.Cancelled) and segmentations() == 0
    assert not runner.folder.exists()


def test_result_that_comes_after_the_cancel_is_not_added(run, runner, resultFolder):
    run.cancel()
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends(0)
    run.poll()
    assert run.state is State.cancelled and segmentations() == 0


def test_child_that_does_not_stop_is_ended_after_the_grace_time(run, runner, clock):
    run.cancel()
    clock.now += GRACE_S - 0.1
    run.poll()
    assert not runner.killed
    clock.now += 0.2
    run.poll()
    assert runner.killed and run.state is State.cancelled


def test_volume_deleted_in_mid_run_cancels_it_and_says_so(run, runner, volumeNode):
    slicer.mrmlScene.RemoveNode(volumeNode)
    run.poll()
    assert runner.cancelled
    runner.ends(130)
    run.poll()
    assert run.state is State.cancelled and "removed from the scene" in str(run.error) and segmentations() == 0


def test_volume_moved_for_good_in_mid_run_gets_no_misplaced_result(run, runner, volumeNode, resultFolder):
    volumeNode.SetAndObserveTransformNodeID(mrml.addTransform().GetID())
    volumeNode.HardenTransform()
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends()
    run.poll()
    assert run.state is State.failed and "was changed while" in str(run.error) and segmentations() == 0


def test_transform_given_to_the_volume_in_mid_run_holds_for_the_result(run, runner, volumeNode, resultFolder):
    transformNode = mrml.addTransform()
    volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends()
    run.poll()
    assert run.segmentationNode.GetParentTransformNode() is transformNode


def test_scene_cleared_in_mid_run_cancels_it(run, runner):
    slicer.mrmlScene.Clear(False)
    run.poll()
    runner.ends(130)
    run.poll()
    assert run.state is State.cancelled and segmentations() == 0


def test_result_of_an_old_scene_does_not_land_in_a_new_one_with_the_same_node_ids(
    run, runner, volumeNode, resultFolder
):
    oldId = volumeNode.GetID()
    slicer.mrmlScene.Clear(True)
    assert mrml.addVolume(name="Another patient").GetID() == oldId
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends(0)
    run.poll()
    assert run.state is State.cancelled and segmentations() == 0


def test_earlier_segmentation_deleted_in_mid_run_does_not_matter(run, runner, resultFolder):
    earlier = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Earlier")
    run.poll()
    slicer.mrmlScene.RemoveNode(earlier)
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends(0)
    run.poll()
    assert run.state is State.done and segmentations() == 1


def test_result_waits_until_a_scene_is_loaded(run, runner, resultFolder):
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends(0)
    slicer.mrmlScene.StartState(slicer.mrmlScene.ImportState)
    run.poll()
    assert run.state is State.running and segmentations() == 0
    slicer.mrmlScene.EndState(slicer.mrmlScene.ImportState)
    run.poll()
    assert run.state is State.done


def test_stop_ends_the_child_at_once_and_leaves_nothing(run, runner):
    run.stop(patience_s=0.05)
    assert runner.cancelled and runner.killed and run.finished and not runner.folder.exists()


def test_stop_after_the_end_changes_nothing(run, runner, resultFolder):
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends(0)
    run.poll()
    run.stop()
    assert run.state is State.done


def test_unusable_volume_starts_no_process(scene, runner):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    with pytest.raises(errors.InputError, match="holds no image"):
        SegmentationRun(empty, Options(), runner).start()
    assert runner.command == []


def test_missing_temporary_folder_is_an_error(volumeNode, runner, monkeypatch, tmp_path):
    monkeypatch.setattr(run_module, "_findTemporaryPath", lambda: str(tmp_path / "missing"))
    with pytest.raises(errors.ResourceError, match="missing"):
        SegmentationRun(volumeNode, Options(), runner).start()


def test_process_that_cannot_be_started_leaves_no_files(volumeNode, runner):
    def refuse(command, environment, folder):
        runner.folder = folder
        raise PermissionError("not allowed")

    runner.start = refuse
    with pytest.raises(errors.ResourceError, match="not allowed"):
        SegmentationRun(volumeNode, Options(), runner).start()
    assert not runner.folder.exists()


@pytest.mark.parametrize("option", ["pipeline", "side", "quality", "device"])
def test_unknown_options_are_named_with_the_known_ones(option):
    with pytest.raises(errors.InputError, match=f"no {option} called 'nonsense'; choose one of auto|standard"):
        Options(**{option: "nonsense"})


def test_real_child_that_speaks_the_stream_ends_in_a_node(volumeNode, resultFolder):
    script = f"""
import json
print("some library says hello")
print(json.dumps(dict(event="progress", fraction=0.5, message="H\\u00e4lfte")), flush=True)
print(json.dumps(dict(event="result", folder={str(resultFolder)!r}, structures=[])), flush=True)
"""
    run = pollToTheEnd(SegmentationRun(volumeNode, Options(), ScriptRunner(script)))
    assert run.state is State.done and run.segmentationNode is not None


def test_real_child_that_crashes_is_told_with_its_last_words(volumeNode):
    run = pollToTheEnd(SegmentationRun(volumeNode, Options(), ScriptRunner("raise ZeroDivisionError('by nought')")))
    assert run.state is State.failed and "by nought" in str(run.error)


def test_real_child_is_cancelled_through_its_standard_input(volumeNode):
    run = SegmentationRun(volumeNode, Options(), ScriptRunner("import sys; sys.stdin.read(); sys.exit(130)"))
    pollToTheEnd(run, afterStart=run.cancel)
    assert run.state is State.cancelled


def pollToTheEnd(run: SegmentationRun, afterStart=lambda: None, patience_s: float = 30.0) -> SegmentationRun:
    import time

    run.start()
    afterStart()
    deadline = time.monotonic() + patience_s
    while not run.finished:
        assert time.monotonic() < deadline
        run.poll()
        time.sleep(0.01)
    return run
