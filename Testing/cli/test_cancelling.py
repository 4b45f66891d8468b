"""A cancelled run says that nothing was written only if that is so."""

from __future__ import annotations

import pytest

from KneeSegLib.errors import Cancelled
from KneeSegLib.io.writing import write_folder


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (KeyboardInterrupt(), "Cancelled; {} had been written before and is complete."),
        (Cancelled(), "Cancelled; {} had been written before and is complete."),
        (
            Cancelled("Nobody reads the progress any more; nothing was written."),
            "Nobody reads the progress any more; {} had been written before and is complete.",
        ),
    ],
)
def test_cancel_after_the_result_is_in_place_says_so(kneeseg, tmp_path, monkeypatch, reason, sentence):
    class SavedCase:
        def save(self, folder, overwrite, progress):
            with write_folder(folder, overwrite) as unfinished:
                (unfinished / "case.json").write_text("{}")
            raise reason

    monkeypatch.setattr("KneeSegLib.segmentation.segment", lambda *arguments, **options: SavedCase())
    (tmp_path / "scan.nrrd").touch()
    outcome = kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out")
    assert (outcome.status, outcome.sentence) == (130, sentence.format(tmp_path / "out"))
    assert (tmp_path / "out" / "case.json").is_file()


def test_what_an_earlier_run_wrote_is_not_told(kneeseg, tmp_path, monkeypatch):
    with write_folder(tmp_path / "earlier") as unfinished:
        (unfinished / "case.json").write_text("{}")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("KneeSegLib.segmentation.segment", interrupted)
    (tmp_path / "scan.nrrd").touch()
    outcome = kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out")
    assert outcome.sentence == "Cancelled; nothing was written."
