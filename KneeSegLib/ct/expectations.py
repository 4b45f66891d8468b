"""What was found against what was asked for, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from KneeSegLib.anatomy import JOINT_BONES, as_side, structure
from KneeSegLib.ct.joints import FoundJoint
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.rois import find_rois
from KneeSegLib.ct.settings import COARSE_PIXELS_MM, SIDE_GIVEN, THICK_SLICES_MM, UNCERTAIN_BELOW
from KneeSegLib.errors import AnatomyNotFoundError
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.inference.scan import Scan

ABOVE_THE_JOINT = {"hip": ("hip_bone",), "knee": ("femur", "patella"), "ankle": ("tibia", "fibula")}
"""Which of a joint's bones lie above it, the others below: a scan that ends below a joint shows those above."""


def select_legs(found: list[Leg], joints: Sequence[str], side: str, scan: Scan) -> list[Leg]:
    """Return the legs that are of the wanted side and show one of ``joints``, with their regions of interest.

    Raises:
        AnatomyNotFoundError: there is none; the sentence says what there is instead.
    """
    if not found:
        raise AnatomyNotFoundError(
            f"No hip, knee or ankle was found in '{scan.source}', expected a CT of the leg; "
            "check the image or choose another series."
        )
    shown = [leg for leg in found if set(leg.joints) & set(joints)]
    if not shown:
        raise AnatomyNotFoundError(
            f"No {_either(joints)} was found in '{scan.source}', which shows {_joints_of(found)}; "
            "choose the pipeline for that or another image."
        )
    if side == "both" and len(shown) < 2:
        raise AnatomyNotFoundError(
            f"Both legs were asked for, and '{scan.source}' shows only {_joints_of(shown)}; choose that side or "
            "--side auto."
        )
    wanted = [leg for leg in shown if side in ("auto", "both", leg.side)]
    if not wanted and len(shown) == 1 and shown[0].side_confidence < SIDE_GIVEN:
        sentence = f"Which side the leg is of is uncertain in the image; it was taken for the {side} one, as asked."
        wanted = [replace(shown[0], side=as_side(side), uncertainties=(sentence,))]
    if not wanted:
        raise AnatomyNotFoundError(
            f"No {side} leg was found in '{scan.source}', which shows {_joints_of(shown)}; choose that side or "
            "--side auto."
        )
    return [replace(leg, rois=find_rois(leg, joints, scan.grid.z)) for leg in wanted]


def describe_legs(legs: list[Leg], scan: Grid) -> list[str]:
    """Return the sentences that a user should read before trusting the result."""
    sentences = []
    slices_mm, pixel_mm = scan.z.spacing_mm, max(scan.y.spacing_mm, scan.x.spacing_mm)
    if slices_mm > THICK_SLICES_MM:
        sentences.append(
            f"The slices lie {slices_mm:.1f} mm apart: what is thinner along the leg is lost; "
            f"{THICK_SLICES_MM} mm or less are advised."
        )
    if pixel_mm > COARSE_PIXELS_MM:
        sentences.append(
            f"The pixels measure {pixel_mm:.1f} mm, which makes edges uncertain; "
            f"{COARSE_PIXELS_MM} mm or less are advised."
        )
    for leg in legs:
        sentences += leg.uncertainties
        for roi in leg.rois:
            joint = leg.joints[roi.joint]
            if joint.cut_by:
                borders = " and the ".join(joint.cut_by)
                sentences.append(
                    f"The {leg.side} {joint.name} is cut by the {borders} border of the scan: its bones end there."
                )
            if joint.confidence < UNCERTAIN_BELOW:
                sentences.append(
                    f"The {leg.side} {joint.name} was recognised with little certainty "
                    f"({joint.confidence:.0%}): check its labels."
                )
    return sentences


def require_bones(found: Collection[str], legs: list[Leg], source: str) -> None:
    """Raise ``AnatomyNotFoundError`` if the labels hold nothing; ``found`` are keys of structures."""
    if not found:
        raise AnatomyNotFoundError(
            f"'{source}' seems to show {_joints_of(legs)}, but no bone in it could be labelled; "
            "check the image or choose another series."
        )


def describe_missing(legs: list[Leg], found: Collection[str]) -> list[str]:
    """Return sentences about bones that a joint model knows, that should be there, and that the labels lack.

    They should be there where the localiser saw them, and where they belong to a joint that is in view as a whole, or
    on their side of it. ``found`` are keys of structures.
    """
    sentences = []
    for leg in legs:
        joints = [leg.joints[roi.joint] for roi in leg.rois]
        for bone in dict.fromkeys(bone for joint in joints for bone in JOINT_BONES[joint.name]):
            wanted = structure(bone, leg.side)
            in_view = [joint.name for joint in joints if bone in JOINT_BONES[joint.name] and not _cut_off(bone, joint)]
            if wanted.key in found:
                continue
            if bone in leg.bones:
                sentences.append(
                    f"The {wanted.name.lower()} seems to be in view but could not be labelled: check this leg."
                )
            elif in_view:
                sentences.append(
                    f"The {wanted.name.lower()} was not found, although the {leg.side} {in_view[0]} is in view: "
                    "check this leg."
                )
    return sentences


def _cut_off(bone: str, joint: FoundJoint) -> bool:
    """Whether a border of the scan that cuts a joint may have left one of its bones outside."""
    harmless = "lower" if bone in ABOVE_THE_JOINT[joint.name] else "upper"
    return bool(set(joint.cut_by) - {harmless})


def _joints_of(legs: list[Leg]) -> str:
    return _listed([f"the {leg.side} {joint}" for leg in legs for joint in leg.joints])


def _either(names: Sequence[str]) -> str:
    return _listed(list(names), "or")


def _listed(names: list[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
