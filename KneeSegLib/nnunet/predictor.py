"""From an image to logits on its grid, by nnunetv2's own preprocessing, windows, folds and mirroring."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from KneeSegLib.errors import ModelError, ResourceError
from KneeSegLib.geometry.boxes import make_box
from KneeSegLib.nnunet.architecture import check_plans
from KneeSegLib.nnunet.checkpoint import Checkpoint, read_checkpoint
from KneeSegLib.nnunet.prediction import Logits
from KneeSegLib.nnunet.settings import TILE_STEP
from KneeSegLib.progress import Progress, no_progress, split_progress

if TYPE_CHECKING:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

    from KneeSegLib.networks.device import Device
    from KneeSegLib.nnunet.folder import ModelFolder


class Network:
    """A trained model, ready to predict; of a cascade its first stage too.

    Args:
        folder: what to load.
        device: on which to run.
        mirroring: whether to average over mirrored images, where training mirrored them.
        trusted: whether checkpoints and plans may execute and import what they like.

    Raises:
        ModelError: damaged, or it wants to execute something.
        ResourceError: nnunetv2 is not installed, or torch is too old.
    """

    def __init__(self, folder: ModelFolder, device: Device, mirroring: bool = True, trusted: bool = False) -> None:
        self.previous = Network(folder.previous, device, mirroring, trusted) if folder.previous else None
        if not trusted:
            check_plans(folder.plans, folder.title)
        self.folder = folder
        checkpoints = [read_checkpoint(path, trusted) for path in folder.checkpoints]
        self.sha256 = [checkpoint.sha256 for checkpoint in checkpoints]
        with _imports_nnunet(), contextlib.redirect_stdout(io.StringIO()):
            self._plans, self._configuration = self._read_plans()
            self._labels = self._plans.get_label_manager(folder.dataset)
            self._network = self._build_network(checkpoints)
            self._predictor = self._build_predictor(device, mirroring, checkpoints)
        self._passes = 2 ** len(checkpoints[0].mirroring_axes) if mirroring else 1

    def predict(
        self, image: np.ndarray, spacing_mm: tuple[float, float, float], progress: Progress = no_progress
    ) -> Logits:
        """Return the logits of an image.

        Args:
            image: ``(z, y, x)`` with its axes as the network was trained.
            spacing_mm: (z, y, x).

        Raises:
            Cancelled: raised by ``progress`` between two windows.
        """
        before = None
        if self.previous is not None:
            first, progress = split_progress(progress, (1, 3))
            before = self.previous.predict(image, spacing_mm, first).label()[None].astype(np.int16)
        plans, configuration = self._plans, self._configuration
        properties: dict[str, Any] = {"spacing": list(spacing_mm)}
        preprocessor = configuration.preprocessor_class(verbose=False)
        # The image is copied within.
        data, seg = preprocessor.run_case_npy(
            np.asarray(image, np.float32)[None], before, properties, plans, configuration, self.folder.dataset
        )
        if before is not None:
            from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot

            one_hot = convert_labelmap_to_one_hot(seg[0], self._labels.foreground_labels, data.dtype)
            data = np.vstack((data, one_hot))
        with self._count_windows(data.shape[1:], progress):
            logits = self._predictor.predict_logits_from_preprocessed_data(
                torch.from_numpy(np.ascontiguousarray(data))
            ).cpu()
        return self._restore(logits, properties, image.shape)

    def _restore(self, logits: torch.Tensor, properties: dict[str, Any], shape: tuple[int, ...]) -> Logits:
        """Bring logits from the network's grid and order of axes to the image's, without the background around."""
        plans, configuration = self._plans, self._configuration
        spacing = [properties["spacing"][axis] for axis in plans.transpose_forward]
        cropped = properties["shape_after_cropping_and_before_resampling"]
        own = configuration.spacing
        own = own if len(own) == len(cropped) else [spacing[0], *own]
        resampled = configuration.resampling_fn_probabilities(logits, cropped, own, spacing)
        backward = plans.transpose_backward
        values = np.asarray(resampled).transpose(0, *(axis + 1 for axis in backward))
        place = make_box(properties["bbox_used_for_cropping"][axis] for axis in backward)
        return Logits(values, place, (shape[0], shape[1], shape[2]), self._labels)

    def _read_plans(self) -> tuple[PlansManager, ConfigurationManager]:
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        plans = PlansManager(self.folder.plans)
        return plans, plans.get_configuration(self.folder.configuration)

    def _build_network(self, checkpoints: Sequence[Checkpoint]) -> torch.nn.Module:
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
        from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

        configuration, dataset = self._configuration, self.folder.dataset
        try:
            network = get_network_from_plans(
                configuration.network_arch_class_name,
                configuration.network_arch_init_kwargs,
                configuration.network_arch_init_kwargs_req_import,
                determine_num_input_channels(self._plans, configuration, dataset),
                self._labels.num_segmentation_heads,
                allow_init=False,
                deep_supervision=False,
            )
            for checkpoint in checkpoints:
                network.load_state_dict(checkpoint.weights)
        except (RuntimeError, KeyError, TypeError, ValueError, ImportError, AttributeError, AssertionError) as error:
            raise ModelError(
                f"The plans of {self.folder.title} and its weights do not fit each other ({_shorten(error)}); copy the "
                "model once more, or train it by a class of network that nnU-Net plans."
            ) from None
        return network

    def _build_predictor(self, device: Device, mirroring: bool, checkpoints: Sequence[Checkpoint]) -> nnUNetPredictor:
        """Hand plans, network and weights to nnunetv2, which would else read and execute the files itself."""
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(
            tile_step_size=TILE_STEP,
            use_mirroring=mirroring,
            perform_everything_on_device=device.torch_name == "cuda",
            device=torch.device(device.torch_name),
            allow_tqdm=False,
        )
        predictor.manual_initialization(
            self._network,
            self._plans,
            self._configuration,
            [checkpoint.weights for checkpoint in checkpoints],
            self.folder.dataset,
            checkpoints[0].trainer,
            checkpoints[0].mirroring_axes or None,
        )
        return predictor

    @contextmanager
    def _count_windows(self, shape: tuple[int, ...], progress: Progress) -> Iterator[None]:
        """Report each pass through the network to ``progress``; nnunetv2 has no call for that."""
        patch = self._configuration.patch_size
        sides = shape[len(shape) - len(patch) :]
        windows = prod(max(ceil((side - size) / (size * TILE_STEP)), 0) + 1 for side, size in zip(sides, patch))
        windows *= prod(shape[: len(shape) - len(patch)]) * len(self.folder.checkpoints) * self._passes
        done = 0

        def count(*_: Any) -> None:
            nonlocal done
            progress(min(done / windows, 1.0), f"nnU-Net: {self.folder.configuration}")
            done += 1

        hook = self._network.register_forward_pre_hook(count)
        try:
            yield
        finally:
            hook.remove()


@contextmanager
def _imports_nnunet() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ResourceError(
            f"Running nnU-Net models takes the package {error.name}, which is not installed; install it with: "
            'python -m pip install "kneeseglib[nnunet]"'
        ) from None


def _shorten(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0] if lines else type(error).__name__)[:160]
