"""Surfaces with values on their points: what there is to show of a structure beside its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from KneeSegLib.anatomy import Structure


@dataclass(frozen=True)
class SurfaceMap:
    """A surface about a structure, LPS, mm, with values on its points; ``name`` says what they are."""

    structure: Structure
    name: str
    surface: vtkPolyData
