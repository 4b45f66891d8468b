"""Choices of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A metric (key of :data:`KneeSegLib.measurements.metrics.METRICS`) as a column of a measured table."""

    metric: str
    heading: str
    digits: int


COLUMNS = (
    Column("dice", "Dice", 3),
    Column("assd_mm", "ASSD, mm", 2),
    Column("hd95_mm", "HD95, mm", 2),
    Column("nsd_1mm", "Surface Dice at 1 mm", 3),
)
"""What measured tables show: the overlap and the distances that papers on CT and MR of the knee report, with the digits
that they print."""

CASE_FOLDERS = (("labels", "images"), ("labelsTs", "imagesTs"), ("labelsTr", "imagesTr"))
"""Names of the folders of references and images in a folder of cases: as `kneeseg synthesize` writes them, and as
nnU-Net and the Medical Segmentation Decathlon do, whose test cases go before those for training."""

BOTH_ENDS_FROM_MM = 220.0
"""A long bone that a reference shows over at least this, and that ends before the scan does, is in view to that end:
scans of one joint show less of it, and references of them may end before the scan."""

CHARTED_METRICS = ("dice", "assd_mm", "hd95_mm", "nsd_1mm")
"""Metrics with box plots and tests on the page: of overlap, of distance, of tolerance. The files have all."""

MOST_CASES_SHOWN = 3
"""Cases with error maps: the worst one of each system, but no more than this, so that a page stays below 20 MB."""

SYSTEM_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#8c564b",
                 "#882255", "#44aa99", "#999933", "#332288")  # fmt: skip
"""Of systems in charts, in their order: Okabe and Ito's colours, which the colour-blind tell apart, and six more."""

SIGNIFICANT = 0.05
"""Corrected p values below this are called significant, as is usual."""

WHISKER_IQR = 1.5
"""Whiskers of box plots reach to the farthest case within so many inter-quartile ranges of the box: Tukey's."""

LIMITS_SD = 1.96
"""Limits of agreement of Bland-Altman plots, in standard deviations on either side of the bias: 95 % of cases."""

PATIENCE_SECONDS = 10.0
"""A run that is to stop is given so long to remove what it has begun to write, before it is ended."""

CHART_WIDTH, LABEL_WIDTH, ROW_HEIGHT, GROUP_GAP, AXIS_HEIGHT = 460.0, 116.0, 15.0, 9.0, 34.0
PANEL_WIDTH, PANEL_HEIGHT, PANEL_LEFT, PANEL_BOTTOM = 300.0, 200.0, 46.0, 34.0
"""Of box plots and Bland-Altman plots, in units of which text is 11 high: by eye, two and three in a page's width."""

AXIS_MARGIN = 0.04
"""Free ends of an axis as a fraction of what it spans, so that no point lies on the edge."""

AXIS_TICKS = 5
"""About so many numbers stand on an axis: they do not touch each other."""
