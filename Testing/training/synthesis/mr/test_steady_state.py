"""Signal in double-echo steady state, against the Bloch equations integrated for many spins."""

import math

import numpy as np
import pytest

from KneeSegLib.training.synthesis.mr.contrast import PRESETS
from KneeSegLib.training.synthesis.mr.settings import Contrast
from KneeSegLib.training.synthesis.mr.steady_state import (
    LOW_FIELD_TISSUES,
    TISSUES,
    BalancedProtocol,
    DessProtocol,
    Tissue,
    compute_balanced_levels,
    compute_balanced_signal,
    compute_dess_levels,
    compute_dess_signal,
)

SPINS = 720
REPETITIONS = 1500


def integrated(tissue: Tissue, protocol: DessProtocol) -> float:
    """Both echoes of spins that a gradient turns once around in a repetition, pulse after pulse until it is steady."""
    flip = math.radians(protocol.flip_degrees)
    pulse = np.array([[1, 0, 0], [0, math.cos(flip), math.sin(flip)], [0, -math.sin(flip), math.cos(flip)]])
    turn = np.exp(2j * np.pi * (np.arange(SPINS) + 0.5) / SPINS)
    e1, e2 = (math.exp(-protocol.repetition_ms / t) for t in (tissue.t1_ms, tissue.t2_ms))
    spins = np.tile([[0.0], [0.0], [1.0]], SPINS)
    after = spins
    for _ in range(REPETITIONS):
        after = pulse @ spins
        across = (after[0] + 1j * after[1]) * e2 * turn
        spins = np.stack([across.real, across.imag, 1.0 + (after[2] - 1.0) * e1])
    decay = math.exp(-protocol.echo_ms / tissue.t2_ms)
    first = abs((after[0] + 1j * after[1]).mean()) * decay
    second = abs((spins[0] + 1j * spins[1]).mean()) / decay
    return tissue.density * (first + second)


@pytest.mark.parametrize("name", ["cartilage", "muscle", "fluid", "meniscus"])
def test_the_signal_is_what_the_bloch_equations_give(name):
    assert compute_dess_signal(TISSUES[name], DessProtocol()) == pytest.approx(
        integrated(TISSUES[name], DessProtocol()), rel=0.01
    )


def test_without_coherence_it_is_the_signal_of_a_spoiled_gradient_echo():
    protocol = DessProtocol(echo_ms=0.0)
    e1, flip = math.exp(-protocol.repetition_ms / 1000.0), math.radians(protocol.flip_degrees)
    spoiled = math.sin(flip) * (1.0 - e1) / (1.0 - math.cos(flip) * e1)
    assert compute_dess_signal(Tissue(1000.0, 0.01, 1.0), protocol) == pytest.approx(spoiled, rel=1e-6)


def test_levels_are_relative_to_fluid_and_fat_is_what_water_excitation_leaves():
    levels, without = Contrast(**compute_dess_levels()), Contrast(**compute_dess_levels(DessProtocol(fat_left=0.0)))
    assert levels == PRESETS["dess_3t"]
    assert levels.fluid == 1.0 and levels.fluid > levels.cartilage > levels.meniscus > levels.cortex
    assert without.fat == 0.0 < levels.fat < levels.cartilage


def integrated_on_resonance(tissue: Tissue, protocol: BalancedProtocol) -> float:
    """The echo of one spin on resonance, each pulse of the other sign, until it is steady."""
    e1, e2 = (math.exp(-protocol.repetition_ms / t) for t in (tissue.t1_ms, tissue.t2_ms))
    spin, sign = np.array([0.0, 0.0, 1.0]), 1.0
    for _ in range(REPETITIONS):
        flip = sign * math.radians(protocol.flip_degrees)
        y, z = spin[1] * math.cos(flip) + spin[2] * math.sin(flip), spin[2] * math.cos(flip) - spin[1] * math.sin(flip)
        after, sign = np.array([0.0, y, z]), -sign
        spin = np.array([0.0, y * e2, 1.0 + (z - 1.0) * e1])
    return tissue.density * abs(after[1]) * math.exp(-protocol.echo_ms / tissue.t2_ms)


@pytest.mark.parametrize("name", ["fat", "muscle", "fluid"])
def test_the_balanced_signal_is_what_the_bloch_equations_give(name):
    tissue = LOW_FIELD_TISSUES[name]
    assert compute_balanced_signal(tissue, BalancedProtocol()) == pytest.approx(
        integrated_on_resonance(tissue, BalancedProtocol()), rel=1e-6
    )


def test_at_low_field_fat_and_fluid_are_bright_and_muscle_is_dark():
    levels = Contrast(**compute_balanced_levels())
    assert levels == PRESETS["balanced_low_field"]
    assert levels.fat == 1.0 and levels.fluid > 0.8 and levels.muscle < 0.4 and levels.cortex < 0.02
