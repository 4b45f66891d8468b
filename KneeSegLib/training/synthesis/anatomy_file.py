"""Prepared anatomy: what image synthesis reads; reading it takes NumPy alone.

A file (``.npz``) holds the bones of one joint, or of the pelvis and both legs, of one subject as fields on a regular
grid. Axes are LPS: array index z runs inferior to superior, y anterior to posterior, x towards the patient's left.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from KneeSegLib.anatomy import BONES, SIDES
from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.packing import pack_field, sum_differences, take_differences, unpack_field

CLASSES: tuple[str, ...] = ("none", "other", *(f"{bone}_{side}" for side in SIDES for bone in BONES))
"""Meaning of the values of :attr:`Anatomy.nearest`: nothing near, an unlabelled bone, right bones, left bones."""

SDF_UNIT_MM = 0.1
CORTEX_UNIT_MM = 0.05
BAND_MM = 12.7
"""Signed distances are clipped here: the reach of eight bits."""
COARSE = 4
"""Voxels of the fine grid along each edge of a voxel of the coarse fields."""
FORMAT = 2

Joint = Literal["hip", "knee", "ankle", "body", "mr-knee"]
Group = Literal["train", "validation", "test"]


@dataclass
class Anatomy:
    """The bones of one subject around one joint.

    Attributes:
        nearest: uint8 [Z, Y, X], index into :data:`CLASSES` of the nearest bone, 0 further than the band from any.
        sdf: int8 [Z, Y, X], signed distance to the nearest bone surface in 0.1 mm, negative inside, up to +-12.7.
        cortex: uint8 [Z/4, Y/4, X/4], thickness of the cortex of the nearest bone in 0.05 mm.
        far: uint8 [Z/4, Y/4, X/4], unsigned distance to the nearest bone in mm, clipped to 255.
        spacing_mm: edge of a fine voxel along z, y, x.
        origin_mm: LPS position (x, y, z) of the centre of voxel [0, 0, 0].
        joint, group: what it shows, which split it belongs to.
        name, sources: name of the subject, data that it is made of.

    Voxel ``i`` of a coarse axis covers the fine voxels ``4 i .. 4 i + 3``: interpolation by a factor of 4 without
    aligned corners puts it where it belongs. Every extent of the fine grid is a multiple of 4.
    """

    nearest: np.ndarray
    sdf: np.ndarray
    cortex: np.ndarray
    far: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    joint: Joint
    group: Group
    name: str
    sources: tuple[str, ...]

    @property
    def sdf_mm(self) -> np.ndarray:
        """Signed distance in mm, float32 [Z, Y, X]."""
        return self.sdf.astype(np.float32) * np.float32(SDF_UNIT_MM)

    @property
    def cortex_mm(self) -> np.ndarray:
        """Cortical thickness in mm, float32 [Z/4, Y/4, X/4]."""
        return self.cortex.astype(np.float32) * np.float32(CORTEX_UNIT_MM)

    def labels(self) -> np.ndarray:
        """Return the class index of the bone that fills each voxel, 0 outside bones; uint8 [Z, Y, X]."""
        return np.where(self.sdf < 0, self.nearest, 0).astype(np.uint8)

    def check(self) -> None:
        """Raise :class:`InputError` unless the fields fit each other and the format."""
        expected = {"nearest": np.uint8, "sdf": np.int8, "cortex": np.uint8, "far": np.uint8}
        coarse_shape = tuple(extent // COARSE for extent in self.sdf.shape)
        for name, kind in expected.items():
            field = getattr(self, name)
            shape = self.sdf.shape if name in ("nearest", "sdf") else coarse_shape
            if field.dtype != kind or field.shape != shape:
                raise InputError(
                    f"Prepared anatomy {self.name!r}: {name} is {field.dtype} {field.shape}, "
                    f"expected {np.dtype(kind)} {shape}."
                )
        if any(extent % COARSE for extent in self.sdf.shape):
            raise InputError(f"Prepared anatomy {self.name!r}: extents {self.sdf.shape} are not multiples of {COARSE}.")

    def save(self, path: str | Path) -> None:
        """Write to ``path`` (``.npz``), beside it first, so that a file that exists is whole."""
        self.check()
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.stem + ".part.npz")
        np.savez(
            unfinished,
            format=FORMAT,
            classes=np.array(CLASSES),
            shape=np.array(self.sdf.shape),
            nearest=pack_field(self.nearest),
            sdf_differences=pack_field(take_differences(self.sdf)),
            cortex=pack_field(self.cortex),
            far=pack_field(self.far),
            spacing_mm=np.array(self.spacing_mm, np.float64),
            origin_mm=np.array(self.origin_mm, np.float64),
            joint=self.joint,
            group=self.group,
            subject=self.name,
            sources=np.array(self.sources),
        )
        unfinished.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Anatomy:
        """Read a file that :meth:`save` wrote.

        Raises:
            InputError: not such a file, or one of another format or with other classes.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                content = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} is not a readable prepared anatomy ({error}); prepare it again.") from error
        if int(content.get("format", 0)) != FORMAT or tuple(content["classes"].tolist()) != CLASSES:
            raise InputError(f"{path} was prepared by another version; delete it and prepare it again.")
        fine = tuple(content["shape"].tolist())
        coarse = tuple(extent // COARSE for extent in fine)
        try:
            fields = {
                name: unpack_field(content[name], shape)
                for name, shape in (("nearest", fine), ("sdf_differences", fine), ("cortex", coarse), ("far", coarse))
            }
        except (lzma.LZMAError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}); prepare it again.") from error
        return cls(
            nearest=fields["nearest"],
            sdf=sum_differences(fields["sdf_differences"], np.int8),
            cortex=fields["cortex"],
            far=fields["far"],
            spacing_mm=tuple(content["spacing_mm"].tolist()),
            origin_mm=tuple(content["origin_mm"].tolist()),
            joint=cast(Joint, str(content["joint"])),
            group=cast(Group, str(content["group"])),
            name=str(content["subject"]),
            sources=tuple(content["sources"].tolist()),
        )
