"""Quality control: how far each labelled structure can be relied on, without knowing the truth.

Features are measured, then compared with limits:

    >>> assess_quality(structure("femur_right"), features["femur_right"]).level        # doctest: +SKIP
    'good'

One file per kind of feature: :mod:`~KneeSegLib.quality.uncertainty` (of the networks),
:mod:`~KneeSegLib.quality.agreement` (with the localiser), :mod:`~KneeSegLib.quality.edges`,
:mod:`~KneeSegLib.quality.ends` and :mod:`~KneeSegLib.quality.values` (in the image),
:mod:`~KneeSegLib.quality.outlines` (from slice to slice), :mod:`~KneeSegLib.quality.metal`,
:mod:`~KneeSegLib.quality.borders` and :mod:`~KneeSegLib.quality.sizes`. They know no files and load no torch.
"""

from __future__ import annotations

from KneeSegLib.quality.assessment import LEVEL_NAMES, Level, QualityResult, assess_quality, describe_flag
from KneeSegLib.quality.features import QualityFeatures
from KneeSegLib.quality.leg import measure_leg_features
from KneeSegLib.quality.settings import BONE_CT_LIMITS, KNEE_MR_LIMITS, QualityLimits
from KneeSegLib.quality.uncertainty import measure_disputed_fractions

__all__ = [
    "BONE_CT_LIMITS",
    "KNEE_MR_LIMITS",
    "LEVEL_NAMES",
    "Level",
    "QualityFeatures",
    "QualityLimits",
    "QualityResult",
    "assess_quality",
    "describe_flag",
    "measure_disputed_fractions",
    "measure_leg_features",
]
