"""Sentences of the command line in the words of the panel."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from KneeSegModule.wording import LABELS, useWordsOfPanel
from slicer_support import qt
from slicer_support.mrml import REPOSITORY


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("for an MR choose --pipeline mr-knee.", 'for an MR choose "MR: knee" under "Pipeline".'),
        ("choose that side or --side auto.", 'choose that side or "Automatic" under "Leg".'),
        ("or choose --device cpu.", 'or choose "Processor (CPU)" under "Computed on".'),
        ("'volume.nrrd' is a CT image", "'Knee, PD' is a CT image"),
        ("volume.nrrd is a single slice", "'Knee, PD' is a single slice"),
        (
            "The disk is full at /tmp/KneeSeg-x1/result/case.json; free",
            "The disk is full at Slicer's temporary folder; free",
        ),
        ("give its folder with --models.", 'give its folder under "Own models" (Advanced).'),
        ("choose --side NUMBER", "choose --side NUMBER"),
    ],
)
def test_options_files_and_folders_get_the_names_that_are_on_the_screen(said, shown):
    assert useWordsOfPanel(said, "Knee, PD", Path("/tmp/KneeSeg-x1")) == shown


def test_a_name_that_looks_like_a_pattern_is_taken_as_it_is():
    assert useWordsOfPanel("'volume.nrrd' is empty.", r"\1 (left)") == r"'\1 (left)' is empty."


def test_labels_are_those_of_the_panel():
    shown = {}
    for layout in ElementTree.parse(qt.UI_FILE).iter("layout"):
        rows = {}
        for item in layout.findall("item"):
            for widget in item.findall("widget"):
                rows.setdefault(item.get("row"), []).append(widget)
        for widgets in rows.values():
            labels = [w.findtext("property[@name='text']/string") for w in widgets if w.get("class") == "QLabel"]
            names = [w.findtext("property[@name='SlicerParameterName']/string") for w in widgets]
            shown |= {name: label.rstrip(":") for name in names if name for label in labels}
    assert {name: label for name, (label, _) in LABELS.items()} == {name: shown[name] for name in LABELS}


def test_every_option_that_the_library_advises_is_on_the_panel():
    advised = set()
    for path in (REPOSITORY / "KneeSegLib").rglob("*.py"):
        if not {"cli", "training"} & set(path.parts):
            advised |= set(re.findall(rf"--({'|'.join(LABELS)}) ([\w-]+)", path.read_text(encoding="utf-8")))
    assert ("pipeline", "mr-knee") in advised
    assert {(option, name) for option, name in advised if name not in LABELS[option][1].__members__} == set()
