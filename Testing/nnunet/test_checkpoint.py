"""Checkpoints give their weights and execute nothing; plans name no other classes than nnU-Net's own."""

from __future__ import annotations

import os
from collections import OrderedDict

import numpy as np
import pytest
import torch

from KneeSegLib.errors import ModelError
from KneeSegLib.nnunet.architecture import check_plans
from KneeSegLib.nnunet.checkpoint import read_checkpoint


class Intruder:
    """Something that leaves a mark when it is unpickled."""

    def __init__(self, mark) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def content(**more):
    return {
        "network_weights": OrderedDict({"_orig_mod.conv.weight": torch.ones(2)}),
        "logging": {"mean_fg_dice": [np.float32(0.5), np.float64(0.25)], "epoch": [np.int64(3), True]},
        "_best_ema": np.float64(0.9),
        "init_args": {"plans": {"a": [1]}, "fold": "all", "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 2),
        **more,
    }


def saved(tmp_path, **more):
    torch.save(content(**more), tmp_path / "checkpoint_final.pth")
    return tmp_path / "checkpoint_final.pth"


def test_weights_are_read_beside_the_numpy_scalars_that_nnunet_writes(tmp_path):
    found = read_checkpoint(saved(tmp_path))
    assert list(found.weights) == ["conv.weight"] and found.weights["conv.weight"].tolist() == [1.0, 1.0]
    assert (found.mirroring_axes, found.trainer, len(found.sha256)) == ((0, 2), "nnUNetTrainer", 64)


def test_scalars_of_numpy_1_are_read_too(tmp_path):
    path = saved(tmp_path)
    raw = path.read_bytes()
    torch.save(content(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = (tmp_path / "old.pth").read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "old.pth").write_bytes(old)
    assert b"numpy._core.multiarray" not in old and raw
    assert read_checkpoint(tmp_path / "old.pth").trainer == "nnUNetTrainer"


def test_a_checkpoint_that_wants_to_execute_is_refused_and_executes_nothing(tmp_path):
    mark = tmp_path / "mark"
    path = saved(tmp_path, extra=Intruder(mark))
    with pytest.raises(ModelError, match=r"wants to execute (posix|nt)\.mkdir, .* --trust-checkpoint"):
        read_checkpoint(path)
    assert not mark.exists()


def test_a_trusted_checkpoint_is_read_as_it_is(tmp_path):
    mark = tmp_path / "mark"
    assert read_checkpoint(saved(tmp_path, extra=Intruder(mark)), trusted=True).trainer == "nnUNetTrainer"
    assert mark.is_dir()


@pytest.mark.parametrize("damage", [b"", b"abc", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, damage):
    (tmp_path / "checkpoint_final.pth").write_bytes(damage)
    with pytest.raises(ModelError, match="is damaged or no checkpoint of nnU-Net"):
        read_checkpoint(tmp_path / "checkpoint_final.pth")


def test_weights_of_another_program_are_no_checkpoint(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"is no checkpoint of nnU-Net v2"):
        read_checkpoint(tmp_path / "other.pth")


def plans_of(**fields):
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {"conv_op": "torch.nn.modules.conv.Conv3d", "nonlin": "torch.nn.LeakyReLU", "dropout_op": None},
        "_kw_requires_import": ["conv_op", "nonlin", "dropout_op"],
    }
    configuration = {"preprocessor_name": "DefaultPreprocessor", "normalization_schemes": ["CTNormalization"],
                     "architecture": architecture, **fields}  # fmt: skip
    return {"label_manager": "LabelManager", "configurations": {"3d_fullres": configuration, "2d": {}}}


def test_plans_that_nnunet_writes_pass():
    check_plans(plans_of(), "mine")
    check_plans(plans_of(architecture=None, UNet_class_name="PlainConvUNet"), "mine")


def foreign(part, value):
    plans = plans_of()
    plans["configurations"]["3d_fullres"]["architecture"][part] = value
    return plans


@pytest.mark.parametrize(
    ("plans", "named"),
    [
        (foreign("network_class_name", "os.system"), "os.system"),
        (foreign("arch_kwargs", {"conv_op": "subprocess.Popen"}), "subprocess.Popen"),
        (plans_of(preprocessor_name="MyPreprocessor"), "MyPreprocessor"),
        (plans_of(normalization_schemes=["MyNormalization"]), "MyNormalization"),
        (plans_of(resampling_fn_data="download"), "download"),
        (plans_of(architecture=None, UNet_class_name="Mine"), "Mine"),
        (plans_of() | {"label_manager": "MyLabels"}, "MyLabels"),
    ],
)
def test_plans_that_name_anything_else_are_refused(plans, named):
    with pytest.raises(ModelError, match=rf"The plans of mine name {named}, .* --trust-checkpoint"):
        check_plans(plans, "mine")
