"""Weights out of an nnU-Net checkpoint. It is a pickle, which could execute anything: here it can not.

torch reads such a file with tensors and plain values alone (``weights_only``). nnU-Net writes NumPy scalars beside them
(losses, Dice of each epoch), so a few names are let through, each to something that builds a number and no more.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from KneeSegLib.errors import InputError, ModelError, ResourceError
from KneeSegLib.io.torch_files import describe_damage, is_zip

_BLOCK_BYTES = 2**20
_KINDS = "?bhilqBHILQefdg"
"""Character codes of NumPy's truth values, whole numbers and floats."""


@dataclass(frozen=True)
class Checkpoint:
    """What is needed of a checkpoint.

    Attributes:
        weights: of the network.
        mirroring_axes: along which inference may mirror; empty where training did not.
        trainer: name of the class that trained it.
        sha256: of the file.
    """

    weights: dict[str, torch.Tensor]
    mirroring_axes: tuple[int, ...]
    trainer: str
    sha256: str


def read_checkpoint(path: Path, trusted: bool = False) -> Checkpoint:
    """Return the weights in ``path``.

    Args:
        trusted: whether whatever the file wants to execute may be executed.

    Raises:
        ModelError: missing or damaged, no checkpoint of nnU-Net v2, or it wants to execute something.
        ResourceError: torch is too old to be told what is harmless.
    """
    content = _load(path, trusted)
    weights = content.get("network_weights") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelError(f"{path} is no checkpoint of nnU-Net v2; give the folder of a trained nnU-Net v2 model.")
    axes = content.get("inference_allowed_mirroring_axes") or ()
    # Networks that were trained on several machines, or compiled, carry a prefix.
    plain = {name.removeprefix("module.").removeprefix("_orig_mod."): value for name, value in weights.items()}
    trainer = str(content.get("trainer_name", "unknown"))
    return Checkpoint(plain, tuple(int(axis) for axis in axes), trainer, _hash(path))


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _load(path: Path, trusted: bool) -> Any:
    if not trusted and not hasattr(torch.serialization, "safe_globals"):
        raise ResourceError(
            f"Reading nnU-Net's checkpoints safely takes torch 2.5 or later, and this is {torch.__version__}; "
            "install a later one, or give --trust-checkpoint if you know where the model is from."
        )
    try:
        damage = describe_damage(path) if is_zip(path) else ""  # those of before torch 1.6 have no checksums
    except InputError as error:
        raise ModelError(str(error)) from None
    if damage and not trusted:
        raise ModelError(f"{path} is damaged or no checkpoint of nnU-Net ({damage}); copy the model once more.")
    try:
        if trusted:
            return torch.load(path, map_location="cpu", weights_only=False)
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever it happens to run into
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and wanted:
            raise ModelError(
                f"{path} wants to execute {wanted[1]}, which no nnU-Net checkpoint needs; it was not read. If you know "
                "where it is from, give --trust-checkpoint."
            ) from None
        raise ModelError(f"{path} is damaged or no checkpoint of nnU-Net; copy the model once more.") from None


def _harmless() -> list[Any]:
    """What a checkpoint may name beside tensors. NumPy moved its scalars in version 2; files have either name."""
    dtypes = {type(np.dtype(kind)) for kind in _KINDS}
    scalars = [
        _called(_build_scalar, module, "scalar") for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    ]
    return [np.dtype, *dtypes, *scalars, _called(_encode_latin, "_codecs", "encode")]


def _called(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    """Return a function that goes by another one's name: torch compares names."""

    def stand_in(*arguments: Any) -> Any:
        return function(*arguments)

    stand_in.__module__, stand_in.__name__, stand_in.__qualname__ = module, name, name
    return stand_in


def _build_scalar(dtype: np.dtype, content: bytes | str = b"") -> Any:
    """Return a NumPy number from its bytes."""
    if dtype.char not in _KINDS:
        raise pickle.UnpicklingError(f"Unsupported operand a NumPy scalar of type {dtype}")
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    return np.frombuffer(raw, dtype, count=1)[0]


def _encode_latin(text: str, encoding: str = "latin1") -> bytes:
    """Return bytes, which pickles of the protocol that torch writes hold as text."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"Unsupported operand the encoding {encoding}")
    return text.encode("latin1")
