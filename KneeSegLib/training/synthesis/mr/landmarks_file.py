"""The file of landmarks beside prepared knees: corresponding points on the templates, and how subjects differ."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT

FILE_NAME = f"{JOINT}_landmarks.npz"
LANDMARK_BONES: tuple[str, ...] = ("femur", "tibia")
_MODES = ("mean", "components", "variances")


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of the templates.

    Attributes:
        points: bone -> template -> (P, 3) float32, x, y, z in mm in the frame of the template.
        modes: bone -> mean (P, 3), components (K, P, 3) and variances (K,) of the shape model of the training subjects.
    """

    points: Mapping[str, Mapping[str, np.ndarray]]
    modes: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]

    def save(self, folder: Path) -> Path:
        """Write to ``folder``, beside its final name first, so that a file that exists is whole."""
        arrays: dict[str, Any] = {
            f"points_{b}_{t}": points for b, of_bone in self.points.items() for t, points in of_bone.items()
        }
        for bone, modes in self.modes.items():
            arrays |= {f"{name}_{bone}": array.astype(np.float32) for name, array in zip(_MODES, modes)}
        path = folder / FILE_NAME
        unfinished = path.with_name(path.stem + ".part.npz")
        np.savez_compressed(unfinished, **arrays)
        unfinished.replace(path)
        return path

    @classmethod
    def load(cls, folder: str | Path) -> Landmarks:
        """Read the landmarks of a folder of prepared knees.

        Raises:
            InputError: there are none, or they are damaged.
        """
        path = Path(folder) / FILE_NAME
        try:
            with np.load(path, allow_pickle=False) as stored:
                content = {name: stored[name] for name in stored.files}
            points = {
                bone: {
                    name.removeprefix(f"points_{bone}_"): array
                    for name, array in content.items()
                    if name.startswith(f"points_{bone}_")
                }
                for bone in LANDMARK_BONES
            }
            return cls(points, {bone: tuple(content[f"{n}_{bone}"] for n in _MODES) for bone in LANDMARK_BONES})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} holds no landmarks of prepared knees ({error}); "
                f"prepare them with `kneeseg synthesize --prepare --joint {JOINT}`."
            ) from error
