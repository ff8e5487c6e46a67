"""Interpolation weights learned by leaving out what is predicted."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from pgm.chains.deleted_interpolation import (
    deleted_interpolation,
    interpolation_step,
    left_out_frequencies,
)
from pgm.chains.smoothing import (
    Interpolated,
)
from pgm.markov_chain import MarkovChain


def left_out_likelihood(text: str, weights: list[float]) -> float:
    """Log-likelihood of the symbols with a full context, each left out of its own counts."""
    order, symbols, total = len(weights) - 1, sorted(set(text)), 0.0
    for t in range(order, len(text)):
        p = 1 / len(symbols)
        for length, weight in enumerate(weights):
            context = text[t - length : t]
            places = [i for i in range(length, len(text)) if text[i - length : i] == context]
            others = [text[i] for i in places if i != t]
            if others:
                p = weight * others.count(text[t]) / len(others) + (1 - weight) * p
        total += math.log(p)
    return total


TEXT = "the_cat_sat_on_the_mat_and_the_cat_ate_the_rat_and_sat_on_it"


def test_em_ends_by_the_change_per_event():
    found = deleted_interpolation(MarkovChain(2).fit(TEXT).counts)
    changes = [abs(step["change"]) / (len(TEXT) - 2) for step in found.history[1:]]
    assert changes[-1] < 1e-9 <= min(changes[:-1]) and found.converged


@pytest.mark.parametrize("order", [0, 1, 2])
def test_learned_weights_predict_best_what_is_left_out(order):
    chain = MarkovChain(order, Interpolated()).fit(TEXT)
    weights = chain.weights.tolist()
    best = left_out_likelihood(TEXT, weights)
    assert chain.history[-1]["objective"] == pytest.approx(best, abs=1e-5)
    for level, step in itertools.product(range(order + 1), (-0.05, 0.05)):
        moved = list(weights)
        moved[level] += step
        assert left_out_likelihood(TEXT, moved) < best
    objectives = [entry["objective"] for entry in chain.history]
    assert all([b >= a - 1e-9 for a, b in itertools.pairwise(objectives)])
    # The counts of the text itself would put all weight on the longest context.
    fixed = MarkovChain(order, Interpolated(tuple(weights))).fit(TEXT)
    assert fixed.table.equal(chain.table) and "log_likelihood" in fixed.history[0]


def test_one_step_of_em_is_the_objective_and_its_fixed_point_equation():
    """The derivative of the log-likelihood is what the M step says it is."""
    counts = MarkovChain(2).fit(TEXT).counts
    frequencies, n = left_out_frequencies(counts), counts.level(2).counts
    weights = torch.tensor([0.7, 0.4, 0.2], dtype=torch.float64)
    updated, objective = interpolation_step(weights, frequencies, n, 1 / counts.n_symbols)
    assert objective == pytest.approx(left_out_likelihood(TEXT, weights.tolist()), rel=1e-12)
    for level in range(3):
        values = []
        for step in (1e-5, -1e-5):
            moved = weights.clone()
            moved[level] += step
            values.append(left_out_likelihood(TEXT, moved.tolist()))
        slope = (values[0] - values[1]) / 2e-5
        # EM moves each weight along its own derivative and stops where that is zero.
        assert (updated[level] - weights[level]).item() * slope > 0
    with_own_counts = frequencies.clone()
    for length, owners in enumerate(counts.ancestry(2)):
        table = counts.level(length)
        places = table.places(owners, counts.level(2).ngrams % counts.n_symbols)
        with_own_counts[length] = table.counts[places] / table.totals[owners]
    for _ in range(2000):
        weights, _ = interpolation_step(weights, with_own_counts, n, 1 / counts.n_symbols)
    assert weights[-1] > 0.999, "without leaving out, the longest context takes all"


def test_a_level_that_never_answers_keeps_its_weight():
    chain = MarkovChain(2, Interpolated()).fit("abcd")
    assert chain.weights[1:].tolist() == [0.5, 0.5]
    assert MarkovChain(5, Interpolated()).fit("ab").weights.tolist() == [0.5] * 6
    assert deleted_interpolation(MarkovChain(3).fit("ab").counts).history == []
