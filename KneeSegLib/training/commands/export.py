"""``kneeseg export bundle`` and ``kneeseg export nnunet``: networks and training cases in the formats of others."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KneeSegLib.cli.options import Overwrite, Progress, require_existing, stream_of
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.io.label_meaning import LABELS_HELP

if TYPE_CHECKING:
    from rich.console import Console


class KnownModality(str, Enum):
    """What an image can be."""

    CT = "CT"
    MR = "MR"


def bundle(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of the network, for example ct-knee; see kneeseg pipelines.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle; is created.")],
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Write a network as a standard MONAI bundle that runs without KneeSeg, from NIfTI files to label maps.

    KneeSeg does not read it back. How to run it and what it takes stands in its docs/README.md.
    """
    stream = stream_of(context)
    from KneeSegLib.bundles import find_bundle
    from KneeSegLib.training.monai_bundle import export_monai_bundle

    stream.progress(0.0, f"Writing {name}")
    folder = export_monai_bundle(find_bundle(name), output, overwrite)
    stream.progress(1.0, "Written")

    def show(console: Console) -> None:
        console.print(f"{folder}  (how to run it: docs/README.md)", soft_wrap=True, markup=False)

    stream.result({"folder": str(folder), "bundle": name}, show)


def nnunet(
    context: typer.Context,
    cases: Annotated[Path, typer.Argument(help="Folder with images/ and labels/, as kneeseg synthesize writes it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Such as nnUNet_raw/Dataset042_Knee; is created.")],
    modality: Annotated[KnownModality | None, typer.Option(help="What images are whose files do not say it.")] = None,
    labels: Annotated[str | None, typer.Option(help=LABELS_HELP)] = None,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Write cases as a raw data set of nnU-Net v2, to train on with nnUNetv2_plan_and_preprocess and nnUNetv2_train.

    Labels are numbered without gaps. What they are stands in dataset.json, which nnU-Net copies to what it trains, so
    that `kneeseg segment --nnunet` knows it, and in label_mapping.json.
    """
    stream = stream_of(context)
    require_existing(cases)
    from KneeSegLib.io.label_meaning import LabelMeaning
    from KneeSegLib.training.nnunet_dataset import export_nnunet_dataset

    known = modality.value if modality is not None else None
    written = export_nnunet_dataset(cases, output, known, overwrite, stream.progress, LabelMeaning.parse(labels))
    if written.with_sides:
        stream.warning(
            "The labels tell right and left apart; train with -tr nnUNetTrainerNoMirroring, since nnU-Net's mirroring "
            "would exchange them."
        )

    def show(console: Console) -> None:
        for name, value in written.labels.items():
            console.print(f"{value}  {name}", markup=False)
        console.print(f"{len(written.cases)} cases: {written.folder}", soft_wrap=True, markup=False)

    stream.result({"folder": str(written.folder), "cases": len(written.cases), "labels": written.labels}, show)
