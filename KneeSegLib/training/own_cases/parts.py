"""The sets that are trained on: crops of cases, kept as arrays on disk and read piece by piece."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from KneeSegLib.anatomy import Side, as_side, structure_of_label
from KneeSegLib.geometry.boxes import ArrayBox, make_box
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to

INDEX = "index.json"


@dataclass(frozen=True)
class Part:
    """A crop of a case around one joint of one leg.

    Attributes:
        grid: of the crop, in the millimetres of the whole scan.
        level: MR: the intensity percentile of the whole scan.
        counts: labelled voxels by label value.
    """

    folder: Path
    name: str
    case: str
    subject: str
    side: Side
    grid: Grid
    level: float
    counts: dict[int, int]

    @cached_property
    def image(self) -> np.ndarray:
        """``(D, H, W)`` as scanned, read as it is needed."""
        return np.load(self.folder / f"{self.name}.image.npy", mmap_mode="r")

    @cached_property
    def labels(self) -> np.ndarray:
        """``(D, H, W)`` uint8, label values of :mod:`KneeSegLib.anatomy`."""
        return np.load(self.folder / f"{self.name}.labels.npy", mmap_mode="r")

    @property
    def own_values(self) -> list[int]:
        """Label values of this leg's structures in the crop, which may show the other leg as well."""
        return [value for value in sorted(self.counts) if structure_of_label(value).side == self.side]

    @cached_property
    def slices_of(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """For each structure of this leg the slices along z and those along x in which it occurs."""
        found = {}
        for value in self.own_values:
            mask = self.labels == value
            found[value] = (np.flatnonzero(mask.any(axis=(1, 2))), np.flatnonzero(mask.any(axis=(0, 1))))
        return found

    @cached_property
    def labelled_box(self) -> Box:
        """The box of this leg's structures."""
        return Box.of_mask(np.isin(self.labels, self.own_values), self.grid)

    def read_image(self, target: Grid, outside: float = 0.0, clip: tuple[float, float] | None = None) -> torch.Tensor:
        """Return the image on a grid, as inference resamples it."""
        return resample_to(self.image, self.grid, target, outside=outside, clip=clip)

    def read_fractions(self, target: Grid, channel_of: np.ndarray, channels: int) -> torch.Tensor:
        """Return the fraction ``(C, D, H, W)`` of each voxel of a grid that each channel fills, background first.

        Args:
            channel_of: output channel of each label value, ``(256,)``.
        """
        near = self.voxels_near(target)
        found = channel_of[np.asarray(self.labels[near])]
        source = self.grid.part(near)
        fractions = torch.zeros((channels, *target.shape))
        for channel in np.unique(found):
            if channel:
                fractions[int(channel)] = resample_to((found == channel).astype(np.float32), source, target)
        fractions[0] = (1.0 - fractions[1:].sum(dim=0)).clamp(min=0.0)
        return fractions

    def as_record(self) -> dict[str, Any]:
        """What the index says of the part."""
        return {
            "name": self.name,
            "case": self.case,
            "subject": self.subject,
            "side": self.side,
            "axes": [[axis.first_mm, axis.step_mm, axis.count] for axis in self.grid],
            "level": self.level,
            "counts": {str(value): count for value, count in self.counts.items()},
        }

    def voxels_near(self, target: Grid) -> ArrayBox:
        """The voxels that interpolation on a grid reaches; one at least, where it reaches none."""
        bounds = []
        for axis, box in zip(self.grid, Box.of_grid(target)):
            start, stop = axis.indices_within(*box)
            start = min(max(start - 2, 0), axis.count - 1)
            bounds.append((start, max(min(stop + 2, axis.count), start + 1)))
        return make_box(bounds)


def write_part(folder: Path, part: Part, image: np.ndarray, labels: np.ndarray) -> None:
    """Write the arrays of a part, each beside its final name first: several processes may prepare one folder."""
    for what, array in (("image", image), ("labels", labels)):
        unfinished = folder / f"{part.name}.{what}.{os.getpid()}.npy"
        np.save(unfinished, np.ascontiguousarray(array))
        unfinished.replace(folder / f"{part.name}.{what}.npy")


def write_index(folder: Path, parts: Iterable[Part], made_from: dict[str, Any], notes: list[str]) -> None:
    """Write what the folder holds and what it was made from; without it the folder is made anew."""
    content = {"made_from": made_from, "notes": notes, "parts": [part.as_record() for part in parts]}
    unfinished = folder / f"{INDEX}.{os.getpid()}"
    unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
    unfinished.replace(folder / INDEX)


def read_index(folder: Path, made_from: dict[str, Any]) -> tuple[list[Part], list[str]] | None:
    """Return the parts of a folder and the notes on them; None if it was made from something else, or is not whole."""
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if content.get("made_from") != made_from:
        return None
    return [_parse(folder, record) for record in content["parts"]], list(content["notes"])


def count_labels(labels: np.ndarray) -> dict[int, int]:
    """Return how many voxels have each label value, without background."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value != 0}


def name_labels(values: Iterable[int]) -> set[str]:
    """Return the keys of the tissues that label values stand for."""
    return {structure_of_label(value).tissue.key for value in values}


def _parse(folder: Path, record: dict[str, Any]) -> Part:
    return Part(
        folder,
        record["name"],
        record["case"],
        record["subject"],
        as_side(record["side"]),
        Grid(*(Axis(float(first), float(step), int(count)) for first, step, count in record["axes"])),
        float(record["level"]),
        {int(value): int(count) for value, count in record["counts"].items()},
    )
