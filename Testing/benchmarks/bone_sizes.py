"""How large the bones of prepared people are: the table in ``KneeSegLib/quality/sizes.py``.

    python Testing/benchmarks/bone_sizes.py --prepared work/people

Only whole bones of the group ``train`` count; those that the prepared box cuts are left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from KneeSegLib.anatomy import BONES
from KneeSegLib.quality.sizes import Size
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    options = arguments.parse_args()
    found: dict[str, list[tuple[float, float]]] = {bone: [] for bone in BONES}
    for path in sorted(options.prepared.glob("*_train_*.npz")):
        for bone, size in whole_bones(Anatomy.load(path)):
            found[bone].append(size)
    for bone, sizes in found.items():
        volumes, lengths = np.round(sizes, 1).T if sizes else np.full((2, 1), np.nan)
        size = Size((volumes.min(), volumes.max()), (lengths.min(), lengths.max()))
        print(f'"{bone}": Size({size.volume_cm3}, {size.length_mm}),  # {len(sizes)} bones')


def whole_bones(anatomy: Anatomy) -> list[tuple[str, tuple[float, float]]]:
    """Return bone, and its volume in cm3 with the longest edge of its upright box in mm, for each whole bone."""
    labels, spacing_mm = anatomy.labels(), np.array(anatomy.spacing_mm)
    found = []
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        bone = CLASSES[index].rpartition("_")[0]
        if box is None or bone not in BONES:
            continue
        if any(edge.start == 0 or edge.stop == size for edge, size in zip(box, labels.shape)):
            continue
        mask = labels[box] == index
        volume_cm3 = np.count_nonzero(mask) * float(spacing_mm.prod()) / 1000.0
        found.append((bone, (volume_cm3, float((np.array(mask.shape) * spacing_mm).max()))))
    return found


if __name__ == "__main__":
    main()
