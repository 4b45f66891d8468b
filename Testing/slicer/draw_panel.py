"""Draw the module's panel in its states: ``python Testing/slicer/draw_panel.py VOLUME RESULT OUT``.

VOLUME is an image file, RESULT the folder that ``kneeseg segment`` wrote of it, OUT a PNG file. The widgets that only
Slicer has are stand-ins, and the picture says so.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

from slicer_support import mrml

mrml.addPaths()

from slicer_support import qt
from slicer_support.runners import FakeRunner

SIZE = (380, 520)
LABEL = "Drawn with stand-ins for the widgets of 3D Slicer"


def states(volumeFile: Path, resultFolder: Path, folder: Path):
    """Yield a title and a panel in that state."""
    from KneeSegModule.choices import Pipeline, Side
    from slicer_support.panels import Shown

    yield "Nothing loaded", Shown(folder)

    volumeNode = mrml.loadVolume(volumeFile)
    volumeNode.SetName("CT knee 0.8 mm")
    running = Shown(folder)
    running.choose(volume=volumeNode, pipeline=Pipeline["ct-knee"])
    running.segment().says(event="progress", fraction=0.42, message="Knee, right: slices 40 of 210")
    running.panel.onTick()
    yield "Running", running

    done = Shown(folder)
    done.choose(volume=volumeNode, pipeline=Pipeline["ct-knee"])
    done.logic.runner = FakeRunner()
    runner = done.segment()
    runner.says(event="result", folder=str(resultFolder), structures=[])
    runner.ends()
    done.panel.onTick()
    yield "Done", done

    failed = Shown(folder)
    failed.choose(volume=volumeNode, pipeline=Pipeline["ct-knee"], side=Side.left)
    runner = failed.segment()
    sentence = "No left leg was found in 'volume.nrrd', which shows a right knee; choose that side or --side auto."
    runner.says(event="error", message=sentence, exit_status=3)
    runner.ends(3)
    failed.panel.onTick()
    yield "Refused", failed


def main(volumeFile: Path, resultFolder: Path, target: Path) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QColor, QFont, QPainter, QPixmap

    qt.application()
    with tempfile.TemporaryDirectory() as name:
        application = mrml.startScene(Path(name))
        pictures = []
        for title, panel in states(volumeFile, resultFolder, Path(name)):
            panel.root.resize(*SIZE)
            panel.fillChoices()
            for _ in range(3):  # wrapped labels find their height in several rounds
                qt.application().processEvents()
            pictures.append((title, panel.root.grab()))
            panel.panel.stop()
        del application
    margin, top, bottom = 16, 34, 30
    sheet = QPixmap(margin + len(pictures) * (SIZE[0] + margin), top + SIZE[1] + bottom)
    sheet.fill(QColor("white"))
    painter = QPainter(sheet)
    painter.setFont(QFont("sans", 10, QFont.Weight.Bold))
    for column, (title, picture) in enumerate(pictures):
        x = margin + column * (SIZE[0] + margin)
        painter.drawText(x, 22, title)
        painter.drawPixmap(x, top, picture)
    painter.setFont(QFont("sans", 9))
    painter.drawText(sheet.rect().adjusted(margin, 0, -margin, -8), Qt.AlignmentFlag.AlignBottom, LABEL)
    painter.end()
    sheet.save(str(target))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
