"""Prepare knees for MR: templates first, then subjects of the shape model, each of one of the templates.

Bones are drawn anew for each, and subjects never cross from one group to another. Cartilage, menisci and soft tissue
are those of the two subjects of the label maps, in all groups: what a network learns of these is measured on new shapes
and new disease, but not on new subjects.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from KneeSegLib.progress import Progress, no_progress
from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.limb_model import LimbModel, read_limb_model
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT, STEP_UNIT_MM, MrSubject, MrTemplate
from KneeSegLib.training.synthesis.mr.displacement import measure_least_volume_change
from KneeSegLib.training.synthesis.mr.knee_maps import KNEE_MAPS
from KneeSegLib.training.synthesis.mr.landmarks import prepare_landmarks
from KneeSegLib.training.synthesis.mr.landmarks_file import FILE_NAME
from KneeSegLib.training.synthesis.mr.settings import (
    LEAST_VOLUME_CHANGE,
    STEPS_GRID,
    SUBJECTS,
    VARIATION_REDUCED_BY,
    Variation,
)
from KneeSegLib.training.synthesis.mr.templates import build_templates, fit_steps_between
from KneeSegLib.training.synthesis.mr.variation import draw_bones, reduce_variation
from KneeSegLib.training.synthesis.prepare import seed_random
from KneeSegLib.training.synthesis.voxels import CaseName


def list_cases(group: Group | None = None) -> list[CaseName]:
    """Return the names of the label maps' own subjects, which are trained on, then drawn ones, templates in turn."""
    templates = list(KNEE_MAPS)
    own = [CaseName(JOINT, "train", template) for template in templates]
    drawn = [
        CaseName(JOINT, which, f"{templates[number % len(templates)]}-model{number + 1:02d}")
        for which, count in SUBJECTS.items()
        for number in range(count)
    ]
    return [name for name in own + drawn if group in (None, name.group)]


def prepare_mr_knees(
    data: Path,
    output: Path,
    group: Group | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write the subjects that are missing in ``output``, templates and landmarks; return the paths of all subjects.

    Args:
        data: folder of the data pack.
        group: only subjects of this group; None for all.
        limit: no more than so many subjects, the first ones.
        seed: another seed draws other subjects.

    Raises:
        InputError: the data pack lacks a file.
    """
    names = list_cases(group)[:limit]
    paths = [output / name.file_name for name in names]
    if all(path.exists() for path in paths) and (output / FILE_NAME).exists():
        return paths
    templates = build_templates(data, output)
    model = read_limb_model(data)
    for position, (name, path) in enumerate(zip(names, paths)):
        if not path.exists():
            start = time.monotonic()
            template = templates[name.subject.split("-")[0]]
            build_subject(name, template, model, seed_random(name, seed)).save(output)
            progress((position + 1) / len(names), f"{name.file_name}: {time.monotonic() - start:.1f} s")
    if any(name.group == "train" for name in names):
        prepare_landmarks(list(templates.values()), output, seed=seed)
    return paths


def build_subject(name: CaseName, template: MrTemplate, model: LimbModel, random: np.random.Generator) -> MrSubject:
    """Build one subject: no displacement for the template's own, else that to a drawn subject's bones."""
    if name.subject == template.name:
        steps = np.zeros((3, *STEPS_GRID.shape), np.float32)
    else:
        steps = _draw_unfolded_steps(template.vertices, model, random)
    return MrSubject(
        template=template.name,
        steps=np.round(steps / STEP_UNIT_MM).astype(np.int16),
        spacing_mm=STEPS_GRID.spacing_mm,
        origin_mm=STEPS_GRID.origin_mm,
        group=name.group,
        name=name.subject,
        sources=template.sources,
    )


def _draw_unfolded_steps(mapped: dict[str, np.ndarray], model: LimbModel, random: np.random.Generator) -> np.ndarray:
    """Draw a displacement to drawn bones; what would fold the anatomy is drawn again, nearer to the mean."""
    variation = Variation()
    while True:
        bones = draw_bones(model, mapped, variation, random)
        steps = fit_steps_between({bone: mesh.vertices for bone, mesh in bones.items()}, mapped)
        if measure_least_volume_change(steps, STEPS_GRID.spacing_mm) > LEAST_VOLUME_CHANGE:
            return steps
        variation = reduce_variation(variation, VARIATION_REDUCED_BY)
