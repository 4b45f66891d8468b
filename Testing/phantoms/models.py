"""Models made of networks that know the phantoms, described as bundles describe theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
from torch import nn

from KneeSegLib.bundles.model import Model
from KneeSegLib.bundles.spec import ModelSpec, PatchSpec
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.volume import Volume
from KneeSegLib.networks.device import Device

ONE_THREAD = Device("cpu", "CPU, 1 thread", 1)
TWO_THREADS = Device("cpu", "CPU, 2 threads", 2)


def model_of(
    network: nn.Module,
    classes: Sequence[str],
    spacing_mm: float = 1.0,
    device: Device = ONE_THREAD,
    patch: PatchSpec | None = None,
    **described: Any,
) -> Model:
    """Return a model of ``network``; ``described`` are further fields of its spec."""
    facts = {"name": "phantom", "version": "0", "sha256": "0" * 64, "kind": "slices", **described}
    spec = ModelSpec(classes=tuple(classes), spacing_mm=(spacing_mm,) * 3, patch=patch, **facts)
    return Model(spec, network, device)


def scan_of(values: np.ndarray, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Scan:
    """Return a scan of ``values`` (Z, Y, X), whose axes are the patient's; ``spacing_mm`` as (z, y, x)."""
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(tuple(float(step) for step in reversed(spacing_mm)))
    return Scan.of_volume(Volume(image, source="phantom"))
