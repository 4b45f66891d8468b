"""What options of several commands can be chosen from: the keys of the tables of pipelines, no list of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from KneeSegLib.pipelines.table import (
    DEVICE_CHOICES,
    EDGES,
    MODALITY_CHOICES,
    PIPELINES,
    QUALITIES,
    SIDE_CHOICES,
    STAGES,
)

if TYPE_CHECKING:  # a checker cannot read what a table holds
    PipelineName = QualityName = SideName = StageName = ModalityName = EdgeName = DeviceName = str
else:
    PipelineName = Literal[tuple(PIPELINES)]
    QualityName = Literal[tuple(QUALITIES)]
    SideName = Literal[SIDE_CHOICES]
    StageName = Literal[STAGES]
    ModalityName = Literal[MODALITY_CHOICES]
    EdgeName = Literal[EDGES]
    DeviceName = Literal[DEVICE_CHOICES]

QUALITY_HELP = " ".join(f"{name}: {quality.description}" for name, quality in QUALITIES.items())
EDGE_HELP = (
    "Where a bone ends. CT: half-maximum (the default), as readers and threshold tools draw it, or cortex, where the "
    "cortex ends. Low-field MR: marrow (the default) or cortex."
)
Device = Annotated[DeviceName, typer.Option(help="Where the networks run; auto takes the fastest there is.")]
