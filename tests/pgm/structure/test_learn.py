"""Learning structures by name: every method, labels, constraints, and what is refused."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from pgm import BayesianNetwork
from pgm.classic import asia, sprinkler
from pgm.discrete_data import DiscreteData
from pgm.structure import (
    bootstrap_edges,
    essential_graph,
    hill_climb,
    learn_structure,
    structural_hamming_distance,
)

NETWORK = asia()
STATES = NETWORK.config()["states"]
ROWS = NETWORK.sample(20_000, generator=0)


@pytest.mark.parametrize(
    ("method", "distance"),
    [("hill-climb", 5), ("order", 1), ("ges", 1), ("exact", 1), ("pc", 5), ("chow-liu", 6)],
)
def test_methods_come_near_the_true_class(method, distance) -> None:
    learned = BayesianNetwork.learn(ROWS, method, states=STATES, generator=0)
    assert learned.variables == NETWORK.variables
    assert structural_hamming_distance(learned, NETWORK, equivalence=True) <= distance


def test_the_network_learned_is_fitted_and_reports_both() -> None:
    learned = BayesianNetwork.learn(ROWS, "order", "bdeu", STATES, prior=1.0, generator=0)
    refitted = BayesianNetwork(learned.edges, STATES).fit(ROWS, prior=1.0)
    assert torch.equal(learned.values, refitted.values)
    assert "score" in learned.history[0] and "log_likelihood" in learned.history[-1]


def test_no_structure_scores_higher_than_the_exact_one() -> None:
    rows = sprinkler().sample(500, generator=1)
    scores = {
        method: learn_structure(rows, method, "bdeu", generator=0).score
        for method in ("hill-climb", "order", "ges", "exact", "chow-liu", "pc")
    }
    assert max(scores.values()) == pytest.approx(scores["exact"], abs=1e-8)
    assert scores["order"] == pytest.approx(scores["exact"], abs=1e-8)


@pytest.mark.parametrize("score", ["bic", "aic", "bdeu", "log-likelihood"])
def test_the_score_shown_is_that_of_the_parents(score) -> None:
    from pgm.structure import SetScore

    found = learn_structure(ROWS[:500], "hill-climb", score, STATES)
    assert found.score == pytest.approx(SetScore(found.data, score).total(found.parents))


def test_labels_of_a_frame_are_kept() -> None:
    frame = pd.DataFrame(
        {name: np.array(STATES[name])[ROWS[:, v]] for v, name in enumerate(NETWORK.variables)}
    )
    learned = BayesianNetwork.learn(frame, "order", generator=0)
    assert learned.states["asia"] == ("no", "yes")
    either = learned.marginals({"lung": "yes"}, ["either"])["either"]
    assert either.tolist() == pytest.approx([0.0, 1.0], abs=1e-12)


def test_tan_puts_the_class_above_all_features() -> None:
    learned = BayesianNetwork.learn(ROWS, "tan", states=STATES, target="dysp")
    assert all("dysp" in learned.parents(name) for name in STATES if name != "dysp")
    assert learned.parents("dysp") == ()


def test_a_search_of_ones_own_is_a_function() -> None:
    found = learn_structure(
        ROWS[:2000], partial(hill_climb, restarts=20, generator=0), states=STATES
    )
    assert found.score >= learn_structure(ROWS[:2000], "hill-climb", states=STATES).score


def test_quick_climb_is_at_least_as_high_as_each_of_its_walks() -> None:
    from pgm.structure import Constraints, SetScore, chow_liu, quick_climb

    data = DiscreteData(ROWS[:1000], STATES)
    free = Constraints.read(data.vocabulary)
    found = quick_climb(SetScore(data), free)
    walks = [
        hill_climb(SetScore(data), free).score,
        hill_climb(SetScore(data), free, start=chow_liu(SetScore(data))).score,
    ]
    assert found.score == pytest.approx(max(walks))
    assert SetScore(data).total(found.parents) == pytest.approx(found.score)
    assert quick_climb(SetScore(data), free) == found
    known = Constraints.read(data.vocabulary, forbidden=[("lung", "either"), ("either", "lung")])
    kept = quick_climb(SetScore(data), known)
    assert known.permits(kept.parents)
    assert kept.score == hill_climb(SetScore(data), known).score


def test_white_and_black_lists_hold() -> None:
    limits = {"required": [("xray", "asia")], "forbidden": [("tub", "either"), ("either", "tub")]}
    for method in ("hill-climb", "order", "exact", "pc"):
        edges = learn_structure(ROWS[:2000], method, states=STATES, generator=0, **limits).edges
        assert ("xray", "asia") in edges
        assert not {("tub", "either"), ("either", "tub")} & set(edges)
    found = learn_structure(ROWS[:2000], "order", states=STATES, max_parents=1, generator=0)
    assert max(mask.bit_count() for mask in found.parents) == 1


def test_essential_edges_agree_with_the_class() -> None:
    found = learn_structure(ROWS, "order", states=STATES, generator=0)
    arrows, lines = found.essential_edges
    graph = essential_graph(found.parents)
    assert len(arrows) == sum(mask.bit_count() for mask in graph.parents)
    assert 2 * len(lines) == sum(mask.bit_count() for mask in graph.neighbours)
    assert {frozenset(edge) for edge in arrows + lines} == {frozenset(e) for e in found.edges}


def test_constant_columns_stay_alone() -> None:
    rows = torch.cat([ROWS[:1000], torch.zeros(1000, 1, dtype=torch.int64)], dim=1)
    for states in ({**STATES, "constant": 1}, {**STATES, "constant": 3}):
        found = learn_structure(rows, "order", states=states, generator=0)
        assert not [edge for edge in found.edges if "constant" in edge]


def test_fewer_rows_than_parameters_give_a_sparse_graph() -> None:
    found = learn_structure(ROWS[:5], "order", states=STATES, generator=0)
    assert len(found.edges) < 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "hillclimb"}, "method must be one of"),
        ({"method": None}, "method must be one of"),
        ({"score": "bicc"}, "score must be"),
        ({"method": "tan"}, "needs target"),
        ({"method": "tan", "target": "nobody"}, "target: unknown variable 'nobody'"),
        ({"method": "order", "target": "asia"}, "target is for method='tan'"),
        ({"method": "chow-liu", "max_parents": 1}, "keeps no required"),
        ({"required": [("asia", "tub")], "forbidden": [("asia", "tub")]}, "both required and"),
        ({"required": [("asia", "tub"), ("tub", "asia")]}, "cycle"),
        ({"forbidden": [("asia", "nobody")]}, "unknown variable 'nobody'"),
        ({"method": "ges", "required": [("asia", "tub")]}, "required"),
        ({"sample_weight": [-1.0] * 100}, "sample_weight must be finite and not negative"),
        ({"data": np.where(np.arange(800).reshape(100, 8) % 9, 0, -1)}, "missing cells"),
        ({"data": np.full((100, 8), -1)}, "missing cells"),
    ],
)
def test_what_cannot_be_learned_is_refused(arguments, message) -> None:
    given = {"data": ROWS[:100], "states": STATES, **arguments}
    with pytest.raises(ValueError, match=message):
        learn_structure(**given)


def test_a_column_never_observed_needs_states() -> None:
    with pytest.raises(ValueError, match="no observed cell"):
        learn_structure({"a": [0, 1], "b": [None, None]})


def test_bootstrap_counts_the_edges_of_every_sample() -> None:
    data = DiscreteData(ROWS[:300], STATES)
    seen: list[tuple[int, ...]] = []

    def learn(rows: DiscreteData) -> tuple[int, ...]:
        assert rows.n_rows == 300
        seen.append(learn_structure(rows).parents)
        return seen[-1]

    found = bootstrap_edges(data, learn, 12, generator=3)
    for u in range(8):
        for v in range(8):
            joined = [p[v] >> u & 1 or p[u] >> v & 1 for p in seen]
            assert found.adjacency[u, v].item() == pytest.approx(sum(joined) / 12)
            arrows = [
                1.0 if graph.parents[v] >> u & 1 else 0.5 * (graph.neighbours[v] >> u & 1)
                for graph in map(essential_graph, seen)
            ]
            assert found.direction[u, v].item() == pytest.approx(sum(arrows) / 12)
    again = bootstrap_edges(data, lambda rows: learn_structure(rows).parents, 12, generator=3)
    assert torch.equal(found.adjacency, again.adjacency)
    edges = found.edges(0.5)
    assert [share for *_, share in edges] == sorted([s for *_, s in edges], reverse=True)
    assert all(share > 0.5 for *_, share in edges)


@pytest.mark.parametrize(
    ("samples", "threshold", "message"),
    [
        (0, 0.5, "n_samples"),
        (True, 0.5, "n_samples"),
        (1, 1.0, "threshold"),
        (1, -0.1, "threshold"),
    ],
)
def test_bootstrap_refuses(samples, threshold, message) -> None:
    data = DiscreteData(ROWS[:50], STATES)
    with pytest.raises((TypeError, ValueError), match=message):
        bootstrap_edges(data, lambda rows: (0,) * 8, samples, generator=0).edges(threshold)
