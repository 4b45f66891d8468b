"""What ``configs/inference.json`` of a bundle calls: one network, alone, on one input. Pipelines go another way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn

from KneeSegLib.bundles.bundle import Bundle
from KneeSegLib.bundles.metadata import channel_names
from KneeSegLib.errors import InputError
from KneeSegLib.io.writing import write_whole
from KneeSegLib.networks.ct_channels import slice_channels

_SLICES_AT_ONCE = 4


def with_weights(network: nn.Module, bundle_root: str | Path, device: str | torch.device = "cpu") -> nn.Module:
    """Return ``network`` with the verified weights of the bundle at ``bundle_root``, ready for inference."""
    return Bundle(Path(bundle_root).resolve()).load_into(network).to(device)


def run(network: nn.Module, bundle_root: str | Path, input_path: str | Path, output_dir: str | Path) -> Path:
    """Classify every pixel or voxel of an input and write the classes' numbers; of a shape network its parameters.

    Args:
        network: with weights.
        bundle_root: folder of the bundle.
        input_path: ``.npy`` with the network's channels, ``(C, ...)`` or ``(N, C, ...)``; or a CT image that SimpleITK
            reads, for a slice network; or empty for random numbers of the right shape.
        output_dir: where ``prediction.npy`` is written, or ``prediction.nrrd`` on the grid of an image.

    Returns:
        The file written.

    Raises:
        InputError: the input cannot be read or does not fit the network.
    """
    bundle = Bundle(Path(bundle_root).resolve())
    if not input_path:
        return _write_array(_classes(network, _random_channels(network, bundle)), output_dir)
    path = Path(input_path)
    if path.suffix == ".npy":
        return _write_array(_classes(network, _read_channels(path, bundle)), output_dir)
    return _write_image(_classes_of_image(network, bundle, path), output_dir)


def _classes(network: nn.Module, channels: torch.Tensor) -> np.ndarray:
    """Return the most probable class of each place of ``(N, C, ...)`` as ``(N, ...)``; pads sizes to the stride.

    A network that takes but one size says something about all of it; that is returned as it is, ``(N, K)`` float32.
    """
    device = next(network.parameters()).device
    if hasattr(network, "input_size"):
        if set(channels.shape[2:]) != {network.input_size}:
            raise InputError(
                f"The channels have {' x '.join(map(str, channels.shape[2:]))} voxels, expected {network.input_size} "
                "along each axis; give a crop of that size."
            )
        with torch.inference_mode():
            return network(channels.float().to(device)).cpu().numpy()
    stride = int(getattr(network, "stride", 1))
    size = channels.shape[2:]
    padding = [pad for extent in reversed(size) for pad in (0, -extent % stride)]
    padded = torch.nn.functional.pad(channels.float(), padding, mode="replicate")
    inner = (slice(None), *(slice(0, extent) for extent in size))
    with torch.inference_mode():
        classes = [network(part.to(device)).argmax(dim=1)[inner].cpu() for part in padded.split(_SLICES_AT_ONCE)]
    return torch.cat(classes).numpy().astype(np.uint8)


def _random_channels(network: nn.Module, bundle: Bundle) -> torch.Tensor:
    config = bundle.metadata["network_data_format"]["inputs"]["image"]
    edge = getattr(network, "input_size", None) or 2 * int(getattr(network, "stride", 1))
    size = [edge] * len(config["spatial_shape"])
    return torch.randn(1, config["num_channels"], *size, generator=torch.Generator().manual_seed(0))


def _read_channels(path: Path, bundle: Bundle) -> torch.Tensor:
    config = bundle.metadata["network_data_format"]["inputs"]["image"]
    axes = len(config["spatial_shape"])
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a NumPy array ({error}); give a .npy file with the network's channels."
        ) from None
    batched = array[np.newaxis] if array.ndim == axes + 1 else array
    if batched.ndim != axes + 2 or batched.shape[1] != config["num_channels"]:
        raise InputError(
            f"{path} has the shape {array.shape}; {bundle.name} takes {config['num_channels']} channels "
            f"({', '.join(channel_names(bundle.facts))}) of {axes} axes each."
        )
    return torch.from_numpy(np.ascontiguousarray(batched, dtype=np.float32))


def _classes_of_image(network: nn.Module, bundle: Bundle, path: Path) -> sitk.Image:
    if bundle.facts["kind"] != "slices":
        channels = ", ".join(channel_names(bundle.facts))
        raise InputError(f"{bundle.name} does not take an image but its channels as .npy: {channels}.")
    try:
        image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    except RuntimeError:
        raise InputError(
            f"{path} cannot be read as an image; give a CT image (NRRD, NIfTI, MHA) or a .npy file."
        ) from None
    if image.GetDimension() != 3:
        raise InputError(f"{path} has {image.GetDimension()} dimensions; a CT volume with 3 was expected.")
    offsets_mm = bundle.facts["channels"].get("neighbour_offsets_mm", ())
    gridded = _with_spacing(sitk.DICOMOrient(image, "LPS"), bundle.facts["spacing_mm"])
    volume_hu = torch.from_numpy(sitk.GetArrayFromImage(gridded))
    parts = [
        _classes(network, slice_channels(volume_hu, gridded.GetSpacing()[2], positions, offsets_mm))
        for positions in torch.arange(len(volume_hu)).split(_SLICES_AT_ONCE)
    ]
    labels = sitk.GetImageFromArray(np.concatenate(parts))
    labels.CopyInformation(gridded)
    return sitk.Resample(labels, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)


def _with_spacing(image: sitk.Image, spacing_mm: Sequence[float]) -> sitk.Image:
    lengths = zip(image.GetSize(), image.GetSpacing(), spacing_mm)
    size = [max(1, round(count * old_mm / new_mm)) for count, old_mm, new_mm in lengths]
    direction = image.GetDirection()
    return sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), tuple(spacing_mm), direction, -1000.0
    )


def _write_array(classes: np.ndarray, output_dir: str | Path) -> Path:
    path = Path(output_dir) / "prediction.npy"
    with write_whole(path) as partial:
        np.save(partial, classes)
    return path


def _write_image(classes: sitk.Image, output_dir: str | Path) -> Path:
    path = Path(output_dir) / "prediction.nrrd"
    with write_whole(path) as partial:
        sitk.WriteImage(classes, str(partial), True)
    return path
