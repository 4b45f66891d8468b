"""A shape model in a file."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from KneeSegLib.errors import InputError, ModelError, OutputError
from KneeSegLib.shape import Provenance, ShapeModel, read_shape_models, write_shape_models
from KneeSegLib.shape.model import Quality


def model(bone: str = "femur", points: int = 50, modes: int = 4) -> ShapeModel:
    random = np.random.default_rng(7)
    components = np.linalg.qr(random.normal(size=(3 * points, modes)))[0].T
    return ShapeModel(
        bone=bone,
        mean=random.normal(0, 40, (points, 3)),
        components=components.reshape(modes, points, 3),
        variances=np.array([900.0, 300.0, 100.0, 20.0])[:modes],
        triangles=random.integers(0, points, (30, 3)),
        cartilage=random.uniform(size=points),
        provenance=Provenance(("geometry (public domain)", "Anna's knees (CC0 1.0)"), 9, 1.5, "0.1.0", "2026-03-09"),
        quality=Quality((0.6, 0.9, 0.98, 1.0), (2.0, 1.0, 0.5), (3.0, 2.0, 2.0, 2.0), 0.99, 0.98, 0.1, 0.2),
    )


def test_a_model_comes_back_as_it_was(tmp_path: Path):
    models = {bone: model(bone) for bone in ("femur", "tibia")}
    write_shape_models(models, tmp_path / "knee.safetensors")
    read = read_shape_models(tmp_path / "knee.safetensors")
    assert list(read) == ["femur", "tibia"]
    for bone, entry in read.items():
        assert entry.provenance == models[bone].provenance
        assert entry.quality == models[bone].quality
        np.testing.assert_array_equal(entry.triangles, models[bone].triangles)
        np.testing.assert_array_equal(entry.carries_cartilage, models[bone].carries_cartilage)
        weights = (2.0, -2.0, 1.0, -1.0)
        np.testing.assert_allclose(entry.shape(weights), models[bone].shape(weights), atol=1e-4)


def test_weights_of_a_shape_are_found_again():
    femur = model()
    weights = np.array([1.5, -0.5, 0.0, 2.0])
    np.testing.assert_allclose(femur.weights_of(femur.shape(weights)), weights, atol=1e-9)
    np.testing.assert_allclose(femur.weights_of(femur.shape([1.0])), [1, 0, 0, 0], atol=1e-9)


def test_a_bone_of_2000_points_and_20_modes_stays_below_a_megabyte(tmp_path: Path):
    femur = replace(
        model(),
        mean=np.zeros((2000, 3)),
        components=np.zeros((20, 2000, 3)),
        variances=np.ones(20),
        cartilage=np.zeros(2000),
    )
    write_shape_models({"femur": femur}, tmp_path / "femur.safetensors")
    assert (tmp_path / "femur.safetensors").stat().st_size < 1e6


def test_an_existing_file_is_kept_unless_told(tmp_path: Path):
    path = tmp_path / "knee.safetensors"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        write_shape_models({"femur": model()}, path)
    assert path.read_text() == "precious"
    write_shape_models({"femur": model()}, path, overwrite=True)
    assert list(read_shape_models(path)) == ["femur"]


def test_a_pickle_is_not_read(tmp_path: Path):
    path = tmp_path / "knee.safetensors"
    path.write_bytes(pickle.dumps({"femur": 1}))
    with pytest.raises(ModelError, match="not a readable shape model"):
        read_shape_models(path)


def test_another_safetensors_file_is_no_shape_model(tmp_path: Path):
    save_file({"weight": np.zeros(3)}, tmp_path / "network.safetensors")
    with pytest.raises(ModelError, match="no shape model"):
        read_shape_models(tmp_path / "network.safetensors")


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"components": np.zeros((4, 49, 3))}, "components"),
        ({"mean": np.full((50, 3), np.nan)}, "no numbers"),
        ({"triangles": np.array([[0, 1, 50]])}, "beyond the 50 points"),
        ({"variances": np.array([900.0, 300.0, 100.0, 0.0])}, "not all positive"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, change, complaint):
    write_shape_models({"femur": replace(model(), **change)}, tmp_path / "femur.safetensors")
    with pytest.raises(ModelError, match=complaint):
        read_shape_models(tmp_path / "femur.safetensors")


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(InputError, match="shape-model build"):
        read_shape_models(tmp_path / "nowhere.safetensors")
