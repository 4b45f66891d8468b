"""``kneeseg segment`` with an nnU-Net folder: from a file to surfaces, and a sentence for what it refuses."""

from __future__ import annotations

import json
import shutil

import pytest
import SimpleITK as sitk
import torch

from KneeSegLib.cli import main
from Testing.nnunet.conftest import MOOSE_RECIPE, OWN_RECIPE, scan_of

pytest.importorskip("nnunetv2")


def test_a_file_becomes_surfaces_and_a_second_model_is_asked(models, tmp_path, capfd):
    sitk.WriteImage(scan_of(MOOSE_RECIPE)[0], str(tmp_path / "legs.nii.gz"))
    command = ["segment", str(tmp_path / "legs.nii.gz"), "-o", str(tmp_path / "out"), "--nnunet", str(models["moose"])]
    assert main([*command, "--second-opinion", str(models["totalsegmentator"]), "--progress", "json"]) == 0
    assert {path.name for path in (tmp_path / "out" / "surfaces").iterdir()} == {
        f"{bone}_{side}.stl" for bone in ("femur", "tibia", "patella", "fibula") for side in ("right", "left")
    }
    record = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))
    assert record["provenance"]["options"]["pipeline"] == "nnunet"
    asked = {entry["key"]: entry["looked_for_by_both"] for entry in record["second_opinion"]["structures"]}
    assert asked["femur_right"] and not asked["fibula_left"]
    # nnunetv2 prints as it goes: nothing of that may get between the events that a calling program reads.
    assert all(json.loads(line) for line in capfd.readouterr().out.splitlines())


def test_a_checkpoint_that_wants_to_execute_is_one_sentence_and_nothing_is_written(models, tmp_path, capfd):
    folder = shutil.copytree(models["own"], tmp_path / models["own"].name)
    checkpoint = next(folder.rglob("checkpoint_final.pth"))
    content = torch.load(checkpoint, weights_only=False)
    torch.save({**content, "extra": print}, checkpoint)
    sitk.WriteImage(scan_of(OWN_RECIPE)[0], str(tmp_path / "legs.nii.gz"))
    command = ["segment", str(tmp_path / "legs.nii.gz"), "-o", str(tmp_path / "out"), "--nnunet", str(folder)]
    assert main([*command, "--progress", "none"]) == 4
    assert "print, which no nnU-Net checkpoint needs; it was not read." in capfd.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
