"""Low-field MR of the knee: a 3D U-Net in three views, three bones, closing."""

from __future__ import annotations

from KneeSegLib.inference.labels import follow_cleaning
from KneeSegLib.inference.scan import Scan
from KneeSegLib.mr.expectations import describe_knee, describe_missing, known_side
from KneeSegLib.mr.low_field.labelling import close_bones, label_bones, split_probability, view_coarsely
from KneeSegLib.mr.low_field.naming import name_bones
from KneeSegLib.mr.low_field.settings import CLOSING_MM
from KneeSegLib.mr.low_field.views import LowFieldMethod, predict_views
from KneeSegLib.mr.record import record_knee
from KneeSegLib.mr.shape_fit import fit_side
from KneeSegLib.mr.shape_maps import map_shapes
from KneeSegLib.networks.mr_channels import VIEWS
from KneeSegLib.pipelines.findings import Findings
from KneeSegLib.pipelines.pipeline import Pipeline
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.shape_networks import load_shape_networks
from KneeSegLib.pipelines.steps import Steps
from KneeSegLib.pipelines.table import MR_LOW_FIELD_BUNDLE
from KneeSegLib.quality.knee import measure_knee_features
from KneeSegLib.quality.settings import KNEE_MR_LIMITS


class MrLowField(Pipeline):
    """3D U-Net for low-field MR: bone or not in cubes of three views, the three largest components, closing.

    Beyond the paper: components are named by their position, bones that touch are taken apart, the side is told by
    fitted shapes, and either edge of the bone, marrow's or cortex's, can be had. The quality ``fast`` looks at one
    view, ``high`` at the paper's cubes in three.
    """

    options = ("side", "quality", "device", "edge", "view_fusion", "cube_merging", "closing_mm")
    # A real scan of 55 million voxels took 1.4 GB in all; networks as wide as the paper's take more.
    bytes_per_voxel = 14.0
    bytes_anyway = 2.0e9

    def run(self, scan: Scan, request: Request, steps: Steps) -> Findings:
        steps.plan(views=72, name=4, shape=8, label=6, close=6, check=4)
        method = choose_method(request)
        side = known_side(request.side, scan)
        with steps("views") as progress:
            bone = predict_views(self.model(MR_LOW_FIELD_BUNDLE), scan, method, progress)
        with steps("name", "Naming the bones"):
            masks = name_bones((bone.values > 0.5).numpy(), bone.grid.z.spacing_mm, scan.source)
            split = split_probability(bone, masks)
        with steps("shape", "Fitting the shapes of the bones"):
            bones = view_coarsely(split, bone.grid, scan.grid)
            found, shapes = fit_side(load_shape_networks(self.model, scan), bones, side)
        with steps("label") as progress:
            knee = label_bones(split, bone.grid, scan.grid, found.side, self.device, progress)
        with steps("close", "Closing"):
            uncleaned = knee.labels
            follow_cleaning(knee, close_bones(knee, scan.grid, method.closing_mm))
        with steps("check", "Checking"):
            return Findings(
                scan=scan,
                legs=[knee],
                features=measure_knee_features(knee, uncleaned, shapes, scan.grid),
                limits=KNEE_MR_LIMITS,
                warnings=describe_knee(found, scan.grid),
                missing=describe_missing(knee, self.info.only_tissues),
                maps=map_shapes(shapes, found.side, scan),
                provenance={"knee": record_knee(found, shapes, None), "edge": method.edge},
            )


def choose_method(request: Request) -> LowFieldMethod:
    """Return the method that a request comes to."""
    return LowFieldMethod(
        views=VIEWS[:1] if request.quality == "fast" else VIEWS,
        fusion=request.view_fusion,
        merging=request.cube_merging,
        cubes=request.quality == "high",
        edge="cortex" if request.edge == "cortex" else "marrow",
        closing_mm=CLOSING_MM if request.closing_mm is None else request.closing_mm,
    )
