"""Regular grids whose axes run along the patient: what separable resampling needs to know, and nothing else.

Positions are millimetres along the axes of the scan turned towards the patient
(:func:`KneeSegLib.geometry.orientation.reorient_to_lps`): z to the head, y to the back, x to the patient's left, each
counted from the centre of the scan's first voxel. A grid whose x axis has a negative step sees the patient in a mirror:
this is how left legs are shown to networks that know right ones."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from KneeSegLib.geometry.boxes import ArrayBox, make_box


@dataclass(frozen=True)
class Axis:
    """``count`` samples, the first at ``first_mm``, each ``step_mm`` (may be negative) after the one before."""

    first_mm: float
    step_mm: float
    count: int

    @classmethod
    def covering(cls, low_mm: float, high_mm: float, step_mm: float, multiple: int = 1) -> Axis:
        """Return the shortest axis of whole ``multiple`` samples that covers an interval, centred on it."""
        wanted = max((high_mm - low_mm) / step_mm, 1.0)
        count = ceil((wanted - 1e-6) / multiple) * multiple
        return cls((low_mm + high_mm - (count - 1) * step_mm) / 2.0, step_mm, count)

    @property
    def spacing_mm(self) -> float:
        """Distance of neighbouring samples."""
        return abs(self.step_mm)

    @property
    def positions_mm(self) -> np.ndarray:
        """Centres of the samples, ``(count,)``."""
        return self.first_mm + self.step_mm * np.arange(self.count)

    @property
    def low_mm(self) -> float:
        """The outer face of the sample with the lowest position."""
        return min(self.first_mm, self.first_mm + self.step_mm * (self.count - 1)) - self.spacing_mm / 2.0

    @property
    def high_mm(self) -> float:
        """The outer face of the sample with the highest position."""
        return max(self.first_mm, self.first_mm + self.step_mm * (self.count - 1)) + self.spacing_mm / 2.0

    def mirrored(self) -> Axis:
        """Return the same samples in the opposite order."""
        return Axis(self.first_mm + self.step_mm * (self.count - 1), -self.step_mm, self.count)

    def part(self, start: int, stop: int) -> Axis:
        """Return samples ``start`` to ``stop`` (exclusive)."""
        return Axis(self.first_mm + self.step_mm * start, self.step_mm, stop - start)

    def thinned(self, step: int) -> Axis:
        """Return every ``step``-th sample."""
        return Axis(self.first_mm, self.step_mm * step, ceil(self.count / step))

    def pooled(self, size: int) -> Axis:
        """Return the middles of whole groups of ``size`` samples."""
        return Axis(self.first_mm + self.step_mm * (size - 1) / 2.0, self.step_mm * size, self.count // size)

    def indices_within(self, low_mm: float, high_mm: float) -> tuple[int, int]:
        """Return ``(start, stop)`` of the samples whose cells reach into an interval; equal where none does."""
        ends = sorted(((low_mm - self.first_mm) / self.step_mm, (high_mm - self.first_mm) / self.step_mm))
        start = int(np.clip(np.floor(ends[0] + 0.5 + 1e-9), 0, self.count))
        stop = int(np.clip(np.ceil(ends[1] + 0.5 - 1e-9), start, self.count))
        return start, stop


class Grid(NamedTuple):
    """Three axes, in the order of the array ``[z, y, x]``."""

    z: Axis
    y: Axis
    x: Axis

    @classmethod
    def of_scan(cls, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Grid:
        """The grid of a scan's own array; ``spacing_mm`` as ``(z, y, x)``."""
        return cls(*(Axis(0.0, float(step), int(count)) for count, step in zip(shape, spacing_mm)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Samples along z, y and x."""
        return self.z.count, self.y.count, self.x.count

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances of neighbouring samples along z, y and x."""
        return self.z.spacing_mm, self.y.spacing_mm, self.x.spacing_mm

    def part(self, box: ArrayBox) -> Grid:
        """Return the grid of ``array[box]``."""
        return Grid(*(axis.part(*cut.indices(axis.count)[:2]) for axis, cut in zip(self, box)))

    def slices_within(self, box: Box) -> ArrayBox:
        """Return the slices of the samples whose cells reach into ``box``."""
        return make_box(axis.indices_within(low, high) for axis, (low, high) in zip(self, box))

    def mirrored(self) -> Grid:
        """Return the same samples seen in a mirror: x runs the other way."""
        return self._replace(x=self.x.mirrored())


class Box(NamedTuple):
    """An upright box: ``(low, high)`` in mm along z, y and x."""

    z: tuple[float, float]
    y: tuple[float, float]
    x: tuple[float, float]

    @classmethod
    def of_grid(cls, grid: Grid) -> Box:
        """The outer faces of a grid."""
        return cls(*((axis.low_mm, axis.high_mm) for axis in grid))

    @classmethod
    def around(cls, mask: np.ndarray, grid: Grid) -> Box | None:
        """The outer faces of the voxels in ``mask`` ``(D, H, W)``; None where there is none."""
        bounds = []
        for dimension, axis in enumerate(grid):
            others = tuple(other for other in range(3) if other != dimension)
            hit = np.flatnonzero(mask.any(axis=others))
            if not hit.size:
                return None
            part = axis.part(int(hit[0]), int(hit[-1]) + 1)
            bounds.append((part.low_mm, part.high_mm))
        return cls(*bounds)

    @classmethod
    def of_mask(cls, mask: np.ndarray, grid: Grid) -> Box:
        """The same of a mask that holds at least one voxel; raises ``ValueError`` for an empty one."""
        box = cls.around(mask, grid)
        if box is None:
            raise ValueError("An empty mask has no box.")
        return box

    @classmethod
    def enclosing(cls, boxes: list[Box]) -> Box:
        """The smallest box that holds all ``boxes`` (at least one)."""
        return cls(*((min(low for low, _ in pairs), max(high for _, high in pairs)) for pairs in zip(*boxes)))

    def grown(self, margin_mm: float) -> Box:
        """The box with a margin on every side."""
        return Box(*((low - margin_mm, high + margin_mm) for low, high in self))

    def within(self, other: Box) -> Box:
        """The common part of two boxes that overlap."""
        return Box(*((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(self, other)))
