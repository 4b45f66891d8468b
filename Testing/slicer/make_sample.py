"""Make the sample that ships with the extension anew: ``python Testing/slicer/make_sample.py``.

It writes ``Resources/Samples/knee_ct.nrrd``, its picture for the Sample Data module, and the labels that it was made
from, which the tests compare with. Needs the extra ``training``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from KneeSegLib.anatomy import structure

SPACING_MM = 1.2
"""The coarsest that the CT pipeline takes without a warning."""
ABOVE_MM, BELOW_MM = 70.0, 60.0
"""How much of femur and tibia stays in view, from the middle of the joint."""
STEP_HU = 4
"""Values are rounded to multiples of this, far below the noise, to make the file a third smaller."""
PICTURE_SIZE = (260, 280)

SAMPLE = ROOT / "Resources" / "Samples" / "knee_ct.nrrd"
TRUTH = ROOT / "Testing" / "slicer" / "data" / "knee_ct_truth.nrrd"
PICTURE = ROOT / "KneeSeg" / "Resources" / "Icons" / "KneeCT.png"


def main() -> None:
    from KneeSegLib.training.synthesis.demonstration import synthesize_demonstration

    case = synthesize_demonstration("knee", "right", SPACING_MM)
    labels = sitk.GetArrayViewFromImage(case.labels)
    top_of_tibia = np.flatnonzero((labels == structure("tibia_right").label_value).any(axis=(1, 2)))[-1]
    bottom, top = (int(top_of_tibia + mm / SPACING_MM) for mm in (-BELOW_MM, ABOVE_MM))
    image, truth = case.image[:, :, bottom:top], case.labels[:, :, bottom:top]

    values = sitk.GetArrayFromImage(image)
    rounded = sitk.GetImageFromArray((np.round(values / STEP_HU) * STEP_HU).astype(np.int16))
    rounded.CopyInformation(image)
    sitk.WriteImage(rounded, str(SAMPLE), True)
    sitk.WriteImage(sitk.Cast(truth, sitk.sitkUInt8), str(TRUTH), True)
    _draw(values)


def _draw(values: np.ndarray) -> None:
    """Write the sagittal slice with the most bone in it, with the front to the left."""
    from PIL import Image

    sagittal = np.argmax((values > 300).sum(axis=(0, 1)))
    grey = np.clip((values[::-1, :, sagittal] + 400) / 1600 * 255, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    scale = max(wanted / size for wanted, size in zip(PICTURE_SIZE, picture.size))
    picture = picture.resize([round(size * scale) for size in picture.size], Image.Resampling.LANCZOS)
    left, upper = ((size - wanted) // 2 for size, wanted in zip(picture.size, PICTURE_SIZE))
    picture.crop((left, upper, left + PICTURE_SIZE[0], upper + PICTURE_SIZE[1])).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
