"""Outlines of structures on one slice, as paths of an SVG picture."""

from __future__ import annotations

import numpy as np


def trace_contours(field: np.ndarray, level: float) -> list[np.ndarray]:
    """Return the lines where ``field`` crosses ``level``, interpolated between pixels.

    Args:
        field: 2D array.

    Returns:
        One ``(points, 2)`` array of (column, row) per line, in pixels, the centre of the first pixel at (0.5, 0.5);
        a closed line ends where it begins, a line that leaves the picture stays open.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges2D, vtkStripper

    rows, columns = field.shape
    if rows < 2 or columns < 2 or not field.min() <= level <= field.max():
        return []
    image = vtkImageData()
    image.SetDimensions(columns, rows, 1)
    image.SetOrigin(0.5, 0.5, 0.0)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(field, dtype=np.float32).ravel(), deep=True))
    edges = vtkFlyingEdges2D()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    strips = vtkStripper()
    strips.SetInputConnection(edges.GetOutputPort())
    strips.JoinContiguousSegmentsOn()
    strips.SetMaximumLength(rows * columns)
    strips.Update()
    outline = strips.GetOutput()
    if not outline.GetNumberOfLines():
        return []
    points = vtk_to_numpy(outline.GetPoints().GetData())[:, :2]
    offsets = vtk_to_numpy(outline.GetLines().GetOffsetsArray())
    order: np.ndarray = vtk_to_numpy(outline.GetLines().GetConnectivityArray())
    return [points[order[start:stop]] for start, stop in zip(offsets, offsets[1:])]


def format_svg_path(
    lines: list[np.ndarray], scale: tuple[float, float], shift: tuple[float, float] = (0.0, 0.0)
) -> str:
    """Return the ``d`` attribute of an SVG path through ``lines``: points times ``scale`` plus ``shift``, (x, y)."""
    pieces = []
    for line in lines:
        points = line * scale + shift
        closed = len(points) > 2 and np.allclose(points[0], points[-1])
        if closed:
            points = points[:-1]
        pieces.append("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points) + ("Z" if closed else ""))
    return "".join(pieces)
