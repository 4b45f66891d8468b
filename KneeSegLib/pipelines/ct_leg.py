"""CT of the leg: a slice network for each joint, guided by two coarse networks."""

from __future__ import annotations

from KneeSegLib.ct.cleaning import clean_leg
from KneeSegLib.ct.expectations import describe_legs, describe_missing, require_bones
from KneeSegLib.ct.fusion import fuse_probabilities, weights_for
from KneeSegLib.ct.labelling import label_leg
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.localise import CoarseProbabilities
from KneeSegLib.ct.record import record_leg
from KneeSegLib.ct.refinement import refine_leg
from KneeSegLib.ct.semantics import predict_semantics
from KneeSegLib.inference.labels import follow_cleaning
from KneeSegLib.inference.scan import Scan
from KneeSegLib.pipelines.ct_pipeline import CtPipeline
from KneeSegLib.pipelines.findings import Findings, LegFindings, list_labelled
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.steps import Steps
from KneeSegLib.pipelines.table import NAMING_BUNDLE, REFINEMENT_BUNDLE
from KneeSegLib.quality.leg import measure_leg_features
from KneeSegLib.quality.uncertainty import measure_disputed_fractions


class CtLeg(CtPipeline):
    """Three 2D U-Nets for CT of the lower limb: one each for hip, knee and ankle, on transverse slices.

    What the paper leaves to the user is done here: the joints are found and their side is named, both legs are taken,
    and the shafts between the joints are labelled. With the quality ``high`` the surfaces are refined in patches.
    """

    # Measured with Testing/benchmarks/knee_ct.py: torch, networks and one leg's crops, beside what grows with the scan.
    options = ("side", "quality", "device", "edge")
    bytes_per_voxel = 6.0
    bytes_anyway = 0.9e9

    def late_models(self) -> tuple[str, ...]:
        return self.request.quality_info.bundles

    def run(self, scan: Scan, request: Request, steps: Steps) -> Findings:
        steps.plan(localise=8, side=2, legs=84)
        legs, neighbour = self.find_legs(scan, request.side, steps)
        parts = steps.split("legs", [leg.length_mm for leg in legs])
        results = [self.segment_leg(scan, leg, neighbour, part) for leg, part in zip(legs, parts)]
        labels = [result.labels for result in results]
        labelled = list_labelled(labels)
        require_bones(labelled, legs, scan.source)
        return Findings(
            scan=scan,
            legs=labels,
            features={key: value for result in results for key, value in result.features.items()},
            warnings=describe_legs(legs, scan.grid),
            edges={key: value for result in results for key, value in result.edges.items()},
            missing=describe_missing(legs, labelled),
            provenance={"legs": [record_leg(leg) for leg in legs]},
        )

    def segment_leg(self, scan: Scan, leg: Leg, neighbour: CoarseProbabilities | None, steps: Steps) -> LegFindings:
        """Label one leg; ``neighbour`` says where the other leg's bones are."""
        refines = self.request.quality_info.refines
        steps.plan(slices=70, semantics=8, refine=60 if refines else 0, label=14, clean=4, check=4, edges=4)
        with steps("slices") as progress:
            predicted = self.predict_joints(scan, leg, self.request.quality_info.slice_step, progress)
        with steps("semantics") as progress:
            semantics = predict_semantics(self.model(NAMING_BUNDLE), predicted, leg.side, progress)
            joints = [
                fuse_probabilities(joint, semantics, neighbour, leg.side, weights_for(joint.roi.joint, scan.grid))
                for joint in predicted
            ]
            disputed = measure_disputed_fractions(predicted, joints)
            del predicted  # as large as the fused ones
        residuals = {}
        if refines:
            with steps("refine") as progress:
                residuals = refine_leg(self.model(REFINEMENT_BUNDLE), scan, joints, progress)
        with steps("label") as progress:
            labels = label_leg(joints, scan.grid, leg.side, self.device, residuals, progress)
        with steps("clean", f"Cleaning the {leg.side} leg"):
            uncleaned = labels.labels
            follow_cleaning(labels, clean_leg(labels, leg, scan.grid))
        with steps("check", f"Checking the {leg.side} leg"):
            features = measure_leg_features(labels, uncleaned, disputed, leg, scan, residuals)
        return LegFindings(labels, features, self.draw_edges(labels, scan, steps))
