"""One prediction against its reference: every structure as a whole, and the part of it at each joint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.evaluation.compare.joint_parts import find_joint_parts
from KneeSegLib.geometry.boxes import enclose_boxes, find_mask_box
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.measurements.comparison import Agreement, evaluate, measure_agreement
from KneeSegLib.progress import Progress, no_progress

WHOLE = "whole"


@dataclass(frozen=True)
class PartAgreement:
    """A structure, whole or the ``part`` of it at a joint; slices where a part ends count as the scan's border."""

    part: str
    agreement: Agreement

    def as_record(self) -> dict[str, Any]:
        """Return it as plain data; undefined values are null."""
        found = self.agreement
        return {
            "part": self.part,
            "structure": found.structure.key,
            "presence": found.presence,
            "reference_mm3": found.reference_mm3,
            "prediction_mm3": found.prediction_mm3,
            "metrics": as_strict_json(found.metrics),
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> PartAgreement:
        """Return what :meth:`as_record` made a record of."""
        metrics = {key: float("nan") if value is None else value for key, value in record["metrics"].items()}
        volumes = (record["reference_mm3"], record["prediction_mm3"])
        return cls(record["part"], Agreement(structure(record["structure"]), record["presence"], *volumes, metrics))


def measure_parts(
    reference: sitk.Image, prediction: sitk.Image, progress: Progress = no_progress
) -> list[PartAgreement]:
    """Compare two label images on one grid.

    Raises:
        InputError: the grids differ, or neither image holds a label.
    """
    whole = evaluate(reference, prediction, progress=progress)
    lps_reference, lps_prediction = reorient_to_lps(reference), reorient_to_lps(prediction)
    expected, predicted = (sitk.GetArrayViewFromImage(image) for image in (lps_reference, lps_prediction))
    x_mm, y_mm, z_mm = lps_reference.GetSpacing()
    parts = find_joint_parts(expected, z_mm)
    measured = []
    for agreement in whole.values():
        found = agreement.structure
        measured.append(PartAgreement(WHOLE, agreement))
        of_joints = parts.get(found, {})
        if len(of_joints) == 1:
            measured += [PartAgreement(joint, agreement) for joint in of_joints]
            continue
        masks = [array == found.label_value for array in (expected, predicted)] if of_joints else []
        boxes = [box for mask in masks if (box := find_mask_box(mask)) is not None]
        for joint, (start, stop) in of_joints.items():
            # What is predicted beyond the reference's end belongs to the joint at that end.
            low = 0 if start == min(first for first, _ in of_joints.values()) else start
            high = expected.shape[0] if stop == max(last for _, last in of_joints.values()) else stop
            box = (slice(low, high), *enclose_boxes(boxes)[1:])
            of_part = measure_agreement(found, masks[0][box], masks[1][box], (z_mm, y_mm, x_mm))
            measured.append(PartAgreement(joint, of_part))
    return measured
