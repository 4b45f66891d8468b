"""Own cases and synthetic subjects in one training: what was learned from the one is kept while learning the other."""

from __future__ import annotations

import torch

from KneeSegLib.training.own_cases.slice_sources import OwnSource
from KneeSegLib.training.samples import Renderer, Samples
from KneeSegLib.training.synthesis.fields import chance


class MixedSource:
    """Renders samples of own cases and, as often as ``fraction`` says, of synthetic subjects."""

    def __init__(self, own: OwnSource, synthetic: Renderer, fraction: float) -> None:
        self.own = own
        self.synthetic = synthetic
        self.fraction = fraction

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Samples:
        """As :meth:`~KneeSegLib.training.samples.SampleSource.render`; synthetic labels tell every class."""
        if not chance(self.fraction, generator):
            return self.own.render(shape, generator)
        samples = self.synthetic.render(shape, generator)
        samples.labels.labelled = torch.ones(len(samples.inputs), len(self.own.labelled), dtype=torch.bool)
        return samples
