"""Which prediction belongs to which reference: two files, or two folders whose entries have the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.io.label_maps import is_folder_of_masks
from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME

ENDINGS = (".seg.nrrd", ".nii.gz", ".nrrd", ".nii", ".mha", ".mhd", ".nhdr")

FIRST_CHANNEL = "_0000"
"""What nnU-Net's image files have behind the name of their case."""


@dataclass(frozen=True)
class Pair:
    """One case: its name, its reference and its prediction (files or result folders)."""

    case: str
    reference: Path
    prediction: Path


def pairs_of(reference: str | Path, prediction: str | Path) -> list[Pair]:
    """Pair up a reference and a prediction, or all those in two folders by their names (without the ending).

    An entry of a folder is a label map or a result folder.

    Raises:
        InputError: something is missing, or a reference has no prediction of its name.
    """
    reference, prediction = Path(reference), Path(prediction)
    for path in (reference, prediction):
        if not path.exists():
            raise InputError(f"There is no file or folder {path}; check the spelling.")
    if not _holds_several(reference):
        if _holds_several(prediction):
            raise InputError(f"{reference} is one case and {prediction} a folder of several; give two of a kind.")
        return [Pair(case_name(reference), reference, prediction)]
    if not _holds_several(prediction):
        raise InputError(f"{reference} is a folder of several cases and {prediction} is one; give two of a kind.")
    references, predictions = list_label_maps(reference), list_label_maps(prediction)
    missing = [case for case in references if case not in predictions]
    if missing:
        raise InputError(
            f"{prediction} has no prediction called {_shorten(missing)}; each reference needs one of its name."
        )
    return [Pair(case, path, predictions[case]) for case, path in references.items()]


def _holds_several(path: Path) -> bool:
    return path.is_dir() and not (path / SEGMENTATION_NAME).is_file() and not is_folder_of_masks(path)


def list_label_maps(folder: Path) -> dict[str, Path]:
    """Return the label maps and result folders in a folder by the names of their cases.

    Raises:
        InputError: two have the same name, or there are none.
    """
    cases: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        if not (entry.name.endswith(ENDINGS) or (entry / SEGMENTATION_NAME).is_file()):
            continue
        case = case_name(entry)
        if case in cases:
            raise InputError(
                f"{folder} holds both {cases[case].name} and {entry.name}; keep one label map for each case."
            )
        cases[case] = entry
    if not cases:
        raise InputError(f"{folder} holds no label map ({', '.join(ENDINGS)}) and no result folder.")
    return cases


def find_images(image: str | Path, cases: Sequence[str]) -> dict[str, Path]:
    """Return the scan of each of ``cases`` by its name: ``image`` itself, or the entry of that name in the folder.

    Of one case ``image`` may be its folder of DICOM slices.

    Raises:
        InputError: nothing is there, or a case has no scan of its name.
    """
    image = Path(image)
    if not image.exists():
        raise InputError(f"There is no file or folder {image}; check the spelling.")
    found = list_images(image) if image.is_dir() else {}
    missing = [case for case in cases if case not in found]
    if missing and len(cases) == 1:
        return {cases[0]: image}
    if missing:
        raise InputError(f"{image} holds no scan called {_shorten(missing)}; each case needs one of its name.")
    return {case: found[case] for case in cases}


def list_images(folder: Path) -> dict[str, Path]:
    """Return the image files and folders of DICOM slices in a folder by the names of their cases.

    ``NAME_0000.nii.gz``, as nnU-Net names the image of a case, is that of ``NAME`` too.
    """
    entries = {case_name(entry): entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")}
    return {**{name.removesuffix(FIRST_CHANNEL): entry for name, entry in entries.items()}, **entries}


def case_name(path: Path) -> str:
    """The name of a case: that of its result folder, or of its label map without the ending."""
    if path.is_dir():
        return path.resolve().name
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), path.suffix)
    return path.name[: len(path.name) - len(ending)]


def _shorten(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
