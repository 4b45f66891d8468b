"""From label map files to the bones that a shape model is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.io.label_meaning import OWN_LABELS, LabelMeaning
from KneeSegLib.measurements.pairs import case_name
from KneeSegLib.progress import Progress, no_progress, report_each
from KneeSegLib.training.shape_models.bone_image import BoneImage, find_sides, prepare_bone_image
from KneeSegLib.training.shape_models.unusable import UnusableCase


def read_cases(
    paths: Sequence[Path],
    bones: Sequence[str],
    spacing_mm: float,
    labels: LabelMeaning = OWN_LABELS,
    progress: Progress = no_progress,
) -> dict[str, list[BoneImage | UnusableCase]]:
    """Read label maps and prepare their bones, each side a case of its own.

    Args:
        paths: label maps or result folders; what cannot be read becomes an unusable case, not an error.
        bones: keys of tissues, see :data:`~KneeSegLib.shape.model.BONES`.
        spacing_mm: voxel edge for registration.
        labels: what the values stand for.

    Returns:
        for each bone the cases, in the order of the files.
    """
    cases: dict[str, list[BoneImage | UnusableCase]] = {bone: [] for bone in bones}
    for path in report_each(paths, progress, "Reading label maps"):
        name = case_name(path)
        try:
            image = labels.read(path)[0]
        except InputError as error:
            for found in cases.values():
                found.append(UnusableCase(name, f"cannot be read: {error}".rstrip(".")))
            continue
        for bone, found in cases.items():
            sides = find_sides(image, bone)
            if not sides:
                found.append(UnusableCase(name, f"holds no {bone}"))
            for side in sides:
                case = name if len(sides) == 1 else f"{name} ({side})"
                try:
                    found.append(prepare_bone_image(image, bone, side, case, spacing_mm))
                except UnusableCase as unusable:
                    found.append(unusable)
    return cases
