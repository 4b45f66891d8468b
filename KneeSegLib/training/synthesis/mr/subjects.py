"""Prepared knees as tensors, and what of them a slab of slices meets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.mr.anatomy_file import (
    CAVITY_UNIT_MM,
    COARSE,
    CORTEX_UNIT_MM,
    FLESH_UNIT_MM,
    JOINT,
    SDF_UNIT_MM,
    STEP_UNIT_MM,
    MrSubject,
    MrTemplate,
    name_template_file,
)
from KneeSegLib.training.synthesis.mr.lattice import interpolate_lattice
from KneeSegLib.training.synthesis.mr.scene import MrScene, Slab
from KneeSegLib.training.synthesis.mr.settings import INVERSION_ROUNDS, REMEMBERED_STRIDE
from KneeSegLib.training.synthesis.mr.structures import BONES


class TemplateTensors:
    """A template's fields as tensors, the same for all its subjects."""

    def __init__(self, template: MrTemplate) -> None:
        self.name = template.name
        self.sources = template.sources
        self.spacing_mm = template.spacing_mm
        self.origin_mm = torch.tensor(template.origin_mm, dtype=torch.float32)
        distances = np.stack([template.bone, template.cover, template.meniscus])
        self.distances = torch.from_numpy(distances)
        self.owner = torch.tensor(template.owner)
        self.soft = torch.tensor(template.soft)
        units = (FLESH_UNIT_MM, CAVITY_UNIT_MM, CORTEX_UNIT_MM)
        fields = (template.flesh, template.cavity, template.cortex)
        self.coarse = torch.from_numpy(np.stack([f.astype(np.float32) * unit for f, unit in zip(fields, units)]))
        some = (slice(None, None, REMEMBERED_STRIDE),) * 3
        owner, bone, cover = template.owner[some], template.bone[some], template.cover[some]
        self.cartilage_mm = self._locate_marked((bone > 0) & (cover < 0))
        self.bones_mm = [self._locate_marked((owner == number + 1) & (bone < 0)) for number in range(len(BONES))]

    def _locate_marked(self, mask: np.ndarray) -> torch.Tensor:
        """Return positions (N, 3) in mm of what is marked in a mask of the remembered voxels."""
        index = torch.from_numpy(np.argwhere(mask)[:, ::-1].astype(np.float32))
        return index * (REMEMBERED_STRIDE * self.spacing_mm) + self.origin_mm


class PreparedKnee:
    """A prepared subject, to be sampled many times. Positions are ``(x, y, z)`` in mm from the plateau's middle."""

    def __init__(self, subject: MrSubject, template: TemplateTensors) -> None:
        self.group = subject.group
        self.name = subject.name
        self.sources = subject.sources
        self.template = template
        self._steps = torch.from_numpy(subject.steps.astype(np.float32) * STEP_UNIT_MM)
        self._spacing_mm = subject.spacing_mm
        self._origin_mm = torch.tensor(subject.origin_mm, dtype=torch.float32)

    def draw_cartilage_point(self, generator: torch.Generator) -> torch.Tensor:
        """Draw a point (3,) on cartilage."""
        return self.carry_points(_draw_any(self.template.cartilage_mm, generator)[None])[0]

    def draw_bone_point(self, bone: str, generator: torch.Generator) -> torch.Tensor:
        """Draw a point (3,) in a bone."""
        return self.carry_points(_draw_any(self.template.bones_mm[BONES.index(bone)], generator)[None])[0]

    def sample(self, lattice_mm: torch.Tensor, slab: Slab) -> MrScene:
        """Read the subject on a slab whose lattice (:func:`~.lattice.draw_lattice`) lies at ``lattice_mm``."""
        template = self.template
        there = lattice_mm + self._sample_steps(lattice_mm)
        places = (there - template.origin_mm) / template.spacing_mm
        coarse = _sample_fields(template.coarse, (places - (COARSE - 1) / 2.0) / COARSE)
        # The hull is known inside the template alone; beyond, every mm counts.
        upper = torch.tensor(template.owner.shape[::-1]) - 1.0
        outside = (places - torch.minimum(places.clamp(min=0.0), upper))[..., :2].norm(dim=-1)
        coarse[0] = torch.maximum(coarse[0], coarse[0] + outside * template.spacing_mm)
        flesh, cavity, cortex = interpolate_lattice(coarse, slab.shape)
        index = torch.stack(tuple(interpolate_lattice(places.movedim(-1, 0), slab.shape)), dim=-1)
        bone, cover, meniscus = _sample_bytes(template.distances, index) * SDF_UNIT_MM
        nearest = _find_nearest(index, template.owner.shape)
        owner, soft = (torch.take(field, nearest) for field in (template.owner, template.soft))
        return MrScene(bone, cover, meniscus, owner, soft, flesh, cavity, cortex, slab.spacing_mm)

    def sample_meniscus(self, lattice_mm: torch.Tensor, slab: Slab) -> torch.Tensor:
        """Return the signed distance to the menisci in mm, read at places of their own: ``(D, H, W)``."""
        places = (lattice_mm + self._sample_steps(lattice_mm) - self.template.origin_mm) / self.template.spacing_mm
        index = torch.stack(tuple(interpolate_lattice(places.movedim(-1, 0), slab.shape)), dim=-1)
        return _sample_bytes(self.template.distances[2:], index)[0] * SDF_UNIT_MM

    def _sample_steps(self, points_mm: torch.Tensor) -> torch.Tensor:
        """Return the displacement (d, h, w, 3) to the template at points of the subject."""
        return _sample_fields(self._steps, (points_mm - self._origin_mm) / self._spacing_mm).movedim(0, -1)

    def carry_points(self, template_points_mm: torch.Tensor) -> torch.Tensor:
        """Return where points (N, 3) of the template are in the subject: the displacement undone by iteration."""
        points = template_points_mm.clone()
        for _ in range(INVERSION_ROUNDS):
            points = template_points_mm - self._sample_steps(points[None, None])[0, 0]
        return points


def read_knees(folder: str | Path, group: str) -> list[PreparedKnee]:
    """Read the prepared subjects of a group (``train``, ``validation``, ``test``) from a folder, templates once.

    Raises:
        InputError: the folder holds none of them, or lacks a template.
    """
    templates: dict[str, TemplateTensors] = {}
    subjects = []
    for path in sorted(Path(folder).rglob(f"{JOINT}_{group}_*.npz")):
        subjects.append(read_knee_file(path, templates))
    if not subjects:
        raise InputError(
            f"{folder} holds no prepared {group} subjects for {JOINT}; "
            f"prepare them with `kneeseg synthesize --prepare --joint {JOINT}`."
        )
    return subjects


def read_knee_file(path: Path, templates: dict[str, TemplateTensors] | None = None) -> PreparedKnee:
    """Read one subject; its template lies beside it. ``templates`` holds those read already, and keeps new ones."""
    templates = {} if templates is None else templates
    subject = MrSubject.load(path)
    if subject.template not in templates:
        templates[subject.template] = TemplateTensors(
            MrTemplate.load(path.with_name(name_template_file(subject.template)))
        )
    return PreparedKnee(subject, templates[subject.template])


def _draw_any(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw one of some points (N, 3)."""
    return points[int(torch.randint(len(points), (), generator=generator))]


def _find_nearest(index: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return the position in a flattened volume of the voxels nearest to places ``(..., 3)``, x, y, z in voxels."""
    x, y, z = (axis.round().clamp(0, size - 1).long() for axis, size in zip(index.unbind(-1), shape[::-1]))
    return (z * shape[1] + y) * shape[2] + x


def _sample_fields(fields: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return fields ``(C, Z, Y, X)`` at fractional places ``(d, h, w, 3)``, x, y, z in voxels: ``(C, d, h, w)``."""
    size = torch.tensor(fields.shape[:0:-1])
    grid = (2.0 * index + 1.0) / size - 1.0
    return functional.grid_sample(
        fields[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False
    )[0]


def _sample_bytes(fields: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return the same of fields of bytes: only the part that is needed becomes floating."""
    limits = torch.tensor(fields.shape[:0:-1])
    low = torch.minimum(torch.floor(index.amin(dim=(0, 1, 2))).long().clamp(min=0), limits - 2)
    high = torch.minimum(torch.maximum(torch.ceil(index.amax(dim=(0, 1, 2))).long() + 1, low + 2), limits)
    part = tuple(slice(int(a), int(b)) for a, b in zip(low.flip(0), high.flip(0)))
    return _sample_fields(fields[(slice(None), *part)].float(), index - low)
