"""Emissions by symbol against the same emissions written out token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.exact.chain import blocks
from inference.exact.chain.blocks import blocked_pass
from inference.exact.chain.forward_backward import forward_backward, log_partition
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.scaled import scaled_pass
from inference.exact.chain.symbols import SymbolEmissions

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
LENGTHS = [40, 3, 40, 0, 25, 1, 40]
N_STATES, N_SYMBOLS = 4, 6


def draw(case: str, lengths, dtype=np.float64):
    """Potentials, table, codes and layout; the cases differ in what is impossible, or extreme."""
    draws = np.random.default_rng(0)
    layout = ChainLayout(lengths)
    codes = draws.integers(0, N_SYMBOLS, layout.n_tokens)
    start, end = draws.normal(size=(2, N_STATES))
    transitions = draws.normal(size=(N_STATES, N_STATES))
    table = draws.normal(size=(N_STATES, N_SYMBOLS + 1))
    table[:, -1] = -np.inf  # a symbol that never occurs
    if case == "zeros":
        transitions[draws.random(transitions.shape) < 0.3] = -np.inf
        table[draws.random(table.shape) < 0.3] = -np.inf
        end[0] = -np.inf
    if case == "extreme":
        transitions *= 200
        table *= 300
    potentials = ChainPotentials(*[x.astype(dtype) for x in (start, transitions, end)])
    return potentials, table.astype(dtype), codes, layout


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ["dense", "zeros", "extreme"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_symbols_give_what_their_tokens_give(kind, case, dtype):
    potentials, table, codes, layout = draw(case, LENGTHS, dtype)
    cast = ARRAYS[kind]
    own = ChainPotentials(
        *[cast(x) for x in (potentials.log_start, potentials.log_transitions, potentials.log_end)]
    )
    weights = cast(np.linspace(0.5, 2, len(LENGTHS)).astype(dtype))
    symbols = SymbolEmissions(cast(table), cast(codes))
    found = forward_backward(own, symbols, layout, weights)
    expected = forward_backward(own, cast(table[:, codes]), layout, weights)
    assert type(found.unary) is type(expected.unary) and found.unary.dtype == cast(table).dtype
    close = {"rtol": 1e-12, "atol": 1e-12} if dtype == np.float64 else {"rtol": 2e-5, "atol": 2e-6}
    for name in ("log_partition", "unary", "pair_counts"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), **close)
    np.testing.assert_allclose(
        log_partition(own, symbols, layout), expected.log_partition, **close
    )


@pytest.mark.parametrize("case", ["dense", "zeros"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_the_scaled_pass_looks_symbols_up(kind, case):
    # Tensors as working arrays are what other devices use.
    potentials, table, codes, layout = draw(case, LENGTHS)
    cast = ARRAYS[kind]
    own = ChainPotentials(
        *[cast(x) for x in (potentials.log_start, potentials.log_transitions, potentials.log_end)]
    )
    found, failed = scaled_pass(own, cast(table), layout, codes=cast(codes))
    expected, refused = scaled_pass(own, cast(table[:, codes]), layout)
    good = np.setdiff1d(np.flatnonzero(layout.lengths), refused)
    assert np.array_equal(failed, refused) and len(good)
    np.testing.assert_allclose(found.pair_counts, expected.pair_counts, rtol=1e-12)
    np.testing.assert_allclose(found.log_partition[good], expected.log_partition[good], rtol=1e-12)


def test_symbols_that_are_too_improbable_for_scaling_are_seen():
    # Dead ends, and a symbol below what the rule of the scaled pass allows.
    draws = np.random.default_rng(1)
    layout, codes = ChainLayout([60, 60]), draws.integers(1, 3, 120)
    codes[61] = 0  # of the second sequence, where neither starts nor ends
    table = np.zeros((2, 3))
    table[0, 0], table[0, 2] = -200.0, -np.inf
    potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)), np.array([0.0, -np.inf]))
    potentials.log_transitions[0, 1] = -np.inf
    _, failed = scaled_pass(potentials, table, layout, codes=codes)
    assert failed.tolist() == scaled_pass(potentials, table[:, codes], layout)[1].tolist() == [1]


@pytest.mark.parametrize("kind", ARRAYS)
def test_long_sequences_of_symbols_are_cut_into_blocks(kind, monkeypatch):
    potentials, table, codes, layout = draw("dense", [1200, 0, 7, 900])
    assert blocks.worth_blocks(potentials, table, layout)
    cast = ARRAYS[kind]
    own = ChainPotentials(
        *[cast(x) for x in (potentials.log_start, potentials.log_transitions, potentials.log_end)]
    )
    found = blocked_pass(own, cast(table), layout, codes=cast(codes))
    expected = blocked_pass(own, cast(table[:, codes]), layout)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.array([0, 3]), "codes must be in 0..2, the columns of the table, found 0 to 3"),
        (np.array([-1, 0]), "found -1 to 0"),
        (np.array([0.0, 1.0]), r"must be \(K, M\) and \(N,\) int64, found shapes .* of float64"),
        (np.array([0, 1], dtype=np.int32), "of int32"),
        (np.array([[0, 1]]), r"found shapes \(2, 3\) and \(1, 2\)"),
    ],
)
def test_codes_that_are_none_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        SymbolEmissions(np.zeros((2, 3)), codes)


def test_symbols_of_another_number_of_tokens_or_states_are_refused():
    potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)))
    layout, codes = ChainLayout([2]), np.array([0, 1])
    with pytest.raises(ValueError, match=r"codes must be \(3,\), one per token"):
        log_partition(potentials, SymbolEmissions(np.zeros((2, 3)), codes), ChainLayout([3]))
    with pytest.raises(ValueError, match="log_emissions must be"):
        log_partition(potentials, SymbolEmissions(np.zeros((3, 3)), codes), layout)
    with pytest.raises(ValueError, match="must be float32 or float64"):
        log_partition(potentials, SymbolEmissions(np.zeros((2, 3), int), codes), layout)
