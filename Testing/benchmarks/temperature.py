"""Fit the temperature of networks that ship, those for CT unless others are named, and write it into their bundles.

    python Testing/benchmarks/temperature.py --prepared work/people
    python Testing/benchmarks/temperature.py --prepared work/people_mr mr-knee-slices mr-knee-patches

To be run after new weights were exported, before anything is measured with them. Weights and checksums do not change.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

from KneeSegLib.bundles import find_bundle
from KneeSegLib.pipelines.table import JOINT_BUNDLES
from KneeSegLib.training.calibration import calibrate_bundle


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("bundle", nargs="*", default=list(JOINT_BUNDLES.values()))
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    arguments.add_argument("--renders", type=int, default=40, help="rendered slabs of slices; each takes some seconds")
    arguments.add_argument("--seed", type=int, default=4000)
    options = arguments.parse_args()
    torch.set_num_threads(2)
    for name in options.bundle:
        calibrate_bundle(find_bundle(name), options.prepared, options.renders, options.seed)


if __name__ == "__main__":
    main()
