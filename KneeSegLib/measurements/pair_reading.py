"""A reference and a prediction, read with what the user says of their values, on one grid."""

from __future__ import annotations

import SimpleITK as sitk

from KneeSegLib.anatomy import Side, structure_of_label
from KneeSegLib.geometry.boxes import find_label_boxes
from KneeSegLib.geometry.extend import extend_to
from KneeSegLib.io.label_maps import open_label_map
from KneeSegLib.io.label_meaning import OWN_LABELS, LabelMeaning
from KneeSegLib.measurements.pairs import Pair

PREDICTION_OPTION = "--prediction-labels"


def read_pair(
    pair: Pair, meaning: LabelMeaning, of_prediction: LabelMeaning
) -> tuple[sitk.Image, sitk.Image, list[str]]:
    """Return reference and prediction with KneeSeg's own values, and notes.

    Labels that name values of the prediction alone are taken for the prediction's, with a note. Labels without a side
    are of the only leg that the other one shows. A prediction that was cut to what it holds, as DICOM SEG often is, is
    brought back to the reference's grid.

    Raises:
        InputError: a file cannot be read, or nothing says what its values stand for.
    """
    notes = []
    reference, prediction = open_label_map(pair.reference), open_label_map(pair.prediction)
    only_one = bool(meaning.text) and not of_prediction.text
    if only_one and not meaning.is_about(reference) and meaning.is_about(prediction):
        notes.append(
            "The reference holds none of the values that --labels names; they were taken for those of the prediction, "
            f"for which there is {PREDICTION_OPTION}."
        )
        meaning, of_prediction = OWN_LABELS, meaning
    expected, of_expected = meaning.translate(reference)
    predicted, of_predicted = of_prediction.translate(prediction, find_only_side(expected), PREDICTION_OPTION)
    return expected, extend_to(predicted, expected), [*notes, *of_expected, *of_predicted]


def find_only_side(labels: sitk.Image) -> Side | None:
    """Return the side of all structures in ``labels``; None where both legs or none are in it."""
    found = find_label_boxes(sitk.GetArrayViewFromImage(labels))
    sides: set[Side] = {structure_of_label(value).side for value in found}
    return sides.pop() if len(sides) == 1 else None
