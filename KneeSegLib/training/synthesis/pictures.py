"""A picture of prepared anatomy, to be inspected before anything is trained on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from KneeSegLib.anatomy import TISSUES
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy

_COLORS = {tissue.key: tissue.color for tissue in TISSUES}


def list_class_colors() -> np.ndarray:
    """Return the colour (C, 3) uint8 of each class: right bones as in the table of anatomy, left ones darker."""
    colors = np.zeros((len(CLASSES), 3), np.uint8)
    colors[1] = 150
    for index, name in enumerate(CLASSES[2:], start=2):
        bone, side = name.rsplit("_", 1)
        colors[index] = np.array(_COLORS[bone]) * (1.0 if side == "right" else 0.6)
    return colors


def write_picture(anatomy: Anatomy, path: Path) -> None:
    """Write :func:`draw_picture` to a PNG file."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_picture(anatomy)).save(path)


def draw_picture(anatomy: Anatomy, height: int = 300) -> np.ndarray:
    """Draw six views side by side, uint8 (height, width, 3).

    The patient's right is on the left, the front on top or left. First come slices through the labels, with rings of
    distance around them: transverse at a half and a third of the height, coronal and sagittal through the middle of the
    bones. Then the bones from outside: from the front and from the left.
    """
    from PIL import Image

    colors = list_class_colors()
    labels = anatomy.labels()
    depth, rows, columns = labels.shape
    filled = np.argwhere(labels >= 2)
    y, x = (int(np.median(filled[:, axis])) for axis in (1, 2))
    views = []
    for plane, field in (
        (labels[depth // 2], anatomy.sdf[depth // 2]),
        (labels[depth // 3], anatomy.sdf[depth // 3]),
        (labels[::-1, y], anatomy.sdf[::-1, y]),
        (labels[::-1, :, x], anatomy.sdf[::-1, :, x]),
        (_find_first_hit(labels, 1)[::-1], None),
        (_find_first_hit(labels[:, :, ::-1], 2)[::-1], None),
    ):
        view = colors[plane].astype(float)
        if field is not None:
            shade = np.where(field >= 127, 0, 40 + 20 * np.sin(field / 10 * np.pi)).clip(0)
            view = np.where(plane[..., None] > 0, view, shade[..., None])
        size = (max(1, round(view.shape[1] * height / view.shape[0])), height)
        views.append(np.asarray(Image.fromarray(view.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)))
        views.append(np.full((height, 4, 3), 90, np.uint8))
    return np.concatenate(views[:-1], axis=1)


def _find_first_hit(labels: np.ndarray, axis: int) -> np.ndarray:
    """Return the first label along an axis: a view from outside."""
    first = np.argmax(labels > 0, axis=axis)
    return np.take_along_axis(labels, np.expand_dims(first, axis), axis).squeeze(axis)
