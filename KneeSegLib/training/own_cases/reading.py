"""One case read: the image turned to the patient's axes, and labels of our anatomy on its grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Side, Structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.intensities import Modality
from KneeSegLib.io.label_map_contents import read_contents
from KneeSegLib.io.label_mapping import LabelMapping, Target, map_own_names, plain_name
from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.io.volume import check_ct, check_mr, read_volume
from KneeSegLib.training.own_cases.checks import find_side, require_same_grid, require_sides
from KneeSegLib.training.own_cases.files import CaseFiles, CaseFolder, LabelFile
from KneeSegLib.training.own_cases.mask_slices import is_picture_folder, name_bones, read_mask_slices

IGNORE = "ignore"
"""What nnU-Net calls voxels that nobody labelled."""


@dataclass(frozen=True)
class OwnCase:
    """A case in memory.

    Attributes:
        labels: ``(D, H, W)`` uint8, label values of :mod:`KneeSegLib.anatomy`, on the scan's grid.
    """

    name: str
    subject: str
    scan: Scan
    labels: np.ndarray


@dataclass(frozen=True)
class Labelling:
    """How the labels of a folder are understood.

    Attributes:
        names: of labels by value, from ``dataset.json``.
        mappings: by the name that a label file gives; the one of "" is for files that give none, None if there is none.
        side: of labels that tell none; None to find it in the case.
    """

    names: Mapping[int, str]
    mappings: Mapping[str, LabelMapping | None]
    side: Side | None = None


def read_case(files: CaseFiles, folder: CaseFolder, labelling: Labelling, modality: Modality) -> OwnCase:
    """Read and check a case.

    Raises:
        InputError: the image cannot be used as an image of that modality, image and labels lie on different grids, a
            label is unknown, or left and right are not where the patient has them.
    """
    given = None if files.image.is_dir() else modality
    volume = read_volume(files.image, modality=given, presumed=modality)
    (check_ct if modality == "CT" else check_mr)(volume)
    turned = reorient_to_lps(volume.image)
    labels = np.zeros(turned.GetSize()[::-1], np.uint8)
    sideless = False
    for file in files.labels:
        if is_picture_folder(file.path):
            mask = read_mask_slices(file.path, files.image, volume.image)
            image, asks_side = name_bones(mask, labelling.side or "right", files.name), True
        elif file.mask_of:
            target = _find_target(file, labelling)
            if target is None:
                continue
            image = read_label_map(file.path, {1: target.on(labelling.side or "right")})
            asks_side = target.side is None
        else:
            image, asks_side = _read_labels(file, labelling, files.name)
        sideless |= asks_side
        if folder.placeless_labels and image.GetSize() == turned.GetSize():
            image.CopyInformation(turned)
        require_same_grid(image, turned if folder.placeless_labels else volume.image, files.name)
        image.CopyInformation(turned if folder.placeless_labels else volume.image)
        own = sitk.GetArrayFromImage(reorient_to_lps(image))
        np.copyto(labels, own, where=own != 0)
    scan = Scan.of_volume(volume)
    if not labels.any():
        raise InputError(
            f"The labels of {files.name} are empty, expected structures of KneeSeg; take the case out or correct them."
        )
    if sideless and labelling.side is None:
        labels = find_side(labels, scan.grid, files.name, modality)
    require_sides(labels, scan.grid, files.name)
    return OwnCase(files.name, files.subject, scan, labels)


def _read_labels(file: LabelFile, labelling: Labelling, case: str) -> tuple[sitk.Image, bool]:
    """The labels of a file with our values, and whether their side is a guess."""
    mapping = labelling.mappings.get(file.mapping)
    if mapping is None and not labelling.names:
        return read_label_map(file.path), False
    contents = read_contents(file.path)
    names = {value: contents.names.get(value) or labelling.names.get(value, "") for value in contents.values}
    if mapping is None:
        mapping = map_own_names({**labelling.names, **names}, "of the data set")
        if mapping is None:
            called = ", ".join(f"{value} {name}" for value, name in labelling.names.items())
            raise InputError(
                f"The data set calls its labels {called}, none of them as KneeSeg does; say what they stand for in a "
                "mapping file with --labels."
            )
    table: dict[int, Structure] = {}
    sideless = False
    for value, name in names.items():
        target = mapping.target_of(value, name)
        if target is not None:
            sideless |= target.side is None
            table[value] = target.on(labelling.side or "right")
        elif plain_name(name) == IGNORE:
            raise InputError(
                f"The labels of {case} have voxels to ignore (value {value}), which training cannot leave out; label "
                "the whole image or take the case out."
            )
        elif not (value in mapping.left_out or plain_name(name) in mapping.left_out or value in labelling.names):
            raise InputError(
                f"The labels of {case} hold the value {value}{f' ({name})' if name else ''}, which the mapping "
                f'{mapping.source} does not know; add it to "labels" or to "left_out".'
            )
    return read_label_map(file.path, table), sideless


def _find_target(file: LabelFile, labelling: Labelling) -> Target | None:
    """What a mask shows, by its name; None if it is no structure of KneeSeg."""
    names = {1: file.mask_of}
    mapping = labelling.mappings.get(file.mapping) or map_own_names(names, "of the folder")
    return mapping.target_of(1, file.mask_of) if mapping is not None else None
