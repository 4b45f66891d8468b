"""The panel in real Qt (off screen): the file loads, fits the parameter node, and the widgets do what they should."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import slicer
from KneeSegModule.run import Options
from slicer_support import mrml, qt
from slicer_support.panels import Shown
from slicer_support.results import judgedResult
from slicer_support.runners import FakeRunner

from KneeSeg import KneeSegLogic
from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.errors import ResourceError


@pytest.fixture
def shown(scene, tmp_path):
    panel = Shown(tmp_path)
    yield panel
    panel.logic.runner.ends(130)
    panel.panel.stop()
    panel.root.close()


@pytest.fixture
def ready(shown, volumeNode):
    shown.choose(volume=volumeNode)
    return shown


def parameterWidgets() -> dict[str, str]:
    """Return the class of widget by parameter name, as the file has them."""
    found = {}
    for widget in ElementTree.parse(qt.UI_FILE).iter("widget"):
        for prop in widget.findall("property"):
            if prop.get("name") == "SlicerParameterName":
                assert prop.get("stdset") == "0", "a dynamic property, or Qt Designer drops it"
                found[prop.findtext("string")] = widget.get("class")
    return found


def test_every_parameter_name_in_the_file_is_a_field_with_a_widget_that_fits():
    from KneeSeg import KneeSegParameterNode

    fields = KneeSegParameterNode.__annotations__
    wanted = {
        name: "qMRMLNodeComboBox"
        if issubclass(fieldType, slicer.vtkMRMLNode)
        else "QLineEdit"
        if fieldType is str
        else "QComboBox"
        for name, fieldType in fields.items()
    }
    assert parameterWidgets() == wanted


def test_node_selectors_follow_the_scene():
    root = ElementTree.parse(qt.UI_FILE)
    followers = {
        connection.findtext("receiver")
        for connection in root.iter("connection")
        if connection.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
        and connection.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
    }
    selectors = {widget.get("name") for widget in root.iter("widget") if widget.get("class") == "qMRMLNodeComboBox"}
    assert followers == selectors


def test_node_selectors_take_no_label_maps_and_delete_nothing(shown):
    for selector in (shown.ui.volumeSelector, shown.ui.segmentationSelector):
        for name in ("showChildNodeTypes", "addEnabled", "removeEnabled"):
            assert selector.wrapped.property(name) is False


def test_every_input_has_a_tooltip(shown):
    for name in parameterWidgets():
        widgets = [w for w in shown.root.findChildren(qt.QWidget) if w.property("SlicerParameterName") == name]
        assert len(widgets) == 1 and widgets[0].toolTip().endswith(".")


def test_without_a_volume_the_button_is_disabled_and_says_why(shown):
    assert not shown.ui.segmentButton.enabled
    assert shown.ui.segmentButton.toolTip == "Choose a CT or MR volume."


def test_with_a_volume_the_button_is_ready(ready):
    assert ready.ui.segmentButton.enabled and ready.ui.segmentButton.text == "Segment"
    assert not ready.ui.progressBar.visible and not ready.ui.messageLabel.visible


def test_description_is_that_of_the_pipeline(ready):
    from KneeSegModule.choices import Pipeline

    ready.choose(pipeline=Pipeline["ct-knee"])
    assert ready.ui.pipelineDescriptionLabel.text.startswith("Femur, tibia, patella and fibula")


def test_choices_are_handed_on_by_the_names_of_the_command_line(ready):
    from KneeSegModule.choices import Device, Pipeline, Quality, Side

    ready.choose(pipeline=Pipeline["ct-knee"], side=Side.left, quality=Quality.fast, device=Device.cpu)
    ready.segment()
    assert ready.logic.options == Options("ct-knee", "left", "fast", "cpu")


def test_a_folder_of_own_models_is_handed_on(ready, tmp_path):
    ready.folder = tmp_path
    ready.ui.modelsButton.click()
    assert ready.parameters.models == str(tmp_path) and ready.title == "Folder of your own models"
    ready.segment()
    assert ready.logic.options.models == str(tmp_path)


def test_nnunet_without_its_folder_is_said_on_the_page(ready):
    from KneeSegModule.choices import Pipeline

    ready.choose(pipeline=Pipeline.nnunet)
    ready.segment()
    assert 'choose it under "Own models"' in ready.ui.messageLabel.text and ready.logic.options is None


def test_a_result_of_own_models_shows_their_statement(ready, resultFolder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(resultFolder, own)
    record = json.loads((own / "case.json").read_text(encoding="utf-8"))
    (own / "case.json").write_text(json.dumps({**record, "statement": "Trained by its user."}), encoding="utf-8")
    finish(ready, own)
    assert ready.ui.trainingLabel.text == "Trained by its user."


def test_while_running_the_button_cancels_and_the_bar_shows_progress(ready):
    runner = ready.segment()
    runner.says(event="progress", fraction=0.42, message="Knee, right: slices 40 of 210")
    ready.panel.onTick()
    ui = ready.ui
    assert ui.segmentButton.text == "Cancel" and ui.segmentButton.enabled
    assert ui.progressBar.visible and ui.progressBar.value == 42 and ui.progressBar.maximum == 100
    assert ui.messageLabel.text == "Knee, right: slices 40 of 210"
    assert not ui.inputsWidget.enabled
    assert ready.timer.isActive()


def test_cancel_is_shown_until_the_child_has_stopped(ready):
    runner = ready.segment()
    ready.ui.segmentButton.click()
    assert runner.cancelled and ready.ui.segmentButton.text == "Cancelling…" and not ready.ui.segmentButton.enabled
    runner.ends(130)
    ready.panel.onTick()
    assert ready.ui.segmentButton.text == "Segment" and ready.ui.segmentButton.enabled
    assert ready.ui.messageLabel.text == "Cancelled; nothing was added to the scene."
    assert not ready.timer.isActive()


def finish(panel: Shown, resultFolder: Path) -> None:
    runner = panel.segment()
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends()
    panel.panel.onTick()


def test_result_is_chosen_and_shown_with_its_warnings_and_the_training_statement(ready, resultFolder):
    assert not ready.ui.trainingLabel.visible
    finish(ready, resultFolder)
    assert ready.parameters.segmentation.GetName() == "Leg CT bones"
    assert ready.ui.messageLabel.text == "Found: Right femur, Left tibia."
    assert "• The femur is cut by the edge of the scan." in ready.ui.warningsLabel.text
    assert ready.ui.trainingLabel.visible and ready.ui.trainingLabel.text == TRAINING_STATEMENT
    assert not ready.ui.progressBar.visible and ready.ui.inputsWidget.enabled


def test_a_structure_that_has_to_be_checked_says_so_with_its_reason(ready, resultFolder, tmp_path):
    finish(ready, judgedResult(resultFolder, tmp_path / "judged", femur_right="check", tibia_left="limited"))
    assert ready.ui.messageLabel.text == "Found: Right femur (check), Left tibia."
    assert "• Check the right femur. Its outline jumps." in ready.ui.warningsLabel.text


def test_error_is_shown_in_one_sentence(ready):
    runner = ready.segment()
    runner.says(event="error", message="No hip, knee or ankle found in the volume.", exit_status=3)
    runner.ends(3)
    ready.panel.onTick()
    assert ready.ui.messageLabel.text == "No hip, knee or ankle found in the volume."
    assert ready.ui.messageLabel.styleSheet and ready.ui.segmentButton.enabled


def test_next_run_clears_the_message_of_the_last(ready):
    test_error_is_shown_in_one_sentence(ready)
    ready.logic.runner = FakeRunner()
    ready.segment()
    assert ready.ui.messageLabel.text == "Starting" and not ready.ui.messageLabel.styleSheet


def showsNothing(panel: Shown) -> bool:
    ui = panel.ui
    visible = (ui.messageLabel, ui.warningsLabel, ui.trainingLabel, ui.progressBar)
    return not any(widget.visible for widget in visible) and not ui.exportButton.enabled


def test_another_volume_takes_the_result_of_the_last_off_the_page(ready, resultFolder):
    finish(ready, resultFolder)
    first = ready.parameters.segmentation
    assert not showsNothing(ready)
    leg, other = ready.parameters.volume, mrml.addVolume(name="Other leg")
    ready.choose(volume=other)
    assert ready.parameters.segmentation is None and showsNothing(ready)
    ready.choose(volume=leg)
    assert ready.parameters.segmentation is first and ready.ui.warningsLabel.visible


def test_a_removed_volume_takes_its_result_off_the_page(ready, resultFolder):
    finish(ready, resultFolder)
    slicer.mrmlScene.RemoveNode(ready.parameters.volume)
    ready.panel.update()
    assert ready.parameters.segmentation is None and showsNothing(ready)


def test_a_closed_scene_leaves_nothing_on_the_page(ready, resultFolder):
    finish(ready, resultFolder)
    ready.panel.setParameterNode(None)
    slicer.mrmlScene.Clear(True)
    assert showsNothing(ready)
    ready.panel.setParameterNode(KneeSegLogic().getParameterNode())
    assert showsNothing(ready)


def test_a_loaded_scene_is_shown_with_the_result_that_was_chosen_in_it(ready, resultFolder):
    finish(ready, resultFolder)
    ready.panel.setParameterNode(None)
    ready.panel.setParameterNode(KneeSegLogic().getParameterNode())
    assert ready.parameters.segmentation is not None and ready.ui.warningsLabel.visible
    assert not ready.ui.messageLabel.visible


def test_a_refused_run_shows_its_sentence_and_no_earlier_result(ready, resultFolder):
    finish(ready, resultFolder)
    ready.logic.runner = FakeRunner()
    runner = ready.segment()
    runner.says(event="error", message="No knee was found.", exit_status=3)
    runner.ends(3)
    ready.panel.onTick()
    assert ready.ui.messageLabel.text == "No knee was found."
    assert not ready.ui.warningsLabel.visible and not ready.ui.trainingLabel.visible
    assert ready.parameters.segmentation is None


def test_missing_packages_are_told_and_nothing_is_started(ready):
    ready.logic.problem = ResourceError("Segmentation needs PyTorch.")
    runner = ready.segment()
    assert runner.command == [] and ready.ui.messageLabel.text == "Segmentation needs PyTorch."
    assert ready.ui.segmentButton.text == "Segment"


def test_scene_closed_in_mid_run_leaves_a_working_panel(ready):
    runner = ready.segment()
    ready.panel.setParameterNode(None)
    slicer.mrmlScene.Clear(True)
    ready.panel.onTick()
    runner.ends(130)
    ready.panel.onTick()
    assert "removed from the scene" in ready.ui.messageLabel.text
    assert not ready.ui.segmentButton.enabled and not ready.timer.isActive()


def test_module_closed_in_mid_run_ends_the_child(ready):
    runner = ready.segment()
    ready.panel.stop()
    assert runner.cancelled and runner.killed and not runner.folder.exists() and not ready.timer.isActive()


def test_unexpected_exception_stops_the_timer_and_is_not_hidden(ready, resultFolder, monkeypatch):
    from KneeSegModule import scene as kneeSegScene

    monkeypatch.setattr(kneeSegScene, "addResult", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        finish(ready, resultFolder)
    assert not ready.timer.isActive() and "broke off" in ready.ui.messageLabel.text
    assert ready.ui.segmentButton.text == "Segment"


def test_deleted_result_leaves_the_export_button_with_a_reason(ready, resultFolder):
    finish(ready, resultFolder)
    slicer.mrmlScene.RemoveNode(ready.parameters.segmentation)
    ready.panel.update()
    assert not ready.ui.exportButton.enabled and ready.ui.exportButton.toolTip == "Choose a segmentation."
    assert not ready.ui.trainingLabel.visible and not ready.ui.warningsLabel.visible


def test_export_writes_the_chosen_format(ready, resultFolder):
    from KneeSegModule.choices import SurfaceFormat

    finish(ready, resultFolder)
    ready.choose(surfaceFormat=SurfaceFormat.ply)
    ready.ui.exportButton.click()
    assert sorted(path.name for path in ready.folder.glob("*.ply")) == ["femur_right.ply", "tibia_left.ply"]
    assert ready.ui.messageLabel.text == f"2 surfaces written to {ready.folder}, in mm and LPS."


def test_export_names_the_empty_segments_that_it_skips(ready, resultFolder):
    finish(ready, resultFolder)
    ready.parameters.segmentation.GetSegmentation().AddEmptySegment("Segment_1", "Screw")
    ready.ui.exportButton.click()
    assert ready.ui.messageLabel.text.startswith("2 surfaces written to")
    assert ready.ui.messageLabel.text.endswith("Skipped, because empty: Screw.")


@pytest.mark.parametrize("agreed", [True, False])
def test_export_asks_before_it_replaces_files(ready, resultFolder, monkeypatch, agreed):
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(text) or agreed)
    (ready.folder / "femur_right.stl").write_text("mine")
    finish(ready, resultFolder)
    ready.ui.exportButton.click()
    assert asked and "1 of the files" in asked[0]
    assert ((ready.folder / "femur_right.stl").read_bytes() == b"mine") is not agreed


def test_export_without_a_folder_does_nothing(ready, resultFolder):
    finish(ready, resultFolder)
    ready.panel.askFolder = lambda title: ""
    ready.ui.exportButton.click()
    assert "Found" in ready.ui.messageLabel.text
