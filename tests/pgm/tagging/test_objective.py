"""The objective of the tagger by enumeration, its gradient by finite differences."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgm.tagging.corpus import Corpus
from pgm.tagging.objective import Objective
from pgm.tagging.problem import Problem
from pgm.tagging.settings import Settings

WEIGHTS = [0.0, 0.5, 2.0]


def compiled(corpus, seed: int, weighted: bool, **settings):
    """A problem, its weights and its objective in double precision."""
    X, y = corpus(seed, n=6, longest=4)
    weights = [WEIGHTS[k % 3] for k in range(len(X))] if weighted else None
    problem = Problem.read(X, y, weights, Settings(**settings))
    rng = np.random.default_rng(seed)
    at = torch.from_numpy(rng.normal(size=len(problem.index)))
    compiled = Corpus.build(
        problem.lengths, problem.rows, problem.codes, len(problem.labels), problem.weights
    )
    return problem, at, Objective(compiled, problem.index, 0.7, at)


def enumerated(problem: Problem, at: torch.Tensor, l2: float) -> float:
    """The objective as a sum over all labellings."""
    states, transitions = (table.numpy() for table in problem.index.tables(at))
    dense = np.zeros((len(problem.codes), len(problem.names)))
    owners = np.repeat(np.arange(len(dense)), np.diff(problem.rows.offsets.numpy()))
    np.add.at(dense, (owners, problem.rows.columns.numpy()), problem.rows.values.numpy())
    emissions = dense @ states
    total, begin = l2 * float(at.square().sum()), 0
    weights = np.ones(len(problem.lengths)) if problem.weights is None else problem.weights
    for length, weight in zip(problem.lengths, weights, strict=True):
        rows, gold = emissions[begin : begin + length], problem.codes[begin : begin + length]

        def score(path, rows=rows):
            pairs = transitions[list(path[:-1]), list(path[1:])].sum()
            return rows[np.arange(len(path)), list(path)].sum() + pairs

        paths = product(range(len(problem.labels)), repeat=int(length))
        log_z = math.log(sum(math.exp(score(path)) for path in paths)) if length else 0.0
        total += weight * (log_z - (score(gold) if length else 0.0))
        begin += length
    return total


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_value_equals_enumeration(corpus, seed, weighted):
    problem, at, objective = compiled(corpus, seed, weighted)
    value, _ = objective(at)
    assert float(value) == pytest.approx(enumerated(problem, at, 0.7), rel=1e-12)
    assert float(value) != pytest.approx(enumerated(problem, at, 0.35), rel=1e-3)


@pytest.mark.parametrize("all_pairs", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_equals_finite_differences(corpus, weighted, all_pairs):
    problem, at, objective = compiled(
        corpus, 4, weighted, all_possible_states=all_pairs, all_possible_transitions=all_pairs
    )
    _, gradient = objective(at)
    found = torch.empty_like(at)
    for i in range(len(at)):
        step = torch.zeros_like(at)
        step[i] = 1e-5
        found[i] = (objective(at + step)[0] - objective(at - step)[0]) / 2e-5
    torch.testing.assert_close(gradient, found, rtol=1e-7, atol=1e-7)
    assert len(problem.index) == (len(problem.names) * 3 + 9 if all_pairs else len(at))


@given(st.integers(0, 10**6))
def test_single_precision_has_the_same_gradient(corpus, seed):
    problem, at, objective = compiled(corpus, seed, False)
    value, gradient = objective(at)
    single = Objective(
        Corpus.build(problem.lengths, problem.rows, problem.codes, 3, None),
        problem.index,
        0.7,
        at.float(),
    )
    other, less = single(at.float())
    assert less.dtype is torch.float32 and other.dtype is torch.float64
    assert float(other) == pytest.approx(float(value), rel=1e-5)
    torch.testing.assert_close(less.double(), gradient, rtol=1e-4, atol=1e-4)


def test_weights_are_repetitions(corpus):
    X, y = corpus(5, n=5)
    times = [0, 1, 3, 2, 0, 1]
    settings = Settings(min_freq=0.0)
    repeated = [row for row, n in zip(X, times, strict=True) for _ in range(n)]
    labels = [row for row, n in zip(y, times, strict=True) for _ in range(n)]
    weighted = Problem.read(X, y, times, settings)
    names = [name for name in weighted.names]
    other = Problem.read(repeated + X, labels + y, None, settings)
    assert sorted(names) == sorted(other.names) and len(other.index) == len(weighted.index)
    plain = Problem.read(repeated + X, labels + y, [1] * len(repeated) + [0] * len(X), settings)
    values = []
    for problem in (weighted, plain):
        compiled = Corpus.build(problem.lengths, problem.rows, problem.codes, 3, problem.weights)
        # The same weight for every pair, whatever the order of the attributes.
        code = {name: sum(map(ord, name)) % 7 / 7 for name in names}
        attributes, tags = problem.index.state_pairs
        at = [code[problem.names[a]] * (k + 1) for a, k in zip(attributes, tags, strict=True)]
        at += [0.1 * int(pair) for pair in problem.index.transitions]
        at = torch.tensor(at, dtype=torch.float64)
        values.append(float(Objective(compiled, problem.index, 0.0, at)(at)[0]))
    assert values[0] == pytest.approx(values[1], rel=1e-12)
