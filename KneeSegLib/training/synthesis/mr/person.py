"""A prepared person as tensors, and what of it a slab of slices meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.fields import uniform
from KneeSegLib.training.synthesis.meshes import rotation
from KneeSegLib.training.synthesis.mr.anatomy_file import (
    CAVITY_UNIT_MM,
    COARSE,
    CORTEX_UNIT_MM,
    FLESH_UNIT_MM,
    JOINT,
    SDF_UNIT_MM,
    STEP_UNIT_MM,
    MrPerson,
    MrTemplate,
    template_file_name,
)
from KneeSegLib.training.synthesis.mr.noise import enlarged, stretched_noise
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.placement import Warp

SKIPPED = 3
"""Places to centre samples on are remembered from every third voxel along each axis."""

LATTICE = 4
"""Positions are worked out at every fourth voxel and interpolated between: warps are smooth."""

_ROUNDS = 8
_ROUNDS_THROUGH_A_WARP = 6


@dataclass
class MrScene:
    """What is where in a slab; all ``(D, H, W)``: slices right to left, rows upward, columns front to back.

    Attributes:
        bone_mm: signed distance to the surface of the bone ``owner``, negative inside.
        cover_mm: the same for that bone and its cartilage together.
        meniscus_mm: signed distance to the menisci.
        owner: uint8, ``BONES[owner - 1]`` is the bone nearest by ``cover_mm``; 0 far from all.
        soft: uint8, soft tissue of :mod:`structures`.
        flesh_mm: distance to the hull of all structures, 0 inside.
        cavity_mm: distance to the nearest cartilage or meniscus.
        cortex_mm: thickness that the cortex of the nearest bone has here.
        spacing_mm: distances of slices, rows, columns.
    """

    bone_mm: torch.Tensor
    cover_mm: torch.Tensor
    meniscus_mm: torch.Tensor
    owner: torch.Tensor
    soft: torch.Tensor
    flesh_mm: torch.Tensor
    cavity_mm: torch.Tensor
    cortex_mm: torch.Tensor
    spacing_mm: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(self.bone_mm.shape)

    @property
    def thickness_mm(self) -> torch.Tensor:
        """Of the cartilage that lies here, or beneath, or above; 0 on bare bone."""
        return (self.bone_mm - self.cover_mm).clamp(min=0.0)

    def noise(self, scale_mm: float | Sequence[float], generator: torch.Generator) -> torch.Tensor:
        """Noise on this slab, see :func:`~KneeSegLib.training.synthesis.mr.noise.stretched_noise`."""
        return stretched_noise(self.shape, self.spacing_mm, scale_mm, generator)


class TemplateTensors:
    """A template's fields, shared by all its people."""

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
        some = (slice(None, None, SKIPPED),) * 3
        owner, bone, cover = template.owner[some], template.bone[some], template.cover[some]
        self.cartilage_mm = self._places((bone > 0) & (cover < 0))
        self.bones_mm = [self._places((owner == number + 1) & (bone < 0)) for number in range(len(BONES))]

    def _places(self, mask: np.ndarray) -> torch.Tensor:
        """Positions (N, 3) in mm of what is marked in every :data:`SKIPPED`-th voxel."""
        index = torch.from_numpy(np.argwhere(mask)[:, ::-1].astype(np.float32))
        return index * (SKIPPED * self.spacing_mm) + self.origin_mm


class PreparedKnee:
    """A prepared person, to be sampled many times. Positions are ``(x, y, z)`` in mm from the plateau's middle."""

    def __init__(self, person: MrPerson, template: TemplateTensors) -> None:
        self.group = person.group
        self.subject = person.subject
        self.sources = person.sources
        self.template = template
        self._steps = torch.from_numpy(person.steps.astype(np.float32) * STEP_UNIT_MM)
        self._spacing_mm = person.spacing_mm
        self._origin_mm = torch.tensor(person.origin_mm, dtype=torch.float32)

    def cartilage_point(self, generator: torch.Generator) -> torch.Tensor:
        """A random point on cartilage."""
        return self.carried(_any_of(self.template.cartilage_mm, generator)[None])[0]

    def bone_point(self, bone: str, generator: torch.Generator) -> torch.Tensor:
        """A random point in a bone."""
        return self.carried(_any_of(self.template.bones_mm[BONES.index(bone)], generator)[None])[0]

    def sample(self, lattice_mm: torch.Tensor, shape: Sequence[int], spacing_mm: Sequence[float]) -> MrScene:
        """Read the person on a slab of ``shape`` whose lattice (:func:`random_lattice`) lies at ``lattice_mm``."""
        template = self.template
        there = lattice_mm + self._steps_at(lattice_mm)
        places = (there - template.origin_mm) / template.spacing_mm
        coarse = _read(template.coarse, (places - (COARSE - 1) / 2.0) / COARSE)
        # The hull is known inside the template alone; beyond, every mm counts.
        upper = torch.tensor(template.owner.shape[::-1]) - 1.0
        outside = (places - torch.minimum(places.clamp(min=0.0), upper))[..., :2].norm(dim=-1)
        coarse[0] = torch.maximum(coarse[0], coarse[0] + outside * template.spacing_mm)
        flesh, cavity, cortex = _between(coarse, shape)
        index = torch.stack(tuple(_between(places.movedim(-1, 0), shape)), dim=-1)
        bone, cover, meniscus = _read_part(template.distances, index) * SDF_UNIT_MM
        nearest = _nearest(index, template.owner.shape)
        owner, soft = (torch.take(field, nearest) for field in (template.owner, template.soft))
        return MrScene(bone, cover, meniscus, owner, soft, flesh, cavity, cortex, tuple(spacing_mm))

    def meniscus_at(self, lattice_mm: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Signed distance to the menisci in mm, read at places of their own: ``(D, H, W)``."""
        places = (lattice_mm + self._steps_at(lattice_mm) - self.template.origin_mm) / self.template.spacing_mm
        index = torch.stack(tuple(_between(places.movedim(-1, 0), shape)), dim=-1)
        return _read_part(self.template.distances[2:], index)[0] * SDF_UNIT_MM

    def _steps_at(self, points_mm: torch.Tensor) -> torch.Tensor:
        return _read(self._steps, (points_mm - self._origin_mm) / self._spacing_mm).movedim(0, -1)

    def carried(self, template_points_mm: torch.Tensor) -> torch.Tensor:
        """Where points (N, 3) of the template are in the person: the displacement undone by iteration."""
        points = template_points_mm.clone()
        for _ in range(_ROUNDS):
            points = template_points_mm - self._steps_at(points[None, None])[0, 0]
        return points


def read_knees(folder: str | Path, group: str) -> list[PreparedKnee]:
    """Read the prepared people of a group (``train``, ``validation``, ``test``) from a folder, templates once.

    Raises:
        InputError: the folder holds none of them, or lacks a template.
    """
    templates: dict[str, TemplateTensors] = {}
    people = []
    for path in sorted(Path(folder).rglob(f"{JOINT}_{group}_*.npz")):
        people.append(read_knee_file(path, templates))
    if not people:
        raise InputError(
            f"{folder} holds no prepared {group} people for {JOINT}; "
            f"prepare them with `kneeseg synthesize --prepare --joint {JOINT}`."
        )
    return people


def read_knee_file(path: Path, templates: dict[str, TemplateTensors] | None = None) -> PreparedKnee:
    """Read one person; its template lies beside it. ``templates`` holds those read already, and keeps new ones."""
    templates = {} if templates is None else templates
    person = MrPerson.load(path)
    if person.template not in templates:
        templates[person.template] = TemplateTensors(
            MrTemplate.load(path.with_name(template_file_name(person.template)))
        )
    return PreparedKnee(person, templates[person.template])


def random_lattice(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    centre_mm: torch.Tensor,
    warp: Warp,
    generator: torch.Generator,
) -> torch.Tensor:
    """Where every fourth voxel of a slab lies in a person, after a random turn, stretch and smooth warp.

    Args:
        shape: ``(D, H, W)``: slices to the left, rows upward, columns backward. spacing_mm: along these.
        centre_mm: ``(x, y, z)`` of the slab's centre.

    Returns:
        ``(d, h, w, 3)`` positions ``(x, y, z)`` in mm; first and last nodes are the first and last voxels.
    """
    nodes = [-(-(size - 1) // LATTICE) + 1 for size in shape]
    axes = [
        (torch.linspace(0.0, size - 1.0, count) - (size - 1) / 2.0) * step
        for size, count, step in zip(shape, nodes, spacing_mm)
    ]
    to_left, upward, backward = torch.meshgrid(*axes, indexing="ij")
    offsets = torch.stack([to_left, backward, upward], dim=-1)
    turned = np.eye(3)
    for axis, bounds in enumerate((warp.tilt_degrees, warp.tilt_degrees, warp.turn_degrees)):
        turned = turned @ rotation(np.eye(3)[axis], uniform(bounds, generator))[:3, :3]
    overall = uniform(warp.scale, generator)
    stretch = torch.tensor([overall * uniform(warp.stretch, generator) for _ in range(3)])
    points = offsets @ torch.from_numpy(turned.T).float() / stretch + centre_mm
    steps_mm = [size * step / count for size, step, count in zip(shape, spacing_mm, nodes)]
    for bounds, scale_mm in ((warp.bend_mm, 60.0), (warp.ripple_mm, 18.0)):
        amplitude = uniform(bounds, generator)
        if amplitude > 0.02:
            bend = [stretched_noise(nodes, steps_mm, scale_mm, generator) for _ in range(3)]
            points = points + amplitude * torch.stack(bend, dim=-1)
    return points


def places_of(
    points_mm: torch.Tensor, lattice_mm: torch.Tensor, shape: Sequence[int], spacing_mm: Sequence[float]
) -> torch.Tensor:
    """Where points (N, 3) of a person are in a slab whose lattice (:func:`random_lattice`) reads that person.

    Args:
        lattice_mm: ``(d, h, w, 3)``; slices to the left, rows upward, columns backward.
        shape: of the slab. spacing_mm: along its axes.

    Returns:
        (N, 3): x, y, z in mm from the centre of the slab.
    """
    half_mm = [(size - 1) / 2.0 * step for size, step in zip(shape, spacing_mm)]
    axes = [torch.linspace(-edge, edge, count) for edge, count in zip(half_mm, lattice_mm.shape)]
    x, z, y = torch.meshgrid(*axes, indexing="ij")
    nodes = torch.stack([x, y, z], dim=-1).reshape(-1, 3)
    design = torch.cat([nodes, torch.ones(len(nodes), 1)], dim=1).double()
    affine = torch.linalg.lstsq(design, lattice_mm.reshape(-1, 3).double()).solution
    inverse = torch.linalg.inv(affine[:3])
    places = (points_mm.double() - affine[3]) @ inverse
    half = torch.tensor(half_mm)
    for _ in range(_ROUNDS_THROUGH_A_WARP):
        relative = places.float()[:, [0, 2, 1]] / half
        reached = torch.nn.functional.grid_sample(
            lattice_mm.movedim(-1, 0)[None],
            relative.flip(-1)[None, None, None],
            padding_mode="border",
            align_corners=True,
        )[0, :, 0, 0].T
        # Beyond the slab the lattice ends, and its border stands still: the affine part goes on.
        beyond = places - (relative.clamp(-1.0, 1.0) * half)[:, [0, 2, 1]].double()
        reached = reached.double() + beyond @ affine[:3]
        places = places - (reached - points_mm.double()) @ inverse
    return places.float()


def _any_of(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return points[int(torch.randint(len(points), (), generator=generator))]


def _between(fields: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Fields ``(C, d, h, w)`` of the lattice at every voxel of ``shape``."""
    return enlarged(fields[None], shape)[0]


def _nearest(index: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Position in a flattened volume of the voxel nearest to fractional places ``(..., 3)``, x, y, z in voxels."""
    x, y, z = (axis.round().clamp(0, size - 1).long() for axis, size in zip(index.unbind(-1), shape[::-1]))
    return (z * shape[1] + y) * shape[2] + x


def _read(fields: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Fields ``(C, Z, Y, X)`` at fractional places ``(d, h, w, 3)``, x, y, z in voxels: ``(C, d, h, w)``."""
    size = torch.tensor(fields.shape[:0:-1])
    grid = (2.0 * index + 1.0) / size - 1.0
    return functional.grid_sample(
        fields[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False
    )[0]


def _read_part(fields: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """As :func:`_read`, for fields of bytes: only the part that is needed becomes floating."""
    limits = torch.tensor(fields.shape[:0:-1])
    low = torch.minimum(torch.floor(index.amin(dim=(0, 1, 2))).long().clamp(min=0), limits - 2)
    high = torch.minimum(torch.maximum(torch.ceil(index.amax(dim=(0, 1, 2))).long() + 1, low + 2), limits)
    part = tuple(slice(int(a), int(b)) for a, b in zip(low.flip(0), high.flip(0)))
    return _read(fields[(slice(None), *part)].float(), index - low)
