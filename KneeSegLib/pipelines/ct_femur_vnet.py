"""CT of the femur: one V-Net on the gradient of the image, for comparison with what labels every bone."""

from __future__ import annotations

from KneeSegLib.ct.cleaning import clean_leg
from KneeSegLib.ct.expectations import describe_legs, require_bones
from KneeSegLib.ct.femur_volume import FEMUR, label_femur, predict_femur
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.record import record_leg
from KneeSegLib.inference.labels import follow_cleaning
from KneeSegLib.inference.scan import Scan
from KneeSegLib.pipelines.ct_pipeline import CtPipeline
from KneeSegLib.pipelines.findings import Findings, LegFindings, list_labelled
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.steps import Steps
from KneeSegLib.pipelines.table import FEMUR_VNET_BUNDLE
from KneeSegLib.quality.leg import measure_leg_features


class CtFemurVnet(CtPipeline):
    """V-Net with a gradient pre-processor: the femur's box, as the gradient of the CT, brought to one small grid.

    What the paper leaves to its user is done as for every CT of the leg: femora are found, each leg is taken by itself
    and its side is named, left ones are shown in a mirror. Whether the network sees the gradient or the image its
    bundle says. The paper ends with the network; components that are no part of the femur are removed here.
    """

    options = ("side", "device", "edge")
    bytes_per_voxel = 8.0
    bytes_anyway = 0.9e9
    # Not measured: as CtLeg, and a crop in floating point with its gradient.

    def run(self, scan: Scan, request: Request, steps: Steps) -> Findings:
        steps.plan(localise=40, side=10, legs=50)
        found = self.find_legs(scan, request.side, steps).legs
        legs = [leg for leg in found if FEMUR in leg.bones]
        results = [self.segment_leg(scan, leg, part) for leg, part in zip(legs, steps.split("legs", [1.0] * len(legs)))]
        labels = [result.labels for result in results]
        require_bones(list_labelled(labels), found, scan.source)
        return Findings(
            scan=scan,
            legs=labels,
            features={key: value for result in results for key, value in result.features.items()},
            edges={key: value for result in results for key, value in result.edges.items()},
            warnings=describe_legs(legs, scan.grid),
            provenance={"legs": [record_leg(leg) for leg in legs]},
        )

    def segment_leg(self, scan: Scan, leg: Leg, steps: Steps) -> LegFindings:
        """Label the femur of one leg."""
        steps.plan(volume=60, label=25, clean=5, check=10, edges=4)
        with steps("volume", f"V-Net on the {leg.side} femur"):
            femur = predict_femur(self.model(FEMUR_VNET_BUNDLE), scan, leg)
        with steps("label") as progress:
            labels = label_femur(femur, scan.grid, leg, self.device, progress)
        with steps("clean", f"Cleaning the {leg.side} femur"):
            uncleaned = labels.labels
            follow_cleaning(labels, clean_leg(labels, leg, scan.grid))
        with steps("check", f"Checking the {leg.side} femur"):
            features = measure_leg_features(labels, uncleaned, {}, leg, scan)
        return LegFindings(labels, features, self.draw_edges(labels, scan, steps))
