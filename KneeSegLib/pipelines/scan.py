"""The scan as pipelines see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from KneeSegLib.geometry.grid import Grid
from KneeSegLib.io.volume import Volume, reorient_to_lps


@dataclass(frozen=True)
class Scan:
    """A volume turned to the patient's axes: ``values`` ``[z, y, x]`` on ``grid``; ``image`` knows where it lies."""

    image: sitk.Image
    values: np.ndarray
    grid: Grid

    @classmethod
    def of(cls, volume: Volume) -> Scan:
        """Turn a volume; values are those of the image, not copied where nothing has to be turned."""
        image = reorient_to_lps(volume.image)
        values = sitk.GetArrayViewFromImage(image)
        return cls(image, values, Grid.of_scan(values.shape, tuple(reversed(image.GetSpacing()))))
