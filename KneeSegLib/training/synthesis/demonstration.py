"""The generated cases that demo and tests run on, of subjects that no shipped network was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KneeSegLib.errors import InputError
from KneeSegLib.io.resources import samples_folder

if TYPE_CHECKING:
    from KneeSegLib.anatomy import Side
    from KneeSegLib.training.synthesis.cases import SyntheticCase


def list_demonstration_joints() -> tuple[str, ...]:
    """Return the joints that a sample subject ships for."""
    return tuple(sorted(path.stem for path in samples_folder().glob("*.npz")))


def synthesize_demonstration(
    joint: str = "knee", side: Side = "right", spacing_mm: float = 0.8, seed: int = 2
) -> SyntheticCase:
    """Generate the CT of a joint, with its truth; the same seed gives the same case.

    Raises:
        InputError: no sample subject ships for that joint.
    """
    from KneeSegLib.training.synthesis.anatomy_file import Anatomy
    from KneeSegLib.training.synthesis.cases import synthesize_case
    from KneeSegLib.training.synthesis.subjects import PreparedSubject

    path = samples_folder() / f"{joint}.npz"
    if not path.is_file():
        raise InputError(
            f"No sample of the {joint} comes with KneeSeg; choose one of {', '.join(list_demonstration_joints())}."
        )
    return synthesize_case(PreparedSubject(Anatomy.load(path)), spacing_mm, side=side, seed=seed)
