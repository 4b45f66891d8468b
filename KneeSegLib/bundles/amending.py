"""Say more about a network that is written already: its weights and their checksum stay as they are."""

from __future__ import annotations

import json
from typing import Any

from KneeSegLib.bundles import documents
from KneeSegLib.bundles.bundle import METADATA, Bundle
from KneeSegLib.bundles.metadata import FACTS, check_facts


def amend_bundle(bundle: Bundle, **facts: Any) -> Bundle:
    """Add or replace ``facts`` in our section of the metadata, and write the README anew; return the bundle, verified.

    Raises:
        ModelError: the bundle is damaged.
        ValueError: the facts do not fit the network, see :func:`KneeSegLib.bundles.metadata.check_facts`.
    """
    bundle.verify()
    described = {**bundle.metadata, FACTS: {**bundle.facts, **facts}}
    check_facts(described[FACTS], bundle.name, bundle.facts["network"])
    texts = {
        METADATA: json.dumps(described, indent=2, ensure_ascii=False) + "\n",
        "docs/README.md": documents.readme(described),
    }
    for name, text in texts.items():
        unfinished = bundle.path / f"{name}.part"
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        unfinished.replace(bundle.path / name)
    amended = Bundle(bundle.path)
    amended.verify()
    return amended
