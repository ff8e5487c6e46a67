"""Exact samples against the enumerated law. Every chi-square test fails a right sampler once in
a million; the seeds are fixed, so that none fails by chance at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference import Factor, FactorGraph
from inference.exact.enumerate import enumerate_law

ROWS = 40_000  # two whole chunks and a part of one


def soft_or_hard(rng: np.random.Generator, cards: dict[str, int]) -> dict[str, object]:
    names = list(cards)
    return {names[0]: int(rng.integers(cards[names[0]])), names[-1]: rng.random(cards[names[-1]])}


@pytest.mark.parametrize("seed", range(8))
def test_samples_follow_the_law(seed, each_path, random_graph, assert_drawn_from):
    rng = np.random.default_rng(seed)
    cards, factors = random_graph(rng, zeros=0.2 * (seed % 2))
    rows = FactorGraph(cards, factors).sample(ROWS, generator=seed)
    assert rows.shape == (ROWS, len(cards)) and rows.dtype == torch.int64
    assert_drawn_from(rows, cards, enumerate_law(cards, factors).probabilities)


@pytest.mark.parametrize("seed", range(8))
def test_samples_follow_the_posterior(seed, each_path, random_graph, assert_drawn_from):
    rng = np.random.default_rng(100 + seed)
    cards, factors = random_graph(rng, sd=1.0, zeros=0.1 * (seed % 2))
    evidence = soft_or_hard(rng, cards)
    law = enumerate_law(cards, factors, evidence)
    graph = FactorGraph(cards, factors)
    if law.log_partition == -torch.inf:
        with pytest.raises(ValueError, match="probability zero"):
            graph.sample(1, evidence)
        return
    rows = graph.sample(ROWS, evidence, generator=seed)
    assert_drawn_from(rows, cards, law.probabilities)


@pytest.mark.parametrize("seed", range(4))
def test_samples_of_huge_ranges(seed, each_path, assert_drawn_from):
    """Two modes hundreds of nats above everything else, half a nat apart."""
    rng = np.random.default_rng(seed)
    cards = dict.fromkeys("abcd", 3)
    tables = {pair: rng.normal(0, 300, (3, 3)) for pair in ("ab", "bc", "cd")}
    first = rng.integers(0, 3, 4)
    second = (first + 1) % 3
    for v, table in enumerate(tables.values()):
        table[first[v], first[v + 1]] = table[second[v], second[v + 1]] = 1500.0
    factors = [Factor(list(pair), table) for pair, table in tables.items()]
    factors.append(Factor(["a"], 0.5 * np.eye(3)[first[0]]))
    law = enumerate_law(cards, factors)
    assert 0.5 < law.probabilities.max() < 0.7
    assert_drawn_from(
        FactorGraph(cards, factors).sample(ROWS, generator=seed), cards, law.probabilities
    )


@pytest.mark.parametrize("given", [{}, {"c": 1}, {"a": [0.2, 0.0, 1.0]}])
def test_variables_of_many_states(given, each_path, assert_drawn_from):
    """More states than a linear scan is used for, some of them impossible."""
    rng = np.random.default_rng(7)
    cards = {"a": 3, "b": 40, "c": 3}
    ab = torch.from_numpy(np.where(rng.random((3, 40)) < 0.3, -np.inf, rng.normal(0, 1, (3, 40))))
    ab[:, [0, 17, 39]] = -torch.inf
    factors = [
        Factor(["a", "b"], ab),
        Factor(["c", "b"], torch.from_numpy(rng.normal(0, 1, (3, 40)))),
    ]
    rows = FactorGraph(cards, factors).sample(ROWS, given, generator=3)
    law = enumerate_law(cards, factors, given)
    assert_drawn_from(rows, cards, law.probabilities)


def test_rows_are_independent(each_path, assert_drawn_from):
    """Neighbouring rows, and the same place of two chunks."""
    cards = {"a": 2, "b": 3}
    factors = [Factor(["a", "b"], torch.tensor([[0.0, 1.0, -1.0], [0.5, 0.0, 1.0]]).double())]
    p = enumerate_law(cards, factors).probabilities
    rows = FactorGraph(cards, factors).sample(1 << 16, generator=5)
    for shift in (1, 1 << 14):
        pairs = torch.cat([rows[:-shift], rows[shift:]], dim=1)
        both = {"a": 2, "b": 3, "a'": 2, "b'": 3}
        # Every other pair shares a row with the next one, which only makes the test milder.
        assert_drawn_from(pairs, both, torch.outer(p, p).flatten())


def test_the_seed_decides(each_path, random_graph):
    cards, factors = random_graph(np.random.default_rng(0))
    graph = FactorGraph(cards, factors)
    first = graph.sample(50, generator=11)
    assert graph.sample(50, generator=11).equal(first)
    assert FactorGraph(cards, factors).sample(50, generator=11).equal(first)
    assert not graph.sample(50, generator=12).equal(first)
    generator = torch.Generator().manual_seed(11)
    assert graph.sample(50, generator=generator).equal(first)
    assert not graph.sample(50, generator=generator).equal(first), "the generator did not advance"
    assert not graph.sample(50).equal(graph.sample(50)), "no generator means fresh entropy"


def test_global_random_state_is_untouched(each_path, random_graph):
    cards, factors = random_graph(np.random.default_rng(1))
    graph = FactorGraph(cards, factors)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for generator in (None, 3, torch.Generator()):
        graph.sample(20, {"a": 0}, generator=generator)
        graph.sample(20, generator=generator)
    assert torch.get_rng_state().equal(before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_no_rows_and_no_variables():
    graph = FactorGraph({"a": 2, "b": 3}, [])
    assert graph.sample(0).shape == (0, 2)
    assert graph.sample(0, {"a": 1}).shape == (0, 2)
    assert FactorGraph({}, []).sample(3).shape == (3, 0)


def test_everything_observed(each_path):
    graph = FactorGraph({"a": 2, "b": 3}, [Factor(["a", "b"], torch.zeros(2, 3))])
    assert graph.sample(2, {"a": 1, "b": 2}).tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize("n", [-1, 1.5, "3", None, True])
def test_a_wrong_number_of_rows_is_named(n):
    with pytest.raises((TypeError, ValueError), match="n must be"):
        FactorGraph({"a": 2}, []).sample(n)


def test_one_query_at_a_time():
    graph = FactorGraph({"a": 2}, [])
    for query in (graph.most_probable, lambda e: graph.sample(1, e)):
        with pytest.raises(ValueError, match="batch"):
            query({"a": [0, 1]})
