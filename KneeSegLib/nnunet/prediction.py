"""What a model predicts on the grid of an image, as labels and as how far each leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.geometry.boxes import ArrayBox, box_shape, overlap_boxes
from KneeSegLib.geometry.orientation import AxisTurn
from KneeSegLib.nnunet.settings import LABEL_SLICES

if TYPE_CHECKING:
    from nnunetv2.utilities.label_handling.label_handling import LabelManager


@dataclass(frozen=True)
class Logits:
    """What a network predicts, on the grid of the image.

    Attributes:
        values: float ``(classes, z, y, x)`` of ``place``; outside it all is background.
        place: box of the image that is not zero, which is all that nnU-Net looks at.
        shape: ``(z, y, x)`` of the image.
        manager: nnunetv2's, which turns logits into probabilities and labels.
    """

    values: np.ndarray
    place: ArrayBox
    shape: tuple[int, int, int]
    manager: LabelManager

    def turn(self, turn: AxisTurn) -> Logits:
        """Return the same along other axes, without a copy."""
        shape = turn.values(self.shape)
        place = turn.box(self.place, self.shape)
        return replace(self, values=turn.apply(self.values), place=place, shape=(shape[0], shape[1], shape[2]))

    @property
    def channels(self) -> Mapping[int, int]:
        """The channel of each label value; a network of overlapping regions has none for the background."""
        if self.manager.has_regions:
            return {int(value): channel for channel, value in enumerate(self.manager.regions_class_order or ())}
        return {int(value): channel for channel, value in enumerate(self.manager.all_labels)}

    def label(self) -> np.ndarray:
        """Return the label map ``(z, y, x)``, uint16, as nnU-Net makes it of its logits."""
        labels = np.zeros(self.shape, np.uint16)
        inside = labels[self.place]
        for start in range(0, self.values.shape[1], LABEL_SLICES):
            rows = slice(start, start + LABEL_SLICES)
            slab = np.ascontiguousarray(self.values[:, rows])
            inside[rows] = np.asarray(self.manager.convert_logits_to_segmentation(slab))
        return labels

    def lead(self, own: Sequence[int], box: ArrayBox) -> np.ndarray:
        """Return the probability of some channels together less that of the strongest other one, float32, in a box.

        Where the network did not look it is -1.
        """
        lead = np.full(box_shape(box), -1.0, np.float32)
        common = overlap_boxes(box, self.place)
        if common is None:
            return lead
        here, there = common
        logits = np.ascontiguousarray(self.values[(slice(None), *there)])
        probabilities = np.asarray(self.manager.apply_inference_nonlin(logits))
        mine = probabilities[list(own)].sum(axis=0)
        others = [channel for channel in range(len(probabilities)) if channel not in own]
        # Regions overlap: the rival of each is that it is not there.
        rival = 1.0 - mine if self.manager.has_regions else probabilities[others].max(axis=0)
        lead[here] = mine - rival
        return lead
