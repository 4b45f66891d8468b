"""How large bones are, to recognise a size that is impossible.

From the subjects that the networks are trained on (``kneeseg synthesize --prepare``, group ``train``): 32 whole legs
and 34 knees drawn from the statistical shape model of the lower limb (musculoskeletal/models LLP26, MPL-2.0), cut at
two standard deviations, 33 scanned ankles and 18 hips. ``Testing/benchmarks/bone_sizes.py`` prints the table anew. The
subjects are adults; limits are wider than what was seen, since smaller and larger adults exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from KneeSegLib.geometry.boxes import ArrayBox, box_shape
from KneeSegLib.quality.settings import LENGTH_SLACK, VOLUME_SLACK

Range = tuple[float, float]


@dataclass(frozen=True)
class Size:
    """Smallest and largest seen: volume of the whole bone in cm3, longest edge of its upright box in mm."""

    volume_cm3: Range
    length_mm: Range


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "hip_bone": Size((191.2, 491.0), (177.0, 238.0)),
        "femur": Size((379.0, 649.3), (402.0, 465.0)),
        "patella": Size((8.3, 25.0), (31.0, 51.0)),
        "tibia": Size((222.6, 429.0), (333.0, 381.0)),
        "fibula": Size((27.6, 76.1), (312.0, 369.0)),
        "talus": Size((20.2, 58.2), (48.0, 70.0)),
        "calcaneus": Size((40.1, 108.8), (63.0, 101.0)),
    }
)


def measure_extent_mm(box: ArrayBox, spacing_mm: Sequence[float]) -> tuple[float, float, float]:
    """Return the edges (z, y, x) of an upright box."""
    z, y, x = (count * step for count, step in zip(box_shape(box), spacing_mm))
    return z, y, x


def describe_implausible_size(bone: str, volume_cm3: float, length_mm: float, whole: bool) -> str | None:
    """Return in a sentence what is impossible about a bone's size; None where nothing is.

    Args:
        bone: key of the tissue; nothing is known of others than bones.
        volume_cm3: of the part in view.
        length_mm: longest edge of its upright box.
        whole: it ends within what was segmented. A part of a bone may be as small as it likes, but not too large.
    """
    if bone not in SIZES:
        return None
    size = SIZES[bone]
    low_cm3, high_cm3 = size.volume_cm3[0] / VOLUME_SLACK, size.volume_cm3[1] * VOLUME_SLACK
    low_mm, high_mm = size.length_mm[0] / LENGTH_SLACK, size.length_mm[1] * LENGTH_SLACK
    for value, low, high, unit in ((volume_cm3, low_cm3, high_cm3, "cm3"), (length_mm, low_mm, high_mm, "mm long")):
        if value > high or (whole and value < low):
            return f"It is {value:.0f} {unit}; whole bones of this kind have {low:.0f} to {high:.0f}."
    return None
