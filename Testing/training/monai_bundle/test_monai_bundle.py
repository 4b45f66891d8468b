"""An exported bundle is a standard one: MONAI alone takes it from NIfTI to the labels of KneeSeg's slice stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from KneeSegLib.bundles import Bundle, find_bundle, list_bundles, load_model
from KneeSegLib.bundles.kinds import KINDS
from KneeSegLib.ct.joint_slices import joint_grid, predict_on_grid
from KneeSegLib.ct.leg import JointRoi
from KneeSegLib.errors import InputError, OutputError
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.orientation import reorient_to_lps, restore_orientation
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.device import use_device
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.resources import samples_folder
from KneeSegLib.mr.slices import predict_sagittal
from KneeSegLib.networks.device import find_device
from KneeSegLib.training.bundle_files import write_bundle
from KneeSegLib.training.monai_bundle import export_monai_bundle
from KneeSegLib.training.synthesis.mr.cases import MrSeries, synthesize_mr_case
from Testing.phantoms.mr_knees import cylinder_knee

NO_KNEESEG = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "KneeSegLib":
            raise ImportError("KneeSegLib is blocked here")

sys.meta_path.insert(0, Blocked())
"""
LABELS_ALONE = [bundle for bundle in list_bundles() if not KINDS[bundle.spec.kind].step]
STEPS = [bundle for bundle in list_bundles() if KINDS[bundle.spec.kind].step]


def run_without_kneeseg(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start Python where KneeSegLib cannot be imported."""
    blocking = folder / "blocking"
    blocking.mkdir(exist_ok=True)
    (blocking / "sitecustomize.py").write_text(NO_KNEESEG, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(blocking), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def labels_by_monai(bundle: Bundle, image: sitk.Image, folder: Path) -> sitk.Image:
    """Export a bundle and let MONAI run it on an image."""
    exported = export_monai_bundle(bundle, folder / "with space" / bundle.name)
    (folder / "images").mkdir()
    sitk.WriteImage(image, str(folder / "images" / "knee.nii.gz"))
    config = exported / "configs" / "inference.json"
    options = ("--bundle_root", str(exported), "--dataset_dir", "images", "--output_dir", "labels", "--device", "cpu")
    done = run_without_kneeseg(folder, "-m", "monai.bundle", "run", "--config_file", str(config), *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.name for path in (folder / "labels").iterdir()] == ["knee_labels.nii.gz"]
    return sitk.ReadImage(str(folder / "labels" / "knee_labels.nii.gz"))


def labels_by_slice_stage(name: str, image: sitk.Image) -> sitk.Image:
    """What the slice stage of KneeSeg predicts alone: the most probable class on the grid of the image."""
    model = load_model(name, find_device("cpu"))
    turned = reorient_to_lps(image)
    values = sitk.GetArrayFromImage(turned)
    x_mm, y_mm, z_mm = turned.GetSpacing()
    scan = Scan(turned, values, Grid.of_scan(values.shape, (z_mm, y_mm, x_mm)), "knee")
    with use_device(model.device):
        if model.spec.kind == "mr-slices":
            found = predict_sagittal(model, scan)
        else:
            spacing_mm = model.spec.spacing_mm[::-1]
            grid = joint_grid(Box.of_grid(scan.grid), scan.grid, spacing_mm, model.stride, "right")
            found = predict_on_grid(model, scan, grid, JointRoi("knee", *Box.of_grid(scan.grid).z))
    classes = resample_to(found.values, found.grid, scan.grid).argmax(dim=0)
    labels = sitk.GetImageFromArray(classes.numpy().astype(np.uint8))
    labels.CopyInformation(turned)
    return restore_orientation(labels, image)


def assert_same_structures(found: sitk.Image, expected: sitk.Image, least: int) -> None:
    """Same grid; at least so many structures; Dice of .999 or more for each.

    The smallest have less than a thousand voxels: one that rounding decides is let pass.
    """
    assert found.GetSize() == expected.GetSize() and found.GetPixelID() == sitk.sitkUInt8
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(found, get)(), getattr(expected, get)(), atol=1e-4)
    ours, theirs = sitk.GetArrayViewFromImage(expected), sitk.GetArrayViewFromImage(found)
    values = np.union1d(ours, theirs)[1:]
    assert len(values) >= least
    for value in values:
        both, total = ((ours == value) & (theirs == value)).sum(), (ours == value).sum() + (theirs == value).sum()
        assert 2.0 * both / total >= 0.999 or total - 2 * both == 1, (value, both, total)


def test_monai_alone_labels_a_knee_ct_as_the_slice_stage_does(tmp_path):
    image = sitk.ReadImage(str(samples_folder() / "knee_ct.nrrd"))[:, :, 30:74]
    image = sitk.DICOMOrient(image, "PIR")
    found = labels_by_monai(find_bundle("ct-knee"), image, tmp_path)
    assert_same_structures(found, labels_by_slice_stage("ct-knee", image), least=4)


def test_monai_alone_labels_a_knee_mr_as_the_slice_stage_does(tmp_path):
    image = synthesize_mr_case(cylinder_knee(), MrSeries(0.8, 3.0)).image
    found = labels_by_monai(find_bundle("mr-knee-slices"), image, tmp_path)
    assert_same_structures(found, labels_by_slice_stage("mr-knee-slices", image), least=7)


def test_kneeseg_is_not_there_where_monai_runs(tmp_path):
    done = run_without_kneeseg(tmp_path, "-c", "import KneeSegLib")
    assert "KneeSegLib is blocked here" in done.stderr and done.returncode


@pytest.mark.parametrize("bundle", LABELS_ALONE, ids=lambda bundle: bundle.name)
def test_exported_bundle_has_all_that_the_specification_asks_for(bundle, tmp_path):
    from monai.bundle import ConfigWorkflow, verify_net_in_out

    folder = export_monai_bundle(bundle, tmp_path / bundle.name)
    config, meta = str(folder / "configs" / "inference.json"), str(folder / "configs" / "metadata.json")
    workflow = ConfigWorkflow(config, meta, logging_file=False, workflow_type="inference", bundle_root=str(folder))
    workflow.initialize()
    assert workflow.check_properties() == []
    assert workflow.version == bundle.spec.version and list(workflow.channel_def.values()) == list(bundle.spec.classes)
    verify_net_in_out("network_def", meta, config, device="cpu", n=2, bundle_root=str(folder))
    for name in ("docs/README.md", "docs/data_license.txt", "LICENSE", "models/model.ts"):
        assert (folder / name).stat().st_size > 0
    assert "KneeSegLib" not in Path(config).read_text(encoding="utf-8")
    assert "KneeSegLib" not in Path(meta).read_text(encoding="utf-8")


@pytest.mark.parametrize("bundle", STEPS, ids=lambda bundle: bundle.name)
def test_a_step_of_a_pipeline_is_refused_with_what_it_does(bundle, tmp_path):
    with pytest.raises(InputError, match=f"{bundle.name} is a step .*Export one of .*ct-knee.*mr-knee-slices"):
        export_monai_bundle(bundle, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_network_of_monai_is_exported_as_its_state(tmp_path):
    """Where MONAI has a class of that shape, others get weights that they can train on."""
    from monai.bundle import ConfigWorkflow
    from monai.networks.nets.basic_unet import BasicUNet

    config = {"spatial_dims": 2, "in_channels": 3, "out_channels": 2, "features": [4, 4, 4, 4, 4, 4]}
    network = BasicUNet(**config)
    spec = find_bundle("ct-knee").metadata["kneeseg"]
    facts = {**spec, "name": "ct-test", "channels": {}, "classes": ["background", "bone"]}
    target = {"_target_": "monai.networks.nets.BasicUNet", **config}
    bundle = write_bundle(tmp_path / "ct-test", network, target, network.state_dict(), facts)
    folder = export_monai_bundle(bundle, tmp_path / "exported" / "ct-test")
    workflow = ConfigWorkflow(
        str(folder / "configs" / "inference.json"),
        logging_file=False,
        workflow_type="inference",
        bundle_root=str(folder),
        device="cpu",
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    assert sorted(path.name for path in (folder / "models").iterdir()) == ["model.pt"]
    for name, tensor in bundle.network().state_dict().items():
        torch.testing.assert_close(workflow.network_def.state_dict()[name], tensor)


def test_a_bundle_that_exists_is_replaced_only_when_told_to(tmp_path):
    bundle = find_bundle("ct-knee")
    folder = export_monai_bundle(bundle, tmp_path / "ct-knee")
    (folder / "configs" / "inference.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError):
        export_monai_bundle(bundle, folder)
    assert (folder / "configs" / "inference.json").read_text(encoding="utf-8") == "{}"
    export_monai_bundle(bundle, folder, overwrite=True)
    assert "evaluator" in json.loads((folder / "configs" / "inference.json").read_text(encoding="utf-8"))
