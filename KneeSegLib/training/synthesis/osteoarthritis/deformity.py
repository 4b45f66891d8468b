"""How a worn knee is deformed: bent, its tibia turned and shifted, until the bones of one compartment touch.

Every mapping goes from a place in the picture to the place of the prepared knee that is seen there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.osteoarthritis.parts import FEMUR, PATELLA, SHANK, KneeParts
from KneeSegLib.training.synthesis.osteoarthritis.settings import (
    BEND_MM,
    BISECTIONS,
    MIDDLE_MM,
    MOST_MOVED_MM,
    PATELLA_PROBED_MM,
    PROBE_MM,
    PROBED_MM,
    STIFF_MM,
    Osteoarthritis,
)


@dataclass(frozen=True)
class Deformity:
    """Of a right knee, whose medial side is the one of larger x; angles are positive in varus.

    Attributes:
        joint_mm: (z, y, x), about which the tibia turns.
        bent_degrees: of femur and tibia each, beside the joint.
        worn_degrees: of the tibia against the femur.
        tibia_mm: (z, y, x), how far the tibia is moved.
        patella_mm: how far the patella is moved backward, onto the femur.
    """

    joint_mm: torch.Tensor
    bent_degrees: float
    worn_degrees: float
    tibia_mm: tuple[float, float, float]
    patella_mm: float = 0.0

    def find_in_femur(self, points_mm: torch.Tensor) -> torch.Tensor:
        """Map places ``(..., 3)`` to those of the prepared femur."""
        away = (points_mm[..., 0] - self.joint_mm[0]).abs() - STIFF_MM
        bent = away.clamp(0.0, BEND_MM) ** 2 / (2.0 * BEND_MM) + (away - BEND_MM).clamp(min=0.0)
        sideways = points_mm[..., 2] - math.tan(math.radians(self.bent_degrees)) * bent
        return torch.stack([points_mm[..., 0], points_mm[..., 1], sideways], dim=-1)

    def find_in_patella(self, points_mm: torch.Tensor) -> torch.Tensor:
        """Map places ``(..., 3)`` to those of the prepared patella."""
        return self.find_in_femur(points_mm) - torch.tensor([0.0, self.patella_mm, 0.0])

    def find_in_shank(self, points_mm: torch.Tensor) -> torch.Tensor:
        """Map places ``(..., 3)`` to those of the prepared tibia and fibula."""
        away = points_mm - torch.tensor(self.tibia_mm) - self.joint_mm
        c, s = math.cos(math.radians(self.worn_degrees)), math.sin(math.radians(self.worn_degrees))
        up, front, across = away.unbind(-1)
        turned = torch.stack([c * up - s * across, front, c * across + s * up], dim=-1)
        return self.find_in_femur(turned + self.joint_mm)


def draw_deformity(parts: KneeParts, disease: Osteoarthritis, generator: torch.Generator) -> Deformity:
    """Draw a deformity in which bone lies on bone: in the inner compartment in varus, in the outer one in valgus."""
    side = -1.0 if chance(disease.valgus_probability, generator) else 1.0
    total = uniform(disease.deviation_degrees, generator)
    worn = min(total, uniform((0.0, disease.worn_degrees), generator))
    shift = uniform(disease.shift_mm, generator)
    forward = 0.5 * shift * uniform((-1.0, 1.0), generator)
    # In varus the tibia moves outward, to smaller x.
    open_knee = Deformity(parts.joint_mm, side * 0.5 * (total - worn), side * worn, (0.0, forward, -side * shift))
    joint = _make_probes(parts.joint_mm, PROBED_MM)
    compartment = joint[side * (joint[:, 2] - parts.joint_mm[2]) > MIDDLE_MM]
    femur_mm = parts.measure_near(FEMUR, open_knee.find_in_femur(compartment))

    def move_tibia(up_mm: float) -> Deformity:
        return replace(open_knee, tibia_mm=(up_mm, *open_knee.tibia_mm[1:]))

    def measure_gap(up_mm: float) -> float:
        shank_mm = parts.measure_near(SHANK, move_tibia(up_mm).find_in_shank(compartment))
        return float((femur_mm + shank_mm).min())

    closed = move_tibia(_find_contact(measure_gap, -uniform(disease.attrition_mm, generator)))
    if not chance(disease.patellofemoral_probability, generator):
        return closed
    front = _make_probes(parts.joint_mm, PATELLA_PROBED_MM)
    behind_mm = parts.measure_near(FEMUR, closed.find_in_femur(front))

    def measure_patellar_gap(back_mm: float) -> float:
        return float((behind_mm + parts.measure_near(PATELLA, moved(back_mm).find_in_patella(front))).min())

    def moved(back_mm: float) -> Deformity:
        return replace(closed, patella_mm=back_mm)

    return moved(_find_contact(measure_patellar_gap, -0.5 * uniform(disease.attrition_mm, generator)))


def _make_probes(middle_mm: torch.Tensor, half_mm: Sequence[float]) -> torch.Tensor:
    """Return points ``(N, 3)`` of a regular block around a place."""
    axes = [torch.arange(-half, half + PROBE_MM, PROBE_MM) for half in half_mm]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3) + middle_mm


def _find_contact(measure_gap: Callable[[float], float], wanted_mm: float) -> float:
    """Return how far a bone has to be moved until the gap is ``wanted_mm``; the gap falls with the way."""
    low, high = MOST_MOVED_MM
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if measure_gap(middle) > wanted_mm else (low, middle)
    return 0.5 * (low + high)
