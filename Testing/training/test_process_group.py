"""Two processes that train one network."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from KneeSegLib.training.process_group import ProcessGroup

ONE_OF_TWO = """
import sys
from pathlib import Path
import torch
from KneeSegLib.training.loop import Training
from KneeSegLib.training.recipe_files import read_recipe

torch.set_num_threads(1)
folder = Path(sys.argv[1])
recipe = read_recipe(
    "ct-knee", shapes=[[32, 32]], widths=[4, 6], batch=3, pool=6, steps=2, validate_every=1000, slab_slices=2,
    neighbour_offsets_mm=[],
)
training = Training(recipe, folder, folder / "run")
training.run(report=lambda line: None)
processes = training.processes
torch.save(
    {"state": training.network.state_dict(), "drawn": training.generator.get_state(), "own": processes.count_own(3)},
    folder / f"rank{processes.rank}.pt",
)
"""


def test_two_processes_end_with_the_same_network_from_different_samples(tmp_path, geometric_knee):
    for group in ("train", "validation"):
        replace(geometric_knee, group=group).save(tmp_path / f"{group}.npz")
    script = tmp_path / "one_of_two.py"
    script.write_text(ONE_OF_TWO)
    house = Path(__file__).parents[2]
    launched = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, tmp_path],
        cwd=house, env={**os.environ, "PYTHONPATH": str(house), "OMP_NUM_THREADS": "1"},
        capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert launched.returncode == 0, launched.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    weights = [name for name in first["state"] if name.endswith("weight")]
    assert all(torch.allclose(first["state"][name], second["state"][name], atol=1e-6) for name in weights)
    assert not torch.equal(first["drawn"], second["drawn"])
    assert (first["own"], second["own"]) == (2, 1)
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


def test_a_process_alone_leads_and_takes_the_whole_batch(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    group = ProcessGroup.join(torch.device("cpu"))
    assert group.is_main and group.count_own(8) == 8
