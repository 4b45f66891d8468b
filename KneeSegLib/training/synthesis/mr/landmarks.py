"""Corresponding points on the bones of prepared knees: the truth of shape fitting, and the shape model that ships.

The bones of all prepared people correspond by the way they were drawn. Points spread over the bones of the first
template (:func:`KneeSegLib.training.shape_models.surface_points.place_surface_points`) are carried to the other
templates and from these to their people by the same displacements that carry the anatomy; nothing has to be registered.

People differ by more than a linear model of a few scans tells, so images are made of people who are bent a little, each
time anew. The shape model knows them as they are seen there: of everybody it has several such looks.
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
from KneeSegLib.training.shape_models.settings import LEAST_CASES, Shaft
from KneeSegLib.training.shape_models.surface_points import place_surface_points
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT, SDF_UNIT_MM, MrTemplate
from KneeSegLib.training.synthesis.mr.displacement import sample_displacement
from KneeSegLib.training.synthesis.mr.landmarks_file import LANDMARK_BONES, Landmarks
from KneeSegLib.training.synthesis.mr.lattice import locate_points
from KneeSegLib.training.synthesis.mr.render import MrSynthesis, draw_bent_lattice
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, read_knees
from KneeSegLib.training.synthesis.mr.templates import STEPS_GRID, fit_steps_between

SHAPES_NAME = f"{JOINT}_shapes.safetensors"
POINTS = 2000
SHAFTS = {"femur": Shaft("lower", 0.94), "tibia": Shaft("upper", 0.94)}
"""Points reach as far along the shafts as fields of view of the knee do, and as the templates allow."""

SHAPES_PER_SUBJECT = 2
"""Shapes of everybody in the shape model."""

MODES = 40
"""Of the shape model."""

_BENT_CUBE_MM = 140.0
"""Edge of the cube around a bone that is bent for a look."""

_SPACING_MM = 1.0
_CARRIES_FROM_MM = 0.3
_ROUNDS = 12


@dataclass(frozen=True)
class TemplatePoints:
    """Corresponding points of one bone: template -> (P, 3) mm; triangles (T, 3); share (P,) that carries cartilage."""

    points: dict[str, np.ndarray]
    triangles: np.ndarray
    cartilage: np.ndarray


def prepare_landmarks(
    templates: Sequence[MrTemplate], folder: Path, looks: int = SHAPES_PER_SUBJECT, seed: int = 0
) -> dict[str, ShapeModel]:
    """Write landmarks and shape models of the training people in ``folder``; none where there are too few of them.

    Args:
        looks: shapes of everybody, bent at random as images are; 0 for one as it is.
        seed: of these.
    """
    subjects = read_knees(folder, "train")
    if len(subjects) < LEAST_CASES:
        return {}
    spread = {bone: spread_points(templates, bone) for bone in LANDMARK_BONES}
    models = {bone: build_shape_model(bone, found, subjects, templates, looks, seed) for bone, found in spread.items()}
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
    covered = [_measure_cartilage_mm(points[template.name], template) > _CARRIES_FROM_MM for template in templates]
    return TemplatePoints(points, triangles, np.mean(covered, axis=0))


def build_shape_model(
    bone: str,
    found: TemplatePoints,
    subjects: Sequence[PreparedKnee],
    templates: Sequence[MrTemplate],
    looks: int = SHAPES_PER_SUBJECT,
    seed: int = 0,
) -> ShapeModel:
    """The shape model of some people; see :func:`prepare_landmarks`."""
    generator = torch.Generator().manual_seed(seed)
    shapes = []
    for subject in subjects:
        own = subject.carry_points(torch.from_numpy(found.points[subject.template.name]).float())
        shapes += [bend_points(own, generator) for _ in range(looks)] or [own]
    sources = tuple(sorted({source for subject in subjects for source in subject.sources}))
    residuals = [np.abs(measure_bone_distance(found.points[t.name], t)).mean() for t in templates]
    return make_model(
        CorrespondingPoints(
            bone,
            torch.stack(shapes).numpy().astype(float),
            found.triangles,
            found.cartilage,
            per_subject=max(looks, 1),
        ),
        Provenance(sources, len(subjects), _SPACING_MM, __version__, date.today().isoformat()),
        PointErrors(float(np.mean(residuals)), float(np.max(residuals))),
        most_modes=MODES,
    )


def bend_points(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Points (N, 3) of a bone as a random image of its person shows them."""
    middle = (points.amin(dim=0) + points.amax(dim=0)) / 2.0
    spacing = (_SPACING_MM,) * 3
    shape = (round(_BENT_CUBE_MM / _SPACING_MM),) * 3
    lattice = draw_bent_lattice(shape, spacing, middle, MrSynthesis(), generator)
    return locate_points(points, lattice, shape, spacing)


def carry_back(steps: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where points (N, 3) that a displacement field on ``STEPS_GRID`` leads to come from: undone by iteration."""
    origin = np.array(STEPS_GRID.origin_mm)
    found = points.copy()
    for _ in range(_ROUNDS):
        found = points - sample_displacement(steps, (found - origin) / STEPS_GRID.spacing_mm)
    return found


def project_onto_surface(points: np.ndarray, template: MrTemplate, rounds: int = 3) -> np.ndarray:
    """Points (N, 3) moved along the gradient of the bones' distance to where that is zero."""
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
    """Signed distance in mm (N,) of points (N, 3) to the nearest bone of a template."""
    return _sample_field(template.bone, points, template) * SDF_UNIT_MM


def _measure_cartilage_mm(points: np.ndarray, template: MrTemplate) -> np.ndarray:
    return (
        _sample_field(template.bone, points, template) - _sample_field(template.cover, points, template)
    ) * SDF_UNIT_MM


def _sample_field(field: np.ndarray, points: np.ndarray, template: MrTemplate) -> np.ndarray:
    index = (points - np.array(template.origin_mm)) / template.spacing_mm
    return map_coordinates(field, index.T[::-1], output=np.float32, order=1, mode="nearest")


def _make_bone_image(template: MrTemplate, bone: str) -> BoneImage:
    """One bone of a template as the shape package wants it: cut at the shaft, of a right knee."""
    inside = (template.owner == BONES.index(bone) + 1) & (template.bone < 0)
    labels = sitk.GetImageFromArray(inside.astype(np.uint8) * structure(bone, "right").label_value)
    labels.SetSpacing([template.spacing_mm] * 3)
    labels.SetOrigin(template.origin_mm)
    return prepare_bone_image(labels, bone, "right", template.name, _SPACING_MM, SHAFTS)
