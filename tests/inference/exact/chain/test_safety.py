"""Scaling never loses what matters: sequences where it would are found and done another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.chain import scaled
from inference.exact.chain.forward_backward import forward_backward, log_partition
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import log_pass
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.safety import Safety
from inference.exact.chain.scaled import scaled_pass

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ROUNDING = {np.float32: {"rtol": 3e-6, "atol": 1e-5}, np.float64: {"rtol": 1e-12, "atol": 1e-9}}


def stubborn(evidence, dtype=np.float64):
    """A chain that never leaves its state, and nats for each state, (T, 2), spread over steps."""
    with np.errstate(divide="ignore"):
        stay = np.log(np.eye(2, dtype=dtype))
    potentials = ChainPotentials(np.zeros(2, dtype), stay, np.zeros(2, dtype))
    steps = np.repeat(np.array(evidence, dtype) / 20, 20, axis=0)
    return potentials, np.ascontiguousarray(steps.T), ChainLayout([len(steps)])


def pretend_dense(monkeypatch):
    """The deliberately wrong variant: a scaled pass that watches nothing."""
    right = Safety.of

    def wrong(potentials, emissions):
        found = right(potentials, emissions)
        return Safety(True, 1, False, True, found.largest, found.floor, found.log_low)

    monkeypatch.setattr(scaled.Safety, "of", wrong)


# Nats for A and for B: the winner is far behind on the way there. In the last three a prefix or
# a suffix of the winner is lost from either end, so that the forward and the backward messages of
# the loser agree with each other at every step.
COMEBACKS = {
    "late": [[1000, 0], [0, 1010]],
    "early": [[0, 1001], [1000, 0]],
    "middle": [[1000, 0], [0, 5000], [1000, 0]],
    "middle, narrowly": [[1000, 0], [0, 2001], [1000, 0]],
    "steep": [[100_000, 0], [0, 300_000], [100_000, 0]],
}


@TYPES
@pytest.mark.parametrize("evidence", COMEBACKS.values(), ids=COMEBACKS)
def test_a_state_that_comes_back_is_not_lost(evidence, dtype):
    arguments = stubborn(evidence, dtype)
    expected = np.logaddexp(*np.sum(evidence, axis=0, dtype=float))
    posterior = forward_backward(*arguments)
    np.testing.assert_allclose(posterior.log_partition, expected, rtol=1e-6)
    np.testing.assert_allclose(log_partition(*arguments), posterior.log_partition, rtol=1e-12)
    ahead = np.sum(evidence, axis=0)[1] - expected
    np.testing.assert_allclose(posterior.unary[1], np.exp(ahead), atol=1e-4)
    assert scaled_pass(*arguments)[1].tolist() == [0]


@TYPES
@pytest.mark.parametrize("evidence", COMEBACKS.values(), ids=COMEBACKS)
def test_a_pass_that_watches_nothing_is_wrong_there(evidence, dtype, monkeypatch):
    pretend_dense(monkeypatch)
    found, failed = scaled_pass(*stubborn(evidence, dtype))
    expected = np.logaddexp(*np.sum(evidence, axis=0, dtype=float))
    assert len(failed) or abs(found.log_partition[0] - expected) > 0.3


def test_it_would_even_be_finite_and_silent(monkeypatch):
    pretend_dense(monkeypatch)
    found, failed = scaled_pass(*stubborn(COMEBACKS["late"]))
    assert not len(failed) and abs(found.log_partition[0] - 1000) < 1e-6


@TYPES
def test_harmless_zeros_do_not_fail(dtype):
    # From left to right: early states die out by hundreds of nats, late ones are not reached.
    n_states, n_steps = 10, 600
    rng = np.random.default_rng(0)
    transitions = np.full((n_states, n_states), -np.inf, dtype)
    for i in range(n_states):
        transitions[i, i : i + 2] = np.log([0.98, 0.02])[: n_states - i]
    start = np.full(n_states, -np.inf, dtype)
    start[0] = 0
    states = np.minimum(np.arange(n_steps) // 60, n_states - 1)
    seen = 0.3 * states + rng.normal(size=n_steps)
    emissions = -0.5 * (seen - 0.3 * np.arange(n_states)[:, None]) ** 2
    arguments = (
        ChainPotentials(start, transitions, np.zeros(n_states, dtype)),
        emissions.astype(dtype),
        ChainLayout([n_steps]),
    )
    found, failed = scaled_pass(*arguments)
    right = log_pass(*arguments)
    assert len(failed) == 0
    np.testing.assert_allclose(found.log_partition, right.log_partition, rtol=1e-6)
    np.testing.assert_allclose(
        found.unary, right.unary, atol=3e-4 if dtype == np.float32 else 1e-9
    )


@TYPES
@pytest.mark.parametrize("zeros", [0.0, 0.3])
def test_outliers_and_wide_transitions(dtype, zeros, draw_chains):
    chains = draw_chains([30, 7, 1, 30], 4, 1, zeros, 1.0)
    chains.emissions[[3, 17, 40]] *= 1e5
    chains.potentials.log_transitions[:] *= 500
    arguments = chains.cast(lambda x: x.astype(dtype))
    double = chains.cast(lambda x: x.astype(dtype).astype(np.float64))
    found, right = forward_backward(*arguments), log_pass(*double)
    np.testing.assert_allclose(found.log_partition, right.log_partition, **ROUNDING[dtype])
    # Scores of 1e5 in float32 have a rounding error of their own, but here paths win by far.
    np.testing.assert_allclose(found.unary, right.unary, atol=1e-4)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.2, 0.5]),
    st.sampled_from([0.3, 3.0, 10.0, 30.0, 100.0]),
)
@TYPES
def test_what_passes_is_right(dtype, draw_chains, lengths, n_states, seed, zeros, spread):
    chains = draw_chains(lengths, n_states, seed, zeros, spread)
    arguments = chains.cast(lambda x: x.astype(dtype))
    double = chains.cast(lambda x: x.astype(dtype).astype(np.float64))
    found, failed = scaled_pass(*arguments)
    right = log_pass(*double)
    good = np.ones(len(lengths), dtype=bool)
    good[failed] = False
    np.testing.assert_allclose(
        found.log_partition[good], right.log_partition[good], **ROUNDING[dtype]
    )
    columns = good[chains.layout.owners]
    bound = 1e-9 if dtype == np.float64 else 2e-6 * max(spread, 1) * 40
    np.testing.assert_allclose(found.unary[:, columns], right.unary[:, columns], atol=bound)


@TYPES
def test_ordinary_dense_chains_never_fail(dtype, draw_chains):
    chains = draw_chains([50, 3, 0, 20], 6, 0, 0.0, 3.0)
    potentials, emissions, layout = chains.cast(lambda x: x.astype(dtype))
    emissions[:, ::7] *= 1e4
    assert Safety.of(potentials, emissions).dense
    assert len(scaled_pass(potentials, emissions, layout)[1]) == 0


def test_more_states_than_the_rule_allows_are_left_to_double_precision(draw_chains):
    chains = draw_chains([4, 0, 2], 400, 0, 0.1, 1.0)
    arguments = chains.cast(lambda x: x.astype(np.float32))
    assert scaled_pass(*arguments)[1].tolist() == [0, 1, 2]
    right = log_pass(*chains.cast(lambda x: x.astype(np.float32).astype(np.float64)))
    found = forward_backward(*arguments)
    assert found.unary.dtype == np.float32
    np.testing.assert_allclose(found.log_partition, right.log_partition, rtol=1e-12)
    np.testing.assert_allclose(found.unary, right.unary, atol=1e-7)
    np.testing.assert_allclose(found.pair_counts, right.pair_counts, atol=1e-12)


def test_without_any_transition_only_single_tokens_are_possible():
    chain = ChainPotentials(np.zeros(2), np.full((2, 2), -np.inf), np.zeros(2))
    lengths = [1, 2, 1000, 0]
    found = forward_backward(chain, np.zeros((2, 1003)), ChainLayout(lengths))
    np.testing.assert_allclose(found.log_partition, [np.log(2), -np.inf, -np.inf, 0])
    assert found.unary.sum() == 1 and found.pair_counts.sum() == 0


def test_the_limits_are_what_the_proof_needs():
    for dtype, tiny in ((np.float32, 1.2e-38), (np.float64, 2.3e-308)):
        assert tiny >= np.finfo(dtype).tiny
        zeros = np.zeros((2, 1), dtype)
        chain = ChainPotentials(zeros[:, 0], np.array([[0, -np.inf], [0, 0]], dtype), zeros[:, 0])
        safety = Safety.of(chain, zeros)
        assert not safety.dense and not safety.dead_ends and safety.usable
        # Positive entries stay positive, and the floor is no part of any result.
        assert safety.floor * np.exp(2 * safety.log_low) > 10 * tiny
        assert 1e5 * safety.floor < np.finfo(dtype).eps
        wide = chain.log_transitions.copy()
        wide[0, 1] = 0.99 * Safety.of(chain, zeros).log_low * 2
        assert Safety.of(ChainPotentials(zeros[:, 0], wide, zeros[:, 0]), zeros).dense == (
            dtype == np.float64
        )
