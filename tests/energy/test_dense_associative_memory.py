"""Dense associative memories: a plain loop over energies, Hopfield's network, capacity, errors."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from energy.dense_associative_memory import DenseAssociativeMemory
from energy.hopfield import interactions
from energy.hopfield_network import HopfieldNetwork

DEGREES = [2, 3, 4, 5, "exponential"]


def random_spins(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randint(2, (rows, columns), generator=generator).double() - 1


def plain_energy(patterns: list[list[int]], degree: int | str, x: list[int]) -> float:
    """Whole numbers where the energy is one."""
    overlaps = [sum([a * b for a, b in zip(p, x, strict=True)]) for p in patterns]
    if degree == "exponential":
        return -math.log(math.fsum([math.exp(m) for m in overlaps]))
    return -sum([m**degree for m in overlaps])


def plain_sweep(
    patterns: list[list[int]], degree: int | str, x: list[int], order: list[int]
) -> list[int]:
    """Unit after unit; turned if that lowers the energy, by more than rounding of a logarithm."""
    x = list(x)
    for i in order:
        other = [*x[:i], -x[i], *x[i + 1 :]]
        gain = plain_energy(patterns, degree, x) - plain_energy(patterns, degree, other)
        if gain > (1e-12 if degree == "exponential" else 0):
            x = other
    return x


@given(st.integers(1, 9), st.integers(1, 6), st.sampled_from(DEGREES), st.integers(0, 10**6))
def test_sweep_equals_the_loop(n_units: int, n_patterns: int, degree, seed: int) -> None:
    patterns, cues = random_spins(n_patterns, n_units, seed), random_spins(7, n_units, seed + 1)
    memory = DenseAssociativeMemory(patterns, degree)
    found = memory.update(cues, order="sequential")
    rows = patterns.int().tolist()
    for cue, end in zip(cues.int().tolist(), found.int().tolist(), strict=True):
        assert end == plain_sweep(rows, degree, cue, list(range(n_units)))
    energies = [plain_energy(rows, degree, cue) for cue in cues.int().tolist()]
    assert memory.energy(cues).tolist() == pytest.approx(energies, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("degree", DEGREES)
def test_blocks_do_not_matter(degree, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = DenseAssociativeMemory(random_spins(30, 40, 0), degree)
    cues = random_spins(25, 40, 1)
    ends = []
    for block in (1, 7, 64):
        monkeypatch.setattr(interactions, "BLOCK", block)
        ends.append(memory.recall(cues, generator=0).state)
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])


def test_all_units_at_once_is_not_the_loop() -> None:
    memory = DenseAssociativeMemory(random_spins(6, 9, 0), 3)
    cues = random_spins(50, 9, 1)
    apart = memory.update(cues, "synchronous") != memory.update(cues, order="sequential")
    assert apart.any()


@given(st.integers(1, 10), st.integers(1, 6), st.integers(0, 10**6))
def test_degree_two_is_hopfields_network(n_units: int, n_patterns: int, seed: int) -> None:
    patterns, cues = random_spins(n_patterns, n_units, seed), random_spins(8, n_units, seed + 1)
    dense, network = DenseAssociativeMemory(patterns, 2), HopfieldNetwork(n_units).store(patterns)
    for update in ("asynchronous", "synchronous"):
        one, two = [m.recall(cues, update, generator=seed) for m in (dense, network)]
        assert torch.equal(one.state, two.state)
        assert torch.equal(one.cycle, two.cycle) and torch.equal(one.sweeps, two.sweeps)
    # Of the sum of squares the diagonal is a part: P d.
    shifted = 2 * n_units * network.energy(cues) - n_patterns * n_units
    assert torch.allclose(dense.energy(cues), shifted, atol=1e-9, rtol=0)


@given(st.integers(2, 12), st.integers(1, 8), st.sampled_from(DEGREES), st.integers(0, 10**6))
def test_energy_never_rises(n_units: int, n_patterns: int, degree, seed: int) -> None:
    memory = DenseAssociativeMemory(random_spins(n_patterns, n_units, seed), degree)
    found = memory.recall(random_spins(9, n_units, seed + 1), generator=seed)
    assert (found.energy.diff(dim=0) <= 1e-12).all()
    assert found.converged.all() and memory.is_stable(found.state).all()
    assert torch.allclose(found.energy[-1], memory.energy(found.state), rtol=1e-12)


@pytest.mark.parametrize(("degree", "load", "least"), [(3, 1.0, 0.99), ("exponential", 10.0, 1.0)])
def test_more_patterns_than_hopfields_network_holds(degree, load: float, least: float) -> None:
    patterns = random_spins(int(load * 100), 100, 0)
    generator = torch.Generator().manual_seed(1)
    turned = torch.rand(20, 100, generator=generator) < 0.05
    cues = torch.where(turned, -patterns[:20], patterns[:20])
    found = DenseAssociativeMemory(patterns, degree).recall(cues, generator=0)
    assert ((found.state * patterns[:20]).mean(1)).mean() >= least
    lost = HopfieldNetwork(100).store(patterns).recall(cues, generator=0).state
    assert (lost * patterns[:20]).mean() < 0.7


def test_long_patterns_do_not_overflow() -> None:
    patterns = random_spins(5, 3000, 0)
    memory = DenseAssociativeMemory(patterns, "exponential")
    assert memory.energy(patterns).tolist() == pytest.approx([-3000.0] * 5)
    cues = patterns.clone()
    cues[:, :900] *= -1
    assert torch.equal(memory.recall(cues, generator=0).state, patterns)


def test_file_round_trip(tmp_path: Path) -> None:
    for degree in (3, "exponential"):
        memory = DenseAssociativeMemory(random_spins(5, 8, 0), degree)
        memory.save(tmp_path / "memory.safetensors")
        copy = DenseAssociativeMemory.load(tmp_path / "memory.safetensors")
        assert copy.degree == degree and torch.equal(copy.patterns, memory.patterns)
        cues = random_spins(9, 8, 1)
        assert torch.equal(copy.update(cues, generator=1), memory.update(cues, generator=1))


def test_shapes_of_batches_are_kept() -> None:
    memory = DenseAssociativeMemory(random_spins(3, 6, 0), 3)
    cues = random_spins(8, 6, 1).reshape(2, 4, 6)
    found = memory.recall(cues)
    assert found.state.shape == (2, 4, 6) and found.energy.shape[1:] == (2, 4)
    assert memory.energy(cues).shape == memory.is_stable(cues).shape == (2, 4)
    assert memory.update(cues[0, 0]).shape == (6,)
    assert memory.recall(cues[:0]).state.shape == (0, 4, 6)


@pytest.mark.parametrize(
    ("patterns", "degree", "error", "message"),
    [
        ([[1, 0]], 3, ValueError, "patterns must hold"),
        (torch.empty(0, 3), 3, ValueError, "at least one pattern"),
        ([[1, 1]], 1, ValueError, "degree must be at least 2"),
        ([[1, 1]], 2.5, TypeError, "degree must be a whole number"),
        ([[1, 1]], "cubic", ValueError, "degree must be a whole number or"),
        ([[1] * 100], 200, ValueError, "overflows"),
        ([["a"]], 3, TypeError, "patterns must hold real numbers"),
    ],
)
def test_construction_refuses(patterns, degree, error, message: str) -> None:
    with pytest.raises(error, match=message):
        DenseAssociativeMemory(patterns, degree)


def test_recall_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = DenseAssociativeMemory([[1, 1, -1]], 3)
    for cues, change, message in (
        ([1, 0, 1], {}, "cues must hold"),
        ([1, 1], {}, "cues must have 3 units"),
        ([1, 1, 1], {"update": "parallel"}, "update must be"),
        ([1, 1, 1], {"order": "up"}, "order must be"),
        ([1, 1, 1], {"max_sweeps": -2}, "max_sweeps must be"),
    ):
        with pytest.raises(ValueError, match=message):
            memory.recall(cues, **change)
    monkeypatch.setattr("inference.memory.free_memory", lambda: 50)
    with pytest.raises(ValueError, match="pass fewer cues at a time"):
        memory.recall([1, 1, 1])
