"""One bundle on disk, and where bundles are found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.bundles.metadata import FACTS, missing_entries
from KneeSegLib.bundles.spec import ModelSpec
from KneeSegLib.errors import InputError, ModelError
from KneeSegLib.io.documents import UnreadableDocument, read_json
from KneeSegLib.io.resources import models_folder
from KneeSegLib.io.screening import require_regular_file

if TYPE_CHECKING:
    import torch

METADATA = Path("configs", "metadata.json")
WEIGHTS = Path("models", "model.safetensors")


@dataclass(frozen=True)
class Bundle:
    """A network with its weights in a folder; nothing is read before it is asked for.

    Attributes:
        remedy: what to do where it is damaged, for the sentence.
    """

    path: Path
    remedy: str = "install KneeSeg again"

    @property
    def name(self) -> str:
        """The name that the folder has, for example ``ct-knee``."""
        return self.path.name

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Everything in ``metadata.json``.

        Raises:
            ModelError: the file is missing, is not JSON or lacks an entry.
        """
        path = self.path / METADATA
        try:
            metadata = read_json(path)
        except InputError:
            raise ModelError(
                f"The description of the model {self.name} belongs at {path} and cannot be read; {self.remedy}."
            ) from None
        except UnreadableDocument:
            raise ModelError(f"The description of the model {self.name} ({path}) is damaged; {self.remedy}.") from None
        missing = missing_entries(metadata)
        if missing:
            raise ModelError(
                f"The description of the model {self.name} ({path}) lacks {', '.join(missing)}; {self.remedy}."
            )
        return metadata

    @property
    def facts(self) -> dict[str, Any]:
        """The section of the metadata that KneeSeg reads: channels, spacing_mm, classes, recipe, sources, figures."""
        return self.metadata[FACTS]

    @cached_property
    def spec(self) -> ModelSpec:
        """What KneeSeg reads of the metadata.

        Raises:
            ModelError: as :attr:`metadata`; or an entry is not what it should be.
        """
        return ModelSpec.of_metadata(self.metadata)

    @property
    def network_config(self) -> Mapping[str, Any]:
        """The network's class (``_target_``) and arguments."""
        return self.facts["network"]

    @property
    def sha256(self) -> str:
        """The checksum that the weights must have, and had when :meth:`verify` or :meth:`network` passed."""
        return self.facts["sha256"]

    def verify(self) -> None:
        """Check metadata and weights.

        Raises:
            ModelError: something is missing, or the weights are not those that the metadata describe.
        """
        self._verified_weights()

    def network(self, device: str | torch.device = "cpu") -> torch.nn.Module:
        """Return the network with its weights in single precision on ``device``, in evaluation mode, gradients off.

        Raises:
            ModelError: as :meth:`verify`; or the weights do not fit the network; or it is neither ours nor MONAI's.
        """
        from KneeSegLib.bundles.weights import network_from

        self.verify()  # before anything is built by what the metadata say
        self._require_fitting_channels()
        return self.load_into(network_from(self.network_config)).to(device)

    def _require_fitting_channels(self) -> None:
        """Raise unless the network takes and gives as many channels as the description names."""
        wanted = {"in_channels": self.spec.channels, "out_channels": self.spec.classes}
        for argument, names in wanted.items():
            count = self.network_config.get(argument, len(names)) if isinstance(self.network_config, Mapping) else 0
            if count != len(names):
                raise ModelError(
                    f"The network of the model {self.name} has {argument} {count}, and its description names "
                    f"{len(names)}; {self.remedy}."
                )

    def load_into(self, network: torch.nn.Module) -> torch.nn.Module:
        """Put the verified weights into ``network`` and return it, in evaluation mode, gradients off."""
        from KneeSegLib.bundles.weights import state_from_bytes

        try:
            network.load_state_dict(state_from_bytes(self._verified_weights()))
        except RuntimeError as error:
            raise ModelError(
                f"The weights of the model {self.name} do not fit its network ({str(error).splitlines()[0]}); "
                "install a KneeSeg and models of the same version."
            ) from None
        return network.eval().requires_grad_(False)

    def _verified_weights(self) -> bytes:
        path = self.path / WEIGHTS
        expected = self.sha256
        try:
            require_regular_file(path)
            content = path.read_bytes()
        except (OSError, InputError):
            raise ModelError(
                f"The weights of the model {self.name} should be at {path}, but cannot be read; {self.remedy}."
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise ModelError(
                f"The weights of the model {self.name} ({path}) have the SHA-256 checksum {found[:12]}... where "
                f"{expected[:12]}... was expected: the file is damaged or another one; {self.remedy}."
            )
        return content


def list_bundles() -> list[Bundle]:
    """Return the bundles that this installation has, by name.

    Raises:
        ModelError: the folder of models is missing.
    """
    return [Bundle(path.parent.parent) for path in sorted(models_folder().glob(f"[!.]*/{METADATA.as_posix()}"))]


def find_bundle(name: str) -> Bundle:
    """Return the bundle called ``name``.

    Raises:
        ModelError: there is none of that name; the message lists those there are.
    """
    bundles = {bundle.name: bundle for bundle in list_bundles()}
    if name not in bundles:
        there = f"only {', '.join(bundles)}" if bundles else "none at all"
        raise ModelError(
            f"The model {name!r} was expected in {models_folder()}, which has {there}; install KneeSeg again."
        )
    return bundles[name]
