"""Rows with missing cells against a visit to every joint state."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.enumerate import enumerate_states
from inference.exact.incomplete_rows import IncompleteRows, RowCliques
from inference.exact.structure import Structure

EXACT = 1e-12


@dataclass(frozen=True)
class Example:
    """A network, rows with gaps, and what enumeration says of them."""

    structure: Structure
    values: np.ndarray
    codes: np.ndarray
    weights: np.ndarray | None = None

    def rows(self, weighted: bool = True) -> IncompleteRows:
        weights = self.weights if weighted else None
        return IncompleteRows(RowCliques(self.structure), list(self.codes.T), weights)

    @cached_property
    def states(self) -> np.ndarray:
        return enumerate_states(self.structure.cards).numpy()

    def cells(self, factor: int, states: np.ndarray) -> np.ndarray:
        """Place of every state's cell in the vector of all tables."""
        scope, shape = self.structure.scopes[factor], self.structure.shapes[factor]
        return self.structure.offsets[factor] + np.ravel_multi_index(states[:, scope].T, shape)

    @cached_property
    def joint(self) -> np.ndarray:
        states = self.states
        factors = range(len(self.structure.scopes))
        return np.prod([self.values[self.cells(f, states)] for f in factors], axis=0)

    @cached_property
    def agrees(self) -> np.ndarray:
        """Which joint states fill which row, (n, states)."""
        codes = self.codes[:, None, :]
        return ((codes < 0) | (codes == self.states)).all(-1)

    @cached_property
    def likelihoods(self) -> np.ndarray:
        return self.agrees @ self.joint

    @cached_property
    def posterior(self) -> np.ndarray:
        """Law of every row's joint state, (n, states); zero for impossible rows."""
        weight, total = self.agrees * self.joint, self.likelihoods
        return weight / np.where(total > 0, total, 1.0)[:, None]

    @cached_property
    def counts(self) -> np.ndarray:
        weights = np.ones(len(self.codes)) if self.weights is None else self.weights
        mass, states = weights @ self.posterior, self.states
        full = np.zeros(self.structure.offsets[-1])
        for factor in range(len(self.structure.scopes)):
            np.add.at(full, self.cells(factor, states), mass)
        return full

    def marginal(self, v: int) -> np.ndarray:
        found = self.posterior @ np.eye(self.structure.cards[v])[self.states[:, v]]
        found[self.likelihoods == 0] = np.nan
        return found

    def possible(self) -> Example:
        kept = self.likelihoods > 0
        weights = None if self.weights is None else self.weights[kept]
        return Example(self.structure, self.values, self.codes[kept], weights)


def network(rng: np.random.Generator, cards: list[int], zeros: float, ties: bool) -> Example:
    """A random network; its variables come in no particular order."""
    order = rng.permutation(len(cards))
    scopes = []
    for v in range(len(cards)):
        above = order[: int(np.flatnonzero(order == v)[0])]
        chosen = rng.permutation(above)[: rng.integers(0, 4)].tolist()
        scopes.append((*chosen, v))
    structure = Structure(tuple(cards), tuple(scopes), tuple(range(len(cards))))
    return Example(structure, tables(rng, structure, zeros, ties), np.zeros((0, len(cards)), int))


def tables(
    rng: np.random.Generator, structure: Structure, zeros: float = 0.0, ties: bool = False
) -> np.ndarray:
    parts = []
    for shape in structure.shapes:
        weights = np.ones(shape) if ties else rng.gamma(1.0, size=shape)
        weights *= rng.random(shape) >= zeros
        weights += (1.0 if ties else 1e-3) * np.eye(shape[-1])[
            rng.integers(shape[-1], size=shape[:-1])
        ]
        parts.append((weights / weights.sum(-1, keepdims=True)).reshape(-1))
    return np.concatenate(parts)


def rows_of(rng: np.random.Generator, example: Example, n: int, gaps: str) -> np.ndarray:
    """Rows of the law or of none, with gaps of one kind; some of them twice."""
    cards = example.structure.cards
    if rng.random() < 0.5:
        codes = example.states[rng.choice(len(example.joint), n, p=example.joint)]
    else:
        codes = np.stack([rng.integers(card, size=n) for card in cards], axis=1)
    rates = {"none": 0.0, "some": 0.3, "many": 0.7, "all": 1.0}
    absent = rng.random(codes.shape) < rates.get(gaps, 0.2)
    if gaps == "hidden":
        absent |= rng.random(len(cards)) < 0.5
    if n and rng.random() < 0.5:
        again = rng.integers(n, size=n)
        codes, absent = codes[again], absent[again]
    return np.where(absent, -1, codes)


@st.composite
def examples(draw: st.DrawFn, zeros: tuple[float, ...] = (0.0, 0.3, 0.8)) -> Example:
    cards = draw(st.lists(st.sampled_from([1, 2, 2, 3, 4]), min_size=1, max_size=6))
    n = draw(st.sampled_from([0, 1, 2, 9]))
    gaps = draw(st.sampled_from(["none", "some", "many", "all", "hidden"]))
    weighted = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bare = network(rng, cards, draw(st.sampled_from(zeros)), draw(st.booleans()))
    codes = rows_of(rng, bare, n, gaps)
    kind = rng.choice([np.int8, np.int32, np.int64])
    weights = rng.gamma(1.0, size=n) * (rng.random(n) < 0.7) if weighted else None
    return Example(bare.structure, bare.values, codes.astype(kind), weights)


def close(found: np.ndarray, expected: np.ndarray, scale: float = 1.0) -> None:
    np.testing.assert_allclose(found, expected, rtol=EXACT, atol=EXACT * scale)


# Against enumeration -----------------------------------------------------------------------------


@settings(max_examples=100)
@given(examples())
def test_log_likelihoods(example):
    with np.errstate(divide="ignore"):
        expected = np.log(example.likelihoods)
    found = example.rows().log_likelihoods(example.values)
    assert found.shape == (len(example.codes),)
    close(found, expected)


@settings(max_examples=150)
@given(examples())
def test_expected_counts_of_possible_rows(example):
    example = example.possible()
    counts, value = example.rows().expected_counts(example.values)
    weights = np.ones(len(example.codes)) if example.weights is None else example.weights
    close(counts, example.counts, 1 + weights.sum())
    assert value == pytest.approx(weights @ np.log(example.likelihoods), rel=EXACT, abs=EXACT)


@settings(max_examples=100)
@given(examples(zeros=(0.3, 0.8)))
def test_impossible_rows_are_seen_in_the_likelihood(example):
    counts, value = example.rows().expected_counts(example.values)
    weights = np.ones(len(example.codes)) if example.weights is None else example.weights
    impossible = bool((weights[example.likelihoods == 0] > 0).any())
    assert (value == -math.inf) is impossible
    assert np.isfinite(counts).all()
    if not impossible:
        close(counts, example.counts, 1 + weights.sum())


@settings(max_examples=100)
@given(examples())
def test_posteriors_of_single_variables(example):
    variables = list(range(len(example.structure.cards)))[::-1]
    found = example.rows(weighted=False).marginals(example.values, variables)
    for v, table in zip(variables, found, strict=True):
        assert table.shape == (len(example.codes), example.structure.cards[v])
        close(table, example.marginal(v))


@settings(max_examples=50)
@given(examples())
def test_weights_change_no_posterior(example):
    """A row of weight zero has a posterior too."""
    variables = range(len(example.structure.cards))
    plain = example.rows(weighted=False).marginals(example.values, variables)
    weighted = example.rows().marginals(example.values, variables)
    for one, other in zip(plain, weighted, strict=True):
        close(one, other)


@settings(max_examples=100)
@given(examples())
def test_the_most_probable_completion(example):
    example = example.possible()
    found = example.rows().complete(example.values)
    assert found.shape == example.codes.shape and found.dtype == np.int64
    seen = example.codes >= 0
    assert (found[seen] == example.codes[seen]).all()
    cards = example.structure.cards
    place = np.ravel_multi_index(tuple(found.T), cards)
    best = (example.agrees * example.joint).max(axis=1, initial=0.0)
    close(example.joint[place], best)


@settings(max_examples=100)
@given(examples())
def test_drawn_completions_are_possible_and_keep_what_was_seen(example):
    example = example.possible()
    found = example.rows().complete(example.values, np.random.default_rng(0))
    seen = example.codes >= 0
    assert (found[seen] == example.codes[seen]).all()
    place = np.ravel_multi_index(tuple(found.T), example.structure.cards)
    assert (example.joint[place] > 0).all()


# Worked examples and wrong answers ---------------------------------------------------------------


@pytest.fixture
def pair() -> Example:
    """Two binary variables, the second missing in half the rows."""
    structure = Structure((2, 2), ((0,), (0, 1)), (0, 1))
    values = np.array([0.25, 0.75, 0.9, 0.1, 0.2, 0.8])
    codes = np.array([[0, 0], [0, -1], [1, 1], [1, -1], [-1, 1], [-1, -1]])
    return Example(structure, values, codes)


def test_expected_counts_by_hand(pair):
    p_one = 0.25 * 0.1 + 0.75 * 0.8
    share = 0.25 * 0.1 / p_one
    expected = [
        2 + share + 0.25, 2 + 1 - share + 0.75,
        1 + 0.9 + 0.25 * 0.9, 0.1 + share + 0.25 * 0.1,
        0.2 + 0.75 * 0.2, 1 + 0.8 + 1 - share + 0.75 * 0.8,
    ]  # fmt: skip
    counts, value = pair.rows().expected_counts(pair.values)
    assert counts.tolist() == pytest.approx(expected, rel=1e-14)
    rows = [0.25 * 0.9, 0.25, 0.75 * 0.8, 0.75, p_one, 1.0]
    assert value == pytest.approx(np.log(rows).sum(), rel=1e-14)


def test_wrong_counts_are_told_apart(pair):
    """Gaps as state 0, counts of the cells seen, and most probable completions."""
    zeroed = Example(pair.structure, pair.values, pair.codes.clip(min=0)).counts
    available = np.zeros(6)
    for factor, scope in enumerate(pair.structure.scopes):
        shown = (pair.codes[:, scope] >= 0).all(1)
        np.add.at(available, pair.cells(factor, pair.codes[shown]), 1.0)
    best = Example(pair.structure, pair.values, pair.rows().complete(pair.values)).counts
    for wrong in (zeroed, available, best):
        with pytest.raises(AssertionError):
            close(wrong, pair.counts)
    close(pair.rows().expected_counts(pair.values)[0], pair.counts)


def test_counts_are_the_gradient_of_the_likelihood(pair):
    """The circuit's identity: d log p / d log theta = N, by central differences."""
    rows = pair.rows()
    counts, _ = rows.expected_counts(pair.values)
    for cell in range(6):
        up, down = pair.values.copy(), pair.values.copy()
        up[cell] *= math.exp(1e-5)
        down[cell] *= math.exp(-1e-5)
        slope = (rows.expected_counts(up)[1] - rows.expected_counts(down)[1]) / 2e-5
        assert slope == pytest.approx(counts[cell], rel=1e-8, abs=1e-9)


def test_impossible_rows_have_no_completion(pair):
    values = np.array([0.25, 0.75, 1.0, 0.0, 1.0, 0.0])
    rows = pair.rows()
    assert rows.log_likelihoods(values)[[2, 4]].tolist() == [-math.inf, -math.inf]
    for generator in (None, np.random.default_rng(0)):
        with pytest.raises(ValueError, match=r"row 2\b"):
            rows.complete(values, generator)
    first, second = rows.marginals(values, [0, 1])
    assert np.isnan(first[[2, 4]]).all() and np.isnan(second[[2, 4]]).all()
    kept = [0, 1, 3, 5]
    assert not np.isnan(first[kept]).any() and not np.isnan(second[kept]).any()


@pytest.mark.parametrize("flips", list(itertools.product([0, 1], repeat=3)))
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_ties_are_broken_for_all_cliques_together(flips, order):
    """A chain of copies and negations of a fair coin: both completions are as probable."""
    scopes = {order[0]: (order[0],)}
    parts = {order[0]: np.array([0.5, 0.5])}
    for flip, parent, child in zip(flips, order, order[1:], strict=False):
        scopes[child] = (parent, child)
        parts[child] = np.eye(2)[:, [flip, 1 - flip]].reshape(-1)
    structure = Structure((2,) * 4, tuple([scopes[v] for v in range(4)]), (0, 1, 2, 3))
    example = Example(structure, np.concatenate([parts[v] for v in range(4)]), np.full((1, 4), -1))
    (found,) = example.rows().complete(example.values)
    assert example.joint[np.ravel_multi_index(tuple(found), (2,) * 4)] == 0.5


# Draws -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def diamond() -> Example:
    """Four variables in a loop, one apart, one with a single state; hard zeros."""
    rng = np.random.default_rng(5)
    cards = (2, 3, 2, 2, 3, 1)
    scopes = ((0,), (0, 1), (0, 2), (1, 2, 3), (4,), (3, 5))
    structure = Structure(cards, scopes, tuple(range(6)))
    return Example(structure, tables(rng, structure, 0.2), np.zeros((0, 6), int))


PATTERNS = ([-1] * 6, [-1, -1, 1, -1, -1, 0], [1, -1, -1, 0, 2, -1], [-1, 2, -1, -1, 0, -1])


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_completions_have_the_exact_law(diamond, pattern, assert_drawn_from):
    example = Example(diamond.structure, diamond.values, np.tile(pattern, (10_000, 1)))
    draws = example.rows().complete(example.values, np.random.default_rng(7))
    one = Example(diamond.structure, diamond.values, np.array([pattern]))
    law = torch.from_numpy(one.posterior[0])
    names = dict(zip("abcdef", diamond.structure.cards, strict=True))
    assert_drawn_from(torch.from_numpy(draws), names, law)


def test_cells_drawn_one_by_one_are_rejected(diamond, assert_drawn_from):
    """Every variable from its own posterior, instead of all of them jointly."""
    one = Example(diamond.structure, diamond.values, np.array([PATTERNS[0]]))
    rng = np.random.default_rng(7)
    columns = [
        rng.choice(card, 10_000, p=one.marginal(v)[0])
        for v, card in enumerate(diamond.structure.cards)
    ]
    names = dict(zip("abcdef", diamond.structure.cards, strict=True))
    with pytest.raises(AssertionError):
        assert_drawn_from(
            torch.from_numpy(np.stack(columns, 1)), names, torch.from_numpy(one.posterior[0])
        )


# The range of floats -----------------------------------------------------------------------------


def star(k: int, leaves: int, seed: int) -> tuple[Structure, np.ndarray, np.ndarray]:
    """A hidden class over many features, and the log-probability of one row of zeros."""
    rng = np.random.default_rng(seed)
    scopes = ((0,), *[(0, leaf) for leaf in range(1, leaves + 1)])
    structure = Structure((k, *[2] * leaves), scopes, tuple(range(leaves + 1)))
    values = tables(rng, structure)
    first = values[k:].reshape(leaves, k, 2)[:, :, 0]
    return structure, values, np.log(values[:k]) + np.log(first).sum(axis=0)


@pytest.mark.parametrize(("k", "leaves"), [(2, 60), (10, 784), (2, 3000)])
def test_many_features_of_a_hidden_class(k, leaves):
    """Mixtures over the pixels of an image: a row is far less likely than the smallest float."""
    structure, values, logs = star(k, leaves, 0)
    columns = [np.array([-1]), *[np.array([0])] * leaves]
    rows = IncompleteRows(RowCliques(structure), columns)
    expected = np.logaddexp.reduce(logs)
    assert rows.log_likelihoods(values)[0] == pytest.approx(expected, rel=1e-12)
    counts, value = rows.expected_counts(values)
    assert value == pytest.approx(expected, rel=1e-12)
    close(counts[:k], np.exp(logs - expected), 100)


def test_products_of_small_probabilities():
    """Two events of probability 1e-200 in one clique."""
    structure = Structure((2, 2), ((0,), (0, 1)), (0, 1))
    values = np.array([1.0, 1e-200, 0.5, 0.5, 1.0, 1e-200])
    rows = IncompleteRows(RowCliques(structure), [np.array([1, -1]), np.array([1, 1])])
    expected = [2 * math.log(1e-200), math.log(0.5)]
    assert rows.log_likelihoods(values).tolist() == pytest.approx(expected, rel=1e-12)
