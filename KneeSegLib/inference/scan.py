"""The scan as every stage sees it: turned to the patient's axes, with its grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Side
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.io.volume import Volume


@dataclass(frozen=True)
class Scan:
    """A volume turned to the patient's axes.

    Attributes:
        image: where it lies, in LPS mm.
        values: ``(D, H, W)``, inferior to superior, anterior to posterior, the patient's right to left.
        grid: of ``values``, in mm from the centre of the first voxel.
        source: a file name or series description, for messages.
        side: of the body part, where the DICOM header names one.
    """

    image: sitk.Image
    values: np.ndarray
    grid: Grid
    source: str
    side: Side | None = None

    @classmethod
    def of_volume(cls, volume: Volume) -> Scan:
        """Turn a volume; values are those of the image, not copied where nothing has to be turned."""
        image = reorient_to_lps(volume.image)
        values = sitk.GetArrayViewFromImage(image)
        spacing_mm = image.GetSpacing()
        grid = Grid.of_scan(values.shape, (spacing_mm[2], spacing_mm[1], spacing_mm[0]))
        return cls(image, values, grid, volume.source, volume.side)
