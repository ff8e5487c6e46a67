"""Best paths, draws of paths, weights, pairs and entropies of paths, against enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.exact.chain import sample as sample_module
from inference.exact.chain import viterbi as viterbi_module
from inference.exact.chain.entropy import chain_entropy
from inference.exact.chain.forward_backward import forward_backward
from inference.exact.chain.k_best import k_best
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.pairs import pair_posteriors
from inference.exact.chain.path_scores import path_scores
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.sample import sample_paths
from inference.exact.chain.viterbi import viterbi

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def weight_of(law, path):
    """Log weight that enumeration gives a path."""
    return law.log_weights[(law.paths == path).all(1)].item()


@QUIET
@given(data=st.data())
@pytest.mark.parametrize("kind", ARRAYS)
def test_the_best_path_is_the_best_of_all(data, kind, chains, laws):
    found = data.draw(chains())
    states, scores = (np.asarray(x) for x in viterbi(*found.cast(ARRAYS[kind])))
    assert states.dtype == np.int64
    for path, score, law in zip(found.each(states), scores, laws(found), strict=True):
        np.testing.assert_allclose(score, law.log_weights.max(), **CLOSE)
        if score == -np.inf:
            assert (path == -1).all()
        else:
            np.testing.assert_allclose(weight_of(law, path), score, **CLOSE)


@QUIET
@given(data=st.data(), n_best=st.integers(1, 6))
@pytest.mark.parametrize("kind", ARRAYS)
def test_the_best_paths_are_different_and_in_order(data, n_best, kind, chains, laws):
    found = data.draw(chains())
    states, scores = (np.asarray(x) for x in k_best(*found.cast(ARRAYS[kind]), n_best))
    for paths, score, law in zip(found.each(states.T), scores, laws(found), strict=True):
        best = np.full(n_best, -np.inf)
        best[: len(law.log_weights)] = np.sort(law.log_weights)[::-1][:n_best]
        np.testing.assert_allclose(score, best, **CLOSE)
        possible = score > -np.inf
        assert (paths[:, ~possible] == -1).all()
        assert len({tuple(path) for path in paths.T[possible]}) == possible.sum()
        for path, own in zip(paths.T[possible], score[possible], strict=True):
            np.testing.assert_allclose(weight_of(law, path), own, **CLOSE)


def test_tensors_as_working_arrays_give_the_same_path(draw_chains):
    # What other devices use.
    found = draw_chains([4, 0, 7, 5], 3, 0, 0.1, 1.0)
    arguments = found.cast(torch.from_numpy)
    delta = viterbi_module._forward(*arguments)
    states, scores = viterbi_module._backtrace(arguments[0], delta, arguments[2])
    expected = viterbi(*found.cast(np.asarray))
    assert np.array_equal(states.numpy(), expected.states)
    np.testing.assert_allclose(scores.numpy(), expected.scores)


@QUIET
@given(data=st.data())
def test_pairs_entropies_and_weights_agree_with_enumeration(data, chains, laws):
    found = data.draw(chains())
    arguments = found.cast(torch.from_numpy)
    pairs = pair_posteriors(*arguments).permute(2, 0, 1).numpy()
    entropies = chain_entropy(*arguments)
    rng = np.random.default_rng(0)
    every = laws(found)
    chosen = [law.paths[rng.integers(len(law.paths))] for law in every]
    states = torch.from_numpy(found.layout.pack(np.concatenate(chosen).astype(np.int64)))
    scores = path_scores(*arguments, states)
    for b, (rows, law) in enumerate(zip(found.each(pairs), every, strict=True)):
        np.testing.assert_allclose(rows[1:], law.pairs, **CLOSE)
        assert (rows[:1] == 0).all()
        p = np.exp(law.log_weights - law.log_partition) if law.log_partition > -np.inf else 0.0
        p = np.atleast_1d(p)
        p = p[p > 0]
        np.testing.assert_allclose(entropies[b], -(p * np.log(p)).sum(), **CLOSE)
        np.testing.assert_allclose(scores[b], weight_of(law, chosen[b]), **CLOSE)


def test_entropy_does_not_cancel():
    # A certain path of weight e^80,000: log partition less expected score would be noise.
    potentials = ChainPotentials(torch.zeros(2), torch.zeros(2, 2))
    emissions = torch.zeros(2, 1000)
    emissions[0] = 80.0
    emissions[:, 7] = 0.0
    entropy = chain_entropy(potentials, emissions, ChainLayout([1000]))
    torch.testing.assert_close(entropy, torch.tensor([math.log(2)]))


# Bernstein's inequality: a cell of probability p is off by more than x with probability below
# 2 exp(-n x**2 / (2 p + 2 x / 3)); the bound below is exceeded once in 1e8 per cell.
def bound(p, n):
    log_alarm = math.log(2e8)
    return log_alarm / (3 * n) + np.sqrt((log_alarm / (3 * n)) ** 2 + 2 * p * log_alarm / n)


def draws_fit(draws, found, every):
    """Whether the joint frequencies of all paths are near their probabilities, in 3 x 27 cells."""
    n = len(draws)
    for paths, law in zip(found.each(draws.numpy().T), every, strict=True):
        p = np.exp(law.log_weights - law.log_partition)
        seen = np.array([(path == paths.T).all(1).mean() for path in law.paths])
        if (np.abs(seen - p) > bound(p, n)).any() or (seen[p == 0] > 0).any():
            return False
    return True


def test_draws_follow_the_posterior(draw_chains, laws, monkeypatch):
    # False alarms: at most 57 cells of 1e-8 each, below 1e-6.
    found = draw_chains([3, 0, 2, 3], 3, 4, 0.15, 1.0)
    every = laws(found)
    assert min(law.log_partition for law in every) > -np.inf
    arguments = found.cast(np.asarray)
    assert draws_fit(sample_paths(*arguments, 20_000, generator=0), found, every)
    again = sample_paths(*arguments, 20_000, generator=0)
    assert torch.equal(sample_paths(*arguments, 20_000, generator=0), again)

    def without_the_later_state(*arguments, generator):
        # The deliberately wrong variant: states drawn from the filter, not from what follows.
        logits = arguments[0]
        if logits.ndim == 3:
            logits = logits.mean(0, keepdim=True).expand(logits.shape).clone()
        return right(logits, *arguments[1:], generator=generator)

    right = sample_module.categorical
    monkeypatch.setattr(sample_module, "categorical", without_the_later_state)
    assert not draws_fit(sample_paths(*arguments, 20_000, generator=0), found, every)


def test_draws_of_an_impossible_sequence_are_refused():
    potentials = ChainPotentials(np.zeros(2), np.full((2, 2), -np.inf))
    with pytest.raises(ValueError, match="sequence 1 has no possible path"):
        sample_paths(potentials, np.zeros((2, 3)), ChainLayout([1, 2]), 3)


def test_no_draws_and_no_sequences_are_fine():
    potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)))
    assert sample_paths(potentials, np.zeros((2, 3)), ChainLayout([3]), 0).shape == (0, 3)
    empty = (potentials, np.zeros((2, 0)), ChainLayout([]))
    assert sample_paths(*empty, 2).shape == (2, 0)
    assert viterbi(*empty).scores.shape == (0,) and k_best(*empty, 2).scores.shape == (0, 2)


def test_tables_that_do_not_fit_are_refused_before_they_are_made(monkeypatch):
    potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)))
    arguments = (potentials, np.zeros((2, 1000)), ChainLayout([1000]))
    monkeypatch.setattr("inference.memory.free_memory", lambda: 10_000)
    with pytest.raises(ValueError, match=r"n_best paths would take 93.8 KiB, but 9.8"):
        k_best(*arguments, 3)
    with pytest.raises(ValueError, match=r"all pairs would take 31.2 KiB, but 9.8 KiB are free"):
        pair_posteriors(*arguments)
    tensors = (torch.zeros(2), torch.zeros(2, 2)), torch.zeros(2, 1000), arguments[2]
    with pytest.raises(ValueError, match=r"derivatives would take 62.5 KiB"):
        chain_entropy(ChainPotentials(*tensors[0]), *tensors[1:])


def test_a_number_of_paths_is_a_positive_whole_number():
    arguments = (
        ChainPotentials(np.zeros(2), np.zeros((2, 2))),
        np.zeros((2, 1)),
        ChainLayout([1]),
    )
    with pytest.raises(ValueError, match="n_best must be at least 1, found 0"):
        k_best(*arguments, 0)
    with pytest.raises(TypeError, match="n_best must be a whole number"):
        k_best(*arguments, 1.5)


def test_pairs_sum_to_the_counts(draw_chains):
    found = draw_chains([9, 1, 30], 4, 2, 0.1, 2.0).cast(np.asarray)
    counts = forward_backward(*found).pair_counts
    np.testing.assert_allclose(pair_posteriors(*found).sum(-1), counts, atol=1e-12)


@pytest.mark.parametrize("convert", ARRAYS.values(), ids=ARRAYS)
def test_pairs_of_long_sequences_keep_their_digits_in_single_precision(draw_chains, convert):
    found = draw_chains([4000, 30], 4, 0, 0.1, 5.0)
    wanted = pair_posteriors(*found.cast(lambda x: x.astype(np.float32).astype(np.float64)))
    pairs = pair_posteriors(*found.cast(lambda x: convert(x.astype(np.float32))))
    np.testing.assert_allclose(pairs, wanted, atol=1e-5)


def test_impossible_sequences_of_working_tensors_are_refused(monkeypatch):
    # What other devices use.
    potentials = ChainPotentials(torch.zeros(2), torch.full((2, 2), -math.inf), torch.zeros(2))
    monkeypatch.setattr(sample_module, "check_chain", lambda *arguments: arguments[:2])
    with pytest.raises(ValueError, match="sequence 1 has no possible path"):
        sample_paths(potentials, torch.zeros(2, 3), ChainLayout([1, 2]), 3)
