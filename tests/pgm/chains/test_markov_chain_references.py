"""Markov chains: worked numbers and reference values."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from pgm.chains.smoothing import (
    AbsoluteDiscounting,
    AddK,
    KneserNey,
    Laplace,
)
from pgm.markov_chain import MarkovChain
from tests.pgm.chains.rhyme import RHYME

# Worked numbers of the course notes --------------------------------------------------------------


def test_T8_perplexity():
    bigram, unigram = MarkovChain(1).fit(RHYME), MarkovChain(0).fit(RHYME)
    assert bigram.perplexity(RHYME).item() == pytest.approx(1.6602492416, abs=1e-10)
    assert bigram.log_prob(RHYME, initial=False).item() / -38 == pytest.approx(0.5069677, abs=5e-8)
    assert unigram.perplexity(RHYME).item() == pytest.approx(18.06430296878, abs=5e-12)
    entropy = unigram.entropy_rate().item()
    assert entropy == pytest.approx(2.8939377792, abs=5e-11)
    assert entropy / math.log(2) == pytest.approx(4.1750696827, abs=5e-11)
    for order in (0, 1, 2):
        uniform = MarkovChain(order, states=7)
        assert uniform.perplexity([0, 3, 6, 6, 2]).item() == pytest.approx(7, rel=1e-14)
        assert uniform.perplexity([[0, 3], [5]], initial=True).item() == pytest.approx(7)
    assert MarkovChain(1).fit("abcabc").perplexity("bcabca").item() == 1.0


def test_T9_the_rhyme_has_39_tokens_of_25_types():
    chain = MarkovChain(0).fit(RHYME)
    codes, counts = chain.counts.ngrams(0)
    found = dict(zip(chain.decode(codes[:, 0]), counts.tolist(), strict=True))
    often = {"a": 7, "crooked": 7, "and": 2, "who": 2}
    assert len(found) == len(chain.states) == 25 and counts.sum() == 39
    assert found == {word: often.get(word, 1) for word in chain.states}
    assert chain.table[0].item() == pytest.approx(7 / 39, rel=1e-15)


def test_T10_bigram_rows():
    chain = MarkovChain(1).fit(RHYME)
    ngrams, counts = chain.counts.ngrams()
    assert len(ngrams) == 33 and counts.sum() == 38
    assert len(set(ngrams[:, 0].tolist())) == 24, "house is followed by nothing"
    rows = {
        word: {chain.states[i]: row[i].item() for i in row.nonzero().flatten().tolist()}
        for word, row in zip(chain.states, chain.transitions, strict=True)
    }
    things = ["man", "mile", "sixpence", "stile", "cat", "mouse", "house"]
    assert rows["a"] == {"crooked": 6 / 7, "little": 1 / 7}
    assert rows["and"] == {"found": 0.5, "they": 0.5}
    assert rows["who"] == {"walked": 0.5, "caught": 0.5}
    assert rows["crooked"] == dict.fromkeys(things, 1 / 7)
    assert sum([row == {next(iter(row)): 1.0} for row in rows.values()]) == 20


def test_T10_a_word_without_successor_falls_back_on_the_frequencies():
    chain, frequencies = MarkovChain(1).fit(RHYME), MarkovChain(0).fit(RHYME)
    house = chain.next_probabilities(["house"])
    assert house.equal(frequencies.table)
    assert house.sum().item() == pytest.approx(1, abs=1e-15)
    deeper = MarkovChain(2).fit(RHYME)
    assert deeper.next_probabilities(["a", "house"]).equal(frequencies.table)
    assert deeper.next_probabilities(["house", "a"]).equal(chain.next_probabilities(["a"]))
    assert MarkovChain(1, AddK(1)).fit(RHYME).next_probabilities(["house"]).unique().numel() == 1


def test_T11b_laplace_smoothing():
    chain = MarkovChain(1, Laplace(1.0)).fit(RHYME)
    alone = MarkovChain(0, Laplace(1.0)).fit(RHYME).table
    code = {word: i for i, word in enumerate(chain.states)}
    assert alone[code["a"]].item() == pytest.approx(0.176, rel=1e-14)
    assert alone.sum().item() == pytest.approx(1, abs=1e-15)
    row = chain.next_probabilities(["a"])
    for word, p in (("crooked", 0.772), ("little", 0.12825), ("man", 0.00325)):
        assert row[code[word]].item() == pytest.approx(p, rel=1e-14)
    # Contexts are counted where something follows: 0 for house, which occurs once.
    house = chain.next_probabilities(["house"])
    assert house.sum().item() == pytest.approx(1, abs=1e-15)
    tokens = Counter(RHYME)
    by_tokens = sum([alone[code[word]].item() for word in tokens]) / (tokens["house"] + 1)
    assert by_tokens == pytest.approx(0.5), "n(x) as the number of tokens is not a distribution"


def test_F22_the_third_order_smoothing_that_normalises():
    eps = (1.0, 2.0, 0.5)
    text = "abracadabra"
    chain = MarkovChain(2, Laplace(eps)).fit(text)
    pairs = MarkovChain(1, Laplace(eps[:2])).fit(text)
    n = Counter(zip(text, text[1:], text[2:], strict=False))
    contexts = Counter(itertools.pairwise(text[:-1]))
    misses = []
    for first, second in itertools.product(chain.states, repeat=2):
        lower = dict(zip(chain.states, pairs.next_probabilities([second]).tolist(), strict=True))
        size = contexts[first, second] + eps[2]
        right = [(n[first, second, x] + eps[2] * lower[x]) / size for x in chain.states]
        found = chain.next_probabilities([first, second]).tolist()
        assert found == pytest.approx(right, rel=1e-13)
        # As printed, with P(x' | x) for every x'', it is no distribution.
        back = pairs.next_probabilities([first])[chain.states.index(second)].item()
        printed = [(n[first, second, x] + eps[2] * back) / size for x in chain.states]
        misses.append(abs(sum(printed) - 1))
    assert max(misses) > 0.5


# Reference values --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference(references):
    return references["markov_chain"]


def test_reference_bigram_counts(reference):
    chain = MarkovChain(1).fit(reference["text"])
    assert list(chain.states) == reference["alphabet"]
    ngrams, counts = chain.counts.ngrams()
    dense = torch.zeros(12, 12, dtype=torch.float64)
    dense[ngrams[:, 0], ngrams[:, 1]] = counts
    assert dense.tolist() == reference["bigram_counts"]


@pytest.mark.parametrize(
    ("smoothing", "key"),
    [
        (None, "ml_transition_loglik"),
        (AddK(1.0), "add1_loglik"),
        (KneserNey(0.75), "kneser_ney_loglik"),
    ],
)
def test_reference_log_likelihoods(reference, smoothing, key):
    chain = MarkovChain(1, smoothing).fit(reference["text"])
    found = chain.log_prob(reference["text"], initial=False)
    assert found.item() == pytest.approx(reference[key], abs=1e-10)


def test_reference_kneser_ney_matrix(reference):
    expected = torch.tensor(reference["kneser_ney_matrix"], dtype=torch.float64)
    chain = MarkovChain(1, KneserNey(reference["kneser_ney_D"])).fit(reference["text"])
    torch.testing.assert_close(chain.transitions, expected, rtol=0, atol=1e-12)
    # Occurrences instead of different predecessors, which is absolute discounting, are not it.
    wrong = MarkovChain(1, AbsoluteDiscounting(0.75)).fit(reference["text"]).transitions
    assert (wrong - expected).abs().max() > 0.01
