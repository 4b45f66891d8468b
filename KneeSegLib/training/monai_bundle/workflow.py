"""``inference.json``: a slice network from NIfTI to label map, of components of MONAI, torch and ignite alone.

It says again what KneeSeg's slice stages do (:mod:`KneeSegLib.ct.joint_slices`, :mod:`KneeSegLib.mr.slices`); a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from KneeSegLib.bundles import ModelSpec
from KneeSegLib.ct.settings import HU_RANGE, OUTSIDE_HU
from KneeSegLib.mr.settings import BLUR_ACROSS_MM, THINNEST_SLICE_MM
from KneeSegLib.networks.ct_channels import BONE_WINDOW_HU
from KneeSegLib.networks.mr_channels import CEILING
from KneeSegLib.training.monai_bundle.expressions import (
    grid_entries,
    neighbouring_slices,
    percentile_scaled,
    slices_blurred,
)
from KneeSegLib.training.monai_bundle.settings import SLICES_AT_ONCE

Entry = dict[str, Any]

_LAPLACIAN = "$torch.tensor([[[0, 1, 0], [1, -4, 1], [0, 1, 0]]], dtype=torch.float32)"


def inference_workflow(spec: ModelSpec, stride: int, network: Mapping[str, Any]) -> Entry:
    """Return the content of ``inference.json``.

    Args:
        spec: of a network of the kind ``slices`` or ``mr-slices``.
        stride: of the network.
        network: entries that build the network ``network_def`` and load its weights.
    """
    ct = spec.kind == "slices"
    thinnest_mm = spec.spacing_mm[2] if ct else THINNEST_SLICE_MM
    return {
        "imports": ["$import glob", "$import math", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        **network,
        "network": "$@network_def.to(@device)",
        **grid_entries(thinnest_mm, spec.spacing_mm[0], stride),
        "preprocessing": _compose(_ct_channels(spec) if ct else _mr_channels(spec)),
        "datalist": "$[{'image': path} for path in sorted(glob.glob(os.path.join(@dataset_dir, '*.nii*')))]",
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "SliceInferer",
            "roi_size": [-1, -1],
            "spatial_dim": 0,
            "sw_batch_size": SLICES_AT_ONCE,
        },
        "postprocessing": _compose(_labels(spec, None if ct else BLUR_ACROSS_MM)),
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@evaluator.run()"],
    }


def _ct_channels(spec: ModelSpec) -> list[Entry]:
    """Transverse slices, rows backward, columns to the left: HU, bone window, its Laplacian, neighbours.

    Before they are channels, values are thousands of HU above air: what lies beyond the image is zero, and air.
    """
    neighbours = _neighbour_names(spec.neighbour_offsets_mm)
    return [
        *_loaded("SPL"),
        _range("image", HU_RANGE, _above_air(HU_RANGE)),
        _lambda("image", "@onto_network_grid"),
        *_copies("image", ["window", *neighbours]),
        _range("window", _above_air(BONE_WINDOW_HU), (0.0, 1.0)),
        *_copies("window", ["laplacian"]),
        {"_target_": "ImageFilterd", "keys": "laplacian", "kernel": _LAPLACIAN},
        *_neighbours(spec.neighbour_offsets_mm),
        _range(["image", *neighbours], (0.0, 4.0), (-1.0, 3.0)),
        _joined(["image", "window", "laplacian", *neighbours]),
    ]


def _mr_channels(spec: ModelSpec) -> list[Entry]:
    """Sagittal slices, rows upward, columns backward: signal as a fraction of its percentile, neighbours."""
    neighbours = _neighbour_names(spec.neighbour_offsets_mm)
    return [
        *_loaded("LSP"),
        _lambda("image", percentile_scaled()),
        _lambda("image", "@onto_network_grid"),
        _range("image", (0.0, CEILING), (0.0, CEILING)),
        *_copies("image", neighbours),
        *_neighbours(spec.neighbour_offsets_mm),
        _joined(["image", *neighbours]),
    ]


def _labels(spec: ModelSpec, blur_mm: float | None) -> list[Entry | str]:
    """Logits to calibrated probabilities, back onto the image's own grid, and the most probable class there."""
    blur = [] if blur_mm is None else [_lambda("pred", slices_blurred(blur_mm))]
    return [
        _lambda("pred", f"$lambda logits: logits / {spec.temperature}"),
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        *blur,
        "$lambda data: {**data, 'pred': @onto_grid_of(data['pred'], data['turned'])}",
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        {"_target_": "ResampleToMatchd", "keys": "pred", "key_dst": "scan", "mode": "nearest"},
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "labels",
            "output_ext": ".nii.gz",
            "output_dtype": "$np.uint8",
            "separate_folder": False,
            "resample": False,
        },
    ]


def _loaded(axes: str) -> list[Entry]:
    """``image`` and ``turned``: turned to the network's axes, slices, rows, columns; ``scan``: as it is in the file."""
    return [
        {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader", "ensure_channel_first": True},
        *_copies("image", ["scan"]),
        {"_target_": "Orientationd", "keys": "image", "axcodes": axes, "labels": [["L", "R"], ["P", "A"], ["I", "S"]]},
        *_copies("image", ["turned"]),
    ]


def _neighbours(offsets_mm: Sequence[float]) -> list[Entry]:
    return [_lambda(name, neighbouring_slices(mm)) for name, mm in zip(_neighbour_names(offsets_mm), offsets_mm)]


def _neighbour_names(offsets_mm: Sequence[float]) -> list[str]:
    return [f"at {offset:+g} mm" for offset in offsets_mm]


def _above_air(hu: tuple[float, float]) -> tuple[float, float]:
    return (hu[0] - OUTSIDE_HU) / 1000.0, (hu[1] - OUTSIDE_HU) / 1000.0


def _range(keys: str | list[str], old: tuple[float, float], new: tuple[float, float]) -> Entry:
    (a_min, a_max), (b_min, b_max) = old, new
    bounds = {"a_min": a_min, "a_max": a_max, "b_min": b_min, "b_max": b_max}
    return {"_target_": "ScaleIntensityRanged", "keys": keys, **bounds, "clip": True}


def _lambda(keys: str, function: str) -> Entry:
    return {"_target_": "Lambdad", "keys": keys, "func": function}


def _copies(key: str, names: list[str]) -> list[Entry]:
    return [{"_target_": "CopyItemsd", "keys": key, "times": len(names), "names": names}] if names else []


def _joined(keys: list[str]) -> Entry:
    return {"_target_": "ConcatItemsd", "keys": keys, "name": "image"}


def _compose(transforms: Sequence[Entry | str]) -> Entry:
    return {"_target_": "Compose", "transforms": list(transforms)}
