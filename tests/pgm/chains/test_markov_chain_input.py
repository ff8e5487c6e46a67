"""Sequences, settings and questions that Markov chains read or refuse."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pgm.chains.smoothing import (
    AbsoluteDiscounting,
    AddK,
    Interpolated,
    KneserNey,
    Laplace,
)
from pgm.markov_chain import MarkovChain


def test_sequences_in_every_spelling():
    codes = [[0, 1, 2, 1], [2, 2, 0, 1]]
    chain = MarkovChain(1).fit(codes)
    expected = chain.log_prob(codes)
    assert expected.shape == (2,)
    spellings = [
        np.array(codes),
        np.array(codes, dtype=np.uint8),
        torch.tensor(codes),
        torch.tensor(codes, dtype=torch.int16),
        tuple(map(tuple, codes)),
        [torch.tensor(codes[0]), np.array(codes[1])],
        (row for row in codes),
        [[np.int64(x) for x in row] for row in codes],
    ]
    for spelling in spellings:
        assert chain.log_prob(spelling).equal(expected)
    assert MarkovChain(1).fit(row for row in codes).transitions.equal(chain.transitions)
    assert chain.log_prob(codes[0]).equal(expected[:1])
    assert chain.log_prob(np.array(codes[0])).equal(expected[:1])
    letters = MarkovChain(1).fit(["abcb", "ccab"][0]).states
    assert letters == ("a", "b", "c")
    words = MarkovChain(1).fit([["abcb"], ["ccab"]])
    assert words.states == ("abcb", "ccab")
    assert chain.log_prob(torch.zeros((0, 3), dtype=torch.int64)).shape == (0,)
    assert chain.log_prob(torch.zeros((2, 0), dtype=torch.int64)).tolist() == [0.0, 0.0]
    assert chain.log_prob([]).shape == (0,)
    named = MarkovChain(1, states="abc").fit([list("abcb"), list("ccab")])
    assert named.log_prob(codes).equal(expected), "codes stand for symbols with names, too"
    assert named.log_prob(named.sample(7, 4)).isfinite().all()
    assert MarkovChain(1).fit([3, 1, 3]).states == range(4)
    assert chain.score(codes).item() == pytest.approx(expected.mean().item())


def test_tables_are_their_rows():
    table = pd.DataFrame({"first": ["a", "b"], "second": ["b", "b"]})
    chain = MarkovChain(1).fit(table)
    assert chain.states == ("a", "b")
    assert chain.log_prob(table).equal(chain.log_prob([list("ab"), list("bb")]))
    codes = pd.DataFrame({0: [0, 1], 1: [1, 1]})
    assert chain.log_prob(codes).equal(chain.log_prob(table))
    assert chain.log_prob([table["first"], table["second"]]).shape == (2,)
    with pytest.raises(ValueError, match=r"one axis each, found shape \(2, 2\)"):
        chain.log_prob([table])


@pytest.mark.parametrize(
    ("order", "error"), [(-1, ValueError), (1.5, TypeError), ("1", TypeError), (True, TypeError)]
)
def test_bad_orders_are_named(order, error):
    with pytest.raises(error, match="order"):
        MarkovChain(order)


@pytest.mark.parametrize(
    ("make", "error", "named"),
    [
        (lambda: AddK(0.0), ValueError, "k must be positive"),
        (lambda: AddK(-1.0), ValueError, "k must be positive"),
        (lambda: AddK(math.nan), ValueError, "k must be positive"),
        (lambda: AddK("1"), TypeError, "k must be a number"),
        (lambda: Laplace(0.0), ValueError, "eps"),
        (lambda: Laplace((1.0, -1.0)), ValueError, "eps"),
        (lambda: MarkovChain(1, Laplace((1.0, 1.0, 1.0))), ValueError, "eps.*order = 1.*3"),
        (lambda: Interpolated((0.5, 1.5)), ValueError, "weights"),
        (lambda: MarkovChain(2, Interpolated((0.5, 0.5))), ValueError, "weights.*order = 2"),
        (lambda: AbsoluteDiscounting(1.1), ValueError, "discount"),
        (lambda: KneserNey(-0.1), ValueError, "discount"),
        (lambda: KneserNey(math.nan), ValueError, "discount"),
        (lambda: KneserNey(True), TypeError, "discount"),
        (lambda: KneserNey(0.5, uniform_base=1), TypeError, "uniform_base"),
        (lambda: MarkovChain(1, "add-one"), TypeError, "smoothing.*AddK"),
        (lambda: MarkovChain(1, 1.0), TypeError, "smoothing"),
        (lambda: MarkovChain(1, AddK), TypeError, "smoothing"),
    ],
)
def test_bad_settings_are_named(make, error, named):
    with pytest.raises(error, match=named):
        make()


def test_weights_beyond_a_fraction_are_refused_when_they_are_used():
    chain = MarkovChain(1, Interpolated((0.5, 0.5))).fit("aab")
    with torch.no_grad():
        chain.weights.fill_(2.0)
    with pytest.raises(ValueError, match="weights"):
        chain.log_prob("aab")


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        (([[0.5, 0.4], [0, 1]],), ValueError, r"matrix.*sum.*0\.9"),
        (([[1.5, -0.5], [0, 1]],), ValueError, "matrix"),
        (([[0.5, 0.5]],), ValueError, "matrix.*square"),
        (([0.5, 0.5],), ValueError, "matrix.*square"),
        ((np.zeros((0, 0)),), ValueError, "matrix"),
        (([[math.nan, 1.0], [0, 1]],), ValueError, "matrix.*NaN"),
        (([["a", "b"], ["c", "d"]],), TypeError, "matrix"),
        ((np.eye(2), [0.5, 0.6]), ValueError, "initial.*sum"),
        ((np.eye(2), [1.0]), ValueError, "initial.*shape"),
        ((np.eye(2), None, "abc"), ValueError, "states must be 2.*3"),
        ((np.eye(2), None, "aa"), ValueError, "states.*twice"),
    ],
)
def test_bad_probabilities_are_named(arguments, error, named):
    with pytest.raises(error, match=named):
        MarkovChain.from_transitions(*arguments)


@pytest.mark.parametrize("data", [[], "", [[]], [[], []], np.zeros((2, 0), dtype=int)])
def test_no_data_is_an_error(data):
    for chain in (MarkovChain(1), MarkovChain(1, states=3)):
        with pytest.raises(ValueError, match="at least one symbol"):
            chain.fit(data)


def test_what_is_unknown_is_named():
    chain = MarkovChain(1).fit("abab")
    for query in (chain.log_prob, chain.perplexity, chain.next_probabilities, chain.encode):
        with pytest.raises(ValueError, match=r"'z'.*'a', 'b'"):
            query("az")
    with pytest.raises(ValueError, match="'z'"):
        chain.sample(1, 4, start="z")
    with pytest.raises(ValueError, match="fit it"):
        MarkovChain(1).log_prob("a")
    with pytest.raises(ValueError, match="one sequence"):
        chain.next_probabilities([["a"], ["b"]])


def test_nothing_to_score_is_an_error():
    chain = MarkovChain(2).fit("abab")
    with pytest.raises(ValueError, match=r"more than 2 symbols.*longest of 2"):
        chain.perplexity([["a", "b"], ["a"]])
    assert chain.perplexity("ab", initial=True).item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="more than 0 symbols"):
        chain.perplexity([], initial=True)
    with pytest.raises(ValueError, match="at least one sequence"):
        chain.score([])


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ((-1, 2), ValueError, "n must be"),
        ((2.5, 2), TypeError, "n must be"),
        ((2, -1), ValueError, "length must be"),
        ((2, "3"), TypeError, "length must be"),
    ],
)
def test_bad_sizes_of_samples_are_named(arguments, error, named):
    with pytest.raises(error, match=named):
        MarkovChain(1).fit("ab").sample(*arguments)


def test_a_start_longer_than_the_sample_is_refused():
    with pytest.raises(ValueError, match=r"start has 3.*length = 2"):
        MarkovChain(1).fit("ab").sample(1, 2, start="aba")
