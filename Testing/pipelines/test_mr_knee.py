"""The whole way from an MR of the knee to labels, with networks that can read the phantom."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.util.numpy_support import vtk_to_numpy

import KneeSegLib as ks
from KneeSegLib.anatomy import CARTILAGES, JOINT_BONES, MENISCUS_OF_COMPARTMENT, SIDES, structure
from KneeSegLib.assembly import add_cartilage, assemble_case
from KneeSegLib.bundles.kinds import SHAPE_BONES
from KneeSegLib.case_record import map_file_name
from KneeSegLib.errors import AnatomyNotFoundError, Cancelled, InputError, ModelError
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.geometry.mesh import points_of
from KneeSegLib.io.volume import Volume, read_volume
from KneeSegLib.measurements.cartilage import REGION, THICKNESS
from KneeSegLib.mr.expectations import describe_knee, known_side
from KneeSegLib.mr.shape_fit import SideFound
from KneeSegLib.mr.shape_maps import CARTILAGE, RESIDUAL
from KneeSegLib.networks import ShapeRegressor
from KneeSegLib.pipelines.choice import choose_pipeline
from KneeSegLib.pipelines.mr_knee import MrKnee
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import MR_PATCHES_BUNDLE, MR_SHAPE_BUNDLES, MR_SLICES_BUNDLE, PIPELINES
from KneeSegLib.progress import no_progress
from KneeSegLib.surfaces import read_surface
from Testing.phantoms.legs import leg_phantom
from Testing.phantoms.models import scan_of
from Testing.phantoms.mr_images import (
    MODES,
    BlindSlices,
    MrOracleModels,
    OracleKneeSlices,
    coarse_knee_mr,
    knee_mr,
    shipped_models,
)
from Testing.phantoms.mr_knees import THICKNESS_MM

LEAST_DICE = {"bone": 0.97, "cartilage": 0.89, "meniscus": 0.75}


def segmented(image, side="auto", stop_after="patches", load=None, known=None, progress=no_progress):
    volume = Volume(image, "MR", "knee", (), known)
    request = Request("mr-knee", side=side, device="cpu", stop_after=stop_after)
    findings = MrKnee(PIPELINES["mr-knee"], request, load or MrOracleModels()).segment(volume, progress)
    case = assemble_case(volume, findings)
    add_cartilage(case)
    return case


def coarsely(image, *options, **more):
    return segmented(image, *options, load=MrOracleModels(spacing_mm=1.0), **more)


def dice(labels, truth):
    found, wanted = (sitk.GetArrayViewFromImage(image) for image in (labels, truth))
    values = (set(np.unique(found)) | set(np.unique(wanted))) - {0}
    return {
        int(v): 2.0 * np.count_nonzero((found == v) & (wanted == v)) / (np.sum(found == v) + np.sum(wanted == v))
        for v in values
    }


def keys_of(case):
    return {found.structure.key for found in case.structures}


def middle_x_mm(case, key):
    surface = points_of(case.surfaces()[key])
    return (surface[:, 0].min() + surface[:, 0].max()) / 2.0


@pytest.fixture(scope="module")
def knees():
    return {side: knee_mr(side) for side in SIDES}


@pytest.fixture(scope="module")
def cases(knees):
    return {side: segmented(knee.image, side) for side, knee in knees.items()}


@pytest.fixture(scope="module")
def coarse():
    return coarse_knee_mr()


@pytest.mark.parametrize("side", SIDES)
def test_every_structure_of_the_side_asked_for_is_where_it_is(knees, cases, side):
    scores = dice(cases[side].labels, knees[side].truth)
    names = (*JOINT_BONES["knee"], *CARTILAGES.values(), *MENISCUS_OF_COMPARTMENT.values())
    assert set(scores) == {structure(name, side).label_value for name in names}
    for name in names:
        part = structure(name, side)
        assert scores[part.label_value] > LEAST_DICE[part.tissue.kind], part.key


@pytest.mark.parametrize(("side", "outward"), [("right", -1.0), ("left", 1.0)])
def test_the_medial_meniscus_lies_inward_of_the_lateral_one(cases, side, outward):
    medial, lateral, fibula, tibia = (
        middle_x_mm(cases[side], structure(name, side).key)
        for name in (*MENISCUS_OF_COMPARTMENT.values(), "fibula", "tibia")
    )
    assert outward * (fibula - tibia) > 20.0
    assert outward * (lateral - tibia) > 5.0 and outward * (medial - tibia) < -5.0


def test_a_left_knee_is_the_mirror_image_of_a_right_one(cases):
    right, left = (sitk.DICOMOrient(cases[side].labels, "LPS") for side in SIDES)
    right, left = (sitk.GetArrayFromImage(image).astype(int) for image in (right, left))
    offset = structure("femur", "left").label_value - structure("femur", "right").label_value
    mirrored = np.where(left > 0, left - offset, 0)[:, :, ::-1]
    assert np.mean(mirrored[mirrored + right > 0] == right[mirrored + right > 0]) > 0.99


def test_cartilage_is_as_thick_as_it_was_drawn(cases):
    for entry in cases["right"].cartilage[:2]:  # the patella of the phantom is a ball
        whole = [region for region in entry.regions if region.covered_mm2 > 300.0]
        assert len(whole) == 2 and whole[0].name.startswith("medial") and whole[1].name.startswith("lateral")
        for region in whole:
            assert region.mean_mm == pytest.approx(THICKNESS_MM, abs=0.3), region.name


def test_labels_lie_on_the_grid_of_the_input_and_do_not_depend_on_how_it_is_stored(coarse):
    expected = sitk.DICOMOrient(coarsely(coarse.image, "right").labels, "LPS")
    for directions in ("LPS", "SAR"):
        image = sitk.DICOMOrient(coarse.image, directions)
        labels = coarsely(image, "right").labels
        assert labels.GetSize() == image.GetSize() and labels.GetSpacing() == image.GetSpacing()
        assert labels.GetOrigin() == image.GetOrigin() and labels.GetDirection() == image.GetDirection()
        assert min(dice(sitk.DICOMOrient(labels, "LPS"), expected).values()) > 0.99, directions


def test_an_oblique_sagittal_acquisition_is_labelled_on_its_own_grid(coarse):
    image, truth = (sitk.Image(one) for one in (coarse.image, coarse.truth))
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, -0.15, 0.2)
    oblique = np.array(turn.GetMatrix()).reshape(3, 3) @ np.array(image.GetDirection()).reshape(3, 3)
    for one in (image, truth):
        one.SetDirection(oblique.ravel())
        one.SetOrigin((12.0, -7.0, 300.0))
    case = coarsely(image, "right")
    assert case.labels.GetDirection() == image.GetDirection() and case.labels.GetOrigin() == image.GetOrigin()
    scores = dice(case.labels, truth)
    assert all(scores[structure(bone, "right").label_value] > 0.9 for bone in JOINT_BONES["knee"])
    femur = points_of(next(entry.surface for entry in case.maps if entry.name == "shape"))
    label_points = points_of(case.surfaces()["femur_right"])
    assert femur.mean(axis=0) == pytest.approx(label_points.mean(axis=0), abs=15.0)


def test_points_of_shapes_beyond_the_scan_have_no_residual(coarse):
    slices = OracleKneeSlices()
    slices.stride = 64  # rows and columns are filled up from 96 to 128, with nothing in them
    case = segmented(coarse.image, "right", "shape", MrOracleModels(slices, spacing_mm=1.0))
    size = np.array(coarse.image.GetSize())
    for entry in case.maps:
        if entry.name == "shape":
            points = points_of(entry.surface).tolist()
            index = np.array([coarse.image.TransformPhysicalPointToContinuousIndex(point) for point in points])
            beyond = ((index < -0.5) | (index > size - 0.5)).any(axis=1)
            residual = vtk_to_numpy(entry.surface.GetPointData().GetArray(RESIDUAL))
            assert beyond.any() and np.isnan(residual[beyond]).all(), entry.structure.key


def test_slices_alone_tell_nothing_of_shapes_and_load_no_patch_network(coarse):
    models = MrOracleModels(spacing_mm=1.0)
    case = segmented(coarse.image, "right", "slices", models)
    assert [entry.name for entry in case.maps if entry.name == "shape"] == []
    assert MR_PATCHES_BUNDLE not in models.asked and "patches" not in case.provenance["timings"]
    assert case.provenance["options"] == {"side": "right", "stop_after": "slices", "device": "cpu"}
    assert case.provenance["knee"]["patches"] == 0


def test_stopping_after_shapes_adds_them_and_changes_no_label_where_they_do_not_fit(coarse):
    slices, shape = (coarsely(coarse.image, "right", stage) for stage in ("slices", "shape"))
    maps = {entry.structure.key for entry in shape.maps if entry.name == "shape"}
    assert maps == {"femur_right", "tibia_right"}
    assert np.array_equal(*(sitk.GetArrayViewFromImage(case.labels) for case in (slices, shape)))
    assert {bundle["name"] for bundle in shape.provenance["bundles"]} == {
        MR_SLICES_BUNDLE, *MR_SHAPE_BUNDLES.values(),
    }  # fmt: skip


def test_what_shapes_make_of_the_slices_is_labelled_unless_slices_are_asked_for_alone(coarse, monkeypatch):
    def without_patella(slices, shapes, side):
        assert set(shapes) == {"femur", "tibia"} and side == "right"
        values = slices.values.clone()
        values[slices.classes.index("patella")] = 0.0
        return replace(slices, values=values)

    monkeypatch.setattr("KneeSegLib.pipelines.mr_knee.apply_shape_prior", without_patella)
    slices, shape = (keys_of(coarsely(coarse.image, "right", stage)) for stage in ("slices", "shape"))
    assert "patella_right" in slices and "patella_right" not in shape


def test_patches_find_the_cartilage_that_slices_doubt(coarse):
    def case(stage):
        return segmented(coarse.image, "right", stage, MrOracleModels(OracleKneeSlices(0.58), spacing_mm=1.0))

    without, with_patches = case("shape"), case("patches")
    assert keys_of(with_patches) - keys_of(without) == {
        structure(name, "right").key for name in ("femoral_cartilage", "tibial_cartilage", "patellar_cartilage")
    }
    assert any(text.startswith("The right femoral cartilage was not found") for text in without.warnings)
    assert not any("was not found" in text for text in with_patches.warnings)
    assert with_patches.provenance["knee"]["patches"] > 10


def test_progress_rises_to_one_and_names_the_stages(coarse):
    told = []
    coarsely(coarse.image, "right", progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1.0)
    messages = " ".join(message for _, message in told)
    for stage in ("Slices 80 of 80", "Fitting the shapes", "Patches", "Labelling"):
        assert stage in messages


@pytest.mark.parametrize("stage", ["Slices", "Patches", "Labelling"])
def test_a_run_can_be_cancelled_in_every_long_stage(coarse, stage):
    def cancelling(fraction, message):
        if message.startswith(stage):
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        coarsely(coarse.image, "right", progress=cancelling)


def test_a_side_named_in_the_header_counts_and_one_asked_for_counts_more(coarse):
    named = coarsely(coarse.image, "auto", "slices", known="left")
    asked = coarsely(coarse.image, "right", "slices", known="left")
    assert {found.structure.side for found in named.structures} == {"left"}
    assert {found.structure.side for found in asked.structures} == {"right"}
    assert named.provenance["knee"]["side_known"] and named.provenance["knee"]["side"] == "left"


def test_a_knee_that_is_its_own_mirror_image_is_said_to_be_a_guess(coarse):
    case = coarsely(coarse.image, "auto", "slices")
    assert not case.provenance["knee"]["side_known"]
    assert any("fit the other side nearly as well" in text for text in case.warnings)


def test_both_sides_are_refused_in_one_sentence(coarse):
    expected = "^Both sides were asked for.*takes one knee.*choose one side, or --side auto.$"
    with pytest.raises(InputError, match=expected):
        segmented(coarse.image, "both")
    scan = scan_of(np.zeros((2, 2, 2), np.int16))
    assert known_side("auto", scan) is None and known_side("left", scan) == "left"
    assert known_side("auto", replace(scan, side="right")) == "right"


def test_an_image_without_a_knee_is_refused(coarse):
    with pytest.raises(AnatomyNotFoundError, match="^No knee was found in 'knee': no femur and no tibia"):
        segmented(coarse.image, load=MrOracleModels(BlindSlices()))


def test_a_knee_upside_down_is_refused(coarse):
    image = sitk.GetImageFromArray(sitk.GetArrayFromImage(sitk.DICOMOrient(coarse.image, "LPS"))[::-1])
    with pytest.raises(AnatomyNotFoundError, match="does not meet in a joint"):
        coarsely(image, "right")


def test_shape_networks_of_another_shape_model_are_refused(coarse):
    with pytest.raises(ModelError, match="mr-shape-femur was trained with another shape model"):
        segmented(coarse.image, load=MrOracleModels(variances_factor=1.5, spacing_mm=1.0))


class ShapesAsPublished(MrOracleModels):
    """One shape network for both bones that sees grey values and predicts the mean shapes."""

    def __call__(self, name, device):
        model = super().__call__(name, device)
        if name != MR_SHAPE_BUNDLES["femur"]:
            return model
        variances = [value for bone in SHAPE_BONES for value in shipped_models()[bone].variances[:MODES]]
        spec = replace(model.spec, bone="both", input="signal", shape_variances_mm2=tuple(map(float, variances)))
        return replace(model, spec=spec, network=ShapeRegressor(1, MODES, (2, 2, 2, 2, 2), shapes=2).eval())


def test_shapes_as_published_are_what_the_network_predicts_and_change_no_slices(coarse):
    models = ShapesAsPublished(spacing_mm=1.0)
    case = segmented(coarse.image, "right", "shape", load=models)
    assert MR_SHAPE_BUNDLES["tibia"] not in models.asked
    shapes = case.provenance["knee"]["shapes"]
    assert {bone: shape["optimised"] for bone, shape in shapes.items()} == {"femur": False, "tibia": False}
    assert all(weight == 0.0 for shape in shapes.values() for weight in shape["weights_sd"])
    slices = coarsely(coarse.image, "right", "slices")
    same = [sitk.GetArrayViewFromImage(some.labels) for some in (case, slices)]
    assert np.array_equal(*same)


def test_patches_of_other_classes_than_the_slices_are_refused(coarse):
    models = MrOracleModels(patch_classes=("background", "bone"), spacing_mm=1.0)
    with pytest.raises(ModelError, match="mr-knee-patches has other classes than the slices"):
        segmented(coarse.image, load=models)


def test_a_missing_structure_is_said(coarse):
    array = sitk.GetArrayFromImage(coarse.image)
    truth = sitk.GetArrayViewFromImage(coarse.truth)
    gone = np.isin(truth, [structure(name, "right").label_value for name in ("patella", "patellar_cartilage")])
    array[gone] = 0
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(coarse.image)
    case = coarsely(image, "right", "slices")
    assert "patellar_cartilage_right" not in keys_of(case)
    assert "The right patellar cartilage was not found: check the image." in case.warnings


def test_thick_slices_and_coarse_pixels_are_said():
    found = SideFound("right", True, {"right": 0.5, "left": 2.0}, 0.75)
    fine = Grid(Axis(0.0, 0.5, 300), Axis(0.0, 0.5, 300), Axis(0.0, 0.7, 160))
    rough = Grid(Axis(0.0, 1.3, 100), Axis(0.0, 0.5, 300), Axis(0.0, 3.5, 32))
    assert describe_knee(found, fine) == []
    thick, coarse_pixels = describe_knee(found, rough)
    assert "3.5 mm apart" in thick and "1.3 mm" in coarse_pixels


@pytest.mark.parametrize(
    ("known", "certainty", "said"),
    [(True, -0.4, "as it was named, but its bones fit the other side better"), (True, -0.1, None),
     (False, 0.05, "give the side if you know it"), (False, 0.4, None)],
)  # fmt: skip
def test_a_doubtful_side_is_said(known, certainty, said):
    grid = Grid(*(Axis(0.0, 0.5, 300),) * 3)
    sentences = describe_knee(SideFound("left", known, {"right": 1.0, "left": 1.0}, certainty), grid)
    assert (said is None and not sentences) or (len(sentences) == 1 and said in sentences[0])


def test_the_folder_of_a_case_holds_maps_and_thicknesses(cases, tmp_path):
    cases["right"].save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))
    maps = sorted(path.name for path in (tmp_path / "out" / "maps").iterdir())
    assert maps == sorted(
        ["femur_right_shape.vtp", "tibia_right_shape.vtp"]
        + [f"{bone}_right_cartilage_thickness.vtp" for bone in ("femur", "tibia", "patella")]
    )
    assert sorted(record["files"]["maps"]) == [f"maps/{name}" for name in maps]
    measured = {entry["bone"]: entry for entry in record["cartilage_thickness"]}
    assert set(measured) == {"femur_right", "tibia_right", "patella_right"}
    plateau = measured["tibia_right"]["regions"][0]
    assert plateau["name"] == "medial plateau" and plateau["mean_mm"] == pytest.approx(THICKNESS_MM, abs=0.3)
    assert record["input"]["modality"] == "MR"
    assert record["provenance"]["knee"]["side"] == "right"


def test_maps_are_read_back_with_the_values_on_their_points(cases, tmp_path):
    cases["right"].save(tmp_path / "out")
    for entry in cases["right"].maps:
        read = read_surface(tmp_path / "out" / "maps" / map_file_name(entry))
        names = (THICKNESS, REGION) if entry.name == "cartilage_thickness" else (RESIDUAL, CARTILAGE)
        for name in names:
            written, found = (vtk_to_numpy(s.GetPointData().GetArray(name)) for s in (entry.surface, read))
            assert np.array_equal(written, found, equal_nan=True), (entry.name, name)
    residual = vtk_to_numpy(read_surface(tmp_path / "out/maps/femur_right_shape.vtp").GetPointData().GetArray(RESIDUAL))
    assert np.isfinite(residual).any()


def test_the_report_shows_thicknesses_and_how_long_each_stage_took(cases, tmp_path):
    cases["left"].save(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for text in ("Medial plateau", "Lateral trochlea", "Left femur, from below", "Left tibial cartilage", "Patches"):
        assert text in page, text


def test_auto_takes_the_knee_pipeline_for_mr_and_the_leg_pipeline_for_ct(coarse):
    legs = leg_phantom(("right",), (390.0, 590.0)).image
    assert choose_pipeline(Request("auto"), Volume(coarse.image, "MR")).name == "mr-knee"
    assert choose_pipeline(Request("auto"), Volume(legs, "CT")).name == "ct-leg"
    assert choose_pipeline(Request("mr-knee"), Volume(coarse.image, None)).name == "mr-knee"


def test_each_pipeline_refuses_the_other_modality(coarse):
    legs = leg_phantom(("right",), (390.0, 590.0)).image
    with pytest.raises(InputError, match="is an MR image, expected a CT"):
        choose_pipeline(Request("ct-knee"), Volume(coarse.image, "MR"))
    with pytest.raises(InputError, match="is a CT image, expected an MR"):
        choose_pipeline(Request("mr-knee"), Volume(legs, "CT"))


def test_an_image_that_does_not_say_what_it_is_gets_a_hint(coarse):
    with pytest.raises(InputError, match="for an MR of the knee choose --pipeline mr-knee, for a CT"):
        ks.segment(coarse.image)


def test_an_image_whose_modality_the_caller_knows_needs_no_pipeline(coarse):
    assert read_volume(coarse.image, modality="MR").modality == "MR"
    with pytest.raises(InputError, match="is an MR image, expected a CT"):
        ks.segment(coarse.image, pipeline="ct-knee", modality="MR")
    with pytest.raises(InputError, match="export the CT with its rescale intercept"):
        ks.segment(coarse.image, modality="CT")
    with pytest.raises(InputError, match="no modality 'PET'; choose one of auto, CT, MR"):
        ks.segment(coarse.image, modality="PET")


def test_a_stage_that_does_not_exist_is_named(coarse):
    with pytest.raises(InputError, match="no stage 'surfaces'; choose one of slices, shape, patches"):
        ks.segment(coarse.image, pipeline="mr-knee", stop_after="surfaces")
