"""How far each labelled bone can be relied on, without knowing the truth: signs are measured, then judged.

    >>> verdict_on(structure("femur_right"), signs["femur_right"]).level        # doctest: +SKIP
    'good'

One file per kind of sign: :mod:`~KneeSegLib.quality.certainty` (of the networks),
:mod:`~KneeSegLib.quality.agreement` (with the localiser), :mod:`~KneeSegLib.quality.edges` and
:mod:`~KneeSegLib.quality.values` (in the image),
:mod:`~KneeSegLib.quality.outlines` (from slice to slice), :mod:`~KneeSegLib.quality.metal`,
:mod:`~KneeSegLib.quality.borders` and :mod:`~KneeSegLib.quality.sizes`. They know no files and load no torch.
"""

from __future__ import annotations

from KneeSegLib.quality.certainty import disputed_shares
from KneeSegLib.quality.measuring import signs_of_leg
from KneeSegLib.quality.signs import Signs
from KneeSegLib.quality.thresholds import KNEE_MR, SHIPPED, Thresholds
from KneeSegLib.quality.verdict import LEVEL_NAMES, Level, Verdict, verdict_on, warning_of

__all__ = [
    "KNEE_MR",
    "LEVEL_NAMES",
    "Level",
    "SHIPPED",
    "Signs",
    "Thresholds",
    "Verdict",
    "disputed_shares",
    "signs_of_leg",
    "verdict_on",
    "warning_of",
]
