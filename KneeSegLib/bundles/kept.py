"""Networks that stay loaded from one run to the next, for processes that segment many scans."""

from __future__ import annotations

import threading
from pathlib import Path

from KneeSegLib.bundles.model import Model, load_model
from KneeSegLib.networks.device import Device


class KeptModels:
    """Loads each network when it is first asked for, and keeps it.

    Stands where :func:`~KneeSegLib.bundles.model.load_model` does. A network in use holds no state, so that runs do not
    touch each other.

    Args:
        models: a user's folder of bundles, which go before those that come with KneeSeg.
    """

    def __init__(self, models: str | Path | None = None) -> None:
        self._models = models
        self._kept: dict[tuple[str, Device], Model] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, device: Device) -> Model:
        """Return the network called ``name``; raises what :func:`~KneeSegLib.bundles.model.load_model` does."""
        with self._lock:
            if (name, device) not in self._kept:
                self._kept[name, device] = load_model(name, device, self._models)
            return self._kept[name, device]
