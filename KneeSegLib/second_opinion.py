"""A second pipeline on the same scan: how far it agrees, and flags where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KneeSegLib.errors import InputError
from KneeSegLib.measurements.opinions import OpinionAgreement, compare_opinions
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import AUTO, NNUNET, PIPELINES, SPECIAL_OPTIONS, PipelineInfo

if TYPE_CHECKING:
    from KneeSegLib.case import Case


@dataclass(frozen=True)
class SecondOpinion:
    """What another pipeline said of a case's scan.

    Attributes:
        pipeline: its title, or the name of an nnU-Net model.
        agreements: of every structure that either of the two found.
        provenance: of its run.
    """

    pipeline: str
    agreements: Sequence[OpinionAgreement]
    provenance: Mapping[str, Any]


def request_second_opinion(model: str, first: Request, mapping: str | None = None) -> Request:
    """Return what to ask the second pipeline for.

    Args:
        model: a pipeline's name, or a trained nnU-Net folder.
        first: what the first one was asked for. Side, quality, device and series are the same, and the edge where the
            second can draw it; networks of the user's own are not, so that these can be compared with those that come
            with KneeSeg.
        mapping: what the labels of an nnU-Net folder are; None to find it.

    Raises:
        InputError: neither a pipeline nor a folder, or the same as the first.
    """
    special = {option.name: option.default for option in fields(Request) if option.name in SPECIAL_OPTIONS}
    edge = first.edge if model in PIPELINES and first.edge in PIPELINES[model].edges else None
    common = replace(first, pipeline=AUTO, nnunet=None, mapping=None, models=None, edge=edge, **special)
    if model in PIPELINES and model not in (AUTO, NNUNET):
        request = replace(common, pipeline=model, mapping=mapping)
    elif Path(model).expanduser().exists():
        request = replace(common, pipeline=NNUNET, nnunet=model, mapping=mapping)
    else:
        known = ", ".join(name for name in PIPELINES if name not in (AUTO, NNUNET))
        raise InputError(
            f'"{model}" can give no second opinion: it is neither a folder of a trained nnU-Net model nor one of the '
            f"pipelines {known}."
        )
    if (request.pipeline, request.nnunet, None) == (first.pipeline, first.nnunet, first.models):
        raise InputError(
            "The second opinion would be the first one once more; choose another pipeline or model for it."
        )
    return request


def list_known_tissues(info: PipelineInfo, request: Request) -> set[str]:
    """Return the keys of the tissues that a pipeline looks for."""
    if info.name != NNUNET:
        return set(info.tissues)
    from KneeSegLib.nnunet.folder import find_model
    from KneeSegLib.nnunet.naming import choose_mapping

    folder = find_model(request.nnunet_folder)
    targets, _ = choose_mapping(folder, request.mapping).resolve(folder.label_names)
    return {target.tissue for target in targets.values()}


def add_second_opinion(case: Case, second: Case | str, pipeline: str, known: set[str]) -> None:
    """Compare a case with that of a second pipeline; flag structures and say in the case's warnings where they differ.

    Args:
        second: of the same scan; or the sentence that says why the second pipeline found nothing.
        pipeline: what to call the second one.
        known: keys of the tissues that both look for.
    """
    labels = case.labels * 0 if isinstance(second, str) else second.labels
    agreements = compare_opinions(case.labels, labels, known)
    provenance = {} if isinstance(second, str) else second.provenance
    case.second_opinion = SecondOpinion(pipeline, agreements, provenance)
    by_key = {found.structure.key: found for found in case.structures}
    sentences = [f"The second opinion ({pipeline}) found nothing. {second}"] if isinstance(second, str) else []
    for agreement in agreements:
        if not agreement.disagrees:
            continue
        sentence = describe_disagreement(agreement, pipeline)
        found = by_key.get(agreement.structure.key)
        if found is None:
            sentences.append(sentence)
            continue
        if found.quality is not None:
            found.quality = replace(found.quality, level="check", reasons=(*found.quality.reasons, sentence))
        name = agreement.structure.name
        sentences.append(f"Check the {name[0].lower()}{name[1:]}. {sentence}")
    case.warnings += sentences


def describe_disagreement(agreement: OpinionAgreement, pipeline: str) -> str:
    """Return in a sentence how the second opinion differs on a structure."""
    name = agreement.structure.name.lower()
    if agreement.found_by == "first":
        return f"The second opinion ({pipeline}) did not find it."
    if agreement.found_by == "second":
        return f"The {name} was found by the second opinion ({pipeline}) alone, {agreement.second_mm3 / 1000:.1f} cm3."
    x, y, z = agreement.largest_at_mm or (0.0, 0.0, 0.0)
    where = f" in its {agreement.largest_at} part" if agreement.largest_at else " in its middle"
    return (
        f"The second opinion ({pipeline}) differs by up to {agreement.largest_mm:.1f} mm{where} "
        f"(at {_letter(x, 'LR')}, {_letter(y, 'PA')}, {_letter(z, 'SI')} mm); up to {agreement.limit_mm:g} mm are "
        "taken for agreement."
    )


def describe_presence(agreement: OpinionAgreement) -> str:
    """Return in some words who found a structure, and whether it is to be checked."""
    if agreement.found_by != "both":
        other = "first" if agreement.found_by == "second" else "second"
        lacks = f"not found by the {other}" if agreement.looked_for else f"the {other} does not look for it"
        return f"check: {lacks}" if agreement.disagrees else lacks
    return "check" if agreement.disagrees else "agree"


def _letter(value: float, letters: str) -> str:
    """A coordinate as Slicer shows it: ``L 12.3``."""
    return f"{letters[0] if value >= 0 else letters[1]} {abs(value):.1f}"
