"""Signal of tissue in steady state, from relaxation times and not chosen by eye.

Both echoes of double-echo steady state (DESS) follow the signals of Hänicke and Vogel, Magn. Reson. Med. 7,
1988; the image is their sum. Balanced steady state follows Scheffler and Lehnhardt, European Radiology 13, 2003.
Diffusion, flow and magnetisation transfer are left out: the first two make fluid less bright than this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class DessProtocol:
    """A sequence; the defaults but the last are the Osteoarthritis Initiative's.

    Source: Peterfy et al., Osteoarthritis and Cartilage 16, 2008; table 1 of PMC5871621.

    Attributes:
        fat_left: fraction of fat's signal that the excitation of water leaves, a guess.
    """

    repetition_ms: float = 16.3
    echo_ms: float = 4.7
    flip_degrees: float = 25.0
    fat_left: float = 0.12


@dataclass(frozen=True)
class Tissue:
    """Relaxation times in ms, and the density of what gives signal relative to fluid."""

    t1_ms: float
    t2_ms: float
    density: float


TISSUES: dict[str, Tissue] = {
    "fat": Tissue(371.0, 133.0, 1.0),
    "marrow": Tissue(1400.0, 45.0, 0.8),
    "muscle": Tissue(1420.0, 31.7, 0.8),
    "tendon": Tissue(700.0, 4.0, 0.6),
    "cortex": Tissue(700.0, 1.0, 0.3),
    "cartilage": Tissue(1240.0, 36.9, 0.75),
    "meniscus": Tissue(900.0, 14.0, 0.7),
    "fluid": Tissue(3620.0, 767.0, 1.0),
    "artery": Tissue(1930.0, 150.0, 0.85),
    "vein": Tissue(1930.0, 275.0, 0.85),
    "nerve": Tissue(1080.0, 78.0, 0.8),
    "skin": Tissue(900.0, 25.0, 0.7),
}
"""At 3 T. Fat, muscle, cartilage and fluid are measured (Gold et al., American Journal of Roentgenology 183, 2004);
densities and the other tissues are rounded guesses."""


def compute_dess_signal(tissue: Tissue, protocol: DessProtocol) -> float:
    """Return the sum of both echoes as a fraction of the magnetisation at rest, 0..1."""
    flip = math.radians(protocol.flip_degrees)
    cosine, half = math.cos(flip), math.tan(flip / 2.0)
    e1 = math.exp(-protocol.repetition_ms / tissue.t1_ms)
    e2 = math.exp(-protocol.repetition_ms / tissue.t2_ms)
    p = 1.0 - e1 * cosine - e2**2 * (e1 - cosine)
    q = e2 * (1.0 - e1) * (1.0 + cosine)
    r = (1.0 - e2**2) / math.sqrt(p**2 - q**2)
    decay = math.exp(-protocol.echo_ms / tissue.t2_ms)
    first = half * (1.0 - (e1 - cosine) * r) * decay
    second = half * (1.0 - (1.0 - e1 * cosine) * r) / decay  # read so long before it is whole
    return tissue.density * (first + second)


def compute_dess_levels(protocol: DessProtocol | None = None) -> dict[str, float]:
    """Return the level of every tissue of :class:`~KneeSegLib.training.synthesis.mr.contrast.Contrast`, fluid 1."""
    protocol = protocol or DessProtocol()
    signal = {name: compute_dess_signal(tissue, protocol) for name, tissue in TISSUES.items()}
    signal["fat"] *= protocol.fat_left
    return {name: value / signal["fluid"] for name, value in signal.items()}


@dataclass(frozen=True)
class BalancedProtocol:
    """A balanced sequence, read at ``echo_ms``; the defaults are those of a dedicated 0.3 T scanner for limbs.

    Source: the header of the public scan in KneeBones3Dify-Annotated-Dataset (Esaote O-scan, "SST2").
    """

    repetition_ms: float = 20.0
    echo_ms: float = 10.0
    flip_degrees: float = 50.0


LOW_FIELD_TISSUES: dict[str, Tissue] = {
    "fat": Tissue(230.0, 95.0, 1.0),
    "marrow": Tissue(550.0, 45.0, 0.8),
    "muscle": Tissue(560.0, 38.0, 0.8),
    "tendon": Tissue(350.0, 4.0, 0.6),
    "cortex": Tissue(350.0, 1.0, 0.3),
    "cartilage": Tissue(600.0, 40.0, 0.75),
    "meniscus": Tissue(400.0, 14.0, 0.7),
    "fluid": Tissue(2800.0, 1200.0, 1.0),
    "artery": Tissue(1000.0, 200.0, 0.85),
    "vein": Tissue(1000.0, 280.0, 0.85),
    "nerve": Tissue(500.0, 78.0, 0.8),
    "skin": Tissue(380.0, 25.0, 0.7),
}
"""At 0.3 T, rounded guesses: T1 falls with the field (Bottomley et al., Med. Phys. 11, 1984), T2 hardly changes."""


def compute_balanced_signal(tissue: Tissue, protocol: BalancedProtocol) -> float:
    """Return the signal on resonance as a fraction of the magnetisation at rest, 0..1."""
    flip = math.radians(protocol.flip_degrees)
    e1 = math.exp(-protocol.repetition_ms / tissue.t1_ms)
    e2 = math.exp(-protocol.repetition_ms / tissue.t2_ms)
    transverse = math.sin(flip) * (1.0 - e1) / (1.0 - (e1 - e2) * math.cos(flip) - e1 * e2)
    return tissue.density * transverse * math.exp(-protocol.echo_ms / tissue.t2_ms)


def compute_balanced_levels(protocol: BalancedProtocol | None = None) -> dict[str, float]:
    """Return the level of every tissue of :class:`~KneeSegLib.training.synthesis.mr.contrast.Contrast`, fat 1."""
    protocol = protocol or BalancedProtocol()
    signal = {name: compute_balanced_signal(tissue, protocol) for name, tissue in LOW_FIELD_TISSUES.items()}
    return {name: value / signal["fat"] for name, value in signal.items()}
