"""Workers in this process, whose networks read a phantom without fault."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.batch.inputs import find_scans
from KneeSegLib.batch.plan import BatchPlan, open_plan

pytest.importorskip("distributed")


@pytest.fixture(scope="session")
def knee_file(tmp_path_factory) -> Path:
    """A CT of a right knee whose bones have grey values of their own, with no more voxels than a pipeline takes."""
    from Testing.phantoms.legs import leg_phantom

    path = tmp_path_factory.mktemp("phantom") / "knee.nrrd"
    sitk.WriteImage(leg_phantom(("right",), (440.0, 540.0), (-150.0, -60.0), (4.0, 2.5, 2.5)).image, str(path))
    return path


@pytest.fixture(scope="session")
def workers():
    """A client of two workers of one thread."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def loaded() -> Iterator[list[str]]:
    """Put networks that know the phantom in the place of those that ship; lists what was loaded from files."""
    from KneeSegLib.batch import working
    from KneeSegLib.bundles import kept
    from Testing.phantoms.legs import OracleModels

    oracle = OracleModels()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(working, "_kept", {})
        patch.setattr(kept, "load_model", lambda name, device, models: oracle(name, device))
        yield oracle.asked


@pytest.fixture
def scans(tmp_path, knee_file) -> Path:
    """Two scans that can be segmented, one that is no image and one without content."""
    return make_scans(tmp_path / "scans", knee_file)


@pytest.fixture(scope="session")
def whole(tmp_path_factory, knee_file, workers, loaded) -> Path:
    """The folder of a batch of such scans that ran through."""
    from KneeSegLib.batch.running import run_batch

    home = tmp_path_factory.mktemp("batch")
    run_batch(plan_batch(make_scans(home / "scans", knee_file), home / "whole"), workers)
    return home / "whole"


def plan_batch(scans: Path, folder: Path, **options: str) -> BatchPlan:
    """Return the plan of a batch of everything in a folder."""
    common = {"pipeline": "ct-knee", "side": "auto", "quality": "fast", "device": "cpu"}
    return open_plan(folder, find_scans([str(scans)], folder), {**common, **options})


def make_scans(folder: Path, knee_file: Path) -> Path:
    (folder / "second").mkdir(parents=True)
    for name in ("a.nrrd", "second/b.nrrd"):
        shutil.copyfile(knee_file, folder / name)
    (folder / "text.nrrd").write_text("This is no image.", encoding="utf-8")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((30, 30, 30), np.int16)), str(folder / "flat.nii.gz"))
    return folder
