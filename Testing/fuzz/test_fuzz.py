"""A few seconds of the campaign, always the same mutants, and all that ever failed; ``make fuzz`` tries new ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from Testing.fuzz.campaign import judge, try_mutants
from Testing.fuzz.doors import DOORS

MUTANTS = 25
SLOW = {
    "png": 12,
    "tif": 6,
    "jpg": 6,
    "dicom.compressed": 6,
    "bundle.json": 12,
    "bundle.safetensors": 6,
    "recipe": 12,
    "dicom": 12,
    "vtp": 12,
}
KEPT = sorted((Path(__file__).parent / "kept").glob("*/*.bin"))


@pytest.mark.parametrize("name", DOORS)
def test_mutants_are_read_whole_or_refused_in_a_sentence(name, tmp_path):
    seeds = iter(range(SLOW.get(name, MUTANTS)))
    assert [(seed, found) for seed, found, _ in try_mutants(name, seeds, tmp_path)] == []


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_failed_once_is_refused_in_a_sentence(kept, tmp_path):
    door = DOORS[kept.parent.name]
    door.write(tmp_path)
    sorted(tmp_path.glob(door.changed))[0].write_bytes(kept.read_bytes())
    assert judge(kept.parent.name, tmp_path) == ""
