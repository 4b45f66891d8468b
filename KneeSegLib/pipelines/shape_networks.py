"""The networks that fit shapes to femur and tibia, each with its shape model."""

from __future__ import annotations

from collections.abc import Callable

from KneeSegLib.bundles.model import Model
from KneeSegLib.io.resources import shape_models_file
from KneeSegLib.mr.shape_fit import ShapeNetwork
from KneeSegLib.pipelines.table import MR_SHAPE_BUNDLES
from KneeSegLib.shape.model_file import read_shape_models


def load_shape_networks(load: Callable[[str], Model]) -> dict[str, ShapeNetwork]:
    """Return the network and the shape model of each bone that there is one for.

    Raises:
        ModelError: one is missing, damaged, or was trained with another shape model.
    """
    models = read_shape_models(shape_models_file())
    return {bone: ShapeNetwork(load(name), models[bone]) for bone, name in MR_SHAPE_BUNDLES.items()}
