"""Prepared knees for MR: few templates that hold the anatomy, and displacements that lead many subjects to them.

A template (``mr-knee_template_NAME.npz``) is a label map on a fine grid; a subject (``mr-knee_GROUP_NAME.npz``) is a
displacement field that leads to a template of the same folder. All are right knees on LPS axes: array index z runs
inferior to superior, y anterior to posterior, x towards the patient's left; the origin is the middle of the plateau.
"""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.packing import pack_field, sum_differences, take_differences, unpack_field

JOINT = "mr-knee"
SDF_UNIT_MM = 0.1
COARSE = 4
"""Voxels of the fine grid along each edge of a voxel of the coarse fields."""
FLESH_UNIT_MM = 0.25
CAVITY_UNIT_MM = 0.25
CORTEX_UNIT_MM = 0.05
STEP_UNIT_MM = 0.05
FORMAT = 1

_FINE = {"bone": np.int8, "cover": np.int8, "meniscus": np.int8, "owner": np.uint8, "soft": np.uint8}
_COARSE = {"flesh": np.uint8, "cavity": np.uint8, "cortex": np.uint8}


@dataclass
class MrTemplate:
    """The anatomy of one label map.

    Attributes:
        bone: int8 [Z, Y, X], signed distance to the surface of the bone ``owner``, 0.1 mm, negative inside.
        cover: int8, the same for that bone and its cartilage together: ``bone - cover`` is the cartilage's thickness.
        owner: uint8, number of the bone nearest by ``cover`` (``BONES[owner - 1]``).
        meniscus: int8, signed distance to the menisci.
        soft: uint8, soft tissue of :mod:`structures` where neither bone nor cartilage nor meniscus is.
        flesh: uint8 [Z/4, Y/4, X/4], distance to the hull of all structures in 0.25 mm, 0 inside: fat and skin follow.
        cavity: uint8, distance to the nearest cartilage or meniscus in 0.25 mm: where joint fluid can be.
        cortex: uint8, thickness of the cortex of the nearest bone in 0.05 mm.
        vertices: bone -> float32 (V, 3), the shape model's mesh as it lies on this knee, mm; other subjects' bones are
            matched to it.
        spacing_mm: edge of a fine voxel. origin_mm: position (x, y, z) of the centre of voxel [0, 0, 0].
        name: of the template. sources: data that it is made of.
    """

    bone: np.ndarray
    cover: np.ndarray
    owner: np.ndarray
    meniscus: np.ndarray
    soft: np.ndarray
    flesh: np.ndarray
    cavity: np.ndarray
    cortex: np.ndarray
    vertices: dict[str, np.ndarray]
    spacing_mm: float
    origin_mm: tuple[float, float, float]
    name: str
    sources: tuple[str, ...]

    def check(self) -> None:
        """Raise :class:`InputError` unless the fields fit each other."""
        fine = self.bone.shape
        coarse = tuple(size // COARSE for size in fine)
        for fields, shape in ((_FINE, fine), (_COARSE, coarse)):
            for field, kind in fields.items():
                found = getattr(self, field)
                if found.dtype != kind or found.shape != shape:
                    raise InputError(
                        f"MR template {self.name!r}: {field} is {found.dtype} {found.shape}, "
                        f"expected {np.dtype(kind)} {shape}."
                    )
        if any(size % COARSE for size in fine) or self.owner.max() > len(BONES):
            raise InputError(f"MR template {self.name!r}: extents {fine} or bone numbers are not of this format.")

    @property
    def file_name(self) -> str:
        """Of its prepared file."""
        return name_template_file(self.name)

    def save(self, folder: str | Path) -> Path:
        """Write to ``folder``, beside its final name first, so that a file that exists is whole."""
        self.check()
        content = {name: pack_field(getattr(self, name)) for name in ("owner", "soft", *_COARSE)}
        content |= {f"vertices_{bone}": places.astype(np.float32) for bone, places in self.vertices.items()}
        content |= {name: pack_field(take_differences(getattr(self, name))) for name in ("bone", "cover", "meniscus")}
        return _write_arrays(
            Path(folder) / self.file_name,
            format=FORMAT,
            shape=np.array(self.bone.shape),
            spacing_mm=self.spacing_mm,
            origin_mm=np.array(self.origin_mm),
            name=self.name,
            sources=np.array(self.sources),
            **content,
        )

    @classmethod
    def load(cls, path: str | Path) -> MrTemplate:
        """Read a file that :meth:`save` wrote; raises :class:`InputError` for any other."""
        return _read_arrays(path, cls._from)

    @classmethod
    def _from(cls, content: dict[str, Any]) -> MrTemplate:
        fine = tuple(content["shape"].tolist())
        coarse = tuple(size // COARSE for size in fine)
        distances = {n: sum_differences(unpack_field(content[n], fine), np.int8) for n in ("bone", "cover", "meniscus")}
        return cls(
            **distances,
            **{name: unpack_field(content[name], fine) for name in ("owner", "soft")},
            **{name: unpack_field(content[name], coarse) for name in _COARSE},
            vertices={bone: content[f"vertices_{bone}"] for bone in BONES},
            spacing_mm=float(content["spacing_mm"]),
            origin_mm=tuple(content["origin_mm"].tolist()),
            name=str(content["name"]),
            sources=tuple(content["sources"].tolist()),
        )


@dataclass
class MrSubject:
    """A subject: a template seen through a displacement.

    Attributes:
        template: name of the template.
        steps: int16 [3, Z, Y, X], displacement from the subject to the template along x, y, z in 0.05 mm.
        spacing_mm, origin_mm: of the grid of ``steps``, as in :class:`MrTemplate`.
        group, name: split that it belongs to, and its name in that. sources: data that it is made of.
    """

    template: str
    steps: np.ndarray
    spacing_mm: float
    origin_mm: tuple[float, float, float]
    group: Group
    name: str
    sources: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """Of its prepared file."""
        return f"{JOINT}_{self.group}_{self.name}.npz"

    def save(self, folder: str | Path) -> Path:
        """Write to ``folder``, beside its final name first, so that a file that exists is whole."""
        return _write_arrays(
            Path(folder) / self.file_name,
            format=FORMAT,
            template=self.template,
            shape=np.array(self.steps.shape),
            steps=pack_field(take_differences(self.steps)),
            spacing_mm=self.spacing_mm,
            origin_mm=np.array(self.origin_mm),
            group=self.group,
            subject=self.name,
            sources=np.array(self.sources),
        )

    @classmethod
    def load(cls, path: str | Path) -> MrSubject:
        """Read a file that :meth:`save` wrote; raises :class:`InputError` for any other."""
        return _read_arrays(path, cls._from)

    @classmethod
    def _from(cls, content: dict[str, Any]) -> MrSubject:
        shape = tuple(content["shape"].tolist())
        return cls(
            template=str(content["template"]),
            steps=sum_differences(unpack_field(content["steps"], shape, np.uint16), np.int16),
            spacing_mm=float(content["spacing_mm"]),
            origin_mm=tuple(content["origin_mm"].tolist()),
            group=cast(Group, str(content["group"])),
            name=str(content["subject"]),
            sources=tuple(content["sources"].tolist()),
        )


def name_template_file(name: str) -> str:
    """Return the name of a template's file."""
    return f"{JOINT}_template_{name}.npz"


def _write_arrays(path: Path, **content: Any) -> Path:
    """Write arrays to a file, beside its final name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.stem + ".part.npz")
    np.savez(unfinished, **content)
    unfinished.replace(path)
    return path


def _read_arrays(path: str | Path, build: Callable[[dict[str, Any]], Any]) -> Any:
    """Return what ``build`` makes of the arrays of a file; raises :class:`InputError` where that fails."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            content = {name: stored[name] for name in stored.files}
        if int(content["format"]) != FORMAT:
            raise InputError(f"{path} was prepared by another version; delete it and prepare it again.")
        return build(content)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, lzma.LZMAError) as error:
        raise InputError(f"{path} is not a readable prepared knee for MR ({error}); prepare it again.") from error
