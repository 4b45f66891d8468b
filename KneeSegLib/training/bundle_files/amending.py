"""Describe a network anew that is written already: its weights and their checksum stay as they are."""

from __future__ import annotations

from typing import Any

from KneeSegLib.bundles.bundle import METADATA, Bundle
from KneeSegLib.bundles.metadata import FACTS
from KneeSegLib.training.bundle_files.documents import DATA_LICENSE, README, as_json, data_license, readme, write_text
from KneeSegLib.training.bundle_files.metadata import check_facts, complete_metadata


def amend_bundle(bundle: Bundle, **facts: Any) -> Bundle:
    """Add or replace ``facts`` in our section of the metadata and write all that follows from it anew.

    What follows are MONAI's entries, the README and the sources' licences. Without facts the bundle gets what this
    version of KneeSeg writes.

    Returns:
        The bundle, verified.

    Raises:
        ModelError: the bundle is damaged.
        ValueError: the facts do not fit the network, see :func:`KneeSegLib.training.bundle_files.metadata.check_facts`.
    """
    bundle.verify()
    before = bundle.metadata
    own = {key: value for key, value in before[FACTS].items() if key not in ("network", "sha256")}
    wanted = {"version": before["version"], "description": before["description"], **own, **facts}
    network = before[FACTS]["network"]
    check_facts(wanted, bundle.name, network)
    shape = before["network_data_format"]["inputs"]["image"]["spatial_shape"]
    described = complete_metadata(wanted, network, bundle.sha256, shape)
    texts = {METADATA: as_json(described), README: readme(described), DATA_LICENSE: data_license(described)}
    for name, text in texts.items():
        unfinished = bundle.path / f"{name}.part"
        write_text(unfinished, text)
        unfinished.replace(bundle.path / name)
    amended = Bundle(bundle.path)
    amended.verify()
    return amended
