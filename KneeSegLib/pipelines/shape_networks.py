"""The networks that fit shapes to femur and tibia, each with its shape model."""

from __future__ import annotations

from collections.abc import Callable

from KneeSegLib.bundles.kinds import BOTH_BONES, SHAPE_BONES
from KneeSegLib.bundles.model import Model
from KneeSegLib.inference.scan import Scan
from KneeSegLib.io.resources import shape_models_file
from KneeSegLib.mr.shape_boxes import SignalShapeNetwork
from KneeSegLib.mr.shape_fit import ShapeFitter, ShapeNetwork
from KneeSegLib.pipelines.table import MR_SHAPE_BUNDLES
from KneeSegLib.shape.model import ShapeModel
from KneeSegLib.shape.model_file import read_shape_models


def load_shape_networks(load: Callable[[str], Model], scan: Scan) -> dict[str, ShapeFitter]:
    """Return the network and the shape model of each bone that there is one for.

    The femur's may be one that fits both bones at once; then it serves the tibia too.

    Args:
        scan: whose grey values those see that know them.

    Raises:
        ModelError: one is missing, damaged, or was trained with another shape model.
    """
    models = read_shape_models(shape_models_file())
    networks: dict[str, ShapeFitter] = {}
    for bone, name in MR_SHAPE_BUNDLES.items():
        network = load(name)
        if network.spec.bone == BOTH_BONES:
            return {each: _choose_fitter(network, models[each], scan) for each in SHAPE_BONES}
        networks[bone] = _choose_fitter(network, models[bone], scan)
    return networks


def _choose_fitter(network: Model, model: ShapeModel, scan: Scan) -> ShapeFitter:
    if network.spec.input == "signal":
        return SignalShapeNetwork(network, model, scan)
    return ShapeNetwork(network, model)
