"""Accuracy of knee MR on people whom no network was trained on, stage by stage; prints and saves the tables.

    python Testing/benchmarks/held_out_mr.py --prepared work/people_mr --output work/held_out_mr.json

People are those of the group ``test`` among the prepared ones; every second one is rendered as a left knee. Bones are
drawn anew for each, cartilage and menisci are those of the two label maps that training people have, in new states of
wear. The images come from the training images' renderer: this measures how well the networks learned what they were
taught, not how well they do on real scans.

``--sequence oai-dess`` is DESS by the Osteoarthritis Initiative's protocol, its pixels, slices and resolution, with the
contrast that relaxation times give; ``poor-dess`` has the contrast that such images seem to have, from anything
between a good scanner and one worse than any that training images came from; ``any`` the contrast of any sequence from
any scanner; ``inverted`` turns bright into dark, which no sequence does: what comes out is bad and has to be marked.
``--simulator other`` renders the same people in another way, which no network has seen.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

import other_mr_simulator
from kept_cases import kept

import KneeSegLib as ks
from KneeSegLib.anatomy import SIDES, structure, structure_of_label
from KneeSegLib.bundles.model import load_model
from KneeSegLib.errors import KneeSegError
from KneeSegLib.evaluation.cohorts import Cohort, checksums_of, write_cohorts
from KneeSegLib.evaluation.tables import table_of
from KneeSegLib.geometry.mesh import points_of
from KneeSegLib.io.resources import shape_models_file
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.measurements.summary import Cases, summarize
from KneeSegLib.mr.optimisation import TargetSurface, measure_surface_distance, optimise_shape, weigh_edges
from KneeSegLib.mr.settings import SPACING_MM
from KneeSegLib.mr.shape_fit import ShapeNetwork
from KneeSegLib.networks.device import find_device
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.pipelines.table import PIPELINES, STAGES
from KneeSegLib.shape.model_file import read_shape_models
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.shape_source import ShapeSource
from KneeSegLib.training.synthesis.cases import SyntheticCase
from KneeSegLib.training.synthesis.mr.cases import MrSeries, locate_in_case, mirror_for_side, synthesize_mr_case
from KneeSegLib.training.synthesis.mr.landmarks_file import LANDMARK_BONES, Landmarks
from KneeSegLib.training.synthesis.mr.settings import ContrastDraw, MrScanner, MrSynthesis
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees

LOOKS = 20
SEEDS_OF_SCAN = 100

SPACING_OF_SCAN_MM, SLICE_OF_SCAN_MM = 0.365, 0.7
"""Distance of pixels and of slices: 384 of 140 mm, and 160 slices, as the Osteoarthritis Initiative's sagittal DESS."""

OAI_SCANNER = MrScanner(resolution_mm=(140.0 / 384, 140.0 / 307), noise=(0.02, 0.06))
"""Scanners of that protocol: 384 readings of 307 lines over 140 mm (Peterfy et al., Osteoarthritis and Cartilage 16,
2008; table 1 of PMC5871621). The noise, a guess, leaves cartilage a signal of 5 to 14 times its standard deviation.
Everything else goes wrong as it does in training images."""

MEASURED_STAGES = ("slices", "patches")


def _by_bone() -> dict[str, list[float]]:
    return {bone: [] for bone in LANDMARK_BONES}


@dataclass
class Tally:
    """What runs add up to beside the tables.

    Attributes:
        surface_mm: by bone, how far the points of each fitted shape lie from the true surface.
        landmark_mm: by bone, how far from their own places.
        flags: stage, key, Dice and result of each structure.
        wrong_sides: knees taken for one of the other side.
    """

    surface_mm: dict[str, list[float]] = field(default_factory=_by_bone)
    landmark_mm: dict[str, list[float]] = field(default_factory=_by_bone)
    flags: list[dict] = field(default_factory=list)
    wrong_sides: int = 0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people_mr"))
    arguments.add_argument("--output", type=Path, default=Path("work/held_out_mr.json"))
    arguments.add_argument("--group", choices=("test", "validation"), default="test")
    arguments.add_argument("--models", metavar="FOLDER", help="networks of your own, taken before ours")
    arguments.add_argument("--sequence", choices=("oai-dess", "poor-dess", "any", "inverted"), default="oai-dess")
    arguments.add_argument("--simulator", choices=("own", "other"), default="own")
    arguments.add_argument("--spacing", type=float, default=SPACING_OF_SCAN_MM, help="mm, of pixels")
    arguments.add_argument("--slice-spacing", type=float, default=SLICE_OF_SCAN_MM, help="mm, of slices")
    arguments.add_argument("--stage", choices=STAGES, action="append", help="default: slices and patches")
    arguments.add_argument("--scans", type=int, default=2, metavar="N", help="of each person, with other wear each")
    arguments.add_argument("--seed", type=int, default=9000)
    arguments.add_argument("--count", type=int)
    arguments.add_argument("--keep", type=Path, metavar="FOLDER", help="rendered images are kept there, and used again")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    results = {stage: {} for stage in options.stage or MEASURED_STAGES}
    landmarks, tally = Landmarks.load(options.prepared), Tally()
    people = read_knees(options.prepared, options.group)[: options.count]
    for scan, (number, person) in product(range(options.scans), enumerate(people)):
        side, seed = SIDES[(number + scan) % 2], options.seed + SEEDS_OF_SCAN * scan + number
        truth = rendered(person, side, seed, options)
        where = true_landmarks(person, landmarks, side, seed, options)
        for stage, cases in results.items():
            run = {"stop_after": stage, "models": options.models}
            measure(truth, where, side, run, cases, tally)
    scans = options.scans * len(people)
    cohorts = [cohort_of(stage, cases, scans, options) for stage, cases in results.items()]
    print(f"\n{table_of(cohorts)}", flush=True)
    print(f"\nWrong sides: {tally.wrong_sides} of {scans * len(results)} runs")
    print_flags(tally.flags)
    for bone, off_place_mm in tally.landmark_mm.items():
        if off_place_mm:
            print(
                f"Points of the fitted {bone} off the true surface: {np.mean(tally.surface_mm[bone]):.2f} mm, "
                f"from their own places in view: {np.mean(off_place_mm):.2f} mm ({np.round(off_place_mm, 2)})"
            )
    landmark_mm = {bone: landmark_errors(bone, options) for bone in LANDMARK_BONES}
    for bone, errors in landmark_mm.items():
        print(
            f"Landmarks of the {bone} on spoilt crops: "
            + ", ".join(f"{name} {mm:.2f} mm" for name, mm in errors.items())
        )
    further = {
        "landmark_mm": landmark_mm,
        "landmark_in_scan_mm": tally.landmark_mm,
        "surface_mm": tally.surface_mm,
        "wrong_sides": tally.wrong_sides,
        "flags": tally.flags,
    }
    write_cohorts(cohorts, options.output, further)
    print(f"Full figures: {options.output}")


def cohort_of(stage: str, cases: Cases, scans: int, options: argparse.Namespace) -> Cohort:
    """What was measured after a stage, and on what."""
    other = options.simulator == "other"
    images = "a second simulator" if other else f"the renderer of the training images (sequence {options.sequence})"
    return Cohort(
        name=f"knee MR, {'second simulator' if other else options.sequence}, {stage}",
        images="synthetic",
        description=(
            f"MR at {options.spacing:g} x {options.spacing:g} x {options.slice_spacing:g} mm of subjects of the group "
            f"{options.group}, which no network was trained on, by {images}, alternately left and right knees (seed "
            f"{options.seed}); pipeline mr-knee, last stage {stage}."
        ),
        unit="scans",
        count=scans,
        weights=checksums_of(PIPELINES["mr-knee"].bundles, options.models),
        summary=summarize(cases),
    )


def rendered(person: PreparedKnee, side: str, seed: int, options: argparse.Namespace) -> SyntheticCase:
    """A case of a person by the simulator that was asked for."""

    def make() -> SyntheticCase:
        where = (options.spacing, options.slice_spacing, side, seed)
        if options.simulator == "other":
            return other_mr_simulator.simulate(person, *where)
        case = synthesize_mr_case(person, MrSeries(*where, synthesis(options.sequence)))
        return replace(case, image=inverted(case.image)) if options.sequence == "inverted" else case

    simulator = "other" if options.simulator == "other" else f"own_{options.sequence}"
    spacing = f"{options.spacing:g}x{options.slice_spacing:g}mm"
    name = f"{options.group}_{person.name}_{side}_{simulator}_{spacing}_{seed}"
    return kept(options.keep, name, person.name, options.group, make)


def inverted(image: sitk.Image) -> sitk.Image:
    """Dark for bright, from what one voxel in 200 exceeds down to nothing."""
    bright = float(np.quantile(sitk.GetArrayViewFromImage(image), 0.995))
    return sitk.InvertIntensity(sitk.Clamp(image, image.GetPixelID(), 0.0, bright), bright)


def synthesis(sequence: str) -> MrSynthesis:
    """Of any sequence from any scanner, of DESS from any, or of DESS by one protocol."""
    if sequence == "any":
        return MrSynthesis()
    if sequence == "oai-dess":
        return MrSynthesis(contrast=ContrastDraw(("dess_3t",), 0.1, 0.0), scanner=OAI_SCANNER)
    return MrSynthesis(contrast=ContrastDraw(("dess",), anything_probability=0.0))


def true_landmarks(
    person: PreparedKnee, landmarks: Landmarks, side: str, seed: int, options: argparse.Namespace
) -> dict[str, np.ndarray]:
    """Where the points of the shape models belong in a case of :func:`rendered`: bone -> (P, 3) LPS mm."""
    found = {}
    for bone, of_template in landmarks.points.items():
        own = person.carry_points(torch.from_numpy(of_template[person.template.name])).numpy()
        if options.simulator == "other":
            found[bone] = mirror_for_side(own, side)
        else:
            series = MrSeries(options.spacing, options.slice_spacing, side, seed, synthesis(options.sequence))
            found[bone] = locate_in_case(own, series)
    return found


def measure(
    truth: SyntheticCase, where: dict[str, np.ndarray], side: str, run: dict, cases: dict, tally: Tally
) -> None:
    """Add one run to ``cases`` and ``tally``; ``where`` are the :func:`true_landmarks`, ``run`` options of the run."""
    started, stage = time.perf_counter(), run["stop_after"]
    try:
        found = ks.segment(truth.image, pipeline="mr-knee", device="cpu", **run)
    except KneeSegError as error:
        print(f"{truth.subject} ({side}), {stage}: {error}", flush=True)
        return
    seconds = time.perf_counter() - started
    right = found.provenance["knee"]["side"] == side
    tally.wrong_sides += not right
    labels = found.labels if right else _renamed(found.labels, side)
    agreements = evaluate(truth.labels, labels)
    cases[f"{truth.subject}-{len(cases)}"] = {
        structure(key.rpartition("_")[0], "right").key: value for key, value in agreements.items()
    }
    for entry in found.structures if right else ():
        dice = agreements[entry.structure.key].metrics["dice"]
        tally.flags.append({"stage": stage, "key": entry.structure.tissue.key, "dice": dice, "result": entry.quality})
    row = "  ".join(f"{k.rpartition('_')[0]} {v.metrics['dice']:.3f}" for k, v in agreements.items())
    print(
        f"{truth.subject} ({side}{'' if right else ', TAKEN FOR THE OTHER'}, {stage}, {seconds:.0f} s): {row}",
        flush=True,
    )
    for entry in (entry for entry in found.maps if entry.name == "shape" and right):
        bone, points = entry.structure.tissue.key, points_of(entry.surface)
        tally.surface_mm[bone].append(_off_surface(points, truth.labels, entry.structure))
        in_view = [_shown(place, truth.labels) for place in where[bone]]
        tally.landmark_mm[bone].append(float(np.linalg.norm(points - where[bone], axis=1)[in_view].mean()))


def print_flags(flags: list[dict]) -> None:
    """Say how many structures were marked "Check", by how good they were."""
    for low, high in ((0.0, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01)):
        levels = [flag["result"].level for flag in flags if low <= flag["dice"] < high]
        print(f"Dice {low:.2f} to {min(high, 1.0):.2f}: {levels.count('check')} of {len(levels)} marked Check")


def _renamed(labels: sitk.Image, side: str) -> sitk.Image:
    """Labels of the other side: which side it is counts by itself."""
    values = np.unique(sitk.GetArrayViewFromImage(labels)).tolist()
    table = {v: structure(structure_of_label(v).tissue.key, side).label_value for v in values if v}
    return sitk.ChangeLabel(labels, table)


def _off_surface(points: np.ndarray, labels: sitk.Image, wanted) -> float:
    """Mean distance in mm of the points that lie in the image from the border of a label."""
    mask = labels == wanted.label_value
    distance = sitk.SignedMaurerDistanceMap(mask, squaredDistance=False, useImageSpacing=True)
    found = []
    for point in points:
        if _shown(point, labels):
            found.append(abs(distance[labels.TransformPhysicalPointToIndex(point.tolist())]))
    return float(np.mean(found))


def _shown(point: np.ndarray, image: sitk.Image) -> bool:
    """Whether a place in LPS mm lies within an image and not just at its border."""
    index = image.TransformPhysicalPointToContinuousIndex(point.tolist())
    return all(3 < i < size - 4 for i, size in zip(index, image.GetSize()))


def landmark_errors(bone: str, options: argparse.Namespace) -> dict[str, float]:
    """Mean distance in mm of landmarks from where they belong, on spoilt crops of the group's people.

    ``network`` as the network places them, ``optimised`` after that, ``from_the_mean`` optimised without the network.
    """
    recipe = read_recipe(f"mr-shape-{bone}")
    shape = ShapeNetwork(load_model(recipe.name, find_device("cpu")), read_shape_models(shape_models_file())[bone])
    source, layer = ShapeSource.of_folder(recipe, options.prepared, options.group), shape.layer()
    errors: dict[str, list[float]] = {"network": [], "optimised": [], "from_the_mean": []}
    for look in range(LOOKS):
        samples = source.render(recipe.shapes[0], torch.Generator().manual_seed(5000 + look))
        own = samples.inputs[0, 0].numpy()
        shown = np.argwhere((samples.inputs[0].sum(dim=0) > 0.05).numpy())[:, ::-1]
        bounds = (shown.min(axis=0) + 1.5, shown.max(axis=0) - 1.5)
        low, high = ((bound - (INPUT_SIZE - 1) / 2.0) * SPACING_MM for bound in bounds)
        target = TargetSurface(measure_surface_distance(own > 0.5), weigh_edges(own), (low, high))
        with torch.inference_mode():
            seen = shape.network.network(samples.inputs)[0].numpy()
            placed = {
                "network": seen,
                "optimised": optimise_shape(layer, shape.model.triangles, seen, target),
                "from_the_mean": optimise_shape(layer, shape.model.triangles, np.zeros_like(seen), target),
            }
            for name, parameters in placed.items():
                points = layer(torch.from_numpy(parameters)[None])[0]
                errors[name].append(float((points - samples.landmarks_mm[0]).norm(dim=1).mean()))
    return {name: float(np.mean(found)) for name, found in errors.items()}


if __name__ == "__main__":
    main()
