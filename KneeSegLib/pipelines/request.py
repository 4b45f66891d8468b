"""What a user asks for, checked before any work begins. Reading this loads no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from KneeSegLib.errors import InputError
from KneeSegLib.mr.low_field.settings import CubeMerging, ViewFusion
from KneeSegLib.pipelines.table import (
    AUTO,
    CUBE_MERGING_CHOICES,
    DEVICE_CHOICES,
    DEVICES_EVERYWHERE,
    EDGES,
    MODALITY_CHOICES,
    NNUNET,
    PIPELINES,
    QUALITIES,
    SIDE_CHOICES,
    STAGES,
    VIEW_FUSION_CHOICES,
    Edge,
    Modality,
    Quality,
)

if TYPE_CHECKING:
    from KneeSegLib.io.stated_geometry import StatedGeometry

LARGEST_CLOSING_MM = 20.0
"""A larger ball would close the joint's own hollows."""


@dataclass(frozen=True)
class Request:
    """The options of a run.

    Attributes:
        pipeline: a key of :data:`~KneeSegLib.pipelines.table.PIPELINES`.
        side: ``"right"`` or ``"left"`` for one leg, ``"both"`` to insist on two, ``"auto"`` for whatever is there.
        quality: a key of :data:`~KneeSegLib.pipelines.table.QUALITIES`.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` or ``"auto"``.
        series: which series of a DICOM folder, see :func:`KneeSegLib.io.volume.read_volume`.
        keep_description: whether the result calls a DICOM series by its description, which may name the patient.
        modality: ``"CT"`` or ``"MR"``, whatever the file says or its values look like; ``"auto"`` reads it from DICOM,
            or recognises a CT by its values.
        spacing: ``"0.35,0.35,0.5"``: distances in mm of columns, rows, slices, of files that do not say them
            (numbered slice images, TIFF) or say them wrong.
        orientation: three letters, likewise, see :class:`KneeSegLib.io.stated_geometry.StatedGeometry`.
        stop_after: a stage of the MR pipeline, one of :data:`~KneeSegLib.pipelines.table.STAGES`, to look at what it
            comes to without those after it.
        nnunet: of the pipeline ``nnunet``, the folder of a trained model; :func:`KneeSegLib.nnunet.folder.find_model`.
        mapping: what its labels are: a mapping file, or the name of one that comes with KneeSeg; None to find it.
        mirroring: whether the model sees the image mirrored too, where it was trained so, as nnU-Net does by itself.
        trust_checkpoint: whether a checkpoint may execute code, and its plans import what they name.
        models: a folder with networks of the user's own, which go before those that come with KneeSeg.
        edge: where a bone ends, one of :data:`~KneeSegLib.pipelines.table.EDGES` that the pipeline can draw: in CT at
            the ``"half-maximum"`` of grey values or where the ``"cortex"`` ends, in low-field MR where bright
            ``"marrow"`` or the dark ``"cortex"`` ends. None for what the pipeline draws by itself.
        view_fusion: in low-field MR, how three views become one: ``"mean"`` of the probabilities, ``"majority"``,
            ``"or"`` or ``"and"`` of what each view takes for bone.
        cube_merging: in low-field MR, how overlapping cubes become one: ``"mean"``, or the paper's ``"or"``.
        closing_mm: in low-field MR, radius of the ball that each bone is closed with; 0 for none, None for the paper's
            3.2 mm.

    Raises:
        InputError: an option has a value that it does not know.
    """

    pipeline: str = AUTO
    side: str = "auto"
    quality: str = "standard"
    device: str = "auto"
    series: str | None = None
    keep_description: bool = False
    modality: str = "auto"
    spacing: str | None = None
    orientation: str | None = None
    stop_after: str = STAGES[-1]
    nnunet: str | None = None
    mapping: str | None = None
    mirroring: bool = True
    trust_checkpoint: bool = False
    models: str | None = None
    edge: Edge | None = None
    view_fusion: ViewFusion = VIEW_FUSION_CHOICES[0]
    cube_merging: CubeMerging = CUBE_MERGING_CHOICES[0]
    closing_mm: float | None = None

    def __post_init__(self) -> None:
        _check_choice("pipeline", self.pipeline, PIPELINES)
        _check_choice("side", self.side, SIDE_CHOICES)
        _check_choice("quality", self.quality, QUALITIES)
        _check_choice("device", self.device, DEVICE_CHOICES)
        _check_choice("modality", self.modality, MODALITY_CHOICES)
        _check_choice("stage", self.stop_after, STAGES)
        if self.pipeline == NNUNET and self.nnunet is None:
            raise InputError("The pipeline nnunet runs a model of yours; name its folder with --nnunet FOLDER.")
        if self.pipeline != NNUNET and (self.nnunet is not None or self.mapping is not None):
            raise InputError(
                f"A model folder and a label mapping belong to the pipeline nnunet, not to {self.pipeline}; choose "
                "that pipeline, or leave them out."
            )
        if self.edge is not None:
            _check_choice("edge", self.edge, EDGES)
        _check_choice("fusion of views", self.view_fusion, VIEW_FUSION_CHOICES)
        _check_choice("merging of cubes", self.cube_merging, CUBE_MERGING_CHOICES)
        if self.quality == "fast" and self.view_fusion != VIEW_FUSION_CHOICES[0]:
            raise InputError(
                f"A fusion of views by {self.view_fusion!r} was asked for together with the quality fast, which looks "
                "at one view of low-field MR alone; choose another quality, or leave the fusion out."
            )
        if self.closing_mm is not None and not 0.0 <= self.closing_mm <= LARGEST_CLOSING_MM:
            raise InputError(
                f"A closing with a ball of {self.closing_mm:g} mm was asked for, expected a radius of 0 (none) to "
                f"{LARGEST_CLOSING_MM:g} mm; the paper's is 3.2."
            )

    @property
    def recorded_series(self) -> str | None:
        """What the result says of the choice of a series: a UID or a description may lead to the patient."""
        from KneeSegLib.io.guarded_text import is_series_number

        if self.series is None or self.keep_description or is_series_number(self.series):
            return self.series
        return "by its UID or description"

    @property
    def stated_geometry(self) -> StatedGeometry | None:
        """Where the user says that the image lies; None where the file is to say it alone."""
        if self.spacing is None and self.orientation is None:
            return None
        from KneeSegLib.io.stated_geometry import StatedGeometry

        return StatedGeometry.parse(self.spacing, self.orientation)

    @property
    def known_modality(self) -> Modality | None:
        """The modality that the user gave; None to read or recognise it."""
        if self.modality == "CT":
            return "CT"
        return "MR" if self.modality == "MR" else None

    @property
    def presumed_modality(self) -> Modality | None:
        """The modality that the chosen pipeline works on; None where the pipeline is to be chosen by the image."""
        if self.pipeline == NNUNET:
            from KneeSegLib.nnunet.folder import find_model

            return find_model(self.nnunet_folder).modality
        return None if self.pipeline == AUTO else PIPELINES[self.pipeline].modality

    @property
    def nnunet_folder(self) -> str:
        """The folder of the model that the pipeline ``nnunet`` runs."""
        assert self.nnunet is not None
        return self.nnunet

    @property
    def quality_info(self) -> Quality:
        """The row of the table of qualities."""
        return QUALITIES[self.quality]


def require_device(device: str) -> None:
    """Raise unless networks can run on ``device``; torch, which knows, is asked only where it may be missing.

    Raises:
        InputError: nothing is called that.
        ResourceError: this machine has no such device.
    """
    _check_choice("device", device, DEVICE_CHOICES)
    if device in DEVICES_EVERYWHERE:
        return
    from KneeSegLib.networks.device import find_device

    find_device(device)


def _check_choice(what: str, given: str, choices: Collection[str]) -> None:
    if given not in choices:
        raise InputError(f"There is no {what} {given!r}; choose one of {', '.join(choices)}.")
