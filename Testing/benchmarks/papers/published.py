"""What our texts of the five papers say was measured, and why it is not the data that we measure on.

Figures whose tables the texts have lost are left out: both tables of the comparison with nnU-Net, all three of the
low-field paper (closing, single bones, the other program), and the bar chart of the V-Net with its average Hausdorff
distance and volume similarity.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One published mean.

    Attributes:
        of: structure and, in words, which system of the paper.
        metric: a key of :data:`KneeSegLib.measurements.metrics.METRICS`.
        published: as printed, in the metric's own unit (Dice 0 to 1, distances in mm), with its range where given.
        cohort, structure: where ours stands in a benchmark's JSON, as it begins, and its key there.
    """

    of: str
    metric: str
    published: str
    cohort: str
    structure: str


@dataclass(frozen=True)
class Paper:
    """A paper: its figures, what it says of time, and one line on why its data are not ours."""

    title: str
    data: str
    figures: tuple[Figure, ...]
    times: str


def _joint(joint: str, bone: str, dice: str, assd: str, hd: str) -> tuple[Figure, ...]:
    return tuple(
        Figure(f"{joint}: {bone}", metric, value, joint, f"{bone}_right")
        for metric, value in (("dice", dice), ("assd_mm", assd), ("hd_mm", hd))
    )


def _knee_mr(of: str, cohort: str, values: tuple[str, str, str, str]) -> tuple[Figure, ...]:
    structures = ("femur", "tibia", "femoral_cartilage", "tibial_cartilage")
    return tuple(
        Figure(f"{structure.replace('_', ' ')}, {of}", "dice", value, cohort, f"{structure}_right")
        for structure, value in zip(structures, values)
    )


PAPERS = (
    Paper(
        "Three 2D U-Nets for CT of the lower limb",
        "20 real scans of 12 patients of one hospital, labels by hand; ours are synthetic images of other subjects.",
        (
            *_joint(
                "ankle",
                "tibia",
                "0.9822 ± 0.0066 (0.9758 to 0.9867)",
                "0.21 ± 0.15 (0.16 to 0.28)",
                "3.32 ± 2.40 (1.80 to 8.00)",
            ),
            *_joint(
                "knee",
                "tibia",
                "0.9846 ± 0.0019 (0.9806 to 0.9871)",
                "0.26 ± 0.04 (0.20 to 0.34)",
                "4.36 ± 1.57 (2.10 to 8.97)",
            ),
            *_joint(
                "knee",
                "femur",
                "0.9862 ± 0.0029 (0.9757 to 0.9891)",
                "0.24 ± 0.05 (0.19 to 0.40)",
                "3.36 ± 1.55 (1.66 to 6.55)",
            ),
            *_joint(
                "hip",
                "femur",
                "0.9856 ± 0.0026 (0.9757 to 0.9881)",
                "0.23 ± 0.05 (0.18 to 0.37)",
                "3.75 ± 1.42 (2.28 to 8.79)",
            ),
        ),
        "Three joints of a leg in 3 to 4 min on an i7-7820HQ.",
    ),
    Paper(
        "nnU-Net versus a custom U-Net, knee CT",
        "32 real scans of 18 patients of that hospital; the values of both of its tables are not in our text.",
        (),
        "A knee CT in 65 s (custom) and 70 s (nnU-Net 2D) on an i7-7820HQ.",
    ),
    Paper(
        "Deep shape fitting, knee MR",
        "504 real DESS scans in ten folds, labels by readers; ours are synthetic DESS of six other subjects.",
        (
            *_knee_mr("2D alone", "knee MR, oai-dess, slices", ("0.985", "0.985", "0.890", "0.849")),
            *_knee_mr("whole method", "knee MR, oai-dess, patches", ("0.985", "0.985", "0.899", "0.859")),
            *_knee_mr("what it is compared with", "knee MR, oai-dess, patches", ("0.986", "0.985", "0.899", "0.856")),
        ),
        "8 s for all stages, 0.1 s of them for the shapes, on an RTX 2080 Ti; 9 min 32 s on a 980 Ti for what it is "
        "compared with (Ambellan et al.).",
    ),
    Paper(
        "V-Net with a gradient pre-processor, femur in CT",
        "20 real angiographic CT, no osteoarthritis, at 512 x 64 x 64; ours are synthetic, on the scan's own grid.",
        (
            Figure("femur, gradient", "dice", "0.944 ± 0.011", "ct-femur-vnet, gradient", "femur_right"),
            Figure("femur, plain", "dice", "0.931 ± 0.014", "ct-femur-vnet, plain", "femur_right"),
        ),
        "20 volumes in about 10 s on a GTX 1080 Ti; 26 h of training, to a Dice loss of 0.0010 with the gradient and "
        "of 0.0015 without.",
    ),
    Paper(
        "3D U-Net for low-field MR of the knee",
        "One real low-field scan, bones by specialists; ours are synthetic (low_field.py). The values of its three "
        "tables are not in our text.",
        (),
        "Prediction 227.86 s; closing with a ball of radius 9 455.07 s on a processor, 3.96 s on a GPU.",
    ),
)
