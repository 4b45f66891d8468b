"""The command line in a process of its own, which writes down what it took.

python -m KneeSegLib.evaluation.compare.measured_run COST.json segment IMAGE -o FOLDER ...
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from KneeSegLib.cli import main
from KneeSegLib.memory import measure_peak_memory


def run(arguments: list[str]) -> int:
    """Run the command line with all arguments but the first, and write its cost to the file that the first names."""
    cost, *command = arguments
    sys.argv = ["kneeseg", *command]
    status = main()
    user, system, user_of_children, system_of_children = os.times()[:4]
    record = {
        "processor_seconds": user + system + user_of_children + system_of_children,
        "peak_memory_bytes": measure_peak_memory(),
    }
    Path(cost).write_text(json.dumps(record), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
