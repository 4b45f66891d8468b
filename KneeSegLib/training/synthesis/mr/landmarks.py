"""Corresponding points on the bones of prepared knees: the truth of shape fitting, and the shape model that ships.

The bones of all prepared subjects correspond by the way they were drawn. Points spread over the bones of the first
template (:func:`KneeSegLib.training.shape_models.surface_points.place_surface_points`) are carried to the other
templates and from these to their subjects by the same displacements that carry the anatomy; nothing has to be
registered.

Subjects differ by more than a linear model of a few scans describes, so images are made of subjects that are bent a
little, each time anew. The shape model is built of several such shapes of each subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from scipy.ndimage import map_coordinates

from KneeSegLib import __version__
from KneeSegLib.anatomy import structure
from KneeSegLib.shape.model import Provenance, ShapeModel
from KneeSegLib.shape.model_file import write_shape_models
from KneeSegLib.training.shape_models.bone_image import BoneImage, prepare_bone_image
from KneeSegLib.training.shape_models.modelling import CorrespondingPoints, PointErrors, make_model
from KneeSegLib.training.shape_models.settings import LEAST_CASES, POINTS
from KneeSegLib.training.shape_models.surface_points import place_surface_points
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT, SDF_UNIT_MM, MrTemplate
from KneeSegLib.training.synthesis.mr.displacement import sample_displacement
from KneeSegLib.training.synthesis.mr.landmarks_file import LANDMARK_BONES, Landmarks
from KneeSegLib.training.synthesis.mr.lattice import locate_points
from KneeSegLib.training.synthesis.mr.render import draw_bent_lattice
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.settings import (
    BENT_CUBE_MM,
    CARRIES_FROM_MM,
    CARRY_ROUNDS,
    LANDMARK_SHAFTS,
    LANDMARK_SPACING_MM,
    MODES,
    SHAPES_PER_SUBJECT,
    STEPS_GRID,
    MrSynthesis,
)
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees
from KneeSegLib.training.synthesis.mr.templates import fit_steps_between

SHAPES_NAME = f"{JOINT}_shapes.safetensors"


@dataclass(frozen=True)
class TemplatePoints:
    """Corresponding points of one bone.

    Attributes:
        points: template -> (P, 3) in mm.
        triangles: (T, 3) indices into them.
        cartilage: (P,) fraction of the templates in which a point carries cartilage.
    """

    points: dict[str, np.ndarray]
    triangles: np.ndarray
    cartilage: np.ndarray


def prepare_landmarks(
    templates: Sequence[MrTemplate], folder: Path, per_subject: int = SHAPES_PER_SUBJECT, seed: int = 0
) -> dict[str, ShapeModel]:
    """Write landmarks and shape models of the training subjects in ``folder``; none where there are too few of them.

    Args:
        per_subject: shapes of each, bent at random as images are; 0 for one as it is.
        seed: of these.
    """
    subjects = read_knees(folder, "train")
    if len(subjects) < LEAST_CASES:
        return {}
    spread = {bone: spread_points(templates, bone) for bone in LANDMARK_BONES}
    models = {
        bone: build_shape_model(bone, found, subjects, templates, per_subject, seed) for bone, found in spread.items()
    }
    write_shape_models(models, folder / SHAPES_NAME, overwrite=True)
    points = {
        bone: {name: array.astype(np.float32) for name, array in found.points.items()} for bone, found in spread.items()
    }
    modes = {bone: (model.mean, model.components, model.variances) for bone, model in models.items()}
    Landmarks(points, modes).save(folder)
    return models


def spread_points(templates: Sequence[MrTemplate], bone: str, count: int = POINTS) -> TemplatePoints:
    """Spread points over a bone of the first template and carry them to the others."""
    first, *others = templates
    places, triangles = place_surface_points(_make_bone_image(first, bone), count)
    points = {first.name: project_onto_surface(places, first)}
    for other in others:
        steps = fit_steps_between(other.vertices, first.vertices)
        points[other.name] = project_onto_surface(carry_back(steps, places), other)
    covered = [_measure_cartilage_mm(points[template.name], template) > CARRIES_FROM_MM for template in templates]
    return TemplatePoints(points, triangles, np.mean(covered, axis=0))


def build_shape_model(
    bone: str,
    found: TemplatePoints,
    subjects: Sequence[PreparedKnee],
    templates: Sequence[MrTemplate],
    per_subject: int = SHAPES_PER_SUBJECT,
    seed: int = 0,
) -> ShapeModel:
    """Return the shape model of some subjects; see :func:`prepare_landmarks`."""
    generator = torch.Generator().manual_seed(seed)
    shapes = []
    for subject in subjects:
        own = subject.carry_points(torch.from_numpy(found.points[subject.template.name]).float())
        shapes += [bend_points(own, generator) for _ in range(per_subject)] or [own]
    sources = tuple(sorted({source for subject in subjects for source in subject.sources}))
    residuals = [np.abs(measure_bone_distance(found.points[t.name], t)).mean() for t in templates]
    return make_model(
        CorrespondingPoints(
            bone,
            torch.stack(shapes).numpy().astype(float),
            found.triangles,
            found.cartilage,
            per_subject=max(per_subject, 1),
        ),
        Provenance(sources, len(subjects), LANDMARK_SPACING_MM, __version__, date.today().isoformat()),
        PointErrors(float(np.mean(residuals)), float(np.max(residuals))),
        most_modes=MODES,
    )


def bend_points(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return points (N, 3) of a bone as a random image of its subject shows them."""
    middle = (points.amin(dim=0) + points.amax(dim=0)) / 2.0
    voxels = round(BENT_CUBE_MM / LANDMARK_SPACING_MM)
    slab = Slab.around(middle, (voxels,) * 3, (LANDMARK_SPACING_MM,) * 3)
    return locate_points(points, draw_bent_lattice(slab, MrSynthesis(), generator), slab)


def carry_back(steps: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return where points (N, 3) come from that a displacement field leads to: it is undone by iteration."""
    origin = np.array(STEPS_GRID.origin_mm)
    found = points.copy()
    for _ in range(CARRY_ROUNDS):
        found = points - sample_displacement(steps, (found - origin) / STEPS_GRID.spacing_mm)
    return found


def project_onto_surface(points: np.ndarray, template: MrTemplate, rounds: int = 3) -> np.ndarray:
    """Return points (N, 3) moved along the gradient of the bones' distance to where that is zero."""
    step = 0.5 * template.spacing_mm
    for _ in range(rounds):
        distance = measure_bone_distance(points, template)
        gradient = np.stack(
            [
                (
                    measure_bone_distance(points + step * axis, template)
                    - measure_bone_distance(points - step * axis, template)
                )
                / (2.0 * step)
                for axis in np.eye(3)
            ],
            axis=1,
        )
        steepness = np.maximum((gradient**2).sum(axis=1), 0.25)
        points = points - (distance / steepness)[:, None] * gradient
    return points


def measure_bone_distance(points: np.ndarray, template: MrTemplate) -> np.ndarray:
    """Return the signed distance in mm (N,) of points (N, 3) to the nearest bone of a template."""
    return _sample_field(template.bone, points, template) * SDF_UNIT_MM


def _measure_cartilage_mm(points: np.ndarray, template: MrTemplate) -> np.ndarray:
    """Return the thickness in mm (N,) of the cartilage at points (N, 3)."""
    return (
        _sample_field(template.bone, points, template) - _sample_field(template.cover, points, template)
    ) * SDF_UNIT_MM


def _sample_field(field: np.ndarray, points: np.ndarray, template: MrTemplate) -> np.ndarray:
    """Return a fine field of a template (N,) at points (N, 3), interpolated linearly."""
    index = (points - np.array(template.origin_mm)) / template.spacing_mm
    return map_coordinates(field, index.T[::-1], output=np.float32, order=1, mode="nearest")


def _make_bone_image(template: MrTemplate, bone: str) -> BoneImage:
    """Return one bone of a template as an image of a right knee, cut at the shaft."""
    inside = (template.owner == BONES.index(bone) + 1) & (template.bone < 0)
    labels = sitk.GetImageFromArray(inside.astype(np.uint8) * structure(bone, "right").label_value)
    labels.SetSpacing([template.spacing_mm] * 3)
    labels.SetOrigin(template.origin_mm)
    return prepare_bone_image(labels, bone, "right", template.name, LANDMARK_SPACING_MM, LANDMARK_SHAFTS)
