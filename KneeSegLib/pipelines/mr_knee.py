"""MR of the knee: slices, shapes, patches, ensemble.

After "deep shape fitting": a 2D network labels sagittal slices; a network per bone fits a shape model to what it found;
a small 3D network looks again at patches that lie at the shapes' landmarks, where cartilage is; the probabilities of
both are added. Beyond the paper: the shapes have a say in what slices take for bone; patella, fibula, patellar
cartilage and menisci, any sequence, either side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from torch import nn

from KneeSegLib.anatomy import CARTILAGES, JOINT_BONES, Side, structure
from KneeSegLib.assembly import add_cartilage, assemble_case
from KneeSegLib.bundles import Bundle, find_bundle
from KneeSegLib.case import Case
from KneeSegLib.cleaning import clean_labels
from KneeSegLib.cleaning.attached import keep_attached
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.device import running_on
from KneeSegLib.inference.labels import LegLabels, follow_cleaning
from KneeSegLib.io.resources import shape_models_file
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.surface_map import SurfaceMap
from KneeSegLib.memory import require_memory
from KneeSegLib.mr.bones import KneeBones, knee_bones, require_knee
from KneeSegLib.mr.labelling import MENISCUS_OF_SIDE, label_knee
from KneeSegLib.mr.patches import FineProbabilities, patch_centers, patch_probabilities
from KneeSegLib.mr.shape_fit import FittedShape, ShapeNetwork, SideFound, side_by_shape
from KneeSegLib.mr.shape_maps import shape_map
from KneeSegLib.mr.shape_prior import with_shapes
from KneeSegLib.mr.slices import KneeProbabilities, sagittal_grid, sagittal_probabilities
from KneeSegLib.networks.device import find_device
from KneeSegLib.networks.ready import ready_for_inference
from KneeSegLib.pipelines.findings import Findings, list_labelled
from KneeSegLib.pipelines.found_knee import asked_side, doubts_about_knee
from KneeSegLib.pipelines.scan import Scan
from KneeSegLib.pipelines.stopwatch import Stopwatch
from KneeSegLib.pipelines.table import MR_PATCHES_BUNDLE, MR_SHAPE_BUNDLES, MR_SLICES_BUNDLE, Pipeline, Stage
from KneeSegLib.progress import Progress, no_progress, parts
from KneeSegLib.quality import KNEE_MR_LIMITS
from KneeSegLib.quality.knee import measure_knee_features
from KneeSegLib.shape.model_file import read_shape_models

BYTES_PER_VOXEL = 8.0
BYTES_ANYWAY = 1.7e9
"""Measured with Testing/benchmarks/knee_mr.py: torch, networks and probabilities, beside what grows with the scan."""

MENISCUS_GAP_MM = 2.5
"""A meniscus may float so far above the tibia and its cartilage, on fluid or where cartilage is worn and not seen."""


class MrKnee:
    """Segments bones, cartilages and menisci of one knee in an MR.

    Args:
        pipeline: ``mr-knee`` of :data:`KneeSegLib.pipelines.PIPELINES`.
        side: ``"right"``, ``"left"``, or ``"auto"`` to tell by the shape of the bones.
        stop_after: ``"slices"`` for what 2D says alone, ``"shape"`` for that with the fitted shapes and what they make
            of it, ``"patches"`` for everything.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        bundles: where networks come from.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        side: str,
        stop_after: Stage = "patches",
        device: str = "auto",
        bundles: Callable[[str], Bundle] = find_bundle,
    ) -> None:
        self.pipeline = pipeline
        self.side = side
        self.stop_after = stop_after
        self.device = find_device(device)
        self._asked_device = device
        self._bundles = bundles
        self._used: dict[str, Bundle] = {}

    def segment(self, volume: Volume, progress: Progress = no_progress) -> Case:
        """Return the case; raises as :func:`KneeSegLib.pipelines.segment`.

        Args:
            volume: has passed :func:`KneeSegLib.io.volume.check_mr`.
        """
        asked = asked_side(self.side, volume.source)
        self._require_memory(volume)
        stopwatch = Stopwatch()
        slicing, fitting, patching, labelling, finishing = parts(progress, (48, 8, 26, 8, 10))
        with running_on(self.device):
            with stopwatch("slices"):
                scan = Scan.of(volume)
                slices = self._sliced(scan, slicing)
            with stopwatch("shape"):
                fitting(0.0, "Fitting the shapes of the bones")
                bones = knee_bones(slices, scan.grid)
                require_knee(bones, volume.source)
                found, shapes = self._fitted(bones, asked or volume.side)
                if self.stop_after != "slices":
                    slices = with_shapes(slices, shapes, found.side)
            patches = None
            if self.stop_after == "patches":
                with stopwatch("patches"):
                    patches = self._looked_at_again(scan, slices, shapes, patching)
            with stopwatch("labelling"):
                middle_x_mm = float(bones.places_mm("tibia")[:, 0].mean())
                knee = label_knee(slices, patches, scan.grid, found.side, middle_x_mm, self.device, labelling)
            with stopwatch("cleaning"):
                finishing(0.0, "Cleaning")
                uncleaned = knee.labels
                follow_cleaning(knee, cleaned(knee, scan.grid))
            with stopwatch("checking"):
                signs = measure_knee_features(knee, uncleaned, shapes, scan.grid)
        with stopwatch("assembling"):
            finishing(0.2, "Putting the labels on the image's grid")
            shown = {} if self.stop_after == "slices" else shapes
            findings = Findings(
                scan,
                [knee],
                signs,
                KNEE_MR_LIMITS,
                doubts_about_knee(found, scan.grid),
                missing_structures(list_labelled([knee]), found.side),
                [
                    SurfaceMap(structure(bone, found.side), "shape", shape_map(fit, scan.image))
                    for bone, fit in shown.items()
                ],
            )
            case = assemble_case(volume, findings)
        with stopwatch("surfaces"):
            finishing(0.4, "Surfaces and cartilage thickness")
            add_cartilage(case)
        case.provenance.update(self._provenance(found, bones, shapes, patches, stopwatch))
        finishing(1.0, "Segmented")
        return case

    def _sliced(self, scan: Scan, progress: Progress) -> KneeProbabilities:
        network, facts = self._network(MR_SLICES_BUNDLE)
        grid = sagittal_grid(scan.grid, facts["spacing_mm"][0], getattr(network, "stride", 32))
        offsets = facts["channels"].get("neighbour_offsets_mm", ())
        return sagittal_probabilities(
            network,
            facts["classes"],
            scan.values,
            scan.grid,
            grid,
            offsets,
            self.device,
            progress,
            temperature=facts.get("temperature", 1.0),
        )

    def _fitted(self, bones: KneeBones, known: Side | None) -> tuple[SideFound, dict[str, FittedShape]]:
        models = read_shape_models(shape_models_file())
        networks = {}
        for bone, name in MR_SHAPE_BUNDLES.items():
            network, facts = self._network(name)
            _check_model(models[bone].variances.tolist(), facts, name)
            networks[bone] = ShapeNetwork(network, models[bone])
        return side_by_shape(networks, bones, known, self.device.torch_name)

    def _looked_at_again(
        self, scan: Scan, slices: KneeProbabilities, shapes: Mapping[str, FittedShape], progress: Progress
    ) -> FineProbabilities | None:
        centers = patch_centers(shapes, slices)
        if not len(centers):
            return None
        network, facts = self._network(MR_PATCHES_BUNDLE)
        if tuple(facts["classes"]) != slices.classes:
            raise ModelError(
                f"The bundles {MR_SLICES_BUNDLE} and {MR_PATCHES_BUNDLE} name different classes; "
                "install the weights that belong to this version."
            )
        shape, spacing_mm = tuple(facts["patches"]["shape"]), facts["spacing_mm"][0]
        return patch_probabilities(
            network,
            shape,
            spacing_mm,
            scan.values,
            scan.grid,
            slices,
            centers,
            self.device,
            progress,
            temperature=facts.get("temperature", 1.0),
        )

    def _network(self, name: str) -> tuple[nn.Module, dict[str, Any]]:
        bundle = self._bundles(name)
        self._used[name] = bundle
        network = ready_for_inference(bundle.network(self.device.torch_name), self.device.torch_name)
        return network, bundle.metadata["kneeseg"]

    def _require_memory(self, volume: Volume) -> None:
        size = volume.image.GetSize()
        voxels = volume.image.GetNumberOfPixels()
        require_memory(BYTES_ANYWAY + BYTES_PER_VOXEL * voxels, f"Segmenting {' x '.join(map(str, size))} voxels")

    def _provenance(
        self,
        found: SideFound,
        bones: KneeBones,
        shapes: Mapping[str, FittedShape],
        patches: FineProbabilities | None,
        stopwatch: Stopwatch,
    ) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline.name,
            "pipeline_title": self.pipeline.title,
            "options": {"side": self.side, "stop_after": self.stop_after, "device": self._asked_device},
            "bundles": [
                {"name": bundle.name, "version": bundle.metadata["version"], "sha256": bundle.sha256}
                for bundle in self._used.values()
            ],
            "device": self.device.description,
            "timings": stopwatch.seconds,
            "knee": {
                "side": found.side,
                "side_known": found.known,
                "side_certainty": round(found.certainty, 3),
                "shape_residual_as_mm": {side: round(value, 2) for side, value in found.residual_mm.items()},
                "shapes": {
                    bone: {
                        "weights_sd": [round(float(weight), 3) for weight in fit.weights],
                        "residual_mm": round(fit.mean_residual_mm, 2),
                    }
                    for bone, fit in shapes.items()
                },
                "patches": 0 if patches is None else len(patches.centers_mm),
            },
        }


def cleaned(knee: LegLabels, grid: Grid) -> np.ndarray:
    """The labels of a knee with one piece of each bone, and cartilage and menisci only where they belong."""
    spacing_mm, side = grid.spacing_mm, knee.side
    labels = clean_labels(knee.labels, spacing_mm, [structure(bone, side) for bone in JOINT_BONES["knee"]])
    for bone, cartilage in CARTILAGES.items():
        value = structure(cartilage, side).label_value
        mask = labels == value
        labels[mask & ~keep_attached(mask, labels == structure(bone, side).label_value, spacing_mm)] = 0
    covered = np.isin(labels, [structure(name, side).label_value for name in ("tibia", "tibial_cartilage")])
    for name in MENISCUS_OF_SIDE:
        mask = labels == structure(name, side).label_value
        labels[mask & ~keep_attached(mask, covered, spacing_mm, MENISCUS_GAP_MM)] = 0
    return labels


def missing_structures(found: Collection[str], side: Side) -> list[str]:
    """Sentences about what every knee has and the labels lack; ``found`` are keys of structures."""
    expected = ("patella", *CARTILAGES.values(), *MENISCUS_OF_SIDE)
    return [
        f"The {structure(name, side).name.lower()} was not found: check the image."
        for name in expected
        if structure(name, side).key not in found
    ]


def _check_model(variances: list[float], facts: Mapping[str, Any], name: str) -> None:
    """Raise unless a shape network was trained with the shape model that is there."""
    expected = facts["shape_model"]["variances_mm2"]
    if not np.allclose(variances[: len(expected)], expected, rtol=1e-3):
        raise ModelError(
            f"The bundle {name} was trained with another shape model than {shape_models_file()}; "
            "install the files that belong to this version."
        )
