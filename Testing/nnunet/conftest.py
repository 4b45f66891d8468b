"""Small nnU-Net folders, made and trained for a few steps by nnunetv2's own classes, and scans as they were trained on.

They have the data set names, labels, plans, folds and file names of the published models. Each structure has a grey
value of its own, so that a few steps suffice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

SPACING_MM = 3.0
SHAPE = (40, 40, 64)
FEATURES = 32

MOOSE = {
    "femur_left": 5, "femur_right": 6, "fibula_left": 7, "fibula_right": 8, "patella_left": 17, "patella_right": 18,
    "tarsal_left": 24, "tarsal_right": 25, "tibia_left": 26, "tibia_right": 27,
}  # fmt: skip
OPENMSK = ("pat_cart", "fem_cart", "med_tib_cart", "lat_tib_cart", "med_meniscus", "lat_meniscus", "femur", "tibia",
           "patella")  # fmt: skip
TOTALSEGMENTATOR = ("humerus_left", "humerus_right", "scapula_left", "scapula_right", "clavicula_left",
                    "clavicula_right", "femur_left", "femur_right", "hip_left", "hip_right", "spinal_cord")  # fmt: skip


@dataclass
class Leg:
    """Boxes ``(z, y, x)`` of the parts of one leg around x = 0, in voxels; lateral is towards +x."""

    boxes: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = field(
        default_factory=lambda: {
            "hip": ((36, 39), (12, 26), (-12, -6)),
            "femur": ((22, 36), (14, 24), (-5, 6)),
            "fem_cart": ((20, 22), (14, 24), (-5, 6)),
            "med_meniscus": ((18, 20), (14, 24), (-5, -1)),
            "lat_meniscus": ((18, 20), (14, 24), (2, 6)),
            "med_tib_cart": ((16, 18), (14, 24), (-5, 0)),
            "lat_tib_cart": ((16, 18), (14, 24), (0, 6)),
            "tibia": ((6, 16), (14, 24), (-5, 6)),
            "fibula": ((6, 14), (18, 23), (8, 12)),
            "pat_cart": ((22, 30), (10, 12), (-3, 4)),
            "patella": ((22, 30), (6, 10), (-3, 4)),
            "tarsal": ((2, 5), (12, 26), (-5, 6)),
        }
    )


MIDDLES = {"right": 16, "left": 48}


def draw_labels(names: dict[str, int], legs: tuple[str, ...] = ("right", "left")) -> np.ndarray:
    """Draw legs ``(z, y, x)`` along the patient's axes; x runs from the patient's right to the left."""
    labels = np.zeros(SHAPE, np.uint8)
    for side in legs:
        for name, (z, y, x) in Leg().boxes.items():
            value = names.get(f"{name}_{side}", names.get(name))
            if value is None:
                continue
            # Lateral is towards the patient's right on the right leg.
            first, last = (MIDDLES[side] - x[1] + 1, MIDDLES[side] - x[0] + 1) if side == "right" else (
                MIDDLES[side] + x[0], MIDDLES[side] + x[1])  # fmt: skip
            labels[slice(*z), slice(*y), first:last] = value
    return labels


def render(labels: np.ndarray, ct: bool, seed: int = 0) -> np.ndarray:
    """Return an image in which each label has a grey value of its own."""
    random = np.random.default_rng(seed)
    values = np.unique(labels[labels != 0])
    image = np.zeros(labels.shape, np.float32)
    image += 40.0 if ct else 100.0
    for place, value in enumerate(values):
        image[labels == value] = (300.0 + 120.0 * place) if ct else (250.0 + 100.0 * place)
    if ct:
        image[:, :3] = -1000.0
    image += random.normal(0.0, 5.0, labels.shape)
    return image.astype(np.float32)


def as_image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((SPACING_MM,) * 3)
    image.SetOrigin((-90.0, -60.0, 5.0))
    return image


@dataclass
class Recipe:
    """What a model is made of."""

    dataset: str
    labels: dict[str, int]
    ct: bool
    configurations: tuple[str, ...] = ("3d_fullres",)
    residual: bool = False
    trainer: str = "nnUNetTrainer"
    plans: str = "nnUNetPlans"
    checkpoint: str = "checkpoint_final.pth"
    folds: tuple[int | str, ...] = (0,)
    orientation: str = "LPS"
    mirroring: tuple[int, ...] | None = None
    steps: int = 2
    legs: tuple[str, ...] = ("right", "left")


OWN = {"femur": 1, "tibia": 2, "fibula": 3, "patella": 4}

MOOSE_RECIPE = Recipe("Dataset666_Peripheral-Bones", MOOSE, ct=True, trainer="nnUNetTrainer_2000epochs_NoMirroring",
                      orientation="RAS")  # fmt: skip
OPENMSK_RECIPE = Recipe("Dataset500_KneeMRI", {name: value for value, name in enumerate(OPENMSK, start=1)}, ct=False,
                        configurations=("3d_lowres", "3d_cascade_fullres"), residual=True,
                        plans="nnUNetResEncUNetMPlans", checkpoint="checkpoint_best.pth", legs=("left",))  # fmt: skip
TOTALSEGMENTATOR_RECIPE = Recipe("Dataset294_TotalSegmentator_part4_muscles_1559subj",
                                 {name: value for value, name in enumerate(TOTALSEGMENTATOR, start=1)}, ct=True,
                                 trainer="nnUNetTrainerNoMirroring", orientation="RAS")  # fmt: skip
OWN_RECIPE = Recipe("Dataset042_Mine", OWN, ct=True, configurations=("2d",), folds=(1, 3), mirroring=(0, 1))


def scan_of(recipe: Recipe, seed: int = 1) -> tuple[sitk.Image, np.ndarray]:
    """A scan that the model of a recipe can segment, and the recipe's own labels of it."""
    labels = draw_labels(recipe.labels, recipe.legs)
    return as_image(render(labels, recipe.ct, seed)), labels


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Path]:
    """The folders of data sets with a trained model each, by the name of the recipe."""
    pytest.importorskip("nnunetv2")
    root = tmp_path_factory.mktemp("nnUNet_results")
    recipes = {"moose": MOOSE_RECIPE, "openmsk": OPENMSK_RECIPE, "totalsegmentator": TOTALSEGMENTATOR_RECIPE,
               "own": OWN_RECIPE}  # fmt: skip
    return {name: make_model(root, recipe) for name, recipe in recipes.items()}


def make_plans(recipe: Recipe, image: np.ndarray, labels: np.ndarray) -> dict:
    """Return plans as nnU-Net's planner writes them, for tiny networks."""
    inside = image[labels != 0]
    properties = {"mean": float(inside.mean()), "std": float(inside.std()), "min": float(inside.min()),
                  "max": float(inside.max()), "median": float(np.median(inside)),
                  "percentile_00_5": float(np.percentile(inside, 0.5)),
                  "percentile_99_5": float(np.percentile(inside, 99.5))}  # fmt: skip

    def configuration(name: str) -> dict:
        dims = 2 if name == "2d" else 3
        spacing = [SPACING_MM * (2 if name == "3d_lowres" else 1)] * dims
        architecture = {
            "n_stages": 2, "features_per_stage": [FEATURES, 8], "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
            "kernel_sizes": [[1] * dims] * 2, "strides": [[1] * dims, [2] * dims],
            "n_blocks_per_stage" if recipe.residual else "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1],
            "conv_bias": True, "norm_op": f"torch.nn.modules.batchnorm.BatchNorm{dims}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
        }  # fmt: skip
        network = "ResidualEncoderUNet" if recipe.residual else "PlainConvUNet"
        entry = {
            "data_identifier": f"{recipe.plans}_{name}", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
            "patch_size": [32] * dims, "median_image_size_in_voxels": list(SHAPE)[-dims:], "spacing": spacing,
            "normalization_schemes": ["CTNormalization" if recipe.ct else "ZScoreNormalization"],
            "use_mask_for_norm": [False],
            **{f"resampling_fn_{what}": "resample_data_or_seg_to_shape" for what in ("data", "seg", "probabilities")},
            "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
            "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
            "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
            "architecture": {
                "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
                "arch_kwargs": architecture,
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
            "batch_dice": False,
        }  # fmt: skip
        return entry

    configurations = {name: configuration(name) for name in recipe.configurations if name != "3d_cascade_fullres"}
    if "3d_cascade_fullres" in recipe.configurations:
        configurations["3d_lowres"]["next_stage"] = "3d_cascade_fullres"
        configurations.setdefault("3d_fullres", configuration("3d_fullres"))
        configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    return {
        "dataset_name": recipe.dataset, "plans_name": recipe.plans,
        "original_median_spacing_after_transp": [SPACING_MM] * 3, "original_median_shape_after_transp": list(SHAPE),
        "image_reader_writer": "SimpleITKIO", "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
        "configurations": configurations, "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager", "foreground_intensity_properties_per_channel": {"0": properties},
    }  # fmt: skip


def make_model(root: Path, recipe: Recipe) -> Path:
    """Train each configuration for some steps and save it as nnU-Net does; returns the folder of the data set."""
    import nnunetv2.training.nnUNetTrainer.nnUNetTrainer as training
    import torch
    from batchgenerators.utilities.file_and_folder_operations import save_json
    from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    training.nnUNet_results = str(root)
    training.nnUNet_preprocessed = str(root / "preprocessed")
    # nnunetv2 2.5 hands torch's schedulers an argument that torch 2.7 and later do not know.
    trainer_class = type(recipe.trainer, (training.nnUNetTrainer,), {"configure_optimizers": choose_optimizer})
    labels = draw_labels(recipe.labels, recipe.legs)
    image = render(labels, recipe.ct)
    highest = max(recipe.labels.values())
    named = {value: name for name, value in recipe.labels.items()}
    dataset = {
        "channel_names": {"0": "CT" if recipe.ct else "MR"}, "file_ending": ".nii.gz", "numTraining": 1,
        "labels": {"background": 0, **{named.get(v, f"label {v}"): v for v in range(1, highest + 1)}},
    }  # fmt: skip
    plans = make_plans(recipe, image, labels)
    flips = {"LPS": (1, 1, 1), "RAS": (1, -1, -1)}[recipe.orientation]
    view = tuple(slice(None, None, flip) for flip in flips)
    for name in recipe.configurations:
        for fold in recipe.folds:
            torch.manual_seed(0)
            trainer = trainer_class(plans, name, fold, dataset, device=torch.device("cpu"))
            trainer.initialize()
            manager, configuration = PlansManager(plans), trainer.configuration_manager
            preprocessor = configuration.preprocessor_class(verbose=False)
            turned = image[view][None], labels[view][None].astype(np.int16)
            properties = {"spacing": [SPACING_MM] * 3}
            data, seg = preprocessor.run_case_npy(*turned, properties, manager, configuration, dataset)
            if trainer.is_cascaded:
                before = convert_labelmap_to_one_hot(seg[0], trainer.label_manager.foreground_labels, data.dtype)
                data = np.vstack((data, before))
            trainer.inference_allowed_mirroring_axes = recipe.mirroring
            train(trainer, data, seg, recipe.steps)
            folder = Path(trainer.output_folder)
            save_json(plans, str(folder.parent / "plans.json"), sort_keys=False)
            save_json(dataset, str(folder.parent / "dataset.json"), sort_keys=False)
            trainer.save_checkpoint(str(folder / recipe.checkpoint))
    return root / recipe.dataset


def choose_optimizer(trainer):
    """nnU-Net's optimiser at a rate that does no harm."""
    import torch

    optimizer = torch.optim.SGD(trainer.network.parameters(), 1e-5)
    return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)


def train(trainer, data: np.ndarray, seg: np.ndarray, steps: int) -> None:
    """Tell the network the grey value of each label, then take some of nnU-Net's own training steps."""
    import torch

    dims = len(trainer.configuration_manager.patch_size)
    trainer.set_deep_supervision_enabled(False)
    trainer.enable_deep_supervision = False
    trainer.loss = trainer._build_loss()
    tell_values(trainer.network, {int(value): float(data[0][seg[0] == value].mean())
                                  for value in np.unique(seg[seg > 0])}, float(np.median(data[0])))  # fmt: skip
    window = (slice(None), *(slice(0, min(size // 4 * 4, 16)) for size in data.shape[1:]))
    image, target = (torch.from_numpy(array[window].astype(np.float32)) for array in (data, seg))
    if dims == 2:
        image, target = image.transpose(0, 1)[:4], target.transpose(0, 1)[:4]
    else:
        image, target = image[None], target[None]
    trainer.network.eval()
    for _ in range(steps):
        trainer.train_step({"data": image, "target": target.clamp(min=0)})
    trainer.logger.my_fantastic_logging["train_losses"].append(np.float32(0.1))
    trainer._best_ema = np.float64(0.9)


def tell_values(network, means: dict[int, float], background: float) -> None:
    """Set weights so that the most probable label is that whose grey value is nearest, each by itself as of a pixel.

    Two features of each label rise with the distance from its value, above and below; the last layer takes their sum.
    """
    import torch

    with torch.no_grad():
        for name, weights in network.named_parameters():
            # Normalisation by the running mean and deviation, which are still 0 and 1, changes nothing.
            weights.fill_(1.0 if "norm.weight" in name else 0.0)
        encoder, decoder = network.encoder, network.decoder
        first = (getattr(encoder, "stem", None) or encoder.stages[0][0]).convs[0].conv
        through, last = decoder.stages[-1].convs[0].conv, decoder.seg_layers[-1]
        for feature in range(FEATURES):
            through.weight[feature, FEATURES + feature] = 1.0
        last.bias[:] = -200.0
        last.bias[0] = 0.0
        first.weight[0, 0], first.bias[0] = 1.0, -background
        last.weight[0, 0] = -20.0
        for place, (value, mean) in enumerate(means.items()):
            above, below = 1 + 2 * place, 2 + 2 * place
            first.weight[above, 0], first.bias[above] = 1.0, -mean
            first.weight[below, 0], first.bias[below] = -1.0, mean
            last.bias[value] = 0.0
            last.weight[value, above] = last.weight[value, below] = -20.0
