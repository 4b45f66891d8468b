"""CT of the leg: a slice network for each joint, guided by two coarse networks."""

from __future__ import annotations

from KneeSegLib.ct.cleaning import clean_leg, mend_slices
from KneeSegLib.ct.expectations import describe_legs, describe_missing, require_bones
from KneeSegLib.ct.fusion import fuse_probabilities, weights_for
from KneeSegLib.ct.labelling import label_leg
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.localise import CoarseProbabilities
from KneeSegLib.ct.record import record_leg
from KneeSegLib.ct.refinement import refine_leg
from KneeSegLib.ct.rois import box_of_roi
from KneeSegLib.ct.semantics import predict_semantics
from KneeSegLib.ct.unlabelled.bone_map import map_bones
from KneeSegLib.ct.unlabelled.search import find_unlabelled_bone
from KneeSegLib.ct.unlabelled.second_look import place_second_look, take_new_bones
from KneeSegLib.ct.unlabelled.sentences import describe_unlabelled, record_unlabelled
from KneeSegLib.ct.unlabelled.settings import MOST_LOOKS
from KneeSegLib.geometry.grid import Box
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
        steps.plan(localise=8, side=2, legs=80, unlabelled=2, look=2)
        localised = self.find_legs(scan, request.side, steps)
        legs, neighbour = localised.legs, localised.coarse if localised.has_two else None
        parts = steps.split("legs", [leg.length_mm for leg in legs])
        results = [self.segment_leg(scan, leg, neighbour, part) for leg, part in zip(legs, parts)]
        require_bones(list_labelled([result.labels for result in results]), legs, scan.source)
        with steps("unlabelled", "Looking for bone without a label"):
            asked = self.find_asked(legs, request)
            bones = map_bones(scan, [result.labels for result in results], localised.coarse)
            unlabelled = find_unlabelled_bone(bones, asked)
        for one, part in zip(unlabelled[:MOST_LOOKS], steps.split("look", [1.0] * MOST_LOOKS)):
            if (place := place_second_look(one, bones)) is not None:
                known = list_labelled([result.labels for result in results])
                seen = self.segment_leg(scan, place, neighbour, part)
                if (new := take_new_bones(seen.labels, seen.features, known)) is not None:
                    edges = {key: value for key, value in seen.edges.items() if key in new[1]}
                    results.append(LegFindings(*new, edges))
        labels = [result.labels for result in results]
        if len(results) > len(legs):
            bones = map_bones(scan, labels, localised.coarse)
            unlabelled = find_unlabelled_bone(bones, asked)
        labelled = list_labelled(labels)
        return Findings(
            scan=scan,
            legs=labels,
            features={key: value for result in results for key, value in result.features.items()},
            warnings=describe_legs(legs, scan.grid),
            edges={key: value for result in results for key, value in result.edges.items()},
            missing=[*describe_missing(legs, labelled), *describe_unlabelled(unlabelled, bones, scan)],
            provenance={
                "legs": [record_leg(leg) for leg in legs],
                "unlabelled_bone": record_unlabelled(unlabelled, scan),
            },
        )

    def find_asked(self, legs: list[Leg], request: Request) -> Box | None:
        """Return the box that was to be labelled; None where that is the whole scan."""
        if self.info.only_joint is None and request.side == "auto":
            return None
        return Box.enclosing([box_of_roi(roi, leg) for leg in legs for roi in leg.rois])

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
            follow_cleaning(labels, mend_slices(labels, scan))
        with steps("check", f"Checking the {leg.side} leg"):
            features = measure_leg_features(labels, uncleaned, disputed, leg, scan, residuals)
        return LegFindings(labels, features, self.draw_edges(labels, scan, steps))
