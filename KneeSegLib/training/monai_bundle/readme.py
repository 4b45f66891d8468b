"""``docs/README.md`` of an exported bundle: what it takes, what it gives, how to run it."""

from __future__ import annotations

from KneeSegLib.bundles import ModelSpec
from KneeSegLib.training.monai_bundle.settings import MEMORY_BYTES, PACKAGES

_TAKES = {
    "slices": (
        "CT in Hounsfield units, as NIfTI (`.nii`, `.nii.gz`), one file for each scan. **Right legs only:** mirror a "
        "left leg before (swap left and right of the voxels, not only of the header) and its label map back. Crop "
        "scans of both legs to one: the network was trained on one leg in view. It is a part of KneeSeg's pipeline, "
        "which finds joints and sides, tells neighbouring bones apart, refines and cleans; none of that is done here."
    ),
    "mr-slices": (
        "MR of one knee, right or left, any sequence, as NIfTI (`.nii`, `.nii.gz`), one file for each scan. It is the "
        "first stage of KneeSeg's pipeline, whose shape models, patches and cleaning are not here; medial and lateral "
        "meniscus are one class."
    ),
}


def bundle_readme(spec: ModelSpec) -> str:
    """Return the README of the bundle of a slice network, in Markdown."""
    spacing = " x ".join(f"{value:g}" for value in spec.spacing_mm)
    rows = "\n".join(f"| {value} | {name} |" for value, name in enumerate(spec.classes))
    parts = [
        f"# {spec.name} {spec.version}",
        f"**{spec.training_statement}**",
        "Exported by KneeSeg. It runs without KneeSeg, of components of MONAI, torch and ignite alone.",
        "## Takes",
        _TAKES[spec.kind],
        f"Any orientation and spacing: images are turned and resampled to the network's grid ({spacing} mm; thicker "
        "slices are kept). The label map lies on the grid of the image.",
        "## Gives",
        "`<name>_labels.nii.gz` (uint8) for each image:",
        f"| value | structure |\n| --- | --- |\n{rows}",
        "## Run",
        f"```\npip install monai {' '.join(PACKAGES)}\n"
        "python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir LABELS\n```",
        "in this folder, or anywhere with `--bundle_root` set to it. It runs on `cuda` where that is there; `--device "
        f"cpu` otherwise. Memory: about 1 GB and {MEMORY_BYTES * len(spec.classes)} bytes for each voxel of the image.",
        "## Data and licences",
        "What it was trained on and under which licences: `data_license.txt`. Weights: `../LICENSE`.",
    ]
    return "\n\n".join(parts) + "\n"
