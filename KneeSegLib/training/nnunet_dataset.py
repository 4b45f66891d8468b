"""Cases as a raw data set of nnU-Net v2: images, label maps with values 1, 2, 3..., what these are, and a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure, structure_of_label
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.io.image_files import write_image
from KneeSegLib.io.intensities import Modality
from KneeSegLib.io.label_meaning import OWN_LABELS, LabelMeaning
from KneeSegLib.io.volume import check_ct, check_mr, read_volume
from KneeSegLib.io.writing import write_folder
from KneeSegLib.measurements.comparison import check_same_grid
from KneeSegLib.measurements.pairs import ENDINGS, Pair, case_name
from KneeSegLib.nnunet.dataset import (
    FILE_ENDING,
    IMAGES_NAME,
    LABELS_NAME,
    number_labels,
    renumber,
    require_dataset_name,
    tell_sides,
    write_descriptions,
)
from KneeSegLib.progress import Progress, no_progress, report_each


@dataclass(frozen=True)
class NnunetDataset:
    """What was written.

    Attributes:
        labels: label values by name.
        with_sides: the labels tell right and left apart.
        cases: names.
    """

    folder: Path
    labels: dict[str, int]
    with_sides: bool
    cases: tuple[str, ...]


def export_nnunet_dataset(
    source: Path,
    folder: Path,
    modality: Modality | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
    meaning: LabelMeaning = OWN_LABELS,
) -> NnunetDataset:
    """Write the cases of a folder as a data set that nnU-Net plans and trains on.

    Images and labels are turned to the patient's axes (LPS), since nnU-Net trains on them as they lie in memory; no
    value changes. Labels are numbered without gaps. They tell sides only where a case shows both legs: a network that
    sees one knee at a time learns both sides from either.

    Args:
        source: holds ``images`` and ``labels`` with files of the same names, as ``kneeseg synthesize`` writes them.
        folder: is created; nnU-Net asks for a name such as ``Dataset042_Knee``.
        modality: of images whose files do not say it.
        meaning: what the values of the labels stand for.

    Raises:
        InputError: no cases, an image without labels of its name, grids that differ, labels that are no structures of
            KneeSeg, or a folder of another name.
        OutputError: the folder exists or cannot be written.
    """
    require_dataset_name(folder)
    pairs = find_pairs(source)
    with write_folder(folder, overwrite=overwrite) as unfinished:
        images, labels = unfinished / IMAGES_NAME, unfinished / LABELS_NAME
        images.mkdir()
        labels.mkdir()
        found = list_labels(pairs, meaning)
        with_sides = tell_sides(list(found.values()))
        names = number_labels([entry for shown in found.values() for entry in shown], with_sides)
        kind = ""
        for pair in report_each(pairs, progress, "Cases"):
            image, label, kind = read_pair(pair, modality, meaning)
            write_image(image, images / f"{pair.case}_0000{FILE_ENDING}")
            write_image(renumber(label, names, with_sides), labels / f"{pair.case}{FILE_ENDING}")
        write_descriptions(unfinished, folder.name, names, kind, len(pairs))
    return NnunetDataset(folder, names, with_sides, tuple(pair.case for pair in pairs))


def find_pairs(source: Path) -> list[Pair]:
    """Return labels and image of each case, as reference and prediction of a pair."""
    for name in ("images", "labels"):
        if not (source / name).is_dir():
            raise InputError(
                f"{source} has no folder {name}; expected are images/ and labels/ with files of the same names, as "
                "kneeseg synthesize writes them."
            )
    images, labels = (
        {case_name(path): path for path in sorted((source / name).iterdir()) if path.name.endswith(ENDINGS)}
        for name in ("images", "labels")
    )
    if lonely := sorted(set(images) ^ set(labels)):
        there, missing = ("images", "labels") if lonely[0] in images else ("labels", "images")
        raise InputError(
            f"{lonely[0]} is in {source / there} and not in {source / missing}; each image needs labels of its name."
        )
    if not images:
        raise InputError(f"{source / 'images'} holds no image ({', '.join(ENDINGS)}); add the cases.")
    return [Pair(case, labels[case], image) for case, image in images.items()]


def list_labels(pairs: Sequence[Pair], meaning: LabelMeaning = OWN_LABELS) -> dict[str, list[Structure]]:
    """Return the structures that the labels of each case hold."""
    found = {}
    for pair in pairs:
        labels = meaning.read(pair.reference)[0]  # a view into an image that nobody holds would dangle
        values = np.unique(sitk.GetArrayViewFromImage(labels))
        found[pair.case] = [structure_of_label(value) for value in values if value != 0]
        if not found[pair.case]:
            raise InputError(f"The labels of {pair.case} hold no structure; label it, or take the case out.")
    return found


def read_pair(
    pair: Pair, modality: Modality | None, meaning: LabelMeaning = OWN_LABELS
) -> tuple[sitk.Image, sitk.Image, Modality]:
    """Return image and labels of a case turned to LPS, and the image's modality."""
    volume = read_volume(pair.prediction, modality=modality)
    if volume.modality is None:
        raise InputError(f"Nothing says whether {pair.case} is a CT or an MR; say it with --modality.")
    (check_ct if volume.modality == "CT" else check_mr)(volume)
    labels = meaning.read(pair.reference)[0]
    try:
        check_same_grid(volume.image, labels)
    except InputError:
        raise InputError(
            f"Image and labels of {pair.case} do not lie on one grid; nnU-Net takes labels with the voxels of their "
            "image. Resample the labels to the image."
        ) from None
    labels.CopyInformation(volume.image)
    return reorient_to_lps(volume.image), reorient_to_lps(labels), volume.modality
