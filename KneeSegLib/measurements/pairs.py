"""Which prediction belongs to which reference: two files, or two folders whose entries have the same names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME

ENDINGS = (".seg.nrrd", ".nii.gz", ".nrrd", ".nii", ".mha", ".mhd", ".nhdr")


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
    references, predictions = _cases_in(reference), _cases_in(prediction)
    missing = [case for case in references if case not in predictions]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise InputError(f"{prediction} has no prediction called {shown}; each reference needs one of its name.")
    return [Pair(case, path, predictions[case]) for case, path in references.items()]


def _holds_several(path: Path) -> bool:
    return path.is_dir() and not (path / SEGMENTATION_NAME).is_file()


def _cases_in(folder: Path) -> dict[str, Path]:
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


def case_name(path: Path) -> str:
    """The name of a case: that of its result folder, or of its label map without the ending."""
    if path.is_dir():
        return path.resolve().name
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), path.suffix)
    return path.name[: len(path.name) - len(ending)]
