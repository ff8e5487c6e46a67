"""The long run of a Markov chain: stationary distribution, entropy rate, closed classes."""

from __future__ import annotations

import math

import pytest
import torch

from pgm.chains.smoothing import (
    Laplace,
)
from pgm.markov_chain import MarkovChain


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_stationary_distribution_is_not_changed_by_a_step(order):
    chain = MarkovChain(order, Laplace(1.0)).fit("abcaabbcabacba")
    pi = chain.stationary_distribution()
    assert pi.shape == (3,) * order
    assert pi.sum().item() == pytest.approx(1, abs=1e-14)
    after = (pi[..., None] * chain.table).sum(0)
    torch.testing.assert_close(after, pi, rtol=1e-13, atol=0)
    wrong = pi.permute(*reversed(range(order))) if order > 1 else pi.flip(0)
    assert ((wrong[..., None] * chain.table).sum(0) - wrong).abs().max() > 1e-3


def test_the_stationary_distribution_of_independent_symbols_is_theirs():
    chain = MarkovChain(0).fit("aab")
    assert chain.stationary_distribution().tolist() == pytest.approx([2 / 3, 1 / 3])
    assert chain.entropy_rate().item() == pytest.approx(math.log(3) - 2 / 3 * math.log(2))


def test_the_entropy_rate_is_what_long_sequences_cost():
    chain = MarkovChain(2, Laplace(1.0)).fit("abcaabbcabacba")
    pi = chain.stationary_distribution()[..., None] * chain.table
    expected = -(pi * chain.table.log()).sum().item()
    assert chain.entropy_rate().item() == pytest.approx(expected, rel=1e-12)
    pair = MarkovChain.from_transitions([[0.0, 1.0], [1.0, 0.0]])
    assert pair.entropy_rate().item() == 0.0


def test_several_closed_classes_are_named():
    chain = MarkovChain.from_transitions(
        [[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 1]], states=["go", "won", "lost"]
    )
    with pytest.raises(ValueError, match=r"2 closed classes, \{'won'\} and \{'lost'\}"):
        chain.stationary_distribution()
    ends = chain.absorption()
    assert ends.transient.tolist() == [0] and ends.probabilities.tolist() == [[0.5, 0.5]]
    assert chain.hitting_times(["won", "lost"]).tolist() == [2.0, 0.0, 0.0]
    pairs = MarkovChain(2).fit([list("aaaa"), list("bbbb")])
    with pytest.raises(ValueError, match=r"\{\('a', 'a'\)\} and \{\('b', 'b'\)\}"):
        pairs.stationary_distribution()


def test_matrices_are_for_order_one():
    for order in (0, 2):
        chain = MarkovChain(order).fit("abab")
        for query in (
            lambda c: c.transitions, lambda c: c.absorption(), lambda c: c.hitting_times("a")
        ):  # fmt: skip
            with pytest.raises(ValueError, match=f"order 1.*order {order}"):
                query(chain)
