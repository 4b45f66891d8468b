"""A whole comparison: run, measure, and write page, CSV and JSON."""

from __future__ import annotations

from KneeSegLib.errors import InputError
from KneeSegLib.evaluation.compare.error_cases import draw_error_cases
from KneeSegLib.evaluation.compare.files import Results, write_csv, write_json
from KneeSegLib.evaluation.compare.page import render_comparison
from KneeSegLib.evaluation.compare.records import now, require_comparison_folder
from KneeSegLib.evaluation.compare.running import Comparison, run_all
from KneeSegLib.io.writing import write_whole
from KneeSegLib.progress import Progress, no_progress, split_progress

PAGE_NAME, CSV_NAME, JSON_NAME = "compare.html", "compare.csv", "compare.json"


def compare(comparison: Comparison, progress: Progress = no_progress) -> Results:
    """Run and measure every case with every system and write what came out; what an earlier call did is reused.

    Raises:
        InputError: not one run came to a result; the files that say why are written.
        OutputError: the folder is another thing than a comparison, or cannot be written to.
        Cancelled: raised by ``progress``; finished runs are kept.
    """
    require_comparison_folder(comparison.output)
    running, drawing = split_progress(progress, (9, 1))
    results = Results(comparison, run_all(comparison, running), now())
    error_cases = draw_error_cases(comparison, results.runs, drawing)
    for name, text in (
        (CSV_NAME, write_csv(results)),
        (JSON_NAME, write_json(results)),
        (PAGE_NAME, render_comparison(results, error_cases)),
    ):
        with write_whole(comparison.output / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="\n")
    if all(run.failure for run in results.runs):
        raise InputError(
            f"None of the {len(results.runs)} runs came to a result; {comparison.output / PAGE_NAME} lists why. "
            f"The first one: {results.runs[0].failure}"
        )
    return results
