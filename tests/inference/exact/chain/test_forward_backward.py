"""Log partitions and posteriors against enumeration, along every way they are computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.exact.chain import blocks
from inference.exact.chain.blocks import blocked_pass
from inference.exact.chain.forward_backward import forward_backward, log_partition
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import log_pass
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.scaled import scaled_pass

QUIET = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}


def check(found, chains, laws, weights, good=None, **close):
    """Compare a result with the laws of the sequences (all, or those that are good)."""
    close = close or CLOSE
    log_partition, unary, pair_counts = (np.asarray(x) for x in found)
    good = np.ones(len(laws), dtype=bool) if good is None else good
    assert not (np.isnan(log_partition) | (log_partition == np.inf))[good].any()
    counts = np.zeros_like(pair_counts)
    impossible = np.ones(counts.shape, dtype=bool)
    for b, rows in enumerate(chains.each(unary.T)):
        if good[b]:
            np.testing.assert_allclose(log_partition[b], laws[b].log_partition, **close)
            np.testing.assert_allclose(rows, laws[b].unary, **close)
            assert (rows[~laws[b].possible] == 0).all()
            counts += weights[b] * laws[b].pairs.sum(0)
            impossible &= ~laws[b].possible_pairs.any(0)
    np.testing.assert_allclose(pair_counts, counts, **close)
    assert (pair_counts[impossible] == 0).all()


def as_tuple(posterior):
    return posterior.log_partition, posterior.unary, posterior.pair_counts


@QUIET
@given(data=st.data())
@pytest.mark.parametrize("kind", ARRAYS)
def test_all_sequences_agree_with_enumeration(data, kind, chains, laws):
    found = data.draw(chains())
    weights = np.random.default_rng(0).random(found.layout.n_sequences)
    potentials, emissions, layout = found.cast(ARRAYS[kind])
    posterior = forward_backward(potentials, emissions, layout, ARRAYS[kind](weights))
    assert type(posterior.unary) is type(emissions)
    check(as_tuple(posterior), found, laws(found), weights)
    alone = log_partition(potentials, emissions, layout)
    np.testing.assert_allclose(alone, posterior.log_partition, rtol=1e-12, atol=1e-12)


@QUIET
@given(data=st.data())
@pytest.mark.parametrize("kind", ARRAYS)
def test_the_log_pass_agrees_with_enumeration(data, kind, chains, laws):
    # Tensors as working arrays are what other devices use.
    found = data.draw(chains())
    weights = np.random.default_rng(0).random(found.layout.n_sequences)
    passed = log_pass(*found.cast(ARRAYS[kind]), ARRAYS[kind](weights))
    check(passed, found, laws(found), weights)


@QUIET
@given(data=st.data())
@pytest.mark.parametrize("kind", ARRAYS)
def test_the_scaled_pass_agrees_where_it_does_not_refuse(data, kind, chains, laws):
    found = data.draw(chains())
    weights = np.random.default_rng(0).random(found.layout.n_sequences)
    passed, failed = scaled_pass(*found.cast(ARRAYS[kind]), ARRAYS[kind](weights))
    good = np.ones(len(weights), dtype=bool)
    good[failed] = False
    check(passed, found, laws(found), weights, good)


@QUIET
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
@pytest.mark.parametrize("kind", ARRAYS)
def test_blocks_agree_with_enumeration(kind, draw_chains, laws, lengths, n_states, seed):
    found = draw_chains(lengths, n_states, seed, 0.0, 2.0)
    weights = np.random.default_rng(0).random(found.layout.n_sequences)
    if found.layout.n_tokens:
        passed = blocked_pass(*found.cast(ARRAYS[kind]), ARRAYS[kind](weights))
        check(passed, found, laws(found), weights)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_sequences_in_blocks_equal_the_steps_one_by_one(dtype, draw_chains, monkeypatch):
    chains = draw_chains([1200, 0, 7, 900, 1], 4, 3, 0.0, 2.0)
    arguments = chains.cast(lambda x: x.astype(dtype))
    assert blocks.worth_blocks(*arguments)
    weights = np.linspace(0.5, 1.5, 5).astype(dtype)
    cut = forward_backward(*arguments, weights)
    monkeypatch.setattr(blocks, "_LEAST_STEPS", 10**9)
    whole = forward_backward(*arguments, weights)
    assert not np.array_equal(cut.unary, whole.unary)  # two ways
    bound = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(cut.log_partition, whole.log_partition, rtol=bound)
    np.testing.assert_allclose(cut.unary, whole.unary, atol=bound)
    np.testing.assert_allclose(cut.pair_counts, whole.pair_counts, atol=2100 * bound)
    assert np.array_equal(log_partition(*arguments), forward_backward(*arguments).log_partition)


def test_a_long_sequence_with_an_impossible_token_is_impossible(draw_chains):
    chains = draw_chains([1000, 800], 3, 0, 0.0, 1.0)
    chains.emissions[500] = -np.inf
    assert blocks.worth_blocks(*chains.cast(np.asarray))
    posterior = forward_backward(*chains.cast(np.asarray))
    assert posterior.log_partition[0] == -np.inf and posterior.log_partition[1] > -np.inf
    first, second = chains.each(posterior.unary.T)
    assert (first == 0).all()
    np.testing.assert_allclose(second.sum(1), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_memory_orders_give_the_same_in_the_order_given(dtype, draw_chains):
    chains = draw_chains([40, 3, 17, 40], 5, 1, 0.0, 1.0)
    potentials, emissions, layout = chains.cast(lambda x: x.astype(dtype))
    by_token = np.asfortranarray(emissions)
    one = forward_backward(potentials, emissions, layout)
    two = forward_backward(potentials, by_token, layout)
    assert one.unary.flags.c_contiguous and two.unary.flags.f_contiguous
    assert one.unary.dtype == two.unary.dtype == dtype
    np.testing.assert_array_equal(one.unary, two.unary)
    np.testing.assert_array_equal(one.pair_counts, two.pair_counts)


def test_many_strips_equal_one(draw_chains, monkeypatch):
    chains = draw_chains([5, 0, 3, 9, 9, 1, 2] * 20, 3, 5, 0.1, 1.0)
    weights = np.random.default_rng(0).random(140)
    one = forward_backward(*chains.cast(np.asarray), weights)
    monkeypatch.setattr("inference.exact.chain.strip._STEP_BYTES", 1)
    monkeypatch.setattr("inference.exact.chain.strip._LEAST_WIDTH", 7)
    many = forward_backward(*chains.cast(np.asarray), weights)
    for a, b in zip(as_tuple(one), as_tuple(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_a_sequence_without_tokens_has_one_path():
    potentials = ChainPotentials(np.full(2, -np.inf), np.zeros((2, 2)))
    posterior = forward_backward(potentials, np.zeros((2, 0)), ChainLayout([0, 0]))
    assert posterior.log_partition.tolist() == [0, 0]
    assert posterior.pair_counts.tolist() == [[0, 0], [0, 0]]


def test_no_sequences_are_a_batch_too():
    potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)))
    posterior = forward_backward(potentials, np.zeros((2, 0)), ChainLayout([]))
    assert posterior.log_partition.shape == (0,) and posterior.unary.shape == (2, 0)


def test_wrong_shapes_and_types_are_refused():
    potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"must be \(n_states, n_tokens\) = \(2, 3\)"):
        forward_backward(potentials, np.zeros((3, 2)), ChainLayout([3]))
    with pytest.raises(ValueError, match="float32 or float64, found int64"):
        forward_backward(potentials, np.zeros((2, 3), dtype=int), ChainLayout([3]))
    with pytest.raises(
        ValueError, match=r"must be \(K,\) and \(K, K\), found \(2,\) and \(2, 3\)"
    ):
        ChainPotentials(np.zeros(2), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"log_end must be \(2,\)"):
        ChainPotentials(np.zeros(2), np.zeros((2, 2)), np.zeros(3))
    with pytest.raises(ValueError, match=r"weights must be \(2,\)"):
        forward_backward(potentials, np.zeros((2, 3)), ChainLayout([3, 0]), np.zeros(1))
