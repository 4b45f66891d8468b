"""How right the correspondence of shape models is, on bones whose correspondence is known.

    python Testing/benchmarks/shape_models.py shared/data --cases 8 --spacing 1.2

Two families of label maps are made and a model is built of each:

``limb``
    Random people of the lower-limb shape model. Its vertices are in correspondence as that model's makers saw it, which
    includes how vertices slide along smooth bone from person to person.
``warped``
    The mean bone of that model under smooth random displacements: the correspondence is exact.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.training.shape_models import build, prepare_bone_image
from KneeSegLib.training.shape_models.correspondence import measure_correspondence_error
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.distance import measure_signed_distance
from KneeSegLib.training.synthesis.limb_model import LimbModel, read_limb_model
from KneeSegLib.training.synthesis.meshes import Mesh

KNEE_MM = 90.0
"""So much of a bone from its end at the knee is put into the label map."""
WARP_MM, WARP_REACH_MM, WARP_CENTERS = 2.5, 25.0, 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="data pack with the lower-limb shape model")
    parser.add_argument("--bone", default="femur", choices=("femur", "tibia", "patella"))
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--spacing", type=float, default=1.2, help="voxel edge of label maps and registration, mm")
    parser.add_argument("--points", type=int, default=2000)
    arguments = parser.parse_args()
    model = read_limb_model(arguments.data)
    record = {}
    for family, shapes in (("limb", _people), ("warped", _warped)):
        vertices = shapes(model, arguments.bone, arguments.cases, np.random.default_rng(11))
        record[family] = _measured(vertices, model.triangles[arguments.bone], arguments)
    print(json.dumps(as_strict_json(record), indent=2))


def _people(model: LimbModel, bone: str, count: int, random: np.random.Generator) -> np.ndarray:
    return np.stack([model.vertices(bone, model.draw_coefficients(random)) for _ in range(count)])


def _warped(model: LimbModel, bone: str, count: int, random: np.random.Generator) -> np.ndarray:
    """The mean bone, each time displaced by a sum of Gaussian bumps around it."""
    mean = model.mean[bone]
    upward = 1 if bone == "tibia" else -1
    knee = mean[mean[:, 2] * upward > (mean[:, 2] * upward).max() - KNEE_MM]
    shapes = []
    for _ in range(count):
        centers = knee[random.choice(len(knee), WARP_CENTERS)]
        squared = ((mean[:, None] - centers) ** 2).sum(axis=2)
        shapes.append(
            mean + np.exp(-squared / (2 * WARP_REACH_MM**2)) @ random.normal(0, WARP_MM / 2, (WARP_CENTERS, 3))
        )
    return np.stack(shapes)


def _measured(vertices: np.ndarray, triangles: np.ndarray, arguments: argparse.Namespace) -> dict[str, object]:
    cases = [
        prepare_bone_image(
            _labels(Mesh(shape, triangles), arguments), arguments.bone, "right", str(number), arguments.spacing
        )
        for number, shape in enumerate(vertices)
    ]
    made = build(arguments.bone, cases, point_count=arguments.points)
    used = [int(case) for case in made.cases]
    error = measure_correspondence_error(made.points, vertices[used], made.cases.index(made.reference), triangles)
    return {"cases": len(used), "correspondence": asdict(error), "quality": asdict(made.model.quality)}


def _labels(mesh: Mesh, arguments: argparse.Namespace) -> sitk.Image:
    height = mesh.vertices[:, 2]
    from_knee = height.max() - height if arguments.bone == "tibia" else height - height.min()
    shown = mesh.vertices[from_knee < KNEE_MM]
    grid = CubicGrid.around(shown.min(axis=0) - 5, shown.max(axis=0) + 5, arguments.spacing)
    inside = measure_signed_distance(mesh, grid) < 0
    image = sitk.GetImageFromArray(inside.astype(np.uint8) * structure(arguments.bone, "right").label_value)
    image.SetOrigin(grid.origin_mm)
    image.SetSpacing((arguments.spacing,) * 3)
    return image


if __name__ == "__main__":
    main()
