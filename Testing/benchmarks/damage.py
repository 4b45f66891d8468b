"""What can go wrong with a scan before anyone segments it: each damage takes a scan with its truth and spoils the scan.

Where a damage changes what is in view (slices, crops), the truth follows. Where it only spoils the picture (noise,
motion, metal, blank parts) the truth stays: that is what a result is measured against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

AIR_HU, SOFT_HU, METAL_HU = -1000.0, 40.0, 3071.0


HALF_HEIGHT_MM = 90.0
"""All of a joint, in a third of the time that a whole person takes. Prepared bones end somewhere further away, as no
bone does; who sees that takes them for too small."""


@dataclass(frozen=True)
class Scan:
    """A scan and its truth.

    Attributes:
        hu: float32 [z, y, x], z from feet to head, y from front to back.
        labels: uint8 [z, y, x], label values of :mod:`KneeSegLib.anatomy`.
        spacing_mm: (z, y, x).
        upside_down: the header says that the feet are where the head is, and the front where the back is.
    """

    hu: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float, float]
    upside_down: bool = False

    @classmethod
    def of(cls, image: sitk.Image, labels: sitk.Image) -> Scan:
        """Take two images whose axes run along LPS."""
        hu = sitk.GetArrayFromImage(image).astype(np.float32)
        return cls(hu, sitk.GetArrayFromImage(labels), tuple(reversed(image.GetSpacing())))

    def images(self) -> tuple[sitk.Image, sitk.Image]:
        """Return the scan (int16, HU) and its truth as images on one grid."""
        hu = np.clip(np.rint(self.hu), -1024.0, METAL_HU).astype(np.int16)
        images = tuple(sitk.GetImageFromArray(array) for array in (hu, self.labels))
        for image in images:
            image.SetSpacing(tuple(reversed(self.spacing_mm)))
            if self.upside_down:
                image.SetDirection((1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0))
        return images

    def part(self, axis: int, start: int, stop: int) -> Scan:
        """Return the slices ``start`` to ``stop`` (exclusive) along an axis."""
        kept = [slice(None)] * 3
        kept[axis] = slice(start, stop)
        return replace(self, hu=self.hu[tuple(kept)], labels=self.labels[tuple(kept)])

    def middle_of_bones(self) -> tuple[int, int, int]:
        """Return the voxel in the middle of the labelled bones' box."""
        (box,) = ndimage.find_objects((self.labels > 0).astype(np.uint8))
        return tuple((bounds.start + bounds.stop) // 2 for bounds in box)

    def around_the_joint(self) -> Scan:
        """Cut to :data:`HALF_HEIGHT_MM` above and below the middle of the bones."""
        middle, half = self.middle_of_bones()[0], round(HALF_HEIGHT_MM / self.spacing_mm[0])
        return self.part(0, max(middle - half, 0), min(middle + half, len(self.hu)))


Damage = Callable[[Scan, np.random.Generator], Scan]


def noise(sigma_hu: float) -> Damage:
    """White noise."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        return replace(scan, hu=scan.hu + random.normal(0.0, sigma_hu, scan.hu.shape).astype(np.float32))

    return damage


def blur(sigma_mm: float) -> Damage:
    """A Gaussian in all directions."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        sigma = [sigma_mm / step for step in scan.spacing_mm]
        return replace(scan, hu=ndimage.gaussian_filter(scan.hu, sigma))

    return damage


def thick_slices(thickness_mm: float) -> Damage:
    """Slices averaged to about ``thickness_mm``, a whole number of those there are; the truth is the middle one's."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        together = max(round(thickness_mm / scan.spacing_mm[0]), 1)
        count = len(scan.hu) // together
        hu = scan.hu[: count * together].reshape(count, together, *scan.hu.shape[1:]).mean(axis=1)
        labels = scan.labels[together // 2 : count * together : together]
        return Scan(hu, labels, (scan.spacing_mm[0] * together, *scan.spacing_mm[1:]))

    return damage


def sudden_motion(distance_mm: float) -> Damage:
    """The patient moves once, in the middle of the largest bone: above everything lies elsewhere.

    The truth of bones that moved whole moves with them; that of those which were torn stays.
    """

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        shift = [round(distance_mm / np.sqrt(2.0) / step) * random.choice((-1, 1)) for step in scan.spacing_mm[1:]]
        largest = int(np.bincount(scan.labels.ravel())[1:].argmax()) + 1
        heights = np.flatnonzero((scan.labels == largest).any(axis=(1, 2)))
        level = int(heights[len(heights) // 2])
        hu, labels = scan.hu.copy(), scan.labels.copy()
        hu[level:] = np.roll(hu[level:], shift, axis=(1, 2))
        whole = ~np.isin(labels[level:], np.unique(labels[:level]))
        moved = np.roll(np.where(whole, labels[level:], 0), shift, axis=(1, 2))
        labels[level:][whole] = 0
        labels[level:][moved > 0] = moved[moved > 0]
        return replace(scan, hu=hu, labels=labels)

    return damage


def trembling(distance_mm: float) -> Damage:
    """Every slice lies elsewhere, by a normal amount in either direction."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        hu = scan.hu.copy()
        for index, amount in enumerate(random.normal(0.0, distance_mm, (len(hu), 2))):
            shift = [round(mm / step) for mm, step in zip(amount, scan.spacing_mm[1:])]
            hu[index] = np.roll(hu[index], shift, axis=(0, 1))
        return replace(scan, hu=hu)

    return damage


def metal(radius_mm: float, streaks_hu: float) -> Damage:
    """A rod along the leg through a bone, with bright and dark streaks in its slices and a shadow around it."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        middle = scan.middle_of_bones()[0]
        rows, columns = np.nonzero(scan.labels[middle] > 0)
        chosen = random.integers(len(rows))
        y, x = (
            (np.arange(size) - place) * step
            for size, place, step in zip(scan.hu.shape[1:], (rows[chosen], columns[chosen]), scan.spacing_mm[1:])
        )
        distance, angle = np.hypot(y[:, None], x[None, :]), np.arctan2(y[:, None], x[None, :])
        fan = sum(np.cos(waves * angle + random.uniform(0.0, 2.0 * np.pi)) for waves in (2, 3, 7, 11)) / 2.0
        spoilt = streaks_hu * (fan - 0.5) * np.exp(-np.maximum(distance - radius_mm, 0.0) / 40.0)
        hu, half = scan.hu.copy(), round(35.0 / scan.spacing_mm[0])
        high = slice(max(middle - half, 0), middle + half)
        hu[high] += spoilt
        hu[high, distance < radius_mm] = METAL_HU
        return replace(scan, hu=hu)

    return damage


def cut_lengthwise(scan: Scan, random: np.random.Generator) -> Scan:
    """The field of view ends in the middle of the bones, on one side of the leg."""
    middle = scan.middle_of_bones()[2]
    return scan.part(2, middle, scan.hu.shape[2]) if random.integers(2) else scan.part(2, 0, middle)


def cut_across(scan: Scan, random: np.random.Generator) -> Scan:
    """The scan begins or ends in the joint."""
    middle = scan.middle_of_bones()[0]
    return scan.part(0, middle, len(scan.hu)) if random.integers(2) else scan.part(0, 0, middle)


def scaled(factor: float, offset_hu: float = 0.0) -> Damage:
    """A wrong rescale slope, and intercept, around water."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        return replace(scan, hu=scan.hu * factor + offset_hu)

    return damage


def clipped(low_hu: float, high_hu: float) -> Damage:
    """Exported as seen in a window."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        return replace(scan, hu=np.clip(scan.hu, low_hu, high_hu))

    return damage


def half_blank(scan: Scan, random: np.random.Generator) -> Scan:
    """Half of every slice was lost and holds zeros."""
    hu, middle = scan.hu.copy(), scan.middle_of_bones()[2]
    hu[..., slice(0, middle) if random.integers(2) else slice(middle, None)] = 0.0
    return replace(scan, hu=hu)


def lost_slices(length_mm: float) -> Damage:
    """A stretch in the middle of the bones is missing, and what is left was put together without a gap."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        middle, half = scan.middle_of_bones()[0], round(length_mm / scan.spacing_mm[0] / 2.0)
        kept = np.r_[0 : middle - half, middle + half : len(scan.hu)]
        return replace(scan, hu=scan.hu[kept], labels=scan.labels[kept])

    return damage


def upside_down(scan: Scan, random: np.random.Generator) -> Scan:
    """The header has the feet where the head is."""
    return replace(scan, upside_down=True)


def osteoporosis(left: float) -> Damage:
    """Of what bone has more than soft tissue, only a share is left."""

    def damage(scan: Scan, random: np.random.Generator) -> Scan:
        denser = np.maximum(scan.hu - SOFT_HU, 0.0) * (ndimage.grey_dilation(scan.labels, (3, 3, 3)) > 0)
        return replace(scan, hu=scan.hu - (1.0 - left) * denser)

    return damage


def _nothing(scan: Scan, random: np.random.Generator) -> Scan:
    return scan


DAMAGES: dict[str, Damage] = {
    "none": _nothing,
    "noise 150 HU": noise(150.0),
    "noise 300 HU": noise(300.0),
    "blur 1.5 mm": blur(1.5),
    "blur 3 mm": blur(3.0),
    "slices 3 mm": thick_slices(3.0),
    "slices 5 mm": thick_slices(5.0),
    "moved once, 8 mm": sudden_motion(8.0),
    "trembling 2 mm": trembling(2.0),
    "metal": metal(7.0, 900.0),
    "cut lengthwise": cut_lengthwise,
    "cut across the joint": cut_across,
    "HU halved": scaled(0.5),
    "HU shifted by 300": scaled(1.0, 300.0),
    "window -200..400": clipped(-200.0, 400.0),
    "half blank": half_blank,
    "25 mm lost": lost_slices(25.0),
    "upside down": upside_down,
    "osteoporosis": osteoporosis(0.3),
    "severe osteoporosis": osteoporosis(0.12),
}
