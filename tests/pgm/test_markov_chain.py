"""Markov chains: worked numbers, definitions spelled out in loops, samples, files, refusals."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inference.exact.enumerate import enumerate_states
from pgm.chains.deleted_interpolation import (
    deleted_interpolation,
    interpolation_step,
    left_out_frequencies,
)
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

TEXT_OF_RHYME = """
there was a crooked man who walked a crooked mile and found a crooked sixpence upon a crooked stile
he bought a crooked cat who caught a crooked mouse and they all lived together in a little crooked
house
"""
RHYME = TEXT_OF_RHYME.split()

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
def reference(shared):
    path = shared / "references" / "mixtures_and_sequences.json"
    return json.loads(path.read_text(encoding="utf-8"))["markov_chain"]


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


# Learned interpolation ---------------------------------------------------------------------------


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


# Parameters --------------------------------------------------------------------------------------


def test_a_chain_of_given_probabilities():
    matrix = np.array([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    chain = MarkovChain.from_transitions(matrix, [0.5, 0.0, 0.5], states=["x", "y", "z"])
    torch.testing.assert_close(chain.transitions, torch.from_numpy(matrix), rtol=1e-15, atol=0)
    assert chain.initial.tolist() == [0.5, 0.0, 0.5]
    assert chain.log_prob([["x", "z", "y"], ["y"], ["x", "y", "x"]]).exp().tolist() == (
        pytest.approx([0.5 * 0.7 * 0.25, 0.0, 0.0], rel=1e-15)
    )
    assert MarkovChain.from_transitions(matrix).initial.tolist() == [1 / 3] * 3
    assert MarkovChain.from_transitions(matrix).states == range(3)
    single = MarkovChain.from_transitions(torch.eye(2, dtype=torch.float32))
    assert single.transitions.dtype == torch.float64


def test_numbers_written_into_the_buffers_are_read():
    chain = MarkovChain(1, Interpolated((0.5, 0.5))).fit("aabb")
    before = chain.transitions
    with torch.no_grad():
        chain.weights.copy_(torch.tensor([1.0, 1.0]))
    assert chain.transitions.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert not chain.transitions.equal(before)
    chain.counts.get_buffer("counts_1").copy_(torch.tensor([3.0, 1.0, 7.0]))
    assert chain.transitions.tolist() == [[0.75, 0.25], [0.0, 1.0]]
    twin = copy.deepcopy(chain)
    twin.counts.get_buffer("counts_1").fill_(1.0)
    assert twin.transitions[0].tolist() == [0.5, 0.5]
    assert chain.transitions[0].tolist() == [0.75, 0.25]


def test_fitting_again_forgets_what_was_learned():
    chain = MarkovChain(1).fit("abab")
    assert chain.fit("xyx").states == ("x", "y")
    assert chain.transitions.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    given_ = MarkovChain(1, states="abc").fit("ab")
    assert given_.fit("ba").states == ("a", "b", "c")
    before = given_.transitions
    with pytest.raises(ValueError, match="'d'"):
        given_.fit("ad")
    assert given_.transitions.equal(before)


def test_a_chain_that_saw_nothing_is_uniform():
    for smoothing in (fitting(s, 2) for s in ESTIMATORS):
        chain = MarkovChain(2, smoothing, states=4)
        assert chain.table.unique().tolist() == [0.25]
        assert chain.sample(100, 3, generator=0).unique().tolist() == [0, 1, 2, 3]


def test_large_vocabularies_take_no_dense_memory():
    words = torch.randint(25_000, (3_000,), generator=torch.Generator().manual_seed(0))
    for smoothing in (None, KneserNey(0.75, uniform_base=True), Interpolated()):
        chain = MarkovChain(2, smoothing, states=25_000).fit(words)
        assert sum([b.numel() for b in chain.counts.buffers()]) < 30_000
        assert chain.log_prob(words).isfinite().all()
        assert chain.next_probabilities(words[:2]).sum().item() == pytest.approx(1, abs=1e-12)
        assert chain.sample(10, 5, generator=0).shape == (10, 5)
        with pytest.raises(ValueError, match=r"25000 symbols.*1\.6e\+13 entries.*TiB"):
            _ = chain.table
    with pytest.raises(ValueError, match="table"):
        MarkovChain(40, states=30).stationary_distribution()


def test_high_orders_and_short_sequences():
    chain = MarkovChain(10, WittenBell()).fit(["aab"[:2], "b"])
    assert chain.states == ("aa", "b")
    chain = MarkovChain(10).fit([list("ab"), list("b"), []])
    assert chain.log_prob([list("ab"), []]).exp().tolist() == pytest.approx([0.5, 1.0])
    assert chain.log_prob([list("ab")], initial=False).tolist() == [0.0]
    assert chain.sample(5, 3, generator=0).shape == (5, 3)


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


# The long run ------------------------------------------------------------------------------------


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


def test_chains_that_were_not_fitted_may_be_saved(tmp_path):
    path = tmp_path / "chain.safetensors"
    MarkovChain(3).save(path)
    assert MarkovChain.load(path).fit("aba").states == ("a", "b")
    MarkovChain(3, states="xy").save(path)
    assert MarkovChain.load(path).states == ("x", "y")
    chain = MarkovChain.from_transitions([[0.5, 0.5], [0.0, 1.0]], [1.0, 0.0], states=["4", "2"])
    chain.save(path)
    again = MarkovChain.load(path)
    assert again.transitions.equal(chain.transitions) and again.initial.equal(chain.initial)
    with pytest.raises(ValueError, match="'7'"):
        again.fit(["4", "7"])


def test_a_damaged_configuration_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    path = tmp_path / "chain.safetensors"
    chain = MarkovChain(1).fit("aab")
    for change in (
        {"smoothing": {"kind": "Guess"}},
        {"smoothing": {"kind": "AddK", "k": -1.0}},
        {"sizes": [[1, 2], [1, 0]]},
        {"order": 2},
        {"states": "abcd"},
    ):
        chain.save(path)
        tensors = load_file(path)
        config = json.dumps({**chain.config(), **change})
        metadata = {"format": "free-energy", "version": "1", "class": "MarkovChain"}
        save_file(tensors, path, {**metadata, "config": config})
        if "states" in change:
            assert len(MarkovChain.load(path).states) == 4
            continue
        with pytest.raises(ValueError, match=r"chain\.safetensors"):
            MarkovChain.load(path)


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


# Input -------------------------------------------------------------------------------------------


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
