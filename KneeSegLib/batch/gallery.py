"""The gallery of a batch: one page with a card for each case, those to be checked first, and why scans failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.batch.plan import CASES_NAME, THUMBNAILS_NAME
from KneeSegLib.batch.rows import STRUCTURES_NAME, SUMMARY_NAME, ScanRow
from KneeSegLib.case_record import REPORT_NAME
from KneeSegLib.io.writing import write_whole
from KneeSegLib.report.templates import load_template

GALLERY_NAME = "index.html"


def write_gallery(rows: Sequence[ScanRow], folder: Path) -> None:
    """Write ``index.html`` beside the cases and thumbnails that it shows; no script.

    Raises:
        OutputError: it cannot be written.
    """
    text = render_gallery(rows, {path.stem for path in (folder / THUMBNAILS_NAME).glob("*.svg")})
    with write_whole(folder / GALLERY_NAME) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")


def render_gallery(rows: Sequence[ScanRow], pictured: set[str]) -> str:
    """Return the page; ``pictured`` are the names of scans that have a thumbnail."""
    done = [row for row in rows if row.outcome.state == "done"]
    return load_template("gallery.html.j2", Path(__file__).parent, url=quote).render(
        rows=rows,
        to_check=sorted((row for row in done if row.flagged), key=lambda row: -len(row.flagged)),
        unflagged=sorted((row for row in done if not row.flagged), key=lambda row: not row.warnings),
        failed=[row for row in rows if row.outcome.state == "failed"],
        waiting=[row for row in rows if row.outcome.state == "waiting"],
        pictured=pictured,
        cases=CASES_NAME,
        thumbnails=THUMBNAILS_NAME,
        report=REPORT_NAME,
        tables=(SUMMARY_NAME, STRUCTURES_NAME),
        statement=TRAINING_STATEMENT,
    )
