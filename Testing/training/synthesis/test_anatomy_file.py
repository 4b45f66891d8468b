"""The prepared file: what is written comes back, and reading asks for numpy alone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from KneeSegLib.anatomy import BONES
from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy


def test_what_is_saved_comes_back_exactly(geometric_knee: Anatomy, tmp_path: Path) -> None:
    # Noise over the whole range of eight bits wraps around in the differences and has to come back too.
    noise = np.random.default_rng(1).integers(-127, 128, geometric_knee.sdf.shape).astype(np.int8)
    for anatomy in (geometric_knee, replace(geometric_knee, sdf=noise)):
        anatomy.save(tmp_path / "knee.npz")
        loaded = Anatomy.load(tmp_path / "knee.npz")
        for name in ("nearest", "sdf", "cortex", "far"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(anatomy, name))
            assert getattr(loaded, name).dtype == getattr(anatomy, name).dtype
        for name in ("spacing_mm", "origin_mm", "joint", "group", "name", "sources"):
            assert getattr(loaded, name) == getattr(anatomy, name)


def test_smooth_distances_take_little_room(geometric_knee: Anatomy, tmp_path: Path) -> None:
    geometric_knee.save(tmp_path / "knee.npz")
    assert (tmp_path / "knee.npz").stat().st_size < 0.15 * geometric_knee.sdf.size


def test_every_bone_has_a_class_on_each_side() -> None:
    assert CLASSES[:2] == ("none", "other")
    assert len(CLASSES) == len(set(CLASSES)) == 2 + 2 * len(BONES)
    assert CLASSES[2 : 2 + len(BONES)] == tuple(f"{bone}_right" for bone in BONES)


def test_a_file_of_another_kind_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="prepare it again"):
        Anatomy.load(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(InputError, match="another version"):
        Anatomy.load(tmp_path / "other.npz")


def test_fields_that_do_not_fit_each_other_are_not_written(geometric_knee: Anatomy, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cortex"):
        replace(geometric_knee, cortex=geometric_knee.cortex[1:]).save(tmp_path / "knee.npz")
    assert not list(tmp_path.iterdir())


def test_reading_needs_numpy_alone(geometric_knee: Anatomy, tmp_path: Path) -> None:
    geometric_knee.save(tmp_path / "knee.npz")
    program = (
        "import sys; from KneeSegLib.training.synthesis.anatomy_file import Anatomy; "
        f"Anatomy.load({str(tmp_path / 'knee.npz')!r}); "
        "heavy = {'scipy', 'torch', 'vtkmodules', 'SimpleITK'}; "
        "sys.exit(bool(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3]).returncode == 0
