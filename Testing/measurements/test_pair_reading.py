"""Reference and prediction, read once each whatever is asked of them."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from KneeSegLib.io import label_maps
from KneeSegLib.io.label_meaning import OWN_LABELS, LabelMeaning
from KneeSegLib.measurements.pair_reading import read_pair
from KneeSegLib.measurements.pairs import Pair
from Testing.phantoms.cases import box_labels


def test_each_file_is_decoded_once_where_labels_are_found_to_be_the_predictions(monkeypatch, tmp_path):
    ours = box_labels({"patella_right": [slice(2, 6)] * 3}, (8, 8, 8))
    sitk.WriteImage(ours, str(tmp_path / "ours.nrrd"))
    sitk.WriteImage(sitk.Cast(ours > 0, sitk.sitkUInt8) * 255, str(tmp_path / "mask.nrrd"))
    read, decoded = label_maps.read_stored_image, []
    monkeypatch.setattr(
        label_maps, "read_stored_image", lambda path, size: decoded.append(path.name) or read(path, size)
    )
    pair = Pair("a", tmp_path / "ours.nrrd", tmp_path / "mask.nrrd")
    expected, predicted, notes = read_pair(pair, LabelMeaning.parse("255=patella_right"), OWN_LABELS)
    assert np.array_equal(sitk.GetArrayFromImage(expected), sitk.GetArrayFromImage(predicted))
    assert sorted(decoded) == ["mask.nrrd", "ours.nrrd"]
    assert "taken for those of the prediction" in notes[0]
