"""CT of the leg: three slice networks, one per joint, told where to look and what is what by two coarse ones.

After "Three 2D U-Nets for CT of the lower limb": one specialist each for hip, knee and ankle, on transverse slices.
What the paper leaves to the user is done here: the joints are found and their side is named, both legs are taken, and
the shafts between the joints are labelled. With the quality ``high`` another network looks at the bones' surfaces
once more, in patches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from KneeSegLib.anatomy import BONES, JOINT_BONES, OTHER, SIDES, structure
from KneeSegLib.assembly import assemble_case
from KneeSegLib.bundles import Bundle, find_bundle
from KneeSegLib.case import Case
from KneeSegLib.cleaning import clean_labels
from KneeSegLib.ct.both_ways import agreement, settled
from KneeSegLib.ct.fusion import fused, weights_for
from KneeSegLib.ct.legs import Leg, find_legs
from KneeSegLib.ct.localise import CoarseBones, localise
from KneeSegLib.ct.naming import Names, bone_map, name_bones
from KneeSegLib.ct.refinement import Correction, PatchFacts, refine_leg
from KneeSegLib.ct.seams import Share, box_of_share, shares_of
from KneeSegLib.ct.sides import UNSURE_BELOW
from KneeSegLib.ct.slices import JointProbabilities, slice_probabilities, specialist_grid
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.inference.device import running_on
from KneeSegLib.inference.labels import LegLabels, follow_cleaning, label_leg
from KneeSegLib.io.volume import Volume
from KneeSegLib.memory import require_memory
from KneeSegLib.networks.device import find_device
from KneeSegLib.networks.ready import ready_for_inference
from KneeSegLib.pipelines.findings import Findings, list_labelled
from KneeSegLib.pipelines.found import doubts_about, legs_asked_for, missing_bones, require_bones
from KneeSegLib.pipelines.scan import Scan
from KneeSegLib.pipelines.stopwatch import Stopwatch
from KneeSegLib.pipelines.table import (
    LOCALISER_BUNDLE,
    NAMING_BUNDLE,
    REFINEMENT_BUNDLE,
    SPECIALIST_BUNDLES,
    Pipeline,
    Quality,
)
from KneeSegLib.progress import Progress, no_progress, parts
from KneeSegLib.quality import QualityFeatures, measure_disputed_fractions, measure_leg_features

BYTES_PER_VOXEL = 6.0
BYTES_ANYWAY = 0.9e9
"""Measured with Testing/benchmarks/knee_ct.py: torch, networks and one leg's crops, beside what grows with the scan."""

HASTY_SLICE_STEP = 3
"""Every so many slices are looked at where only the side is asked."""

REFINEMENT_WORK = 60
"""What the refinement adds to the hundredths of a leg's progress."""


class CtLeg:
    """Segments the bones of one or both legs in a CT.

    Args:
        pipeline: which joints, see :data:`KneeSegLib.pipelines.PIPELINES`.
        side: ``"auto"``, ``"right"``, ``"left"`` or ``"both"``.
        quality: how many slices are looked at, and whether surfaces are looked at again.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        bundles: where networks come from.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        side: str,
        quality: Quality,
        device: str = "auto",
        bundles: Callable[[str], Bundle] = find_bundle,
    ) -> None:
        self.pipeline = pipeline
        self.side = side
        self.quality = quality
        self.device = find_device(device)
        self._asked_device = device
        self._bundles = bundles
        self._used: dict[str, Bundle] = {}
        self._ready: dict[str, nn.Module] = {}

    def segment(self, volume: Volume, progress: Progress = no_progress) -> Case:
        """Return the case; raises as :func:`KneeSegLib.pipelines.segment`.

        Args:
            volume: has passed :func:`KneeSegLib.io.volume.check_ct`.
        """
        self._require_memory(volume)
        for name in self.quality.bundles:
            self._network(name)  # needed last, and it would be a pity to find that out then
        stopwatch = Stopwatch()
        finding, settling, segmenting, finishing = parts(progress, (8, 2, 84, 6))
        with running_on(self.device):
            with stopwatch("localising"):
                scan = Scan.of(volume)
                coarse = self._localised(scan, finding)
                asked = self.pipeline.joints[0] if len(self.pipeline.joints) == 1 else None
                found = find_legs(coarse, Box.of_grid(scan.grid), asked) if coarse is not None else []
            if self.side == "auto" and len(found) == 1 and found[0].side_confidence < UNSURE_BELOW:
                with stopwatch("settling the side"):
                    found = [self._looked_at_both_ways(scan, found[0], settling)]
            legs = legs_asked_for(found, self.pipeline, self.side, volume.source)
            shares = {leg.side: shares_of(leg, self.pipeline.joints, scan.grid.z) for leg in legs}
            other_leg = coarse if len(found) > 1 else None
            labelled = []
            signs: dict[str, QualityFeatures] = {}
            for leg, working in zip(legs, parts(segmenting, [self._work(shares[leg.side]) for leg in legs])):
                refinement = REFINEMENT_WORK if self.quality.refines else 0
                slicing, naming, refining, labelling, cleaning = parts(working, (70, 8, refinement, 14, 8))
                with stopwatch("slices"):
                    answers = self._sliced(scan, leg, shares[leg.side], slicing)
                with stopwatch("naming"):
                    names = self._named(answers, leg, naming)
                    sliced = answers
                    answers = [
                        fused(answer, names, other_leg, leg.side, weights_for(answer.share.joint, scan.grid))
                        for answer in sliced
                    ]
                    disputed = measure_disputed_fractions(sliced, answers)
                    del sliced  # as large as the answers
                corrections: dict[str, Correction] = {}
                if self.quality.refines:
                    with stopwatch("refinement"):
                        corrections = self._refined(scan, answers, leg, refining)
                with stopwatch("labelling"):
                    message = f"Labelling the {leg.side} leg"
                    labels = label_leg(
                        answers, scan.grid, leg.side, self.device, labelling, message, corrections=corrections
                    )
                with stopwatch("cleaning"):
                    cleaning(0.0, f"Cleaning the {leg.side} leg")
                    uncleaned = labels.labels
                    self._clean(labels, leg, scan.grid)
                with stopwatch("checking"):
                    signs |= measure_leg_features(labels, uncleaned, disputed, leg, scan.values, scan.grid, corrections)
                labelled.append(labels)
        with stopwatch("assembling"):
            finishing(0.0, "Putting the labels on the image's grid")
            found_keys = list_labelled(labelled)
            require_bones(found_keys, legs, volume.source)
            findings = Findings(
                scan,
                labelled,
                signs,
                warnings=doubts_about(legs, shares, scan.grid),
                missing=missing_bones(legs, shares, found_keys),
            )
            case = assemble_case(volume, findings)
        case.provenance.update(self._provenance(legs, shares, stopwatch))
        finishing(1.0, "Segmented")
        return case

    def _localised(self, scan: Scan, progress: Progress) -> CoarseBones | None:
        network, facts = self._network(LOCALISER_BUNDLE)
        return localise(
            network, facts["classes"], scan.values, scan.grid, facts["spacing_mm"][0], self.device.torch_name, progress
        )

    def _looked_at_both_ways(self, scan: Scan, leg: Leg, progress: Progress) -> Leg:
        shares = shares_of(leg, self.pipeline.joints, scan.grid.z)
        if not shares:
            return leg
        agreed = {}
        for side, working in zip(SIDES, parts(progress, (1, 1))):
            slicing, naming = parts(working, (9, 1))
            shown = replace(leg, side=side)
            answers = self._sliced(scan, shown, shares, slicing, slice_step=HASTY_SLICE_STEP)
            agreed[side] = agreement(answers, self._named(answers, shown, naming))
        return settled(leg, agreed)

    def _sliced(
        self, scan: Scan, leg: Leg, shares: list[Share], progress: Progress, slice_step: int | None = None
    ) -> list[JointProbabilities]:
        answers = []
        for share, reporting in zip(shares, parts(progress, [self._work([share]) for share in shares])):
            network, facts = self._network(SPECIALIST_BUNDLES[share.joint])
            _check_classes(share.joint, facts["classes"])
            spacing_mm = facts["spacing_mm"][::-1]  # x, y, z in the bundle
            grid = specialist_grid(
                box_of_share(share, leg), scan.grid, spacing_mm, getattr(network, "stride", 32), leg.side
            )
            message = f"{share.joint.capitalize()}, {leg.side}: slices"
            offsets = facts["channels"].get("neighbour_offsets_mm", ())
            answers.append(
                slice_probabilities(
                    network,
                    scan.values,
                    scan.grid,
                    grid,
                    share,
                    offsets,
                    self.device,
                    slice_step or self.quality.slice_step,
                    reporting,
                    message,
                    facts.get("temperature", 1.0),
                )
            )
        return answers

    def _named(self, answers: list[JointProbabilities], leg: Leg, progress: Progress) -> Names:
        network, facts = self._network(NAMING_BUNDLE)
        bones, grid = bone_map(answers, facts["spacing_mm"][0], leg.side)
        message = f"Naming the bones of the {leg.side} leg"
        return name_bones(network, facts["classes"], bones, grid, self.device.torch_name, progress, message)

    def _refined(
        self, scan: Scan, answers: list[JointProbabilities], leg: Leg, progress: Progress
    ) -> dict[str, Correction]:
        network, facts = self._network(REFINEMENT_BUNDLE)
        message = f"Refining the {leg.side} leg"
        patches = PatchFacts.of_bundle(facts)
        return refine_leg(network, patches, scan.values, scan.grid, answers, self.device, progress, message)

    def _clean(self, labels: LegLabels, leg: Leg, grid: Grid) -> None:
        crop = grid.part(labels.place)
        structures = [structure(bone, leg.side) for bone in BONES]
        anchors = {structure(name, leg.side).key: crop.slices_within(bone.box) for name, bone in leg.bones.items()}
        follow_cleaning(labels, clean_labels(labels.labels, grid.spacing_mm, structures, anchors))

    def _network(self, name: str) -> tuple[nn.Module, dict[str, Any]]:
        """Load a network when it is first needed; one that is damaged or missing is said so then."""
        if name not in self._ready:
            bundle = self._bundles(name)
            self._ready[name] = ready_for_inference(bundle.network(self.device.torch_name), self.device.torch_name)
            self._used[name] = bundle
        return self._ready[name], self._used[name].metadata["kneeseg"]

    def _work(self, shares: list[Share]) -> float:
        """What progress is measured in: the length of leg to go through."""
        return sum(share.reach_mm[1] - share.reach_mm[0] for share in shares)

    def _require_memory(self, volume: Volume) -> None:
        size = volume.image.GetSize()
        voxels = volume.image.GetNumberOfPixels()
        require_memory(BYTES_ANYWAY + BYTES_PER_VOXEL * voxels, f"Segmenting {' x '.join(map(str, size))} voxels")

    def _provenance(self, legs: list[Leg], shares: dict[str, list[Share]], stopwatch: Stopwatch) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline.name,
            "pipeline_title": self.pipeline.title,
            "options": {"side": self.side, "quality": self.quality.name, "device": self._asked_device},
            "bundles": [
                {"name": bundle.name, "version": bundle.metadata["version"], "sha256": bundle.sha256}
                for bundle in self._used.values()
            ],
            "device": self.device.description,
            "timings": stopwatch.seconds,
            "legs": [_leg_record(leg, shares[leg.side]) for leg in legs],
        }


def _check_classes(joint: str, classes: Sequence[str]) -> None:
    """Raise unless a specialist's channels are what its answers are taken for: a wrong order would be wrong names."""
    if tuple(classes[1:]) not in (JOINT_BONES[joint], (*JOINT_BONES[joint], OTHER)):
        raise ModelError(
            f"The bundle for the {joint} names the classes {', '.join(classes)}, expected background, "
            f"{', '.join(JOINT_BONES[joint])}; install the weights that belong to this version."
        )


def _leg_record(leg: Leg, shares: list[Share]) -> dict[str, Any]:
    """What the localiser found, for the record; boxes are (low, high) in mm along the scan's z, y and x."""
    return {
        "side": leg.side,
        "side_confidence": round(leg.side_confidence, 3),
        "bones": {name: round(bone.confidence, 3) for name, bone in leg.bones.items()},
        "joints": {
            name: {
                "confidence": round(joint.confidence, 3),
                "box_mm": [[round(float(bound), 1) for bound in bounds] for bounds in joint.box],
                "segmented": any(share.joint == name for share in shares),
            }
            for name, joint in leg.joints.items()
        },
    }
