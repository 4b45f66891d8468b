"""The parts of a raw data set of nnU-Net v2: its name, values 1, 2, 3..., and the files that say what these are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import STRUCTURES, TISSUES, Structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_mapping import MAPPING_FIELD, MAPPING_NAME, describe_mapping

DATASET_NAME = re.compile(r"Dataset\d{3}_\w[\w-]*")
FILE_ENDING = ".nii.gz"
IMAGES_NAME, LABELS_NAME = "imagesTr", "labelsTr"


def require_dataset_name(folder: Path) -> None:
    """Raise :class:`InputError` unless nnU-Net takes a folder of this name."""
    if not DATASET_NAME.fullmatch(folder.name):
        raise InputError(
            f'nnU-Net takes folders called "Dataset", three digits and a name, and this one is called {folder.name}; '
            "choose one such as nnUNet_raw/Dataset042_Knee."
        )


def tell_sides(cases: Sequence[Sequence[Structure]]) -> bool:
    """Return whether labels have to tell right and left: where a case shows both."""
    return any(len({entry.side for entry in shown}) > 1 for shown in cases)


def number_labels(shown: Sequence[Structure], with_sides: bool) -> dict[str, int]:
    """Return values 1, 2, 3... by the key of each structure, or of its tissue, in the order of the anatomy table."""
    keys = {entry.key if with_sides else entry.tissue.key for entry in shown}
    table = [entry.key for entry in STRUCTURES] if with_sides else [tissue.key for tissue in TISSUES]
    return {key: value for value, key in enumerate((key for key in table if key in keys), start=1)}


def renumber(labels: sitk.Image, names: dict[str, int], with_sides: bool) -> sitk.Image:
    """Return labels with the values of the data set."""
    table = np.zeros(256, np.uint8)
    for entry in STRUCTURES:
        table[entry.label_value] = names.get(entry.key if with_sides else entry.tissue.key, 0)
    image = sitk.GetImageFromArray(table[sitk.GetArrayViewFromImage(labels)])
    image.CopyInformation(labels)
    return image


def write_descriptions(folder: Path, name: str, labels: dict[str, int], modality: str, cases: int) -> None:
    """Write ``dataset.json`` and the mapping of its labels into the folder of a data set called ``name``."""
    mapping = describe_mapping(
        {str(value): key for key, value in labels.items()},
        title=name,
        modality=modality,
        datasets=[name],
        orientation="LPS",
    )
    dataset = {
        "name": name,
        "channel_names": {"0": modality},
        "labels": {"background": 0, **labels},
        "numTraining": cases,
        "file_ending": FILE_ENDING,
        # nnU-Net copies this file to what it trains, and the mapping with it.
        MAPPING_FIELD: mapping,
    }
    for file, content in (("dataset.json", dataset), (MAPPING_NAME, mapping)):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / file).write_text(text + "\n", encoding="utf-8", newline="\n")
