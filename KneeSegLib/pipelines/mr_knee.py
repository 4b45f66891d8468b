"""MR of the knee: slices, shapes, patches, ensemble."""

from __future__ import annotations

from KneeSegLib.inference.labels import follow_cleaning
from KneeSegLib.inference.scan import Scan
from KneeSegLib.mr.bones import find_bones, require_knee
from KneeSegLib.mr.cleaning import clean_knee
from KneeSegLib.mr.expectations import describe_knee, describe_missing, known_side
from KneeSegLib.mr.labelling import KneeLayout, label_knee
from KneeSegLib.mr.patches import place_patches, refine_cartilage
from KneeSegLib.mr.record import record_knee
from KneeSegLib.mr.settings import PLACING, PatchPlacing
from KneeSegLib.mr.shape_fit import fit_side
from KneeSegLib.mr.shape_maps import map_shapes
from KneeSegLib.mr.shape_prior import apply_shape_prior
from KneeSegLib.mr.slices import predict_sagittal
from KneeSegLib.pipelines.findings import Findings
from KneeSegLib.pipelines.pipeline import Pipeline
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.shape_networks import load_shape_networks
from KneeSegLib.pipelines.steps import Steps
from KneeSegLib.pipelines.table import MR_PATCHES_BUNDLE, MR_SLICES_BUNDLE
from KneeSegLib.quality.knee import measure_knee_features
from KneeSegLib.quality.settings import KNEE_MR_LIMITS


class MrKnee(Pipeline):
    """Deep shape fitting (Schock et al.): 2D network, shape model, local 3D network, sum of probabilities.

    Beyond the paper: the shapes change the odds of what slices take for bone; patella, fibula, patellar cartilage and
    menisci, any sequence, either side.
    """

    options = ("side", "stop_after", "device")
    bytes_per_voxel = 8.0
    bytes_anyway = 1.7e9
    placing: PatchPlacing = PLACING
    # Measured with Testing/benchmarks/knee_mr.py: torch, networks and probabilities, beside what grows with the scan.

    def run(self, scan: Scan, request: Request, steps: Steps) -> Findings:
        steps.plan(slices=48, shape=8, patches=26, label=8, clean=5, check=5)
        side = known_side(request.side, scan)
        with steps("slices") as progress:
            slices = predict_sagittal(self.model(MR_SLICES_BUNDLE), scan, progress)
        with steps("shape", "Fitting the shapes of the bones"):
            bones = find_bones(slices, scan.grid)
            require_knee(bones, scan.source)
            found, shapes = fit_side(load_shape_networks(self.model, scan), bones, side)
            if request.stop_after != "slices":
                slices = apply_shape_prior(slices, shapes, found.side)
        patches = None
        if request.stop_after == "patches":
            with steps("patches") as progress:
                centers_mm = place_patches(shapes, slices, self.placing)
                patches = refine_cartilage(self.model(MR_PATCHES_BUNDLE), scan, slices, centers_mm, progress)
        with steps("label") as progress:
            layout = KneeLayout.of_bones(found.side, bones)
            knee = label_knee(slices, patches, scan.grid, layout, self.device, progress)
        with steps("clean", "Cleaning"):
            uncleaned = knee.labels
            follow_cleaning(knee, clean_knee(knee, scan.grid))
        with steps("check", "Checking"):
            return Findings(
                scan=scan,
                legs=[knee],
                features=measure_knee_features(knee, uncleaned, shapes, scan.grid),
                limits=KNEE_MR_LIMITS,
                warnings=describe_knee(found, scan.grid),
                missing=describe_missing(knee),
                maps=[] if request.stop_after == "slices" else map_shapes(shapes, found.side, scan),
                provenance={"knee": record_knee(found, shapes, patches)},
            )
