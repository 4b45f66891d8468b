"""What a pipeline found becomes a case on the grid of the input."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.assembly import add_cartilage, assemble_case
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.inference.labels import LegLabels, Margin
from KneeSegLib.io.volume import Volume
from KneeSegLib.pipelines.findings import Findings, list_labelled
from KneeSegLib.quality import QualityFeatures
from Testing.phantoms.joint_surfaces import case_of_depths, plate_depths

SHAPE = (30, 40, 50)
FEMURS = {"right": np.s_[5:20, 10:30, 5:25], "left": np.s_[5:20, 10:30, 20:40]}
"""Boxes [z, y, x]; they overlap where both legs claim five columns."""


def scanned(directions: str = "LPS") -> Volume:
    image = sitk.GetImageFromArray(np.zeros(SHAPE, np.int16))
    image.SetSpacing((1.0, 1.5, 2.0))
    image.SetOrigin((-30.0, -20.0, 100.0))
    return Volume(sitk.DICOMOrient(image, directions), "CT", "boxes")


def labelled(side: str) -> LegLabels:
    """A femur in its own box, with a margin of one layer around it that says how sure that is."""
    box = FEMURS[side]
    place = tuple(slice(bounds.start - 1, bounds.stop + 1) for bounds in box)
    inside = np.zeros([bounds.stop - bounds.start for bounds in place], bool)
    inside[1:-1, 1:-1, 1:-1] = True
    labels = np.where(inside, structure("femur", side).label_value, 0).astype(np.uint8)
    margin = Margin(np.where(inside, 100, -100).astype(np.int8), tuple(slice(0, size) for size in labels.shape))
    return LegLabels(side, labels, place, {"femur": margin})


def findings_of(volume: Volume, *sides: str, **changes: object) -> Findings:
    features = {f"femur_{side}": QualityFeatures(12.0, (30.0, 30.0, 20.0)) for side in sides}
    scan = SimpleNamespace(image=reorient_to_lps(volume.image))
    return replace(Findings(scan, [labelled(side) for side in sides], features), **changes)


@pytest.mark.parametrize("directions", ["LPS", "RAI", "SPL"])
def test_labels_lie_on_the_grid_of_the_input_however_it_is_stored(directions):
    volume = scanned(directions)
    case = assemble_case(volume, findings_of(volume, "right"))
    assert case.labels.GetSize() == volume.image.GetSize()
    assert case.labels.GetDirection() == volume.image.GetDirection()
    turned = sitk.GetArrayFromImage(sitk.DICOMOrient(case.labels, "LPS"))
    wanted = np.zeros(SHAPE, np.uint8)
    wanted[FEMURS["right"]] = structure("femur", "right").label_value
    assert np.array_equal(turned, wanted)


def test_of_two_legs_that_overlap_the_first_keeps_its_voxels_and_margins_follow():
    volume = scanned()
    case = assemble_case(volume, findings_of(volume, "right", "left"))
    labels = sitk.GetArrayViewFromImage(case.labels)
    for side, columns in (("right", 20), ("left", 15)):
        inside = labels == structure("femur", side).label_value
        assert np.count_nonzero(inside) == 15 * 20 * columns
        margin = case.margins[f"femur_{side}"]
        x, y, z = case.labels.TransformPhysicalPointToIndex(margin.GetOrigin())
        positive = sitk.GetArrayViewFromImage(margin) > 0
        part = inside[z : z + positive.shape[0], y : y + positive.shape[1], x : x + positive.shape[2]]
        assert np.array_equal(positive, part)


@pytest.mark.parametrize(("blank", "told"), [(0.0, True), (0.02, False)])
def test_a_knee_that_a_round_field_of_view_cuts_is_not_too_narrow(blank, told):
    """Both bones are 20 mm wide: a wrong spacing, unless the image is blank beside them."""
    values = {bone: structure(bone, "right").label_value for bone in ("femur", "tibia")}
    labels = np.zeros(SHAPE, np.uint8)
    labels[16:28, 15:25, 10:20], labels[2:15, 15:25, 10:20] = values["femur"], values["tibia"]
    everywhere = tuple(slice(0, size) for size in SHAPE)
    margins = {
        bone: Margin(np.where(labels == value, 100, -100).astype(np.int8), everywhere) for bone, value in values.items()
    }
    volume = scanned()
    volume.image.SetSpacing((2.0, 2.0, 6.0))
    features = {
        f"{bone}_right": QualityFeatures(100.0, (72.0, 20.0, 20.0), blank_fraction=blank, air_fraction=0.0)
        for bone in values
    }
    scan = SimpleNamespace(image=reorient_to_lps(volume.image))
    case = assemble_case(volume, Findings(scan, [LegLabels("right", labels, everywhere, margins)], features))
    for found in case.structures:
        assert any("spacing of the image may be wrong" in reason for reason in found.quality.reasons) == told


def test_a_bone_that_lies_in_pieces_in_the_end_is_marked():
    """Features are measured before its edge is moved, which may part it where it is thin."""
    volume = scanned()
    findings = findings_of(volume, "right")
    findings.legs[0].labels[8:11] = 0
    case = assemble_case(volume, findings)
    assert case.structures[0].quality.level == "check"
    assert any("It has 2 components" in warning for warning in case.warnings)


def test_warnings_are_of_the_scan_then_of_structures_to_check_then_of_missing_ones():
    volume = scanned()
    features = {"femur_right": QualityFeatures(12.0, (30.0, 30.0, 20.0), jump_mm=4.0)}
    findings = findings_of(volume, "right", features=features, warnings=["Thick slices."], missing=["No patella."])
    first, check, last = assemble_case(volume, findings).warnings
    assert (first, last) == ("Thick slices.", "No patella.")
    assert check.startswith("Check the right femur. Its outline jumps by 4.0 mm")


def test_the_record_of_the_pipeline_stands_beside_version_and_date():
    volume = scanned()
    case = assemble_case(volume, findings_of(volume, "right", provenance={"pipeline": "ct-leg"}))
    assert list(case.provenance) == ["version", "date", "pipeline"]


def test_a_leg_lists_the_structures_that_it_holds_and_no_margins_without_voxels():
    leg = labelled("left")
    leg.margins["tibia"] = leg.margins["femur"]
    assert list_labelled([leg]) == {"femur_left"}


def test_cartilage_is_measured_once_and_becomes_a_map():
    case = case_of_depths(plate_depths(), "right")
    add_cartilage(case)
    (entry,) = case.cartilage
    assert entry.bone.key == "tibia_right"
    assert [(shown.structure.key, shown.name) for shown in case.maps] == [("tibia_right", "cartilage_thickness")]
    assert case.maps[0].surface is entry.surface


def test_a_case_without_cartilage_needs_no_surfaces_for_it(monkeypatch):
    volume = scanned()
    case = assemble_case(volume, findings_of(volume, "right"))
    monkeypatch.setattr(case.scans[0], "surfaces", None)
    add_cartilage(case)
    assert case.cartilage == [] and case.maps == []
