"""The texts of a bundle: metadata as JSON, README, licences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from KneeSegLib.bundles.kinds import KINDS, Kind
from KneeSegLib.bundles.metadata import FACTS, channel_names

LICENSE = """\
Copyright (c) KneeSeg contributors

Licensed under the Apache License, Version 2.0 (the "License");
you may not use these files except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.

What the weights were derived from, and its licences: docs/data_license.txt
"""

README = Path("docs", "README.md")
DATA_LICENSE = Path("docs", "data_license.txt")
LICENSE_FILE = Path("LICENSE")

_OUTPUTS = {"latent": "Parameters of the shape layer (weights in standard deviations, then pose), in this order:"}


def as_json(content: Mapping[str, Any]) -> str:
    """Return ``content`` as a text in JSON."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write ``text`` with the same bytes on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def readme(metadata: Mapping[str, Any]) -> str:
    """Return ``docs/README.md`` in Markdown."""
    facts = metadata[FACTS]
    parts = [
        f"# {metadata['name']}",
        metadata["description"],
        f"**{facts['training_statement']}**",
        "## Input and output",
        f"{_describe_grid(facts)} Sizes: {' x '.join(_data(metadata, 'inputs')['spatial_shape'])}.",
        "Channels, in this order:",
        _numbered(channel_names(facts)),
        _OUTPUTS.get(KINDS[facts["kind"]].gives, "Classes (logits; softmax is left to the caller), in this order:"),
        _numbered(facts["classes"]),
        *_temperature(facts),
        "## Measured",
        "```json\n" + json.dumps(facts["figures"], indent=2, ensure_ascii=False) + "\n```",
        "## Made from",
        "\n".join(f"- {source['name']} ({source['licence']}): {source['use']}" for source in facts["sources"]),
        "## Use",
        _use(metadata["name"], KINDS[facts["kind"]]),
    ]
    return "\n\n".join(parts) + "\n"


def data_license(metadata: Mapping[str, Any]) -> str:
    """Return ``docs/data_license.txt``: each source with its licence and what it was used for."""
    lines = [
        "The weights were trained on images computed from the data below. The bundle contains none of it.",
        "",
    ]
    for source in metadata[FACTS]["sources"]:
        lines += [source["name"], f"    Licence: {source['licence']}", f"    Use: {source['use']}", ""]
    return "\n".join(lines)


def _use(name: str, kind: Kind) -> str:
    if kind.step:
        return f"A step of KneeSeg's pipelines (`kneeseg segment`): it {kind.step}."
    return (
        "KneeSeg's pipelines use this network (`kneeseg segment`). "
        f"`kneeseg export bundle {name} -o {name}` writes it as a standard MONAI bundle that runs without KneeSeg."
    )


def _describe_grid(facts: Mapping[str, Any]) -> str:
    if "volume" in facts:
        return f"Grid: {' x '.join(map(str, facts['volume']['shape']))} voxels over the box of the bone."
    return f"Spacing: {' x '.join(f'{value:g}' for value in facts['spacing_mm'])} mm."


def _temperature(facts: Mapping[str, Any]) -> list[str]:
    if "temperature" not in facts:
        return []
    return [f"Divide the logits by {facts['temperature']:g} before the softmax: probabilities are calibrated then."]


def _data(metadata: Mapping[str, Any], way: str) -> Mapping[str, Any]:
    return next(iter(metadata["network_data_format"][way].values()))


def _numbered(names: list[str]) -> str:
    return "\n".join(f"{position}. {name}" for position, name in enumerate(names))
