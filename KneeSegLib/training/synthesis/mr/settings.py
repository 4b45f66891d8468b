"""Numbers of synthetic knee MR: first what a recipe may change, then what is the same for all recipes.

Pairs of a recipe's entries are bounds between which a value is drawn evenly for each image. Not measured: every number
for which no source or reason is named was set by judgement and not compared with other values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from KneeSegLib.training.shape_models.settings import Shaft
from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.settings import Bounds, Warp


@dataclass(frozen=True)
class Disease:
    """How often and how far knees differ from healthy ones.

    Attributes:
        thickness: factor of the cartilage's thickness, all over.
        thickness_waves: relative standard deviation of that factor over some centimetres.
        worn_mm: taken off everywhere, so that thin edges draw back; negative values spread cartilage outward.
        lesion_probability: of holes of 4 to 14 mm, partly or down to the bone.
        denuded_probability: of bare bone over a whole compartment.
        osteophyte_probability: of outgrowths at the joint's edges, ``osteophyte_mm`` high.
        extrusion_probability: of menisci that stand out sideways by ``extrusion_mm``.
        film_mm: fluid upon cartilage, which fades out over .3 to 1 mm beyond; from -1 on cartilage is mostly dry.
        effusion_probability: of more of it, ``effusion_mm`` around the joint.
        recess_probability: of fluid in the recess above the patella, ``recess_mm`` deep on the front of the femur.
    """

    thickness: Bounds = (0.55, 1.25)
    thickness_waves: Bounds = (0.0, 0.25)
    worn_mm: Bounds = (-0.5, 0.7)
    lesion_probability: float = 0.35
    denuded_probability: float = 0.15
    osteophyte_probability: float = 0.3
    osteophyte_mm: Bounds = (1.0, 4.0)
    extrusion_probability: float = 0.3
    extrusion_mm: Bounds = (0.5, 4.0)
    film_mm: Bounds = (-1.2, 0.8)
    effusion_probability: float = 0.35
    effusion_mm: Bounds = (1.0, 7.0)
    recess_probability: float = 0.5
    recess_mm: Bounds = (1.0, 5.0)


@dataclass(frozen=True)
class Marrow:
    """The inside of bone.

    Attributes:
        fat_share: fraction of marrow that is fat.
        grain: standard deviation of its texture, relative to its signal; grain_mm: over which that varies.
        patchiness: standard deviation of the fraction of fat over some centimetres.
        cortex_factor: factor of the cortical thickness that was prepared.
        scar_probability: of the scars of growth plates. oedema_probability: of wet marrow near the joint.
        cyst_probability: of cysts near the joint. vessels_probability: of vessels in marrow.
    """

    fat_share: Bounds = (0.6, 0.9)
    grain: Bounds = (0.0, 0.07)
    grain_mm: Bounds = (0.7, 1.5)
    patchiness: Bounds = (0.0, 0.2)
    cortex_factor: Bounds = (0.45, 1.2)
    scar_probability: float = 0.5
    oedema_probability: float = 0.25
    cyst_probability: float = 0.08
    vessels_probability: float = 0.25


@dataclass(frozen=True)
class Surroundings:
    """The soft tissue around bones.

    Attributes:
        fat_mm: thickness of the fat under the skin.
        muscle_factor: factor of the contrast's level of muscle.
        muscle_streaks: fraction of fat in the streaks along a muscle's fibres.
        fascia: fraction of fat between muscles; fascia_probability: that it is visible.
        pad_grain: how much the fat pads are crossed by strands.
        other_muscles_probability: of invented muscles in the place of the template's.
        decoy_probability: of pieces in soft tissue that are as bright as marrow and have a dark rim.
        dark_vessel_probability: of arteries as dark as tendons.
    """

    fat_mm: Bounds = (1.0, 16.0)
    muscle_factor: Bounds = (0.75, 1.3)
    muscle_streaks: Bounds = (0.0, 0.5)
    fascia: Bounds = (0.0, 0.8)
    fascia_probability: float = 0.4
    pad_grain: Bounds = (0.0, 0.25)
    other_muscles_probability: float = 0.3
    decoy_probability: float = 0.2
    dark_vessel_probability: float = 0.5


@dataclass(frozen=True)
class Contrast:
    """Signal per tissue: ``fat`` of pure fat, ``marrow`` of what is water in marrow, the others of the whole tissue."""

    fat: float
    marrow: float
    muscle: float
    tendon: float
    cortex: float
    cartilage: float
    meniscus: float
    fluid: float
    artery: float
    vein: float
    nerve: float
    skin: float


PRESETS_BY_EYE: Mapping[str, Contrast] = {
    "dess": Contrast(0.14, 0.28, 0.40, 0.12, 0.04, 0.62, 0.18, 1.00, 0.45, 0.75, 0.42, 0.35),
    "pd_fat_suppressed": Contrast(0.10, 0.20, 0.36, 0.07, 0.03, 0.62, 0.10, 1.00, 0.20, 0.55, 0.45, 0.30),
    "pd": Contrast(1.00, 0.45, 0.36, 0.07, 0.03, 0.50, 0.10, 0.75, 0.12, 0.35, 0.42, 0.35),
    "t1": Contrast(1.00, 0.40, 0.38, 0.09, 0.03, 0.46, 0.13, 0.28, 0.12, 0.30, 0.36, 0.35),
    "t2": Contrast(0.75, 0.25, 0.16, 0.05, 0.03, 0.30, 0.06, 1.00, 0.08, 0.40, 0.30, 0.22),
    "low_field": Contrast(0.95, 0.50, 0.44, 0.12, 0.05, 0.60, 0.20, 0.65, 0.30, 0.50, 0.42, 0.40),
}
"""Levels of known sequences, chosen by eye on images of them and rounded."""

FREE_BOUNDS: Mapping[str, Bounds] = {
    "fat": (0.05, 1.1),
    "marrow": (0.15, 0.7),
    "muscle": (0.12, 0.65),
    "tendon": (0.03, 0.25),
    "cortex": (0.01, 0.12),
    "cartilage": (0.2, 1.0),
    "meniscus": (0.04, 0.3),
    "fluid": (0.15, 1.2),
    "artery": (0.03, 0.9),
    "vein": (0.1, 0.9),
    "nerve": (0.2, 0.6),
    "skin": (0.1, 0.7),
}
"""Bounds of the levels of images that follow no known sequence."""


@dataclass(frozen=True)
class ContrastDraw:
    """Which contrasts are drawn.

    Attributes:
        presets: names in :data:`~.contrast.PRESETS` to draw near, each as often as it is named.
        spread: standard deviation of the logarithm of each level around the preset's.
        anything_probability: fraction of images whose every level is drawn from :data:`FREE_BOUNDS` instead.
    """

    presets: tuple[str, ...] = tuple(PRESETS_BY_EYE)
    spread: float = 0.18
    anything_probability: float = 0.3


@dataclass(frozen=True)
class MrScanner:
    """How scanners differ; probabilities are those that an ingredient takes part. Lengths in mm.

    Attributes:
        shift_mm: of fat along the read-out.
        failure_probability: of fat suppression (or anything else about fat) that fails in places.
        bias: standard deviation of the logarithm of the slow shading.
        coil_mm: distance at which a coil's signal halves; coil_probability: of a coil that is near enough to show.
        resolution_mm: edge of what the scanner resolves within a slice; finer detail is cut off in its frequencies.
        gibbs_probability: of a sharp cut, which rings. motion_probability: of ghosts, of a strength within ``ghosts``.
        wrap_probability: of a field of view that is too small. band_probability: of a saturation band.
        noise: standard deviation against a signal of 1, before the magnitude is taken.
        slice_blur_mm: how far slices reach into each other.
        curve: exponent of the signal in the end.
        opposed_probability: of fat and water that cancel in the voxels that hold both, as in balanced steady state
            where their precession is half a turn apart: dark lines along every border of fat.
        sharpening_probability: of a filter of the scanner that sharpens, by up to ``sharpening`` times the
            difference to the blurred image.
    """

    shift_mm: Bounds = (0.0, 1.6)
    shift_probability: float = 0.6
    failure_probability: float = 0.15
    bias: Bounds = (0.0, 0.3)
    coil_mm: Bounds = (70.0, 200.0)
    coil_probability: float = 0.6
    resolution_mm: Bounds = (0.4, 1.1)
    gibbs_probability: float = 0.5
    motion_probability: float = 0.2
    ghosts: Bounds = (0.01, 0.06)
    wrap_probability: float = 0.05
    band_probability: float = 0.08
    noise: Bounds = (0.005, 0.09)
    slice_blur_mm: Bounds = (0.0, 0.8)
    curve: Bounds = (0.85, 1.2)
    opposed_probability: float = 0.0
    sharpening_probability: float = 0.0
    sharpening: Bounds = (0.3, 1.5)


@dataclass(frozen=True)
class MrSynthesis:
    """Everything a recipe may change about synthetic MR; the recipes that ship narrow some of these defaults.

    Attributes:
        warp: of most images.
        gentle_probability: fraction of images of a subject hardly bent: by :data:`GENTLE_FACTOR` of ``warp``.
        disease, marrow, surroundings, contrast, scanner: the ingredients.
    """

    warp: Warp = field(
        default_factory=lambda: Warp((-12.0, 12.0), (-15.0, 15.0), (0.88, 1.14), (0.93, 1.07), (0.0, 4.0), (0.0, 0.7))
    )
    gentle_probability: float = 0.3
    disease: Disease = field(default_factory=Disease)
    marrow: Marrow = field(default_factory=Marrow)
    surroundings: Surroundings = field(default_factory=Surroundings)
    contrast: ContrastDraw = field(default_factory=ContrastDraw)
    scanner: MrScanner = field(default_factory=MrScanner)


# Rendering.

GENTLE_FACTOR = 0.35
"""What of the bounds of a warp is left of images that are hardly bent."""
LATTICE_STRIDE = 4
"""Positions are worked out at every fourth voxel and interpolated between: warps are smooth."""
INVERSION_ROUNDS = 8
"""Rounds of fixed-point iteration that undo a subject's displacement."""
WARP_INVERSION_ROUNDS = 6
"""The same for the warp of an image."""
REMEMBERED_STRIDE = 3
"""Places to centre samples on are remembered from every third voxel along each axis."""

BLEND_SLICES = 0.7
"""Slices that are to be averaged pass into each other first, so that thin sheets across them leave no steps."""
TISSUE_BLUR_VOXELS = 0.7
"""Labels of soft tissue have no edges between voxels: so much blur gives partial volumes."""
RECESS_BLUR_MM = 0.4
"""The recess above the patella is drawn in voxels of the template: so much blur gives partial volumes."""
MENISCUS_RIM_MM = 32.0
"""Distance of the rim of the menisci from the middle of the plateau."""

CASE_EXTENT_MM = (112.0, 152.0, 144.0)
"""Of a whole case: to the left, upward, backward."""
MATRIX_STRIDE = 8
"""Rows and columns of a case come in multiples of this, as scanners' matrices do."""
SLICE_SPACING_MM = 3.5
"""Distance and thickness of a case's slices where none is asked for."""
THICKEST_RENDERED_MM = 1.4
"""Thicker slices are the mean of several that are not thicker than this."""
SIGNAL_RANGE = 1000.0
"""Largest value of a case's image."""

# Preparation of anatomy.

SUBJECTS: Mapping[Group, int] = {"train": 160, "validation": 6, "test": 6}
"""How many subjects are drawn from the shape model; those of the label maps come on top."""
LEAST_VOLUME_CHANGE = 0.1
"""Subjects whose displacement shrinks the anatomy further than this anywhere are drawn again: it folds at zero."""
VARIATION_REDUCED_BY = 0.75
"""Factor of what may vary each time a subject has to be drawn again."""


@dataclass(frozen=True)
class Variation:
    """How a drawn knee differs from a mapped one: bounds, but for the shape, in mm and degrees.

    Attributes:
        shape: factor of the shape model's coefficients.
        size: factor of the size.
        flexion, varus, tibial_rotation: turns of tibia and fibula about the map's own pose.
        gap_mm: added to the least distance between the bones that the map shows.
        patella_height_mm: upward.
    """

    shape: float = 1.0
    size: Bounds = (0.92, 1.08)
    flexion: Bounds = (-9.0, 12.0)
    varus: Bounds = (-3.0, 3.0)
    tibial_rotation: Bounds = (-6.0, 6.0)
    gap_mm: Bounds = (-0.8, 0.8)
    patella_height_mm: Bounds = (-6.0, 6.0)


TEMPLATE_GRID = CubicGrid((-62.0, -70.0, -80.0), 0.6, (268, 228, 220))
"""Of every template: 161 mm high, 137 mm deep, 132 mm wide."""
STEPS_GRID = CubicGrid((-76.0, -84.0, -96.0), 4.0, (49, 43, 39))
"""Of every displacement field: larger than a template's grid by a margin."""
PASSAGE_MM = 10.0
"""A bone of the label map passes into that of the shape model over this height where the map ends."""
THINNEST_CARTILAGE_MM = 0.2
"""Less cartilage than this is a difference between two smoothed borders."""

LABEL_SMOOTHING_MM = 0.7
"""Standard deviation of the smoothing of distances, and of the fractions of soft tissue, from label maps."""
LEAST_SOFT_FRACTION = 0.45
"""A soft tissue fills at least this fraction of a voxel's neighbourhood that is labelled with it, else it is fat."""
FINE_ENOUGH_MM = 0.5
"""Label maps are thinned to about this spacing: smoothing leaves nothing of finer detail."""
LABEL_CONTINUED_MM = 36.0
"""So far beyond a label map's ends its last slices are repeated."""
DROPPED_SLICES = 2
"""The outermost slices may hold only part of a structure: so many are not used."""

FIELD_LEVELS_MM = (36.0, 22.0, 14.0, 9.0, 6.0)
"""Standard deviations of the Gaussians of a displacement field, one level after the other."""
FIELD_PARTS = 4
"""A displacement is composed of so many small ones: small steps do not fold."""
NO_DISPLACEMENT_WEIGHT = 0.02
"""Weight of no further displacement against the data: it decides where neither is near."""

NEAR_KNEE_MM = 75.0
"""Height above and below the plateau within which bones are matched."""
BONE_END_MM = 40.0
"""Height of the end of a bone whose middle is brought onto that of the map."""
SKIPPED_MM = 3.0
"""The surface of a label map is not used so near to the map's ends."""
SIMILARITY_STEPS = 40
"""Iterations of the similarity that lays a mean bone on a mapped one."""
STIFFNESS_MM = (40.0, 28.0, 20.0, 14.0, 10.0, 7.0, 7.0)
"""Standard deviations over which the following steps, which bend it, are smoothed."""
STEPS_PER_STIFFNESS = 3
"""Steps with each of them."""
LEAST_FACING = 0.4
"""Least cosine between the normals of two points that may correspond."""
BENT_WITHIN_MM = 130.0
"""Vertices further up or down than this stay where the similarity put them."""

HULL_RADIUS_MM = 11.0
"""Radius of the ball that closes the hull of the anatomy: gaps and hollows that it does not fit into are bridged."""
HULL_SMOOTHING_MM = 3.0
"""Standard deviation of the smoothing of the distance to the hull, so that skin at some distance shows no voxels."""
TENDON_HALF_WIDTH_MM, TENDON_HALF_DEPTH_MM = 16.0, 3.3
"""Half axes of the quadriceps tendon, which no label map here shows."""
POUCH_HALF_WIDTH_MM, POUCH_DEPTH_MM, POUCH_HEIGHT_MM = 17.0, 4.0, 40.0
"""Extent of the recess above the patella, which no label map here shows: its half width, depth, and height above it."""

# Landmarks and the shape model that ships.

LANDMARK_SHAFTS = {"femur": Shaft("lower", 0.94), "tibia": Shaft("upper", 0.94)}
"""Points reach as far along the shafts as fields of view of the knee do, and as the templates allow."""
SHAPES_PER_SUBJECT = 2
"""Shapes of each subject in the shape model, bent at random as images are."""
MODES = 40
"""Of the shape model."""
BENT_CUBE_MM = 140.0
"""Edge of the cube around a bone that is bent for them."""
LANDMARK_SPACING_MM = 1.0
"""Voxels of the bones that points are spread over."""
CARRIES_FROM_MM = 0.3
"""A point with more cartilage than this carries cartilage."""
CARRY_ROUNDS = 12
"""Rounds of fixed-point iteration that carry points back through a displacement field."""
