"""A network that is ready to be applied, with its description and its device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from KneeSegLib.bundles.own import find_own_or_shipped
from KneeSegLib.bundles.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from KneeSegLib.networks.device import Device


@dataclass(frozen=True)
class Model:
    """A network ready for inference on ``device``: evaluation mode, no gradients, batch normalisation folded.

    Attributes:
        own: it is from a user's folder and did not come with KneeSeg.
    """

    spec: ModelSpec
    network: nn.Module
    device: Device
    own: bool = False

    @property
    def stride(self) -> int:
        """Sizes of the input are multiples of it."""
        return int(getattr(self.network, "stride", 1))


def load_model(name: str, device: Device, models: str | Path | None = None) -> Model:
    """Read, verify and build the network called ``name``.

    Args:
        models: a user's folder of bundles, which go before those that come with KneeSeg.

    Raises:
        ModelError: there is none of that name, or it is damaged, or it does not fit this version.
    """
    from KneeSegLib.networks.ready import ready_for_inference

    bundle, own = find_own_or_shipped(name, models)
    spec = bundle.spec
    return Model(spec, ready_for_inference(bundle.network(), device.torch_name), device, own)
