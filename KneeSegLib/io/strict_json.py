"""Values as strict JSON knows them, for every record that KneeSeg writes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def as_strict_json(value: Any) -> Any:
    """Return ``value`` in types that strict JSON knows: no NaN or infinity (null instead), no NumPy types, no paths."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_strict_json(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): as_strict_json(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return as_strict_json(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_strict_json(entry) for entry in value]
    if isinstance(value, np.generic):
        return as_strict_json(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
