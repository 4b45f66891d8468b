"""What pipelines of CT of the leg begin with: the legs in a scan, and which side a single one is of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from KneeSegLib.anatomy import SIDES
from KneeSegLib.ct.expectations import select_legs
from KneeSegLib.ct.joint_slices import JointProbabilities, predict_joint
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.legs import find_legs
from KneeSegLib.ct.localise import CoarseProbabilities, localise_bones
from KneeSegLib.ct.rois import find_rois
from KneeSegLib.ct.semantics import predict_semantics
from KneeSegLib.ct.settings import SIDE_CHECK_SLICE_STEP
from KneeSegLib.ct.side_check import measure_agreement, needs_side_check, resolve_side
from KneeSegLib.edges.drawing import draw_edges
from KneeSegLib.edges.half_maximum import locate_half_maximum
from KneeSegLib.edges.measurement import EdgeMeasurement
from KneeSegLib.inference.labels import LegLabels
from KneeSegLib.inference.scan import Scan
from KneeSegLib.pipelines.pipeline import Pipeline
from KneeSegLib.pipelines.steps import Steps
from KneeSegLib.pipelines.table import JOINT_BUNDLES, LOCALISER_BUNDLE, NAMING_BUNDLE
from KneeSegLib.progress import Progress, split_progress


@dataclass(frozen=True)
class LocalisedLegs:
    """The wanted legs, what the localiser predicted, and whether it found two legs."""

    legs: list[Leg]
    coarse: CoarseProbabilities
    has_two: bool


class CtPipeline(Pipeline):
    """A pipeline of CT of the leg."""

    def find_legs(self, scan: Scan, side: str, steps: Steps) -> LocalisedLegs:
        """Return the wanted legs; steps ``localise``, ``side``.

        Args:
            side: as the user asks for it.

        Raises:
            AnatomyNotFoundError: the scan shows no such leg.
        """
        with steps("localise") as progress:
            coarse = localise_bones(self.model(LOCALISER_BUNDLE), scan, progress)
            found = find_legs(coarse, scan.grid, self.info.only_joint)
        if needs_side_check(found, side):
            with steps("side") as progress:
                found = [self.check_side(scan, found[0], progress)]
        legs = select_legs(found, self.info.joints, side, scan)
        assert coarse is not None  # without a prediction there are no legs
        return LocalisedLegs(legs, coarse, len(found) > 1)

    def predict_joints(self, scan: Scan, leg: Leg, slice_step: int, progress: Progress) -> list[JointProbabilities]:
        """Apply the model of each joint to its region of the leg."""
        return [
            predict_joint(self.model(JOINT_BUNDLES[roi.joint]), scan, leg, roi, slice_step, report)
            for roi, report in zip(leg.rois, split_progress(progress, [roi.length_mm for roi in leg.rois]))
        ]

    def check_side(self, scan: Scan, leg: Leg, progress: Progress) -> Leg:
        """Show a leg whose side is uncertain to the networks as a right and as a left one, coarsely."""
        leg = replace(leg, rois=find_rois(leg, self.info.joints, scan.grid.z))
        if not leg.rois:
            return leg
        agreement = {}
        reports = iter(split_progress(progress, (9, 1) * len(SIDES)))
        for side in SIDES:
            joints = self.predict_joints(scan, replace(leg, side=side), SIDE_CHECK_SLICE_STEP, next(reports))
            semantics = predict_semantics(self.model(NAMING_BUNDLE), joints, side, next(reports))
            agreement[side] = measure_agreement(joints, semantics)
        return resolve_side(leg, agreement)

    def draw_edges(self, labels: LegLabels, scan: Scan, steps: Steps) -> dict[str, EdgeMeasurement]:
        """Bring the labels of a leg to the edge that is wanted; step ``edges``, after all that looks at the networks'.

        Networks estimate where the cortex ends; how far the half-maximum lies from there is measured either way.
        """
        with steps("edges") as progress:
            return draw_edges(labels, scan, locate_half_maximum, self.edge == "half-maximum", progress)
