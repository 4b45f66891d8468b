"""Templates: everything about one label map's knee on one grid, shafts continued by the fitted shape model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates

from KneeSegLib.training.synthesis.bones import Bone
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.distance import measure_signed_distance
from KneeSegLib.training.synthesis.limb_model import SOURCE, find_long_axis, read_limb_model
from KneeSegLib.training.synthesis.meshes import Mesh
from KneeSegLib.training.synthesis.mr.anatomy_file import (
    CAVITY_UNIT_MM,
    COARSE,
    CORTEX_UNIT_MM,
    FLESH_UNIT_MM,
    SDF_UNIT_MM,
    MrTemplate,
    name_template_file,
)
from KneeSegLib.training.synthesis.mr.displacement import fit_unfolded_displacement, sample_displacement
from KneeSegLib.training.synthesis.mr.knee_maps import KNEE_MAPS
from KneeSegLib.training.synthesis.mr.label_maps import LabelledKnee, list_bone_labels, read_knee
from KneeSegLib.training.synthesis.mr.matching import extract_surface, fit_knee
from KneeSegLib.training.synthesis.mr.settings import PASSAGE_MM, STEPS_GRID, TEMPLATE_GRID, THINNEST_CARTILAGE_MM
from KneeSegLib.training.synthesis.mr.structures import BONES, FAT
from KneeSegLib.training.synthesis.mr.surroundings import add_quadriceps_tendon, measure_hull_distance
from KneeSegLib.training.synthesis.settings import REACH_MM

_SLICES_AT_ONCE = 32
"""Soft tissue is borrowed for so many slices at a time, which bounds the memory it takes."""


def build_templates(data: Path, output: Path) -> dict[str, MrTemplate]:
    """Return all templates by name, written to ``output``; those that are there already are read.

    Maps without soft tissue borrow that of the first, bent onto their own bones.

    Raises:
        InputError: the data pack lacks a file.
    """
    model = read_limb_model(data)
    built: dict[str, MrTemplate] = {}
    for name, knee_map in KNEE_MAPS.items():
        path = output / name_template_file(name)
        if path.exists():
            built[name] = MrTemplate.load(path)
            continue
        knee = read_knee(knee_map, data)
        distances = {
            bone: knee.measure_distance(labels, TEMPLATE_GRID) for bone, labels in list_bone_labels(knee_map).items()
        }
        bones = fit_knee(
            model, {bone: extract_surface(d, TEMPLATE_GRID) for bone, d in distances.items()}, knee.shown_mm
        )
        sources = [knee_map.bones_of.source, SOURCE]
        if knee_map.soft:
            soft = knee.label_soft_tissue(TEMPLATE_GRID)
        else:
            lender = next(iter(built.values()))
            soft = borrow_soft_tissue(lender, bones)
            sources.append(lender.sources[0])
        built[name] = assemble_template(name, knee, distances, bones, soft, sources)
        built[name].save(output)
    return built


def assemble_template(
    name: str,
    knee: LabelledKnee,
    distances: dict[str, np.ndarray],
    bones: dict[str, Mesh],
    soft: np.ndarray,
    sources: Sequence[str],
) -> MrTemplate:
    """Return the template of a labelled knee.

    Args:
        distances: bone -> signed distance in mm on :data:`~.settings.TEMPLATE_GRID`, true where the map shows it.
        bones: bone -> closed mesh, shaft and all.
        soft: soft tissue on :data:`~.settings.TEMPLATE_GRID`.
    """
    bone = np.full(TEMPLATE_GRID.shape, REACH_MM, np.float32)
    cover, owner = bone.copy(), np.zeros(TEMPLATE_GRID.shape, np.uint8)
    for number, which in enumerate(BONES, start=1):
        own = _continue_distance(distances[which], bones[which], knee.shown_mm)
        covered = own
        if which in knee.knee_map.cartilages:
            labels = (*list_bone_labels(knee.knee_map)[which], *knee.knee_map.cartilages[which])
            thickness = np.maximum(distances[which] - knee.measure_distance(labels, TEMPLATE_GRID), 0.0)
            covered = own - np.where(thickness > THINNEST_CARTILAGE_MM, thickness, 0.0)
        nearer = covered < cover
        bone[nearer], cover[nearer], owner[nearer] = own[nearer], covered[nearer], number
    meniscus = knee.measure_distance(knee.knee_map.menisci, TEMPLATE_GRID)
    soft = add_quadriceps_tendon(soft, bone, owner, TEMPLATE_GRID)
    filled = (cover < 0) | (meniscus < 0) | (soft != FAT)
    in_the_joint = (meniscus < 0) | ((cover < 0) & (bone > 0))
    middles = (slice(COARSE // 2, None, COARSE),) * 3
    coarse_mm = TEMPLATE_GRID.spacing_mm * COARSE
    return MrTemplate(
        bone=_quantize(bone, SDF_UNIT_MM, np.int8),
        cover=_quantize(cover, SDF_UNIT_MM, np.int8),
        owner=owner,
        meniscus=_quantize(meniscus, SDF_UNIT_MM, np.int8),
        soft=soft,
        flesh=_quantize(measure_hull_distance(filled[middles], coarse_mm), FLESH_UNIT_MM, np.uint8),
        cavity=_quantize(_measure_coarse_distance(in_the_joint), CAVITY_UNIT_MM, np.uint8),
        cortex=_quantize(_sample_cortex(owner[middles], bones), CORTEX_UNIT_MM, np.uint8),
        vertices={which: mesh.vertices.astype(np.float32) for which, mesh in bones.items()},
        spacing_mm=TEMPLATE_GRID.spacing_mm,
        origin_mm=TEMPLATE_GRID.origin_mm,
        name=name,
        sources=tuple(sources),
    )


def borrow_soft_tissue(lender: MrTemplate, bones: dict[str, Mesh]) -> np.ndarray:
    """Return the soft tissue (uint8) of one template on the bones of another knee."""
    steps = fit_steps_between({bone: mesh.vertices for bone, mesh in bones.items()}, lender.vertices)
    x, y, z = TEMPLATE_GRID.coordinates()
    result = np.empty(TEMPLATE_GRID.shape, np.uint8)
    for first in range(0, len(z), _SLICES_AT_ONCE):
        part = slice(first, first + _SLICES_AT_ONCE)
        points = np.stack(np.broadcast_arrays(x, y[:, None], z[part, None, None]), axis=-1).reshape(-1, 3)
        points = points + sample_displacement(steps, (points - np.array(STEPS_GRID.origin_mm)) / STEPS_GRID.spacing_mm)
        places = (points - np.array(TEMPLATE_GRID.origin_mm)) / TEMPLATE_GRID.spacing_mm
        borrowed = map_coordinates(lender.soft, places.T[::-1], order=0, mode="nearest")
        result[part] = borrowed.reshape(-1, *TEMPLATE_GRID.shape[1:])
    return result


def fit_steps_between(own: dict[str, np.ndarray], template: dict[str, np.ndarray]) -> np.ndarray:
    """Return the displacement field that leads from a subject's bones to a template's, vertex to vertex.

    It is (3, Z, Y, X) on :data:`~.settings.STEPS_GRID`, in mm.
    """
    places = np.concatenate([own[bone] for bone in BONES])
    steps = np.concatenate([template[bone] for bone in BONES]) - places
    near = np.abs(places[:, 2]) < -STEPS_GRID.origin_mm[2] + 10.0
    return fit_unfolded_displacement(places[near], steps[near], STEPS_GRID)


def _continue_distance(distance: np.ndarray, mesh: Mesh, shown_mm: tuple[float, float]) -> np.ndarray:
    """Return a bone's distance that passes into that of a fitted mesh where the label map ends."""
    depth, rows, columns = (size // 2 + 1 for size in TEMPLATE_GRID.shape)
    coarse = CubicGrid(TEMPLATE_GRID.origin_mm, 2.0 * TEMPLATE_GRID.spacing_mm, (depth, rows, columns))
    modelled = _double_resolution(measure_signed_distance(mesh, coarse))
    z = TEMPLATE_GRID.coordinates()[2]
    beyond = np.maximum(z - shown_mm[1], shown_mm[0] - z)
    weight = np.clip((beyond + PASSAGE_MM - 2.0) / PASSAGE_MM, 0.0, 1.0).astype(np.float32)[:, None, None]
    return np.where(weight > 0, weight * modelled + (1 - weight) * distance, distance)


def _double_resolution(field: np.ndarray) -> np.ndarray:
    """Return a field at half the spacing, interpolated linearly: ``n + 1`` values along each axis become ``2 n``."""
    for axis in range(3):
        first, second = np.delete(field, -1, axis), np.delete(field, 0, axis)
        between = np.stack([first, (first + second) / 2], axis=axis + 1)
        field = between.reshape(*field.shape[:axis], -1, *field.shape[axis + 1 :])
    return field


def _quantize(values: np.ndarray, unit: float, kind: type) -> np.ndarray:
    """Return values in whole units, clipped to what the type holds (of signed ones to the same on both sides)."""
    limits = np.iinfo(kind)
    return np.clip(np.round(values / unit), max(limits.min, -127), limits.max).astype(kind)


def _measure_coarse_distance(mask: np.ndarray) -> np.ndarray:
    """Return the distance in mm to the coarse voxels that hold any of a mask on the fine grid."""
    depth, rows, columns = (size // COARSE for size in mask.shape)
    blocks = mask.reshape(depth, COARSE, rows, COARSE, columns, COARSE).any(axis=(1, 3, 5))
    return np.asarray(distance_transform_edt(~blocks, sampling=TEMPLATE_GRID.spacing_mm * COARSE))


def _sample_cortex(owner: np.ndarray, bones: dict[str, Mesh]) -> np.ndarray:
    """Return the cortical thickness in mm of the nearest bone at the coarse voxels."""
    spacing = TEMPLATE_GRID.spacing_mm * COARSE
    thickness = np.zeros(owner.shape)
    for number, which in enumerate(BONES, start=1):
        where = np.argwhere(owner == number)
        points = (
            np.array(TEMPLATE_GRID.origin_mm) + where[:, ::-1] * spacing + (COARSE - 1) / 2 * TEMPLATE_GRID.spacing_mm
        )
        mesh = bones[which]
        bone = Bone(which, mesh, None if which == "patella" else find_long_axis(mesh))
        thickness[owner == number] = bone.cortex_mm(points)
    return thickness
