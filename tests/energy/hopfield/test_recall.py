"""Recall equals the loop over single units in exact rational arithmetic, ties included."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from energy.hopfield import fields as fields_module
from energy.hopfield.dynamics import decide, sharp
from energy.hopfield.fields import DenseFields, OverlapFields
from energy.hopfield_network import HopfieldNetwork


def one_at_a_time(
    weights: list[list[Fraction]], bias: list[Fraction], state: list[int], order: list[int]
) -> list[int]:
    """A sweep, unit after unit; a field of exactly zero keeps the unit."""
    state = list(state)
    for i in order:
        terms = [w * x for w, x in zip(weights[i], state, strict=True)]
        field = sum(terms, start=bias[i])
        if field:
            state[i] = 1 if field > 0 else -1
    return state


def sweep(fields: DenseFields | OverlapFields, cues: Tensor, order: Tensor) -> Tensor:
    """A sweep of the library, (C, d)."""
    states = cues.T.to(fields.own, copy=True)
    fields.sweep(fields.start(states), states, order, sharp(fields))
    return states.T


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of four, so that small networks have several."""
    monkeypatch.setattr(fields_module, "BLOCK", 4)


def random_spins(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randint(2, (rows, columns), generator=generator).double() - 1


def whole_couplings(n_units: int, seed: int, largest: int = 2) -> tuple[Tensor, Tensor]:
    """Small whole symmetric couplings, with a diagonal of either sign, and biases."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(-largest, largest + 1, (n_units, n_units), generator=generator)
    weights = half.triu() + half.triu(1).T
    return weights, torch.randint(-2, 3, (n_units,), generator=generator)


@given(
    st.integers(1, 11),
    st.integers(0, 10**6),
    st.sampled_from([1, 3, 7, 10]),
    st.sampled_from([2, 20]),
)
def test_sweep_over_a_matrix_equals_the_loop(
    n_units: int, seed: int, denominator: int, largest: int
) -> None:
    # With thirds, sevenths and tenths, rounding hides which fields are zero.
    weights, bias = whole_couplings(n_units, seed, largest)
    fields = DenseFields(weights.double() / denominator, bias.double() / denominator)
    cues = random_spins(6, n_units, seed)
    order = torch.randperm(n_units, generator=torch.Generator().manual_seed(seed))
    exact = [[Fraction(w, denominator) for w in row] for row in weights.tolist()]
    shifts = [Fraction(b, denominator) for b in bias.tolist()]
    found = sweep(fields, cues, order).int().tolist()
    for cue, end in zip(cues.int().tolist(), found, strict=True):
        assert end == one_at_a_time(exact, shifts, cue, order.tolist())


@given(st.integers(1, 11), st.integers(1, 5), st.booleans(), st.integers(0, 10**6))
def test_sweep_over_patterns_equals_the_loop(
    n_units: int, n_patterns: int, zero_diagonal: bool, seed: int
) -> None:
    patterns = random_spins(n_patterns, n_units, seed)
    generator = torch.Generator().manual_seed(seed)
    # Biases that are whole multiples of 1 / d tie fields, halves do not.
    tenths = torch.randint(-4, 5, (n_units,), generator=generator)
    counts = (patterns.T @ patterns).int()
    if zero_diagonal:
        counts.fill_diagonal_(0)
    exact = [[Fraction(c, n_units) for c in row] for row in counts.tolist()]
    shifts = [Fraction(t, 2 * n_units) for t in tenths.tolist()]
    fields = OverlapFields(patterns, tenths.double() / (2 * n_units), zero_diagonal)
    cues = random_spins(6, n_units, seed + 1)
    order = torch.randperm(n_units, generator=generator)
    found = sweep(fields, cues, order).int().tolist()
    for cue, end in zip(cues.int().tolist(), found, strict=True):
        assert end == one_at_a_time(exact, shifts, cue, order.tolist())


@given(st.integers(2, 10), st.integers(0, 10**6))
def test_real_couplings_equal_the_loop(n_units: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(n_units, n_units, dtype=torch.float64, generator=generator)
    weights, bias = half + half.T, half.diagonal().clone()
    cues = random_spins(6, n_units, seed)
    order = torch.arange(n_units)
    found = sweep(DenseFields(weights, bias), cues, order).int().tolist()
    exact = [[Fraction(w) for w in row] for row in weights.tolist()]
    shifts = [Fraction(b) for b in bias.tolist()]
    for cue, end in zip(cues.int().tolist(), found, strict=True):
        assert end == one_at_a_time(exact, shifts, cue, list(range(n_units)))


def test_a_block_updated_once_is_not_the_loop() -> None:
    # What the sweep would be without repeated substitution.
    weights, bias = whole_couplings(8, 3)
    fields = DenseFields(weights.double(), bias.double())
    cues = random_spins(50, 8, 0)
    states = cues.T.contiguous()
    once = decide(fields.start(states), states, fields.threshold, fields.slack).T
    assert not torch.equal(once, sweep(fields, cues, torch.arange(8)))


def test_without_slack_rounding_would_decide_ties() -> None:
    weights, bias = whole_couplings(9, 0, largest=20)
    fields = DenseFields(weights.double() / 7, bias.double() / 7)
    states = random_spins(500, 9, 0).T.contiguous()
    tied = weights.double() @ states + bias.double()[:, None] == 0
    field = fields.start(states)
    assert (field[tied] != 0).any()
    kept = decide(field, states, fields.threshold, fields.slack)
    assert torch.equal(kept[tied], states[tied])
    rounded = decide(field, states, fields.threshold, None)
    assert not torch.equal(rounded[tied], states[tied])


@given(st.integers(2, 9), st.integers(0, 10**6), st.booleans())
def test_energy_never_rises_without_a_negative_diagonal(
    n_units: int, seed: int, diagonal: bool
) -> None:
    weights, bias = whole_couplings(n_units, seed)
    size = weights.diagonal().abs() if diagonal else torch.zeros(n_units, dtype=torch.long)
    weights.diagonal().copy_(size)
    network = HopfieldNetwork(n_units)
    network.weights.copy_(weights)
    network.bias.copy_(bias)
    found = network.recall(random_spins(8, n_units, seed), generator=seed)
    assert (found.energy.diff(dim=0) <= 0).all()
    assert found.converged.all()
    assert network.is_stable(found.state).all()
    assert found.energy.shape == (found.sweeps.max() + 1, 8)
    assert torch.allclose(found.energy[-1], network.energy(found.state), atol=1e-12, rtol=0)


def test_a_negative_diagonal_may_never_settle() -> None:
    network = HopfieldNetwork(1)
    network.weights.fill_(-1.0)
    found = network.recall([[1.0]], max_sweeps=7)
    assert not found.converged
    assert found.cycle.item() == 0 and found.sweeps.item() == 7
    assert torch.equal(found.energy, torch.full((8, 1), 0.5, dtype=torch.float64))


@given(st.integers(1, 7), st.integers(0, 10**6))
def test_synchronous_updates_end_in_cycles_of_at_most_two(n_units: int, seed: int) -> None:
    weights, bias = whole_couplings(n_units, seed)
    network = HopfieldNetwork(n_units)
    network.weights.copy_(weights)
    network.bias.copy_(bias)
    states = network.states()
    found = network.recall(states, "synchronous", 2**n_units + 2)
    field = states @ network.weights + network.bias
    after = torch.where(field == 0, states, field.sign())
    code = {tuple(state): k for k, state in enumerate(states.tolist())}
    following = [code[tuple(state)] for state in after.tolist()]
    for k, (end, cycle) in enumerate(zip(found.state.tolist(), found.cycle.tolist(), strict=True)):
        seen = [k]
        while following[seen[-1]] not in seen:
            seen.append(following[seen[-1]])
        period = len(seen) - seen.index(following[seen[-1]])
        assert cycle == period
        assert code[tuple(end)] in seen[-period:]
        assert found.converged[k].item() == (period == 1)
        if period == 1:
            assert found.sweeps[k].item() == len(seen) - 1


def test_cues_do_not_depend_on_each_other() -> None:
    patterns = random_spins(8, 40, 0)
    network = HopfieldNetwork(40).store(patterns)
    cues = random_spins(30, 40, 1)
    together = network.recall(cues, order="sequential")
    for row, cue in enumerate(cues):
        alone = network.recall(cue, order="sequential")
        assert torch.equal(alone.state, together.state[row])
        assert alone.sweeps == together.sweeps[row] and alone.cycle == together.cycle[row]
        length = len(alone.energy)
        assert torch.equal(alone.energy, together.energy[:length, row])
        assert (together.energy[length:, row] == alone.energy[-1]).all()


def test_same_seed_same_recall_and_the_order_matters() -> None:
    network = HopfieldNetwork(30).store(random_spins(9, 30, 0))
    cues = random_spins(50, 30, 1)
    first, again = [network.recall(cues, generator=5).state for _ in range(2)]
    assert torch.equal(first, again)
    assert not torch.equal(first, network.recall(cues, generator=6).state)


def test_no_sweep_at_all_only_looks() -> None:
    network = HopfieldNetwork(4).store([1, 1, -1, -1])
    found = network.recall([[1, 1, -1, -1], [1, 1, -1, 1]], max_sweeps=0)
    assert found.converged.tolist() == [True, False]
    assert found.cycle.tolist() == [1, 0] and found.sweeps.tolist() == [0, 0]
    assert found.energy.shape == (1, 2)
