"""Shaded pictures of surfaces, drawn with NumPy alone.

VTK draws only where an OpenGL library is installed, which a server or a container often lacks; a report has to look the
same everywhere. Parallel projection, a depth buffer, interpolated normals, soft light and darkened crevices; edges are
smoothed by drawing at twice the size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from KneeSegLib.geometry.mesh import point_normals
from KneeSegLib.report.settings import (
    AMBIENT_LIGHT,
    CANDIDATES_AT_ONCE,
    CREVICE_RADII,
    CREVICE_SHADOW,
    GAMMA,
    LIGHTS,
    SHINE,
    SUPERSAMPLING,
    WRAP,
)


@dataclass(frozen=True)
class ColoredMesh:
    """A triangle mesh to draw: ``points`` (n, 3) in LPS mm, ``triangles`` (m, 3) turning outwards.

    ``color`` is 8-bit sRGB, one for all or ``(n, 3)`` of the points.
    """

    points: np.ndarray
    triangles: np.ndarray
    color: tuple[int, int, int] | np.ndarray


@dataclass(frozen=True)
class Viewpoint:
    """A parallel view: unit vectors to the viewer's right, up and towards the viewer, in LPS."""

    right: tuple[float, float, float]
    up: tuple[float, float, float]
    towards: tuple[float, float, float]
    letters: tuple[str, str, str, str]

    @property
    def lps_to_screen(self) -> np.ndarray:
        """Rotation (3, 3) from LPS to the viewer's right, up and towards."""
        return np.array([self.right, self.up, self.towards], dtype=float)


FRONT = Viewpoint((1, 0, 0), (0, 0, 1), (0, -1, 0), ("S", "I", "R", "L"))
FROM_LEFT = Viewpoint((0, 1, 0), (0, 0, 1), (1, 0, 0), ("S", "I", "A", "P"))
FROM_RIGHT = Viewpoint((0, -1, 0), (0, 0, 1), (-1, 0, 0), ("S", "I", "P", "A"))
FROM_BEHIND = Viewpoint((-1, 0, 0), (0, 0, 1), (0, 1, 0), ("S", "I", "L", "R"))
FROM_ABOVE = Viewpoint((-1, 0, 0), (0, -1, 0), (0, 0, 1), ("A", "P", "L", "R"))
FROM_BELOW = Viewpoint((1, 0, 0), (0, -1, 0), (0, 0, -1), ("A", "P", "R", "L"))


@dataclass(frozen=True)
class _Fragments:
    """What triangles cover: flat pixel (k,), height towards the viewer (k,), corner points (k, 3), their weights."""

    pixels: np.ndarray
    heights: np.ndarray
    corners: np.ndarray
    weights: np.ndarray


def draw_meshes(
    meshes: Sequence[ColoredMesh], view: Viewpoint, center_mm: np.ndarray, size_mm: tuple[float, float], pixel_mm: float
) -> np.ndarray:
    """Draw ``meshes``.

    Args:
        center_mm: LPS point in the middle of the picture.
        size_mm: width and height of the picture.
        pixel_mm: edge of one pixel.

    Returns:
        uint8 RGBA ``(rows, columns, 4)``, sRGB, not premultiplied, transparent where there is nothing.
    """
    fine_mm = pixel_mm / SUPERSAMPLING
    columns, rows = (SUPERSAMPLING * max(1, round(length / pixel_mm)) for length in size_mm)
    depth = np.full(rows * columns, -np.inf, dtype=np.float32)
    normals = np.zeros((rows * columns, 3), dtype=np.float32)
    paint = np.zeros((rows * columns, 3), dtype=np.float32)
    covered = np.zeros(rows * columns, dtype=bool)
    for mesh in meshes:
        colors = np.broadcast_to(_to_light(np.asarray(mesh.color, dtype=np.float32)), mesh.points.shape)
        on_screen = (mesh.points - center_mm) @ view.lps_to_screen.T
        on_screen[:, 0] = on_screen[:, 0] / fine_mm + columns / 2
        on_screen[:, 1] = rows / 2 - on_screen[:, 1] / fine_mm
        normals_on_screen = point_normals(mesh.points, mesh.triangles) @ view.lps_to_screen.T
        for covering in _rasterize(on_screen, mesh.triangles, rows, columns):
            np.maximum.at(depth, covering.pixels, covering.heights)
            seen = depth[covering.pixels] == covering.heights
            pixels, corners, weights = (part[seen] for part in (covering.pixels, covering.corners, covering.weights))
            normals[pixels] = np.einsum("nc,ncd->nd", weights, normals_on_screen[corners])
            paint[pixels] = np.einsum("nc,ncd->nd", weights, colors[corners])
            covered[pixels] = True
    light = _compute_light(normals[covered])
    depth, covered = depth.reshape(rows, columns), covered.reshape(rows, columns)
    linear = paint.reshape(rows, columns, 3)
    linear[covered] *= (light * _darken_crevices(depth, covered, fine_mm)[covered])[:, None]
    return _reduce(linear, covered)


def _rasterize(points: np.ndarray, triangles: np.ndarray, rows: int, columns: int) -> Iterator[_Fragments]:
    """Yield, in batches, what each triangle covers.

    A pixel belongs to a triangle when its centre does. Triangles are batched by the size of their box on the screen, so
    that each batch is one array computation.
    """
    corners = points[triangles]
    x, y = corners[..., 0], corners[..., 1]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    left, top = np.ceil(x.min(1) - 0.5), np.ceil(y.min(1) - 0.5)
    width, height = np.floor(x.max(1) - 0.5) - left + 1, np.floor(y.max(1) - 0.5) - top + 1
    on_picture = (left < columns) & (top < rows) & (left + width > 0) & (top + height > 0)
    extent = np.maximum(width, height)
    # Rows run down the screen: triangles that face the viewer turn clockwise there and have a negative area.
    facing = np.flatnonzero((area < -1e-9) & on_picture & (width > 0) & (height > 0))
    sizes = np.ceil(2 ** (np.ceil(2 * np.log2(np.maximum(extent[facing], 1))) / 2)).astype(int)
    for size in np.unique(sizes):
        members = facing[sizes == size]
        batch = max(1, CANDIDATES_AT_ONCE // (size * size))
        steps = np.arange(size)
        for start in range(0, len(members), batch):
            chosen = members[start : start + batch]
            px = (left[chosen, None] + steps)[:, None, :]
            py = (top[chosen, None] + steps)[:, :, None]
            ax, bx, cx = (x[chosen, corner, None, None] for corner in range(3))
            ay, by, cy = (y[chosen, corner, None, None] for corner in range(3))
            over_area = 1 / area[chosen, None, None]
            weight_b = ((px + 0.5 - ax) * (cy - ay) - (cx - ax) * (py + 0.5 - ay)) * over_area
            weight_c = ((bx - ax) * (py + 0.5 - ay) - (px + 0.5 - ax) * (by - ay)) * over_area
            weight_a = 1 - weight_b - weight_c
            inside = (weight_a >= 0) & (weight_b >= 0) & (weight_c >= 0)
            inside &= (px >= 0) & (px < columns) & (py >= 0) & (py < rows)
            triangle, row, column = np.nonzero(inside)
            weights = np.stack([weight_a[inside], weight_b[inside], weight_c[inside]], axis=1)
            owners = chosen[triangle]
            heights = np.einsum("nc,nc->n", weights, corners[owners, :, 2]).astype(np.float32)
            pixels = ((top[owners] + row) * columns + left[owners] + column).astype(np.int64)
            yield _Fragments(pixels, heights, triangles[owners], weights)


def _compute_light(normals: np.ndarray) -> np.ndarray:
    """Return the light (k,) that is seen of points with these normals (k, 3) in the viewer's frame."""
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    total = AMBIENT_LIGHT * (1 + 0.5 * normals[:, 1])
    for direction, strength in LIGHTS:
        toward_light = np.asarray(direction, dtype=np.float32) / np.linalg.norm(direction)
        cosine = normals @ toward_light
        total = total + strength * np.clip((1 - WRAP) * cosine + WRAP, 0.0, None)
    between = np.asarray(LIGHTS[0][0]) / np.linalg.norm(LIGHTS[0][0]) + (0, 0, 1)  # the key light and the viewer
    strength, sharpness = SHINE
    shine = np.clip(normals @ (between / np.linalg.norm(between)).astype(np.float32), 0.0, 1.0) ** sharpness
    return total + strength * shine


def _darken_crevices(depth: np.ndarray, covered: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Return 1 in the open, less where the surroundings stand nearer to the viewer: crevices, a bone behind another."""
    from scipy import ndimage

    step = SUPERSAMPLING  # it varies slowly: one value per final pixel is enough
    depth, covered, pixel_mm = depth[::step, ::step], covered[::step, ::step], pixel_mm * step
    openness = np.ones(depth.shape, dtype=np.float32)
    height = np.where(covered, depth, 0).astype(np.float32)
    darkest, deepest = CREVICE_SHADOW
    for radius in CREVICE_RADII:
        sigma = radius * len(depth)
        weight = np.maximum(ndimage.gaussian_filter(covered.astype(np.float32), sigma, truncate=2.5), 1e-3)
        around = ndimage.gaussian_filter(height, sigma, truncate=2.5) / weight
        sunk = np.clip((around - height) / (deepest * sigma * pixel_mm), 0.0, 1.0)
        openness *= 1 - darkest * sunk
    return openness.repeat(step, axis=0).repeat(step, axis=1)


def _to_light(srgb: np.ndarray) -> np.ndarray:
    return (srgb / 255) ** GAMMA


def _reduce(linear: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Average blocks of fine pixels (0 where nothing is) into one, weighted by coverage; return sRGB with alpha."""
    rows, columns = (length // SUPERSAMPLING for length in covered.shape)
    blocks = (rows, SUPERSAMPLING, columns, SUPERSAMPLING)
    alpha = covered.astype(np.float32).reshape(blocks).mean(axis=(1, 3))
    color = linear.reshape(*blocks, 3).mean(axis=(1, 3)) / np.maximum(alpha, 1e-6)[..., None]
    srgb = np.clip(color, 0.0, 1.0) ** (1 / GAMMA)
    return np.round(255 * np.concatenate([srgb, alpha[..., None]], axis=2)).astype(np.uint8)
