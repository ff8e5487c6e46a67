"""Markov chains of every estimator: formulas in loops, law of the samples, files, devices."""

from __future__ import annotations

import copy
import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inference.exact.enumerate import enumerate_states
from pgm.chains.smoothing import (
    AbsoluteDiscounting,
    AddK,
    Interpolated,
    KneserNey,
    Laplace,
    MaximumLikelihood,
    Smoothing,
    WittenBell,
)
from pgm.markov_chain import MarkovChain
from tests.pgm.chains.rhyme import RHYME

ESTIMATORS = [
    None,
    AddK(0.5),
    Laplace(1.5),
    Interpolated((0.9, 0.6, 0.3, 0.2)),
    WittenBell(),
    AbsoluteDiscounting(0.75),
    AbsoluteDiscounting(1.0),
    KneserNey(0.75),
    KneserNey(0.3, uniform_base=True),
]


NAMES = [repr(estimator) for estimator in ESTIMATORS]


def fitting(smoothing: Smoothing | None, order: int) -> Smoothing | None:
    """The estimator with as many weights as the order needs."""
    if isinstance(smoothing, Interpolated) and smoothing.weights is not None:
        return Interpolated(smoothing.weights[: order + 1])
    return smoothing


# Definitions -------------------------------------------------------------------------------------


class Definition:
    """Probabilities straight from the formulas, by scanning the sequences again and again."""

    def __init__(self, sequences, n_symbols, order, smoothing):
        self.sequences, self.k, self.order = [tuple(s) for s in sequences], n_symbols, order
        self.smoothing = MaximumLikelihood() if smoothing is None else smoothing

    def occurrences(self, gram):
        return sum(
            [s[i : i + len(gram)] == gram for s in self.sequences for i in range(len(s))]
            if gram
            else []
        )

    def count(self, context, symbol):
        """n(h, x), or for the short contexts of Kneser and Ney the number of predecessors."""
        gram = (*context, symbol)
        if isinstance(self.smoothing, KneserNey) and len(context) < self.order:
            return sum([self.occurrences((v, *gram)) > 0 for v in range(self.k)])
        return self.occurrences(gram)

    def after(self, context, symbol):
        """p(x | h)."""
        counts = [self.count(context, x) for x in range(self.k)]
        lower = self.after(context[1:], symbol) if context else 1 / self.k
        return self.estimate(counts, symbol, len(context), lower)

    def first(self, symbol):
        """p(x_1)."""
        if not self.order:
            return self.after((), symbol)
        begins = Counter(s[0] for s in self.sequences if s)
        counts = [begins[x] for x in range(self.k)]
        return self.estimate(counts, symbol, 1, self.after((), symbol))

    def estimate(self, counts, symbol, length, lower):
        total, distinct = sum(counts), sum([c > 0 for c in counts])
        c, how = counts[symbol], self.smoothing
        if isinstance(how, AddK):
            return (c + how.k) / (total + how.k * self.k)
        if isinstance(how, Laplace):
            eps = how.eps[length] if isinstance(how.eps, tuple) else how.eps
            return (c + eps * lower) / (total + eps)
        if not total:
            return lower
        if isinstance(how, MaximumLikelihood):
            return c / total
        if isinstance(how, Interpolated):
            return how.weights[length] * c / total + (1 - how.weights[length]) * lower
        if isinstance(how, WittenBell):
            return (c + distinct * lower) / (total + distinct)
        base = isinstance(how, KneserNey) and not length and not how.uniform_base
        discount = 0.0 if base else how.discount
        return (max(c - discount, 0) + discount * distinct * lower) / total

    def table(self):
        every = itertools.product(range(self.k), repeat=self.order + 1)
        cells = [self.after(cell[:-1], cell[-1]) for cell in every]
        return torch.tensor(cells, dtype=torch.float64).view((self.k,) * (self.order + 1))

    def log_prob(self, sequence, skipped=0):
        total = 0.0
        for t, symbol in enumerate(sequence):
            if t >= skipped:
                context = tuple(sequence[max(0, t - self.order) : t])
                p = self.after(context, symbol) if t or not self.order else self.first(symbol)
                total += math.log(p) if p else -math.inf
        return total


@st.composite
def problems(draw):
    """Sequences over few symbols, an order, an estimator."""
    n_symbols, order = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    sequence = st.lists(st.integers(0, n_symbols - 1), max_size=9)
    sequences = draw(st.lists(sequence, min_size=1, max_size=3).filter(any_symbol))
    return sequences, n_symbols, order, fitting(draw(st.sampled_from(ESTIMATORS)), order)


def any_symbol(sequences):
    return any(sequences)


@settings(max_examples=80)
@given(problems())
def test_probabilities_are_what_the_formulas_say(problem):
    sequences, n_symbols, order, smoothing = problem
    chain = MarkovChain(order, smoothing, states=n_symbols).fit(sequences)
    oracle = Definition(sequences, n_symbols, order, smoothing)
    torch.testing.assert_close(chain.table, oracle.table(), rtol=1e-13, atol=1e-15)
    firsts = [oracle.first(x) for x in range(n_symbols)]
    assert chain.initial.tolist() == pytest.approx(firsts, rel=1e-13, abs=1e-15)
    held_out = [*sequences, [0, n_symbols - 1, 0, n_symbols - 1, n_symbols - 1]]
    for initial in (True, False):
        expected = [oracle.log_prob(s, 0 if initial else order) for s in held_out]
        found = chain.log_prob(held_out, initial=initial).tolist()
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(max_examples=60)
@given(problems())
def test_all_sequences_of_a_length_have_probability_one(problem):
    sequences, n_symbols, order, smoothing = problem
    chain = MarkovChain(order, smoothing, states=n_symbols).fit(sequences)
    assert chain.table.sum(-1).sub(1).abs().max() < 1e-14
    assert (chain.table >= 0).all()
    for length in range(5):
        assert law_of(chain, length).sum().item() == pytest.approx(1.0, abs=1e-13)


def test_counts_are_those_of_a_loop():
    sequences = [list("abracadabra"), list("aab"), list("c"), []]
    chain = MarkovChain(order=2).fit(sequences)
    for length in range(3):
        expected = Counter(
            tuple(s[i : i + length + 1]) for s in sequences for i in range(len(s) - length)
        )
        codes, counts = chain.counts.ngrams(length)
        found = dict(zip(map(tuple, chain.decode(codes)), counts.tolist(), strict=True))
        assert found == expected
    assert [len(x) for x in chain.counts.ngrams()] == [len(x) for x in chain.counts.ngrams(2)]
    assert chain.decode(chain.counts.first.ngrams) == ["a", "c"]
    assert chain.counts.first.counts.tolist() == [2.0, 1.0]
    for length in (-1, 3):
        with pytest.raises(ValueError, match="length"):
            chain.counts.ngrams(length)


def test_a_repeated_corpus_gives_the_same_frequencies():
    once, thrice = (MarkovChain(2).fit([list("mississippi")] * n) for n in (1, 3))
    assert once.table.equal(thrice.table)


def test_a_chain_that_saw_nothing_is_uniform():
    for smoothing in (fitting(s, 2) for s in ESTIMATORS):
        chain = MarkovChain(2, smoothing, states=4)
        assert chain.table.unique().tolist() == [0.25]
        assert chain.sample(100, 3, generator=0).unique().tolist() == [0, 1, 2, 3]


# Samples -----------------------------------------------------------------------------------------


# Every chi-square test below rejects a right sampler once in a million.
FALSE_ALARM = 1e-6


def fits(samples: torch.Tensor, law: torch.Tensor) -> bool:
    """Whether the counts of all sequences fit the law, by a chi-square test; zeros exactly."""
    n_symbols = round(len(law) ** (1 / samples.shape[1]))
    powers = n_symbols ** torch.arange(samples.shape[1]).flip(0)
    counts = (samples.cpu() * powers).sum(1).bincount(minlength=len(law)).double()
    if counts[law == 0].any():
        return False
    expected = len(samples) * law[law > 0]
    common = expected >= 5
    cells = [counts[law > 0][common], counts[law > 0][~common].sum()[None]]
    means = [expected[common], expected[~common].sum()[None]]
    found, mean = torch.cat(cells), torch.cat(means)
    found, mean = found[mean > 0], mean[mean > 0]
    if len(mean) == 1:
        return True
    statistic = ((found - mean) ** 2 / mean).sum().item()
    return statistic < stats.chi2.isf(FALSE_ALARM, len(mean) - 1)


def law_of(chain: MarkovChain, length: int) -> torch.Tensor:
    """Probabilities of all sequences of a length, the last symbol changing fastest."""
    return chain.log_prob(enumerate_states([len(chain.states)] * length)).exp()


SEQUENCES = [list("abcaabbcab"), list("aacba"), list("ba")]


@pytest.mark.parametrize("smoothing", ESTIMATORS, ids=NAMES)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_samples_have_the_exact_law(smoothing, order):
    chain = MarkovChain(order, fitting(smoothing, order), states="abcd").fit(SEQUENCES)
    samples = chain.sample(40_000, 4, generator=1)
    assert samples.shape == (40_000, 4) and samples.dtype == torch.int64
    assert fits(samples, law_of(chain, 4))
    # The test sees what a few sequences less make.
    other = MarkovChain(order, fitting(smoothing, order), states="abcd").fit(SEQUENCES[1:])
    assert not fits(samples, law_of(other, 4))


def test_samples_of_a_large_and_uneven_chain():
    """Thousands of contexts in one running sum, and rare symbols among frequent ones."""
    rng = np.random.default_rng(0)
    matrix = rng.dirichlet(np.full(400, 0.05), 400)
    chain = MarkovChain.from_transitions(matrix)
    successors = chain.sample(50_000, 2, start=[399], generator=2)[:, 1]
    assert fits(successors[:, None], chain.transitions[399])


def test_samples_are_reproducible_and_begin_as_told():
    chain = MarkovChain(2, WittenBell()).fit(RHYME)
    assert chain.sample(3, 8, generator=4).equal(chain.sample(3, 8, generator=4))
    assert not chain.sample(3, 8, generator=4).equal(chain.sample(3, 8, generator=5))
    begun = chain.decode(chain.sample(4, 6, start=["and", "they", "all"], generator=0))
    assert [words[:3] for words in begun] == [["and", "they", "all"]] * 4
    certain = MarkovChain(2).fit(RHYME).sample(2, 6, start=["they", "all"], generator=0)
    assert certain.unique(dim=0).shape == (1, 6)
    assert chain.decode(certain[0]) == ["they", "all", "lived", "together", "in", "a"]
    assert chain.sample(0, 4, generator=0).shape == (0, 4)
    assert chain.sample(3, 0, generator=0).shape == (3, 0)
    state = torch.get_rng_state()
    chain.sample(2, 2)
    assert torch.get_rng_state().equal(state)


# Files and devices -------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [*ESTIMATORS, Laplace((1.0, 2.0, 3.0)), Interpolated()])
@pytest.mark.parametrize("sequences", [[RHYME], [[3, 5, 3, 3, 9]], [list("abcba"), ["x"]]])
def test_a_saved_chain_is_the_same_chain(tmp_path, smoothing, sequences):
    chain = MarkovChain(2, fitting(smoothing, 2)).fit(sequences)
    chain.save(tmp_path / "chain.safetensors")
    again = MarkovChain.load(tmp_path / "chain.safetensors")
    assert again.states == chain.states and again.order == 2
    assert again.smoothing == chain.smoothing
    assert again.log_prob(sequences).equal(chain.log_prob(sequences))
    assert again.sample(5, 5, generator=0).equal(chain.sample(5, 5, generator=0))
    assert again.state_dict().keys() == chain.state_dict().keys()
    assert again.fit("xyz").states == ("x", "y", "z"), "symbols were learned, so they may change"


@pytest.mark.parametrize("smoothing", [None, Interpolated(), Interpolated((0.5, 0.5, 0.5))])
def test_a_chain_on_another_device_is_the_same_chain(device, smoothing):
    chain = MarkovChain(2, smoothing).fit(RHYME)
    moved = MarkovChain(2, smoothing).to(device).fit(RHYME)
    copied = copy.deepcopy(chain).to(device)
    for other in (moved, copied):
        assert other.device.type == device.type
        assert {b.device.type for b in other.state_dict().values()} == {device.type}
        torch.testing.assert_close(other.log_prob(RHYME).cpu(), chain.log_prob(RHYME))
        samples = other.sample(20_000, 2, start=["a"], generator=0)
        assert samples.device.type == device.type
        assert fits(samples[:, 1:], chain.next_probabilities(["a"]))
