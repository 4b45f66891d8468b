"""Shape models as a file: safetensors, which can hold arrays and text and nothing that runs.

Arrays are named ``femur.mean``, ``femur.components``, ``femur.variances``, ``femur.triangles``, ``femur.cartilage``;
the text is one JSON object with provenance and quality of each bone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from KneeSegLib.errors import InputError, ModelError
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.io.writing import write_whole
from KneeSegLib.shape.model import BONES, Provenance, Quality, ShapeModel

FORMAT = 1
_TEXT = "kneeseg_shape_models"
_KINDS = {
    "mean": np.float32,
    "components": np.float32,
    "variances": np.float32,
    "triangles": np.uint16,
    "cartilage": np.float32,
}


def write_shape_models(models: Mapping[str, ShapeModel], path: str | Path, overwrite: bool = False) -> None:
    """Write one file with the models of several bones, by bone; single precision.

    Raises:
        OutputError: the file exists and ``overwrite`` is false, or cannot be written.
    """
    arrays = {
        f"{bone}.{name}": np.ascontiguousarray(getattr(model, name), kind)
        for bone, model in models.items()
        for name, kind in _KINDS.items()
    }
    bones = {bone: {"provenance": model.provenance, "quality": model.quality} for bone, model in models.items()}
    text = json.dumps(as_strict_json({"format": FORMAT, "bones": bones}), allow_nan=False)
    with write_whole(path, overwrite) as unfinished:
        save_file(arrays, unfinished, {_TEXT: text})


def read_shape_models(path: str | Path) -> dict[str, ShapeModel]:
    """Read a file that :func:`write_shape_models` wrote: the models by bone.

    Raises:
        InputError: no such file.
        ModelError: not such a file, of another format, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no shape model {path}; make one with kneeseg shape-model build.")
    try:
        with safe_open(path, framework="numpy") as stored:
            text = json.loads((stored.metadata() or {}).get(_TEXT, "null"))
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise ModelError(f"{path} is not a readable shape model ({error}); build it again.") from error
    if not isinstance(text, dict) or text.get("format") != FORMAT:
        raise ModelError(f"{path} is no shape model of this version of KneeSeg; build it again.")
    try:
        models = {bone: _model(bone, entry, arrays) for bone, entry in text["bones"].items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}); build it again.") from error
    return models


def _model(bone: str, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ShapeModel:
    content = {name: arrays[f"{bone}.{name}"] for name in _KINDS}
    _check(bone, content)
    provenance, quality = dict(entry["provenance"]), entry["quality"]
    if quality is not None:
        figures: dict[str, Any] = {name: tuple(f) if isinstance(f, list) else f for name, f in quality.items()}
        quality = Quality(**figures)
    return ShapeModel(
        bone=bone,
        **{name: content[name].astype(np.int64 if name == "triangles" else np.float64) for name in _KINDS},
        provenance=Provenance(**{**provenance, "sources": tuple(provenance["sources"])}),
        quality=quality,
    )


def _check(bone: str, content: Mapping[str, np.ndarray]) -> None:
    """Raise ``ValueError`` unless the arrays fit each other."""
    if bone not in BONES:
        raise ValueError(f"no shape model is of the {bone}")
    points, modes = len(content["mean"]), len(content["variances"])
    expected = {
        "mean": (points, 3),
        "components": (modes, points, 3),
        "variances": (modes,),
        "triangles": (len(content["triangles"]), 3),
        "cartilage": (points,),
    }
    for name, shape in expected.items():
        if content[name].shape != shape:
            raise ValueError(f"{bone}.{name} is {content[name].shape}, not {shape}")
        if not np.isfinite(content[name]).all():
            raise ValueError(f"{bone}.{name} holds values that are no numbers")
    if content["triangles"].size and content["triangles"].max() >= points:
        raise ValueError(f"{bone}.triangles have corners beyond the {points} points")
    if (content["variances"] <= 0).any():
        raise ValueError(f"{bone}.variances are not all positive")
