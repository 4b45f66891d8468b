"""Blocks of one scan that were segmented one by one, as one case: named, and checked for a patient who moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from KneeSegLib.anatomy import Side
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.measurements.continuity import describe_bend, measure_bend
from KneeSegLib.second_opinion import SecondOpinion

_JOINT_OF = {"talus": "ankle", "calcaneus": "ankle", "patella": "knee", "hip_bone": "hip"}
"""A tissue that only one block shows; what shows several of them is called after the first in this table's order."""


def join_cases(cases: Sequence[Case], failures: Sequence[str]) -> Case:
    """Return the case that holds the scans of ``cases``, from head to foot.

    Args:
        cases: of one scan each, with one frame of reference, as far as their files say.
        failures: sentences on blocks in which nothing was found.
    """
    scans = [case.scans[0] for case in cases]
    for scan, name in zip(scans, name_scans(scans)):
        scan.name = name
    titles = [f"{scan.name.capitalize()} scan" for scan in scans]
    warnings = [
        *describe_frames(scans),
        *describe_movement(scans),
        *failures,
        *(f"{title}: {sentence}" for title, case in zip(titles, cases) for sentence in case.warnings),
    ]
    joined = Case(scans, warnings, _join_provenance({scan.name: case.provenance for scan, case in zip(scans, cases)}))
    joined.second_opinion = _join_opinions(cases, scans)
    return joined


def name_scans(scans: Sequence[ScanResult]) -> list[str]:
    """Return what scans are called: by the joint that they show, and by their number where that is not enough."""
    names: list[str] = []
    for number, scan in enumerate(scans, start=1):
        seen = {found.structure.tissue.key for found in scan.structures}
        joint = next((joint for tissue, joint in _JOINT_OF.items() if tissue in seen), None)
        joint = joint or ("knee" if {"femur", "tibia"} <= seen else "block")
        names.append(joint if joint != "block" and joint not in names else f"{joint}-{number}")
    return names


def find_odd_sides(cases: Sequence[Case]) -> tuple[Side, list[int]] | None:
    """Return the side that blocks of one leg agree on, and the numbers of those that say the other; None if all agree.

    The block counts that was the surest of its side. Blocks that show both legs need no such help.
    """
    sides: list[set[Side]] = [{found.structure.side for found in case.structures} for case in cases]
    if any(len(seen) != 1 for seen in sides) or len(set.union(*sides)) == 1:
        return None
    surest = max(range(len(cases)), key=lambda number: _side_confidence(cases[number]))
    side = next(iter(sides[surest]))
    return side, [number for number, seen in enumerate(sides) if seen != {side}]


def describe_frames(scans: Sequence[ScanResult]) -> list[str]:
    """Return a warning where the blocks' files name different coordinate systems, or none."""
    frames = {scan.volume.frame_of_reference for scan in scans}
    if frames == {""}:
        return [
            f"The {len(scans)} blocks name no frame of reference (FrameOfReferenceUID): that they share one was taken "
            "from their being of one series. Do not measure lengths and axes from one block to another without "
            "checking."
        ]
    if len(frames) < 2:
        return []
    return [
        f"The {len(scans)} blocks do not share one frame of reference (FrameOfReferenceUID): the patient may have been "
        "placed anew between them. Do not measure lengths and axes from one block to another without checking."
    ]


def describe_movement(scans: Sequence[ScanResult]) -> list[str]:
    """Return a warning for each bone whose shaft does not go on in the next block where it left the one above."""
    sentences = []
    for upper, lower in zip(scans, scans[1:]):
        shared = {found.structure.key for found in lower.structures}
        for found in upper.structures:
            if found.structure.key not in shared or found.structure.tissue.key not in ("femur", "tibia"):
                continue
            bend = measure_bend(upper.labels, lower.labels, found.structure.label_value)
            if bend is not None and bend.is_odd:
                sentences.append(describe_bend(found.structure, bend, upper.name, lower.name))
    return sentences


def _side_confidence(case: Case) -> float:
    return max((leg.get("side_confidence", 0.0) for leg in case.provenance.get("legs", [])), default=0.0)


def _join_opinions(cases: Sequence[Case], scans: Sequence[ScanResult]) -> SecondOpinion | None:
    opinions = [(case.second_opinion, scan.name) for case, scan in zip(cases, scans) if case.second_opinion]
    if not opinions:
        return None
    agreements = [replace(entry, scan=name) for opinion, name in opinions for entry in opinion.agreements]
    return replace(opinions[0][0], agreements=agreements)


def _join_provenance(of_scans: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all scans have in common, their timings added up, and under ``scans`` what is of each alone."""
    first = next(iter(of_scans.values()))
    common = {
        key: value
        for key, value in first.items()
        if key not in ("timings", "date") and all(other.get(key) == value for other in of_scans.values())
    }
    timings: dict[str, float] = {}
    for provenance in of_scans.values():
        for stage, seconds in provenance.get("timings", {}).items():
            timings[stage] = timings.get(stage, 0.0) + seconds
    own = {
        name: {key: value for key, value in provenance.items() if key not in common and key not in ("timings", "date")}
        for name, provenance in of_scans.items()
    }
    return {**common, "date": first.get("date"), "timings": timings, "scans": own}
