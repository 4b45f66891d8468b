"""Steps of the slice stages in MONAI's configuration language, where no transform of MONAI does the same.

Each is a ``$lambda`` over MONAI images ``(channels, slices, rows, columns)``, which know their affine and spacing.
"""

from __future__ import annotations

from typing import Any

from KneeSegLib.mr.settings import SAMPLED_VALUES as SCAN_VALUES
from KneeSegLib.networks.mr_channels import PERCENTILE_FRACTION
from KneeSegLib.networks.mr_channels import SAMPLED_VALUES as PERCENTILE_VALUES

Entry = dict[str, Any]


def grid_entries(slice_mm: float, pixel_mm: float, stride: int) -> Entry:
    """Entries of a configuration that bring an image onto the grid of a slice network and predictions back.

    The grid is that of KneeSeg's slice stages: centred on the image, slices kept where they are no thinner than
    ``slice_mm``, rows and columns ``pixel_mm`` apart and multiples of ``stride``. So is the interpolation
    (:mod:`KneeSegLib.geometry.resample`): linear, and where the new grid is coarser the average of that.

    - ``@onto_network_grid(image)``: the image there; what lies beyond it is zero.
    - ``@onto_grid_of(prediction, image)``: the prediction on the grid of the image.
    """
    return {
        "slice_mm": slice_mm,
        "pixel_mm": pixel_mm,
        # Spacing and size of the network's grid, and size of the part of it that the image covers.
        "network_spacing": "$lambda image: [p if k == 0 and p >= 0.99 * @slice_mm else mm for k, (p, mm) in "
        "enumerate(zip(image.pixdim.tolist(), [@slice_mm, @pixel_mm, @pixel_mm]))]",
        "network_size": "$lambda image: [m * math.ceil((n * p / mm - 1e-6) / m) for n, p, mm, m in "
        f"zip(image.shape[1:], image.pixdim.tolist(), @network_spacing(image), [1, {stride}, {stride}])]",
        "covered_size": "$lambda image: [size - 2 * max(math.ceil((size - n * p / mm - "
        "(1.999 if mm > 1.0001 * p else 1.001)) / 2), 0) for size, n, p, mm in "
        "zip(@network_size(image), image.shape[1:], image.pixdim.tolist(), @network_spacing(image))]",
        # Weights (size, n) along one axis between centred grids, the new one with `ratio` times the spacing.
        "tent_integral": "$lambda t: torch.where(t < 0, (1 + t.clamp(-1, 0)) ** 2 / 2, "
        "1 - (1 - t.clamp(0, 1)) ** 2 / 2)",
        "reached": "$lambda t, width: @tent_integral(t + width / 2) - @tent_integral(t - width / 2)",
        "places": "$lambda n, size, ratio: (n - 1) / 2 + ratio * (torch.arange(size, dtype=torch.float64) "
        "- (size - 1) / 2)",
        "weights": "$lambda n, size, ratio: torch.nn.functional.normalize(@reached(@places(n, size, ratio)[:, None] - "
        "torch.arange(n), max(ratio - 1, 1e-6)), p=1, dim=1).float()",
        "resample": "$lambda image, size, ratios: monai.data.MetaTensor(torch.einsum('cijk,ai,bj,dk->cabd', "
        "image.as_tensor(), *[@weights(*axis).to(image.device) for axis in zip(image.shape[1:], size, ratios)]), "
        "affine=np.linalg.multi_dot([image.affine.cpu().numpy(), "
        "monai.transforms.create_translate(3, [(n - 1) / 2 for n in image.shape[1:]]), "
        "monai.transforms.create_scale(3, ratios), "
        "monai.transforms.create_translate(3, [(1 - n) / 2 for n in size])]), meta=image.meta)",
        "onto_network_grid": "$lambda image: monai.transforms.SpatialPad(@network_size(image))(@resample(image, "
        "@covered_size(image), [mm / p for mm, p in zip(@network_spacing(image), image.pixdim.tolist())]))",
        "onto_grid_of": "$lambda prediction, image: @resample(prediction, image.shape[1:], "
        "(image.pixdim / prediction.pixdim).tolist())",
    }


def neighbouring_slices(offset_mm: float) -> str:
    """The slices that lie ``offset_mm`` further along the slices' axis, interpolated; the last ones are repeated."""
    return (
        "$lambda image: monai.transforms.SpatialResample(padding_mode='border', dtype=torch.float32)(image, "
        f"dst_affine=image.affine.numpy().dot(monai.transforms.create_translate(3, [{offset_mm} / "
        "float(image.pixdim[0]), 0, 0])), spatial_size=image.shape[1:])"
    )


def percentile_scaled() -> str:
    """An image ``(1, x, z, y)`` as a fraction of its intensity percentile, from the same voxels as in KneeSeg."""
    return (
        "$lambda image: (lambda some: image / max(float(torch.quantile("
        f"some[::max(len(some) // {PERCENTILE_VALUES}, 1)], {PERCENTILE_FRACTION})), 1e-6))"
        f"(image.as_tensor()[0].permute(1, 2, 0).flatten()[::max(image.numel() // {SCAN_VALUES}, 1)])"
    )


def slices_blurred(sigma_mm: float) -> str:
    """Predictions averaged a little with those of the slices beside them; the first and the last slice are left."""
    kernels = "[torch.tensor([beside, 1.0, beside]) / (1 + 2 * beside), torch.ones(1), torch.ones(1)]"
    return (
        f"$lambda image: (lambda beside: torch.cat([image[:, :1], monai.networks.layers.separable_filtering("
        f"image[None], {kernels})[0, :, 1:-1], image[:, -1:]], dim=1) if image.shape[1] > 2 else image)"
        f"(math.exp(-0.5 * (float(image.pixdim[0]) / {sigma_mm}) ** 2))"
    )
