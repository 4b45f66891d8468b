"""``kneeseg demo``: a scan whose truth is known, segmented and evaluated."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KneeSegLib.cli.choices import Device
from KneeSegLib.cli.options import Overwrite, Progress, stream_of
from KneeSegLib.cli.segment import result_record, show_case
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.progress import split_progress
from KneeSegLib.training.commands.synthesize import SideName

if TYPE_CHECKING:
    import SimpleITK as sitk
    from rich.console import Console


class SampleJoint(str, Enum):
    """The joints that there is a joint model for; a sample subject ships for each."""

    hip = "hip"
    knee = "knee"
    ankle = "ankle"


MEASURED_ON = "Measured on one synthetic CT of real anatomy; this subject is in no training set."

IMAGE_NAME = "ct.nrrd"
TRUTH_NAME = "truth.seg.nrrd"
RESULT_NAME = "result"
AGREEMENT_NAME = "agreement.json"


def demo(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the demonstration; is created.")] = Path(
        "demo"
    ),
    joint: Annotated[SampleJoint, typer.Option(help="Which joint the scan shows.")] = SampleJoint.knee,
    side: Annotated[SideName, typer.Option(help="Which leg.")] = SideName.right,
    seed: Annotated[int, typer.Option(help="Another seed gives another scan of the same subject.")] = 2,
    device: Device = "auto",
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Segment a synthetic scan and compare with its truth.

    The folder holds the scan (ct.nrrd), what it was made from (truth.seg.nrrd), the result folder of the segmentation
    (result/report.html is the page to open) and the figures (agreement.json).
    """
    stream = stream_of(context)
    from KneeSegLib.io.writing import reserve_folder, write_folder

    context.with_resource(reserve_folder(output, overwrite))
    from KneeSegLib.pipelines.request import require_device
    from KneeSegLib.segmentation import segment

    require_device(device)
    from KneeSegLib.io.image_files import write_image
    from KneeSegLib.measurements.comparison import evaluate
    from KneeSegLib.measurements.summary import as_json
    from KneeSegLib.training.synthesis.demonstration import synthesize_demonstration

    making, segmenting, comparing, saving = split_progress(stream.progress, (15, 60, 5, 20))
    with write_folder(output, overwrite=overwrite) as unfinished:
        making(0.0, f"Making a synthetic CT of the {joint.value}")
        scan = synthesize_demonstration(joint.value, side.value, seed=seed)
        write_image(scan.image, unfinished / IMAGE_NAME)
        _write_truth(scan.labels, unfinished / TRUTH_NAME)
        case = segment(unfinished / IMAGE_NAME, device=device, edge="cortex", progress=segmenting)
        agreements = evaluate(scan.labels, case.labels, progress=comparing)
        agreement = {"measured_on": MEASURED_ON, **as_json({joint.value: agreements})}
        (unfinished / AGREEMENT_NAME).write_text(json.dumps(agreement, indent=2) + "\n", encoding="utf-8")
        case.save(unfinished / RESULT_NAME, progress=saving)
    for sentence in [*case.volume.notes, *case.warnings]:
        stream.warning(sentence)

    def show(console: Console) -> None:
        from KneeSegLib.cli.agreement_tables import print_case

        print_case(console, agreements, title="Agreement with the truth")
        console.print(MEASURED_ON, style="dim")
        show_case(console, case, output / RESULT_NAME)

    record = result_record(case, output / RESULT_NAME)
    stream.result({**record, "folder": str(output.resolve()), "agreement": agreement}, show)


def _write_truth(labels: sitk.Image, path: Path) -> None:
    from KneeSegLib.io.segmentation_file import write_segmentation
    from KneeSegLib.measurements.structures import measure_structures

    write_segmentation(labels, {found.structure: found.box for found in measure_structures(labels)}, path)
