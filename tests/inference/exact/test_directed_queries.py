"""Random directed graphs with random tables, zeros included, against enumeration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference import Factor
from inference.exact.enumerate import EnumeratedLaw, enumerate_law
from pgm import BayesianNetwork

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
NATS = {"rtol": 1e-12, "atol": 1e-9}
PROBABILITY = {"rtol": 1e-8, "atol": 1e-10}


def close(found: torch.Tensor, expected: torch.Tensor, **bounds: float) -> None:
    assert found.dtype == torch.float64
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, equal_nan=True, **bounds)


def law_of(edges, cards, tables, evidence: dict[str, Any] | None = None) -> EnumeratedLaw:
    """The product of the tables, each with its parents in the order of the edges."""
    factors = [
        Factor.from_potential([*[p for p, child in edges if child == name], name], table)
        for name, table in tables.items()
    ]
    return enumerate_law(cards, factors, evidence)


@settings(max_examples=120, **QUIET)
@given(data=st.data())
def test_marginals_and_log_evidence(data, networks, evidence, each_path):
    edges, cards, tables = data.draw(networks())
    net = BayesianNetwork(edges, cards, tables)
    assert net.variables == tuple(cards)
    for name in cards:
        assert net.parents(name) == tuple(p for p, child in edges if child == name)
    for _ in range(3):
        given_ = data.draw(evidence(cards))
        law = law_of(edges, cards, tables, given_)
        close(net.log_evidence(given_), law.log_partition, **NATS)
        if law.log_partition == -math.inf:
            with pytest.raises(ValueError, match="probability zero"):
                net.marginals(given_)
            continue
        found = net.marginals(given_)
        assert list(found) == list(cards)
        for name, expected in law.marginals.items():
            close(found[name], expected, **PROBABILITY)


@settings(max_examples=100, **QUIET)
@given(data=st.data())
def test_joint_posteriors_of_any_variables(data, networks, evidence, each_path):
    """In any order, observed or not, related or not, several times on one object."""
    edges, cards, tables = data.draw(networks(states=400))
    net = BayesianNetwork(edges, cards, tables)
    given_ = data.draw(evidence(cards, kinds="hs--"))
    law = law_of(edges, cards, tables, given_)
    for _ in range(2):
        asked = data.draw(st.lists(st.sampled_from(list(cards)), unique=True, max_size=4))
        if law.log_partition == -math.inf:
            with pytest.raises(ValueError, match="probability zero"):
                net.query(asked, given_)
            continue
        found = net.query(asked, given_)
        assert found.scope == tuple(asked)
        close(found.values, law.joint(asked), **PROBABILITY)
        some = net.marginals(given_, variables=asked)
        assert list(some) == asked
        for name, table in some.items():
            close(table, law.joint(name), **PROBABILITY)


@settings(max_examples=80, **QUIET)
@given(data=st.data())
def test_most_probable_states(data, networks, evidence, each_path):
    edges, cards, tables = data.draw(networks())
    net = BayesianNetwork(edges, cards, tables)
    given_ = data.draw(evidence(cards))
    law = law_of(edges, cards, tables, given_)
    if law.log_partition == -math.inf:
        with pytest.raises(ValueError, match="probability zero"):
            net.most_probable(given_)
        return
    state, value = net.most_probable(given_)
    close(value, law.most_probable[1], **NATS)
    assert list(state) == list(cards)
    row = torch.tensor([list(state.values())])
    soft = {name: np.asarray(v)[state[name]] for name, v in given_.items() if np.ndim(v)}
    attained = net.log_prob(row)[0] + sum(math.log(p) for p in soft.values())
    close(attained, value, **NATS)
    for name, observed in given_.items():
        assert np.ndim(observed) or state[name] == observed


@settings(max_examples=60, **QUIET)
@given(data=st.data())
def test_rows_with_and_without_gaps(data, networks, each_path):
    edges, cards, tables = data.draw(networks(states=400))
    net = BayesianNetwork(edges, cards, tables)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    size = data.draw(st.sampled_from([1, 2, 9]))
    rows = np.stack([rng.integers(0, card, size) for card in cards.values()], axis=1)
    rows[rng.random(rows.shape) < data.draw(st.sampled_from([0, 0.3, 1]))] = -1
    expected = []
    for row in rows.tolist():
        seen = {name: code for name, code in zip(cards, row, strict=True) if code >= 0}
        expected.append(law_of(edges, cards, tables, seen).log_partition)
    close(net.log_prob(rows), torch.stack(expected), **NATS)
    as_floats = np.where(rows < 0, np.nan, rows)
    close(net.log_prob(torch.from_numpy(as_floats)), torch.stack(expected), **NATS)


@settings(max_examples=60, **QUIET)
@given(data=st.data())
def test_batches_equal_their_rows(data, networks, batches, each_path):
    edges, cards, tables = data.draw(networks(states=300))
    net = BayesianNetwork(edges, cards, tables)
    batch, rows = data.draw(batches(cards))
    laws = [law_of(edges, cards, tables, row) for row in rows]
    close(net.log_evidence(batch), torch.stack([law.log_partition for law in laws]), **NATS)
    for name, table in net.marginals(batch).items():
        close(table, torch.stack([law.marginals[name] for law in laws]), **PROBABILITY)


@settings(max_examples=40, **QUIET)
@given(data=st.data())
def test_the_factor_graph_of_a_network_is_the_same_law(data, networks, evidence, each_path):
    edges, cards, tables = data.draw(networks(states=300))
    net = BayesianNetwork(edges, cards, tables)
    graph = net.to_factor_graph()
    assert graph.cardinalities == cards
    given_ = data.draw(evidence(cards))
    close(graph.log_partition(given_), net.log_evidence(given_), **NATS)
    if net.log_evidence(given_) > -math.inf:
        found = graph.marginals(given_)
        for name, table in net.marginals(given_).items():
            close(found[name], table, **PROBABILITY)


@pytest.mark.parametrize("seed", range(8))
def test_samples_follow_the_posterior(seed, each_path, assert_drawn_from):
    """Ancestral without evidence, from a tree with it; also evidence far down a graph."""
    rng = np.random.default_rng(seed)
    cards = {name: int(rng.integers(2, 4)) for name in "abcde"}
    parents = {"e": [], "c": ["e"], "a": ["c", "e"], "b": ["c"], "d": ["b", "a"]}
    tables = {}
    for name in cards:
        shape = (*[cards[p] for p in parents[name]], cards[name])
        weights = rng.random(shape) * (rng.random(shape) < 0.7)
        weights[..., 0] += 0.05
        tables[name] = weights / weights.sum(-1, keepdims=True)
    edges = [(p, name) for name in cards for p in parents[name]]
    net = BayesianNetwork(edges, cards, tables)
    last = cards["d"] - 1
    for given_ in ({}, {"d": 0}, {"d": rng.random(cards["d"]), "c": 0}, {"d": last, "a": [1.0, 0.5, 2.0][: cards["a"]]}):  # fmt: skip # noqa: E501
        law = law_of(edges, cards, tables, given_)
        if law.log_partition == -math.inf:
            continue
        rows = net.sample(40_000, given_, generator=seed)
        assert_drawn_from(rows, cards, law.probabilities)


def test_states_of_many_values_are_drawn_right(assert_drawn_from):
    """Ancestral draws by bisection, with impossible states first, last and between."""
    rng = np.random.default_rng(2)
    weights = rng.random((3, 50)) * (rng.random((3, 50)) < 0.6)
    weights[:, [0, 20, 49]] = 0
    tables = {"a": np.array([0.2, 0.5, 0.3]), "b": weights / weights.sum(1, keepdims=True)}
    cards = {"a": 3, "b": 50}
    net = BayesianNetwork([("a", "b")], cards, tables)
    rows = net.sample(40_000, generator=0)
    assert_drawn_from(rows, cards, law_of([("a", "b")], cards, tables).probabilities)


def test_forced_splits_really_split(engine_path):
    """Otherwise the paths named "split" would test nothing."""
    rng = np.random.default_rng(0)
    cards = dict.fromkeys("abcdef", 3)
    tables = {name: rng.dirichlet(np.ones(3)) for name in "abc"}
    tables |= {name: rng.dirichlet(np.ones(3), (3, 3)) for name in "def"}
    edges = [("a", "d"), ("b", "d"), ("b", "e"), ("c", "e"), ("a", "f"), ("c", "f")]
    with engine_path("split"):
        net = BayesianNetwork(edges, cards, tables)
        assert len(net.plan().groups) > 1
        assert len(net.plan({"d": 1}).groups) > 1
        law = law_of(edges, cards, tables, {"d": 1})
        close(net.log_evidence({"d": 1}), law.log_partition, **NATS)
        for name, table in net.marginals({"d": 1}).items():
            close(table, law.marginals[name], **PROBABILITY)
