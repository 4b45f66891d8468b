"""The spine of every pipeline: memory, device, models, steps and provenance. What a pipeline does is its ``run``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.bundles.model import Model, load_model
from KneeSegLib.bundles.own import require_own_bundles
from KneeSegLib.inference.device import use_device
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.volume import Volume
from KneeSegLib.memory import require_memory
from KneeSegLib.networks.device import Device, find_device
from KneeSegLib.pipelines.findings import Findings
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.steps import Steps
from KneeSegLib.pipelines.table import Edge, PipelineInfo
from KneeSegLib.progress import Progress, no_progress

ModelLoader = Callable[[str, Device], Model]


class Pipeline(ABC):
    """One way from a scan to findings.

    Args:
        info: its row in the table of pipelines.
        request: what the user asked for.
        load: where models come from; None for the user's folder that the request names, and those of KneeSeg.

    Attributes:
        options: what of the request it heeds.
        bytes_per_voxel, bytes_anyway: memory that a run takes, with the scan's voxels and beside them.
        device: on which networks run.
    """

    options: ClassVar[tuple[str, ...]]
    bytes_per_voxel: ClassVar[float]
    bytes_anyway: ClassVar[float]

    def __init__(self, info: PipelineInfo, request: Request, load: ModelLoader | None = None) -> None:
        self.info = info
        self.request = request
        self.device = find_device(request.device)
        self._load = load or partial(load_model, models=request.models)
        self._models: dict[str, Model] = {}

    @property
    def edge(self) -> Edge | None:
        """Where it draws the edge of a bone; None where a model decides it."""
        return self.request.edge or self.info.edge

    @abstractmethod
    def run(self, scan: Scan, request: Request, steps: Steps) -> Findings:
        """The stages, in the order of the paper."""

    def segment(self, volume: Volume, progress: Progress = no_progress) -> Findings:
        """Run the pipeline on a volume that has passed the checks of its modality.

        Raises:
            InputError: the user's folder of models holds none that the pipeline takes.
            AnatomyNotFoundError: the image does not show what was asked for.
            ModelError: weights are missing or damaged.
            ResourceError: not enough memory.
            Cancelled: raised by ``progress``.
        """
        if self.request.models is not None:
            require_own_bundles(self.request.models, (*self.info.bundles, *self.request.quality_info.bundles))
        self._require_memory(volume)
        for name in self.late_models():
            self.model(name)
        steps = Steps(progress)
        with use_device(self.device):
            findings = self.run(Scan.of_volume(volume), self.request, steps)
        progress(1.0, "Labelled")
        return replace(
            findings,
            warnings=[*findings.warnings, *self._describe_own_models()],
            provenance={**self._provenance(steps), **findings.provenance},
        )

    def late_models(self) -> tuple[str, ...]:
        """Models that are needed at the end of a run and loaded before it, so that a missing one is said at once."""
        return ()

    def model(self, name: str) -> Model:
        """Return a model, loaded when it is first asked for.

        Raises:
            ModelError: it is missing, damaged or does not fit this version.
        """
        if name not in self._models:
            self._models[name] = self._load(name, self.device)
        return self._models[name]

    def _require_memory(self, volume: Volume) -> None:
        shape = " x ".join(map(str, volume.image.GetSize()))
        voxels = volume.image.GetNumberOfPixels()
        require_memory(self.bytes_anyway + self.bytes_per_voxel * voxels, f"Segmenting {shape} voxels")

    def _describe_own_models(self) -> list[str]:
        return [
            f"The network {model.spec.name} is one of your own and did not come with KneeSeg: "
            f"{model.spec.training_statement}"
            for model in self._models.values()
            if model.own
        ]

    def _provenance(self, steps: Steps) -> dict[str, object]:
        own = self._describe_own_models()
        return {
            **({"statement": f"{' '.join(own)} All others: {TRAINING_STATEMENT}"} if own else {}),
            "pipeline": self.info.name,
            "pipeline_title": self.info.title,
            "edge": self.edge,
            "options": {name: getattr(self.request, name) for name in self.options},
            "bundles": [
                {
                    "name": model.spec.name,
                    "version": model.spec.version,
                    "sha256": model.spec.sha256,
                    "own": model.own,
                    "training_statement": model.spec.training_statement,
                }
                for model in self._models.values()
            ],
            "device": self.device.description,
            "timings": steps.seconds,
        }
