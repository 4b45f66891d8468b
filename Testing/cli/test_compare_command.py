"""``kneeseg compare``: label maps from elsewhere beside each other, and beside a pipeline that is run."""

from __future__ import annotations

import csv
import json
import os
import re
import warnings

import numpy as np
import pytest
import SimpleITK as sitk
from medpy.metric import binary as medpy

from KneeSegLib.anatomy import structure
from KneeSegLib.bundles import list_bundles
from KneeSegLib.evaluation.compare import error_cases
from KneeSegLib.io.resources import samples_folder
from KneeSegLib.measurements.metrics import METRICS
from KneeSegLib.pipelines.table import PIPELINES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it reaches for SciPy modules under their former names
    import surface_distance

FEMUR, TIBIA = structure("femur_right"), structure("tibia_right")
SPACING_MM = (1.5, 0.8, 0.9)


def knee(seed: int) -> np.ndarray:
    """Two rough balls, one above the other."""
    z, y, x = np.indices((40, 30, 30))
    noise = np.random.default_rng(seed).random(z.shape)
    labels = np.zeros(z.shape, np.uint8)
    for bone, middle in ((FEMUR, 29), (TIBIA, 9)):
        squares = ((z - middle) * 1.5) ** 2 + ((y - 15) * 0.8) ** 2 + ((x - 15) * 0.9) ** 2
        labels[(squares < 100) & (noise > 0.1)] = bone.label_value
    return labels


def write(path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING_MM[::-1])
    sitk.WriteImage(image, str(path))


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """Three cases and two predictions of each; of the third case "rough" has none, of the second no tibia.

    Error maps, which take most of the time, are left out.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(error_cases, "MOST_CASES_SHOWN", 0)
    for number, case in enumerate(("anna", "bert", "cara")):
        write(tmp_path / f"cases/labels/{case}.nrrd", knee(number))
        write(tmp_path / f"cases/images/{case}.nrrd", (knee(number) > 0).astype(np.int16) * 900)
        write(tmp_path / f"smooth/{case}.nii.gz", knee(number + 10))
        rough = np.roll(knee(number + 20), 2, axis=2)
        rough[(rough == TIBIA.label_value) & (case == "bert")] = 0
        if case != "cara":
            write(tmp_path / f"rough/{case}.nrrd", rough)
    return tmp_path


OPTIONS = ("--system", "smooth", "--system", "rough,edge=half-maximum", "--edge", "cortex", "--progress", "none")


def rows_of(folder) -> list[dict[str, str]]:
    with open(folder / "compare.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_figures_agree_with_two_other_libraries(kneeseg, cohort):
    assert kneeseg("compare", "cases", "-o", "out", *OPTIONS).status == 0
    wanted = ("anna", "rough", "femur", "whole")
    rows = rows_of(cohort / "out")
    (row,) = (row for row in rows if (row["case"], row["system"], row["structure"], row["part"]) == wanted)
    reference, prediction = (labels == FEMUR.label_value for labels in (knee(0), np.roll(knee(20), 2, axis=2)))
    pair = (prediction, reference)
    weights = [len(surface_voxels(mask)) for mask in pair]
    directed = [medpy.asd(*pair, SPACING_MM), medpy.asd(*pair[::-1], SPACING_MM)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        padded = [np.pad(mask, 2) for mask in (reference, prediction)]
        distances = surface_distance.compute_surface_distances(*padded, SPACING_MM)
    expected = {
        "dice": medpy.dc(*pair),
        "jaccard": medpy.jc(*pair),
        "precision": medpy.precision(*pair),
        "recall": medpy.recall(*pair),
        "hd_mm": medpy.hd(*pair, SPACING_MM),
        "assd_mm": np.average(directed, weights=weights),
        "nsd_0.5mm": surface_distance.compute_surface_dice_at_tolerance(distances, 0.5),
        "nsd_1mm": surface_distance.compute_surface_dice_at_tolerance(distances, 1.0),
    }
    assert {key: float(row[key]) for key in expected} == pytest.approx(expected, rel=1e-5)


def surface_voxels(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


def test_page_and_files_say_what_failed_what_was_missed_and_which_edges_differ(kneeseg, cohort, monkeypatch):
    monkeypatch.setattr(error_cases, "MOST_CASES_SHOWN", 1)
    outcome = kneeseg("compare", "cases", "-o", "out", *OPTIONS)
    assert (
        "rough draws the edge of a bone by another convention (half-maximum) than the references (cortex)"
        in outcome.err
    )
    assert "1 of 6 runs came to no result" in outcome.err
    assert "rough missed the tibia in 1 of 3 legs" in outcome.err
    page = (cohort / "out" / "compare.html").read_text(encoding="utf-8")
    assert "<td>cara</td><td>rough</td><td>rough has no prediction called cara.</td>" in page
    assert re.search(r"rough</td><td class=\"number\">1 of 3<br>.*1 failed", page)
    assert "src=" not in page and "http" not in page and "<script" not in page
    assert page.count('class="chart"') == 4 + 2 * 2  # box plots of four metrics, volumes of two bones by two systems
    assert "Bland-Altman" in page and "p, Holm" in page and "false positive" in page
    (missed,) = (
        row for row in rows_of(cohort / "out") if row["presence"] == "reference only" and row["part"] == "whole"
    )
    assert (missed["case"], missed["structure"], missed["dice"], missed["hd_mm"]) == ("bert", "tibia", "NaN", "NaN")
    (failed,) = (row for row in rows_of(cohort / "out") if row["failure"])
    assert (failed["case"], failed["system"], failed["structure"], failed["dice"]) == ("cara", "rough", "", "")
    record = json.loads((cohort / "out" / "compare.json").read_text(encoding="utf-8"))
    assert record["reference_edge"] == "cortex"
    assert [system["edge"] for system in record["systems"]] == [None, "half-maximum"]
    (summary,) = (entry for entry in record["summary"]
                  if (entry["part"], entry["structure"], entry["system"]) == ("whole", "tibia", "rough"))  # fmt: skip
    assert (summary["expected"], summary["found"], summary["failed"]) == (3, 1, 1)
    assert set(summary["metrics"]) == {metric.key for metric in METRICS}


def test_a_system_is_run_on_its_own_cases_only(kneeseg, cohort):
    systems = ("--system", "smooth", "--system", "rough,cases=[ab]*", "--edge", "cortex", "--progress", "none")
    outcome = kneeseg("compare", "cases", "-o", "out", *systems)
    assert "rough is for 2 of the 3 cases, those called [ab]*" in outcome.err
    assert "came to no result" not in outcome.err
    assert {row["case"] for row in rows_of(cohort / "out") if row["system"] == "rough"} == {"anna", "bert"}
    record = json.loads((cohort / "out" / "compare.json").read_text(encoding="utf-8"))
    assert [system["cases"] for system in record["systems"]] == ["*", "[ab]*"]
    refused = kneeseg("compare", "cases", "-o", "other", "--system", "smooth,cases=mr_*")
    assert refused.status != 0
    assert "The system smooth is for cases called 'mr_*', and there is none" in refused.err
    assert not (cohort / "other").exists()


def test_what_is_done_is_not_done_again_unless_a_file_has_changed(kneeseg, cohort):
    kneeseg("compare", "cases", "-o", "out", *OPTIONS)
    before = rows_of(cohort / "out")
    write(cohort / "rough" / "cara.nrrd", knee(40))
    write(cohort / "smooth" / "anna.nii.gz", knee(50))
    kneeseg("compare", "cases", "-o", "out", *OPTIONS)
    after = rows_of(cohort / "out")
    reused = {(row["case"], row["system"]): row["reused"] for row in after}
    assert reused.pop(("anna", "smooth")) == reused.pop(("cara", "rough")) == "no"
    assert set(reused.values()) == {"yes"}
    assert "4 reused from an earlier call" in (cohort / "out" / "compare.html").read_text(encoding="utf-8")
    same = [row for row in before if row["case"] == "bert"]
    assert [{**row, "reused": "yes"} for row in same] == [row for row in after if row["case"] == "bert"]


def test_values_of_others_are_given_a_meaning(kneeseg, cohort):
    for case in ("anna", "bert", "cara"):
        labels = knee(3)
        write(
            cohort / f"theirs/{case}.nrrd",
            np.select([labels == FEMUR.label_value, labels > 0], [7, 9]).astype(np.uint8),
        )
    options = ("-o", "out", "--progress", "json")
    named = kneeseg("compare", "cases", "--system", "theirs,labels=7=femur_right,9=tibia_right", *options)
    assert named.events[-1]["summary"][0]["found"] == 3
    unnamed = kneeseg("compare", "cases", "--system", "theirs", "-o", "again", "--progress", "none")
    assert (
        unnamed.status == 2 and "None of the 3 runs came to a result; again/compare.html lists why" in unnamed.sentence
    )
    assert "holds the value 9, which stands for no structure" in unnamed.sentence
    assert 'labels= "9=femur_right"' in unnamed.sentence
    assert [row["failure"] != "" for row in rows_of(cohort / "again")] == [True] * 3


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("nowhere", "--system", "smooth"), 2, "There is no folder nowhere"),
        (("cases",), 2, "Say what to compare"),
        (("cases", "--system", "ct-knee,quality=best"), 2, "The system ct-knee cannot be run"),
        (
            ("cases", "--system", "ct-knee,qualty=fast"),
            2,
            "--modality, --quality). Its options are those of kneeseg segment --help.",
        ),
        (("cases", "--system", "ct-knee,colour=red"), 2, "No such option: --colour"),
        (("cases", "--system", "smooth", "--labels", "7=thigh"), 2, 'No structure is called "thigh"'),
        (("cases", "--system", "smooth", "-o", "full"), 5, "holds no comparison to go on with"),
        (("empty", "--system", "smooth"), 2, "holds no label map"),
    ],
)
def test_bad_input_is_one_sentence(kneeseg, cohort, arguments, status, complaint):
    (cohort / "empty").mkdir()
    (cohort / "full").mkdir()
    (cohort / "full" / "letter.txt").touch()
    output = () if "-o" in arguments else ("-o", "out")
    outcome = kneeseg("compare", *arguments, *output, "--progress", "none")
    assert (outcome.status, len(outcome.err.splitlines())) == (status, 1)
    assert complaint in outcome.err
    assert not (cohort / "out").exists() and os.listdir(cohort / "full") == ["letter.txt"]


def test_a_reference_on_another_grid_fails_its_case_alone(kneeseg, cohort):
    write(cohort / "cases/labels/anna.nrrd", knee(0)[:-1])
    outcome = kneeseg("compare", "cases", "-o", "out", "--system", "smooth", "--progress", "none")
    assert outcome.status == 0
    failures = {row["case"]: row["failure"] for row in rows_of(cohort / "out")}
    assert "The reference has 30 x 30 x 39 voxels and the prediction 30 x 30 x 40" in failures["anna"]
    assert failures["bert"] == failures["cara"] == ""


def test_a_pipeline_is_run_once_in_a_process_of_its_own_and_a_run_that_fails_is_a_row(kneeseg, tmp_path, monkeypatch):
    monkeypatch.setattr(error_cases, "MOST_CASES_SHOWN", 0)
    missing = set(PIPELINES["ct-knee"].bundles) - {bundle.name for bundle in list_bundles()}
    if missing:
        pytest.skip(f"no weights ship yet for {', '.join(sorted(missing))}")
    cases, scan = tmp_path / "cases", sitk.ReadImage(str(samples_folder() / "knee_ct.nrrd"))
    scan = sitk.Shrink(scan, [1, 1, 5])  # a fifth of the slices, of the time
    write(cases / "labels" / "short.nrrd", knee(0))
    write(cases / "images" / "short.nrrd", np.zeros_like(knee(0), np.int16))
    sitk.WriteImage(scan, str(cases / "images" / "knee.nrrd"))
    reference = sitk.Cast(scan > 300, sitk.sitkUInt8) * FEMUR.label_value
    sitk.WriteImage(reference, str(cases / "labels" / "knee.nrrd"))
    arguments = (
        "compare",
        cases,
        "-o",
        tmp_path / "out",
        "--system",
        "quick=ct-knee,quality=fast,side=right,device=cpu",
    )
    first = kneeseg(*arguments, "--progress", "json").events[-1]
    (cases / "labels" / "short.nrrd").unlink()
    again = kneeseg(*arguments, "--progress", "json").events[-1]
    knee_run, short_run = (next(run for run in first["runs"] if run["case"] == case) for case in ("knee", "short"))
    assert knee_run["failure"] is None and "expected at least 40 mm" in short_run["failure"]
    assert knee_run["cost"]["seconds"] > 0.5 and knee_run["cost"]["processor_seconds"] > 0.5
    assert 2**28 < knee_run["cost"]["peak_memory_bytes"] < 2**32
    assert (tmp_path / "out/runs/quick/knee/report.html").is_file()
    assert not (tmp_path / "out/runs/quick/short").exists()
    (system,) = again["systems"]
    assert (system["runs"], system["failed"], system["reused"], system["edge"]) == (1, 0, 1, "half-maximum")
    assert again["runs"] == [{**knee_run, "reused": True}]
