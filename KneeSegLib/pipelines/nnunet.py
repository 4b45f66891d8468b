"""Any trained nnU-Net v2 folder: its own inference, its labels brought into our anatomy, our checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from KneeSegLib.anatomy import STRUCTURES, Side, as_side
from KneeSegLib.cleaning import clean_labels
from KneeSegLib.errors import AnatomyNotFoundError
from KneeSegLib.geometry.orientation import AxisTurn, direction_of_letters
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.volume import Volume
from KneeSegLib.memory import require_memory
from KneeSegLib.nnunet.folder import find_model
from KneeSegLib.nnunet.naming import NamedLabels, add_margins, choose_mapping, crop_leg
from KneeSegLib.nnunet.prediction import Logits
from KneeSegLib.nnunet.predictor import Network
from KneeSegLib.nnunet.settings import BYTES_ANYWAY, BYTES_BESIDE, BYTES_PER_CLASS
from KneeSegLib.nnunet.sides import SURE, Sides, find_sides
from KneeSegLib.pipelines.findings import BONE_LIMITS, Findings
from KneeSegLib.pipelines.pipeline import Pipeline
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.steps import Steps
from KneeSegLib.progress import Progress, no_progress
from KneeSegLib.quality import QualityFeatures, measure_leg_features
from KneeSegLib.quality.knee import measure_knee_features
from KneeSegLib.quality.settings import KNEE_MR_LIMITS


class Nnunet(Pipeline):
    """A network that somebody trained with nnU-Net v2 (Isensee et al.), of any configuration."""

    options = ("side", "nnunet", "mapping", "mirroring", "device")
    bytes_per_voxel = BYTES_BESIDE
    bytes_anyway = BYTES_ANYWAY

    def segment(self, volume: Volume, progress: Progress = no_progress) -> Findings:
        self._directions = np.array(volume.image.GetDirection()).reshape(3, 3)
        return super().segment(volume, progress)

    def run(self, scan: Scan, request: Request, steps: Steps) -> Findings:
        steps.plan(load=2, predict=84, label=6, clean=4, check=4)
        with steps("load", "Reading the nnU-Net model"):
            folder = find_model(request.nnunet_folder)
            mapping = choose_mapping(folder, request.mapping)
            targets, left_out = mapping.resolve(folder.label_names)
            network = Network(folder, self.device, request.mirroring, request.trust_checkpoint)
        with steps("predict") as progress:
            logits = self.predict(network, scan, mapping.orientation, progress)
        with steps("label", "Bringing the labels into KneeSeg's anatomy"):
            named = NamedLabels(logits.label(), scan.grid, targets)
            sides = self.find_sides(named, folder.label_names, scan)
            legs = select_legs(named.label_legs(sides), request.side, scan.source)
        with steps("clean", "Cleaning"):
            labelled, uncleaned = [], []
            for side, labels in legs.items():
                leg = crop_leg(side, labels)
                uncleaned.append(leg.labels)
                own = [entry for entry in STRUCTURES if entry.side == side]
                leg.labels = clean_labels(leg.labels, scan.grid.spacing_mm, own)
                add_margins(leg, logits, targets)
                labelled.append(leg)
        with steps("check", "Checking"):
            mr = folder.modality == "MR"
            features: dict[str, QualityFeatures] = {}
            for leg, before in zip(labelled, uncleaned):
                features |= self.measure(leg, before, scan, mr, sides)
            return Findings(
                scan=scan,
                legs=labelled,
                features=features,
                limits=KNEE_MR_LIMITS if mr else BONE_LIMITS,
                warnings=[*(sides.sentences if sides else ()), *describe_left_out(named, left_out)],
                provenance={
                    "statement": f"Labelled by the nnU-Net model {folder.title} of others; not a medical device.",
                    "model": {
                        "title": folder.title,
                        "folds": folder.folds,
                        "checkpoint": folder.checkpoints[0].name,
                        "sha256": network.sha256,
                        "cascade": folder.previous is not None,
                        "mapping": mapping.source,
                    },
                },
            )

    def predict(self, network: Network, scan: Scan, orientation: str, progress: Progress) -> Logits:
        """Apply the network to the scan along the axes it was trained on; returns logits along the scan's."""
        if orientation:
            turn = AxisTurn.between(np.eye(3), direction_of_letters(orientation))
        else:
            turn = AxisTurn.between(np.array(scan.image.GetDirection()).reshape(3, 3), self._directions)
        image = turn.apply(scan.values)
        return network.predict(image, turn.values(scan.grid.spacing_mm), progress).turn(turn.inverse())

    def find_sides(self, named: NamedLabels, names: Mapping[int, str], scan: Scan) -> Sides | None:
        """The sides of labels that tell none; None where all do."""
        regions = named.open_regions
        if not regions:
            return None
        asked = self.request.side
        known: Side | None = as_side(asked) if asked in ("right", "left") else scan.side
        return find_sides({**regions, **named.compartments(names)}, scan.grid, known)

    def measure(
        self, leg: LegLabels, before: np.ndarray, scan: Scan, mr: bool, sides: Sides | None
    ) -> dict[str, QualityFeatures]:
        """The quality features of a leg: what an image of its modality tells."""
        found = (
            measure_knee_features(leg, before, {}, scan.grid)
            if mr
            else measure_leg_features(leg, before, {}, None, scan)
        )
        certainty = sides.certainty if sides else SURE
        return {key: replace(features, side_certainty=certainty) for key, features in found.items()}

    def _require_memory(self, volume: Volume) -> None:
        folder = find_model(self.request.nnunet_folder)
        voxels = volume.image.GetNumberOfPixels()
        per_voxel = self.bytes_per_voxel + BYTES_PER_CLASS * (1 + len(folder.label_names))
        shape = " x ".join(map(str, volume.image.GetSize()))
        require_memory(self.bytes_anyway + per_voxel * voxels, f"Running {folder.title} on {shape} voxels")


def select_legs(legs: Mapping[Side, np.ndarray], asked: str, source: str) -> dict[Side, np.ndarray]:
    """Return the legs that were asked for.

    Raises:
        AnatomyNotFoundError: none of them was found.
    """
    if not legs:
        raise AnatomyNotFoundError(
            f"The nnU-Net model found nothing in '{source}' that KneeSeg has a name for; check that the image is of "
            "the kind it was trained on."
        )
    if asked == "both" and len(legs) < 2:
        raise AnatomyNotFoundError(
            f"Both legs were asked for, and the nnU-Net model found only the {next(iter(legs))} one in '{source}'; "
            "choose that side or --side auto."
        )
    chosen: dict[Side, np.ndarray] = {side: labels for side, labels in legs.items() if asked in ("auto", "both", side)}
    if not chosen:
        raise AnatomyNotFoundError(
            f"The nnU-Net model found no {asked} leg in '{source}', only the {next(iter(legs))} one; choose that side "
            "or --side auto."
        )
    return chosen


def describe_left_out(named: NamedLabels, left_out: Mapping[int, str]) -> Sequence[str]:
    """Return a sentence about the labels that were found and have no name in KneeSeg."""
    voxels = np.bincount(named.values.ravel())
    voxel_cm3 = float(np.prod(named.grid.spacing_mm)) / 1000.0
    found = [f"{name} ({voxels[value] * voxel_cm3:.1f} cm3)" for value, name in left_out.items()
             if value < len(voxels) and voxels[value]]  # fmt: skip
    if not found:
        return []
    return [f"Left out, since KneeSeg has no name for it: {', '.join(found)}."]
