"""Log potentials of any range: trees of forty variables against elimination in log space.

Spreads from 3 to 800 nats cross every rule of the engine: plain linear tables, rescaled ones, and
log space where an entry that matters could be flushed to zero.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from inference import Factor, FactorGraph
from pgm import BayesianNetwork

COUNT, CARD = 40, 3


def random_tree(rng: np.random.Generator, sd: float, zeros: float):
    """Parents, log unaries (V, K) and log pair tables (V, K of parent, K)."""

    def table(*shape: int) -> np.ndarray:
        values = rng.normal(0.0, sd, shape)
        return np.where(rng.random(shape) < zeros, -np.inf, values)

    parents = [-1] + [int(rng.integers(max(0, v - 6), v)) for v in range(1, COUNT)]
    return parents, table(COUNT, CARD), table(COUNT, CARD, CARD)


def eliminate(parents, unary, pair):
    """Log Z and marginals by two passes in log space, parents numbered below children."""
    up = unary.copy()
    messages = np.zeros((COUNT, CARD))
    with np.errstate(invalid="ignore"):
        for v in reversed(range(1, COUNT)):
            messages[v] = np.logaddexp.reduce(pair[v] + up[v], axis=1)
            up[parents[v]] = up[parents[v]] + messages[v]
        log_z = np.logaddexp.reduce(up[0])
        if log_z == -np.inf:
            return log_z, None
        down = np.zeros((COUNT, CARD))
        for v in range(1, COUNT):
            p = parents[v]
            others = unary[p] + down[p]
            for k in range(1, COUNT):
                if parents[k] == p and k != v:
                    others = others + messages[k]
            down[v] = np.logaddexp.reduce(others[:, None] + pair[v], axis=0)
        return log_z, np.exp(up + down - log_z)


def maximise(parents, unary, pair) -> float:
    best = unary.copy()
    for v in reversed(range(1, COUNT)):
        best[parents[v]] = best[parents[v]] + (pair[v] + best[v]).max(axis=1)
    return float(best[0].max())


def graph_of(parents, unary, pair) -> FactorGraph:
    factors = [Factor([str(v)], unary[v]) for v in range(COUNT)]
    factors += [Factor([str(parents[v]), str(v)], pair[v]) for v in range(1, COUNT)]
    return FactorGraph({str(v): CARD for v in range(COUNT)}, factors)


def total(parents, unary, pair, codes) -> float:
    value = sum(unary[v, codes[v]] for v in range(COUNT))
    return value + sum(pair[v, codes[parents[v]], codes[v]] for v in range(1, COUNT))


@pytest.mark.parametrize("zeros", [0.0, 0.25])
@pytest.mark.parametrize("sd", [3, 10, 30, 60, 100, 200, 400, 800])
def test_trees_of_any_range(sd, zeros):
    rng = np.random.default_rng([sd, int(100 * zeros)])
    possible = 0
    for _ in range(400):
        if possible == 8:
            break
        tree = random_tree(rng, sd, zeros)
        log_z, expected = eliminate(*tree)
        graph = graph_of(*tree)
        assert graph.log_partition().item() == pytest.approx(log_z, rel=1e-12)
        if expected is None:
            with pytest.raises(ValueError, match="probability zero"):
                graph.marginals()
            continue
        possible += 1
        found = torch.stack(list(graph.marginals().values())).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
        state, value = graph.most_probable()
        assert value.item() == pytest.approx(maximise(*tree), rel=1e-12)
        codes = [state[str(v)] for v in range(COUNT)]
        assert total(*tree, codes) == pytest.approx(value.item(), rel=1e-12)
        # Batches of one kind of evidence, through whatever the engine uses for them.
        batch = {"0": np.array([-1, 0, 1]), "7": np.array([-1, -1, 2])}
        totals, tables = graph.log_partition(batch), graph.marginals(batch)
        assert totals[0].item() == pytest.approx(log_z, rel=1e-12)
        np.testing.assert_allclose(tables["20"][0].numpy(), expected[20], rtol=0, atol=1e-9)
        for code, row in ((0, 1), (1, 2)):
            unary = tree[1].copy()
            unary[0] = np.where(np.arange(CARD) == code, unary[0], -np.inf)
            if row == 2:
                unary[7] = np.where(np.arange(CARD) == 2, unary[7], -np.inf)
            row_z, row_marginals = eliminate(tree[0], unary, tree[2])
            assert totals[row].item() == pytest.approx(row_z, rel=1e-12)
            if row_marginals is None:
                assert tables["20"][row].isnan().all()
            else:
                np.testing.assert_allclose(
                    tables["20"][row].numpy(), row_marginals[20], rtol=0, atol=1e-9
                )
    assert possible == 8


@pytest.mark.parametrize("sd", [60, 200, 800])
def test_samples_of_any_range_are_possible_and_near_the_top(sd):
    """An entry flushed in the wrong place shows up as a draw that is far too unlikely."""
    rng = np.random.default_rng(sd)
    for _ in range(5):
        tree = random_tree(rng, sd, 0.2)
        log_z, expected = eliminate(*tree)
        if expected is None:
            continue
        rows = graph_of(*tree).sample(200, generator=1)
        weights = np.array([total(*tree, row) for row in rows.tolist()])
        # P(log p < log Z - 60 - log(3^40)) < e^-60.
        assert weights.min() > log_z - 60 - COUNT * math.log(CARD)
        frequencies = torch.nn.functional.one_hot(rows, CARD).double().mean(0).numpy()
        # Hoeffding: 200 draws, 120 numbers, false alarm below 1e-9.
        assert np.abs(frequencies - expected).max() < math.sqrt(math.log(2e12) / 400)


def test_opposed_factors(each_path):
    graph = FactorGraph({"x": 2}, [Factor(["x"], [0.0, -800.0]), Factor(["x"], [-800.0, 0.0])])
    assert graph.log_partition().item() == pytest.approx(math.log(2) - 800, rel=1e-14)
    assert graph.marginals()["x"].tolist() == pytest.approx([0.5, 0.5], rel=1e-12)
    assert graph.most_probable()[1].item() == pytest.approx(-800)
    rows = graph.sample(400, generator=0)
    assert 120 < rows.sum() < 280  # 8 standard deviations
    batch = graph.log_partition({"x": [-1, 0, 1]})
    assert batch.tolist() == pytest.approx([math.log(2) - 800, -800, -800], rel=1e-14)


@pytest.mark.parametrize("links", [0, 1, 3])
def test_opposition_that_only_a_neighbour_sees(links, each_path):
    """Every table and every message is harmless; the product of four messages is not.

    With links, copies of x stand between it and its neighbours.
    """
    names = [f"{name}{i}" for name in "abcd" for i in range(links)]
    cards = dict.fromkeys(["x", *"abcd", *names], 2)
    copy = Factor.from_potential(["u", "v"], np.eye(2))
    low, high = [-400.0, -400.0], [0.0, 0.0]
    factors = []
    for name in "abcd":
        path = ["x", *[f"{name}{i}" for i in range(links)]]
        factors += [Factor(pair, copy.log_values) for pair in pairwise(path)]
        table = [high, low] if name in "ab" else [low, high]
        factors.append(Factor([path[-1], name], table))
    factors.append(Factor(["d"], [0.0, 1.0]))
    factors.append(Factor(["x", "d"], [[0.0, 0.0], [0.0, 1.0]]))
    graph = FactorGraph(cards, factors)
    weights = np.array([1 + math.e, 1 + math.e**2])
    log_z = -800 + math.log(8 * weights.sum())
    assert graph.log_partition().item() == pytest.approx(log_z, rel=1e-14)
    found = graph.marginals()["x"].numpy()
    np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-9)
    rows = graph.log_partition({"a": [-1, 0], "c": [-1, 1]})
    assert rows.tolist() == pytest.approx([log_z, log_z - math.log(4)], rel=1e-14)
    drawn = graph.sample(4000, generator=0)[:, 0].double().mean().item()
    assert abs(drawn - found[1]) < 7 * math.sqrt(0.25 / 4000)


@pytest.mark.parametrize("shift", [-1e6, -800.0, 800.0, 1e6])
def test_shifted_tables_are_exact(shift, each_path):
    factors = [Factor(["a", "b"], torch.full((2, 3), shift)), Factor(["b"], torch.zeros(3))]
    graph = FactorGraph({"a": 2, "b": 3}, factors)
    assert graph.log_partition().item() == pytest.approx(shift + math.log(6), rel=1e-14)
    assert graph.marginals()["b"].tolist() == pytest.approx([1 / 3] * 3, rel=1e-14)
    assert graph.most_probable()[1].item() == pytest.approx(shift)
    assert graph.log_partition({"a": [0, -1]})[0].item() == pytest.approx(shift + math.log(3))


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_scaled_likelihoods_are_exact(scale, each_path):
    """Four likelihoods whose product leaves the range of float64 by far."""
    graph = FactorGraph(
        dict.fromkeys("abcd", 2),
        [
            Factor.from_potential(list(pair), [[2.0, 1.0], [1.0, 2.0]])
            for pair in ("ab", "bc", "cd")
        ],
    )
    plain = {name: np.array([0.3, 0.7]) for name in "abcd"}
    scaled = {name: scale * values for name, values in plain.items()}
    shift = 4 * math.log(scale)
    expected = graph.log_partition(plain).item() + shift
    assert graph.log_partition(scaled).item() == pytest.approx(expected, rel=1e-13)
    batch = {name: np.stack([values, values]) for name, values in scaled.items()}
    assert graph.log_partition(batch).tolist() == pytest.approx([expected] * 2, rel=1e-13)
    for query in (scaled, batch):
        np.testing.assert_allclose(
            graph.marginals(query)["c"].numpy().reshape(-1, 2)[0],
            graph.marginals(plain)["c"].numpy(),
            rtol=1e-12,
        )


def test_opposed_likelihoods(each_path):
    """A chain of copies whose likelihoods contradict one another by 1e200 each."""
    copies = [Factor.from_potential(list(pair), np.eye(2)) for pair in ("ab", "bc", "cd")]
    graph = FactorGraph(dict.fromkeys("abcd", 2), copies)
    low, high = [1e-200, 1.0], [1.0, 1e-200]
    evidence = {"a": low, "b": high, "c": low, "d": high}
    log_z = math.log(2) - 400 * math.log(10)
    assert graph.log_partition(evidence).item() == pytest.approx(log_z, rel=1e-13)
    assert graph.marginals(evidence)["b"].tolist() == pytest.approx([0.5, 0.5], rel=1e-9)
    batch = {name: np.array([vector, [1.0, 1.0]]) for name, vector in evidence.items()}
    found = graph.log_partition(batch)
    assert found.tolist() == pytest.approx([log_z, math.log(2)], rel=1e-13)
    assert graph.marginals(batch)["b"].flatten().tolist() == pytest.approx([0.5] * 4, rel=1e-9)


@pytest.mark.parametrize("recorded", [False, True])
def test_likelihoods_whose_quotient_no_float_holds(recorded, each_path):
    """What its neighbour rules out is 1e400 times as likely as what is left."""
    copy = torch.eye(2, dtype=torch.float64).log().requires_grad_(recorded)
    graph = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], copy)])
    likelihood, log_z = np.array([1e-200, 1e200]), -200 * math.log(10)
    evidence = {"a": likelihood, "b": 0}
    batch = {"a": np.stack([likelihood, likelihood]), "b": [0, 1]}
    assert graph.log_partition(evidence).item() == pytest.approx(log_z, rel=1e-14)
    assert graph.log_partition(batch).tolist() == pytest.approx([log_z, -log_z], rel=1e-14)
    assert graph.marginals(evidence)["a"].tolist() == [1.0, 0.0]
    assert graph.marginals(batch)["a"].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    states, weight = graph.most_probable(evidence)
    assert states == {"a": 0, "b": 0} and weight.item() == pytest.approx(log_z, rel=1e-14)
    assert graph.sample(3, evidence, 0).tolist() == [[0, 0]] * 3


def test_impossible_is_not_underflow(each_path):
    """Both look like a message of zeros; only one of them is."""
    opposed = [Factor(["x"], [0.0, -800.0]), Factor(["x"], [-800.0, 0.0])]
    wall = Factor.from_potential(["x", "y"], [[0.0, 1.0], [0.0, 1.0]])
    graph = FactorGraph({"x": 2, "y": 2}, [*opposed, wall])
    assert graph.log_partition({"y": 1}).item() == pytest.approx(math.log(2) - 800)
    assert graph.log_partition({"y": 0}).item() == -math.inf
    found = graph.log_partition({"y": [0, 1]})
    assert found[0] == -math.inf and found[1].item() == pytest.approx(math.log(2) - 800)
    assert graph.marginals({"y": [0, 1]})["x"][0].isnan().all()


def test_contradictions_that_no_single_factor_shows(each_path):
    """Three neighbours that must all differ have two states: every pair is fine, all are not."""
    unequal = [[0.0, 1.0], [1.0, 0.0]]
    triangle = [Factor.from_potential(list(pair), unequal) for pair in ("ab", "bc", "ca")]
    graph = FactorGraph(dict.fromkeys("abc", 2), triangle)
    assert graph.log_partition().item() == -math.inf
    assert graph.log_partition({"a": [0, -1]}).tolist() == [-math.inf] * 2
    assert graph.marginals({"a": [0, -1]})["b"].isnan().all()
    for query in (graph.marginals, graph.most_probable, lambda: graph.sample(1)):
        with pytest.raises(ValueError, match="probability zero"):
            query()


# Many variables ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [500, 3000])
def test_counting_the_states_of_a_long_chain(count):
    """2^count states: log Z far beyond the largest float64."""
    names = [str(i) for i in range(count)]
    flat = torch.zeros(2, 2, dtype=torch.float64)
    graph = FactorGraph(dict.fromkeys(names, 2), [Factor(pair, flat) for pair in pairwise(names)])
    log_z = count * math.log(2)
    assert graph.log_partition().item() == pytest.approx(log_z, rel=1e-13)
    rows = graph.log_partition({"0": [0, -1], "9": [1, -1]})
    assert rows.tolist() == pytest.approx([log_z - 2 * math.log(2), log_z], rel=1e-13)
    assert graph.marginals({"0": 1})["250"].tolist() == pytest.approx([0.5, 0.5])
    free = FactorGraph(dict.fromkeys(names, 3), [])
    assert free.log_partition().item() == pytest.approx(count * math.log(3), rel=1e-13)
    frequency = graph.sample(2000, generator=0).double().mean()
    assert abs(frequency - 0.5) < 7 * 0.5 / math.sqrt(2000 * count)


@pytest.mark.parametrize("ratio", [2.0, 1e-3, 1e3])
def test_thousands_of_observations_of_one_cause(ratio):
    """The evidence has a probability of some e^-10000, and one clique sees all of it."""
    count = 1500
    leaves = [str(i) for i in range(count)]
    p = 1e-3
    row = [[1 - p, p], [1 - p * ratio, p * ratio]] if ratio < 1e3 else [[1 - p, p], [0.5, 0.5]]
    net = BayesianNetwork(
        [("cause", leaf) for leaf in leaves],
        {"cause": 2, **dict.fromkeys(leaves, 2)},
        {"cause": [0.5, 0.5], **dict.fromkeys(leaves, row)},
    )
    ones, zeros = leaves[: count // 2], leaves[count // 2 :]
    evidence = {**dict.fromkeys(ones, 1), **dict.fromkeys(zeros, 0)}
    logs = [
        math.log(0.5) + len(ones) * math.log(row[c][1]) + len(zeros) * math.log(row[c][0])
        for c in range(2)
    ]
    log_p = np.logaddexp(*logs)
    assert net.log_evidence(evidence).item() == pytest.approx(log_p, rel=1e-12)
    posterior = net.marginals(evidence, variables=["cause"])["cause"]
    np.testing.assert_allclose(posterior.numpy(), np.exp(np.array(logs) - log_p), atol=1e-12)
    assert net.most_probable(evidence)[1].item() == pytest.approx(max(logs), rel=1e-12)
    rows = np.full((2, count + 1), -1)
    rows[0, 1:] = [1] * len(ones) + [0] * len(zeros)
    found = net.log_prob(rows)
    assert found[0].item() == pytest.approx(log_p, rel=1e-12)
    assert found[1].item() == pytest.approx(0.0, abs=1e-9)


def test_a_cause_with_balanced_extreme_observations():
    """Each observation is decisive; together they say nothing. No partial product may vanish."""
    count = 400
    leaves = [str(i) for i in range(count)]
    rows = [[[1e-12, 1 - 1e-12], [1 - 1e-12, 1e-12]][i % 2] for i in range(count)]
    tables = {leaf: [row, row[::-1]] for leaf, row in zip(leaves, rows, strict=True)}
    net = BayesianNetwork(
        [("cause", leaf) for leaf in leaves],
        {"cause": 2, **dict.fromkeys(leaves, 2)},
        {"cause": [0.25, 0.75], **tables},
    )
    evidence = dict.fromkeys(leaves, 0)
    expected = count / 2 * (math.log(1e-12) + math.log1p(-1e-12))
    assert net.log_evidence(evidence).item() == pytest.approx(expected, rel=1e-12)
    assert net.marginals(evidence)["cause"].tolist() == pytest.approx([0.25, 0.75], rel=1e-9)
    found = net.marginals({leaf: [0, 0] for leaf in leaves}, variables=["cause"])["cause"]
    assert found[1].tolist() == pytest.approx([0.25, 0.75], rel=1e-9)
    drawn = net.sample(4000, evidence, generator=0)[:, 0].double().mean().item()
    assert abs(drawn - 0.75) < 7 * math.sqrt(0.75 * 0.25 / 4000)


def test_a_long_hidden_chain():
    """Forward-backward over 400 steps of evidence against a loop in log space."""
    rng = np.random.default_rng(0)
    steps, card = 400, 3
    start, move = rng.dirichlet(np.ones(card)), rng.dirichlet(np.ones(card), card)
    emit = rng.dirichlet(0.1 * np.ones(6), card)
    hidden, seen = [f"h{t}" for t in range(steps)], [f"x{t}" for t in range(steps)]
    tables = {"h0": start, **dict.fromkeys(hidden[1:], move), **dict.fromkeys(seen, emit)}
    edges = [*pairwise(hidden), *zip(hidden, seen, strict=True)]
    net = BayesianNetwork(edges, {**dict.fromkeys(hidden, card), **dict.fromkeys(seen, 6)}, tables)
    codes = rng.integers(0, 6, steps)
    evidence = dict(zip(seen, codes.tolist(), strict=True))
    forward = np.log(start) + np.log(emit[:, codes[0]])
    messages = [forward]
    for t in range(1, steps):
        forward = np.logaddexp.reduce(forward[:, None] + np.log(move), 0) + np.log(
            emit[:, codes[t]]
        )
        messages.append(forward)
    log_p = np.logaddexp.reduce(forward)
    assert net.log_evidence(evidence).item() == pytest.approx(log_p, rel=1e-12)
    backward = np.zeros(card)
    found = net.marginals(evidence, variables=hidden)
    for t in reversed(range(steps)):
        expected = np.exp(messages[t] + backward - log_p)
        np.testing.assert_allclose(found[hidden[t]].numpy(), expected, atol=1e-12)
        inner = backward + np.log(emit[:, codes[t]])
        backward = np.logaddexp.reduce(np.log(move) + inner[None, :], 1)
