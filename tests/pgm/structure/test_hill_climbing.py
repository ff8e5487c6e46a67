"""Hill climbing: local optima by brute force, constraints, ways out, seeds, refusals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.structure import bits
from pgm.discrete_data import DiscreteData
from pgm.structure.constraints import Constraints
from pgm.structure.hill_climbing import hill_climb
from pgm.structure.local_score import check_start, families, total_score
from pgm.structure.scores import SetScore


class Table:
    """A score with one independent number per family."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.n_variables = len(values)

    def prepare(self, child: int, parents: int) -> None:
        pass

    def local(self, child: int, parents: int) -> float:
        assert not parents >> child & 1, "a family with the child among its parents"
        return float(self.values[child, parents])

    @classmethod
    def random(cls, n: int, seed: int) -> Table:
        return cls(np.random.default_rng(seed).normal(size=(n, 1 << n)))


def free(n: int, max_parents: int | None = None) -> Constraints:
    everything = (1 << n) - 1
    allowed = tuple([everything ^ 1 << v for v in range(n)])
    return Constraints((0,) * n, allowed, n - 1 if max_parents is None else max_parents)


def random_constraints(n: int, seed: int) -> Constraints:
    """Forbidden edges at random, required ones along an order, at most two or three parents."""
    draws = np.random.default_rng(seed)
    limit = int(draws.integers(2, 4))
    required, allowed = [], []
    for v in range(n):
        must = 0
        for p in draws.permutation(v)[:limit].tolist():
            must |= (1 << p) * int(draws.random() < 0.3)
        may = sum([1 << p for p in range(n) if p != v and draws.random() < 0.7])
        required.append(must)
        allowed.append(may | must)
    return Constraints(tuple(required), tuple(allowed), limit)


def has_cycle(parents: Sequence[int]) -> bool:
    """By powers of the adjacency matrix: independent of the search's own reachability."""
    n = len(parents)
    steps = np.array([[above >> u & 1 for above in parents] for u in range(n)], dtype=np.int64)
    walks = np.eye(n, dtype=np.int64)
    for _ in range(n):
        walks = np.minimum(walks @ steps, 1)
        if walks.trace():
            return True
    return False


def single_edits(parents: Sequence[int]) -> Iterator[list[int]]:
    """Every graph, cyclic ones too, that differs by one edge added, removed or reversed."""
    for child in range(len(parents)):
        for parent in range(len(parents)):
            if parent == child:
                continue
            toggled = list(parents)
            toggled[child] ^= 1 << parent
            yield toggled
            if parents[child] >> parent & 1:
                toggled = list(toggled)
                toggled[parent] |= 1 << child
                yield toggled


def improvements(
    score: Table, constraints: Constraints, parents: Sequence[int]
) -> list[list[int]]:
    """Permitted acyclic neighbours with a better score."""
    here = total_score(score, parents)
    return [
        edited
        for edited in single_edits(parents)
        if not has_cycle(edited)
        and constraints.permits(edited)
        and total_score(score, edited) > here + 1e-8
    ]


def copies() -> DiscreteData:
    """x1 copies x0 in most rows; x2 and x3 are noise."""
    draws = np.random.default_rng(3)
    rows = draws.integers(0, 2, (400, 4))
    rows[:, 1] = np.where(draws.random(400) < 0.9, rows[:, 0], 1 - rows[:, 0])
    return DiscreteData(rows)


# The result --------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    n=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    tabu=st.integers(0, 6),
    patience=st.integers(0, 12),
    restarts=st.integers(0, 2),
    constrained=st.booleans(),
)
def test_result_is_a_permitted_acyclic_local_optimum(
    n, seed, tabu, patience, restarts, constrained
):
    score = Table.random(n, seed)
    constraints = random_constraints(n, seed) if constrained else free(n)
    found = hill_climb(
        score, constraints, tabu=tabu, patience=patience, restarts=restarts, generator=seed
    )
    assert not has_cycle(found.parents)
    assert constraints.permits(found.parents)
    assert improvements(score, constraints, found.parents) == []
    recomputed = sum([score.local(child, above) for child, above in enumerate(found.parents)])
    assert found.score == pytest.approx(recomputed, abs=1e-12)


def test_local_optima_of_many_scores():
    """Long tabu lists must not hide an edit that is better than all before; seen in a tenth."""
    for seed in range(200):
        score = Table.random(5, seed)
        found = hill_climb(score, free(5), tabu=6, patience=10)
        assert improvements(score, free(5), found.parents) == [], seed


def test_a_graph_that_can_be_improved_is_recognised():
    """The check above is not empty: most random graphs are no local optima."""
    score = Table.random(5, 0)
    assert improvements(score, free(5), [0] * 5)
    best = hill_climb(score, free(5)).parents
    worse = next(e for e in single_edits(best) if not has_cycle(e))
    assert improvements(score, free(5), worse)


def test_a_cycle_through_a_path_is_refused():
    """Looking only at the edge between two variables closes the cycle 0 -> 1 -> 2 -> 0."""
    values = np.full((3, 8), -10.0)
    values[:, 0] = 0.0
    values[1, 0b001] = values[2, 0b010] = values[0, 0b100] = 5.0
    score = Table(values)
    greedy = [0b100, 0b001, 0b010]
    assert has_cycle(greedy) and total_score(score, greedy) == 15.0
    found = hill_climb(score, free(3))
    assert not has_cycle(found.parents) and found.score == 10.0


def test_reversal_needs_that_no_other_path_leads_the_same_way():
    """0 -> 1 -> 2 and 0 -> 2: turning 0 -> 2 pays most but closes a cycle."""
    score = Table(np.zeros((3, 8)))
    score.values[0, 0b100] = 9.0
    score.values[1, :] = -100.0
    score.values[1, 0b001] = 0.0
    score.values[2, :] = -100.0
    score.values[2, 0b011] = 0.0
    score.values[2, 0b010] = -1.0
    found = hill_climb(score, free(3), start=[0, 0b001, 0b011], patience=0)
    assert found.parents == [0, 0b001, 0b011]


def test_one_reversal_is_one_move():
    """Neither removing nor adding pays on the way from 0 -> 1 to 1 -> 0: only the turn does."""
    values = np.zeros((2, 4))
    values[1] = [0.0, 1.0, 0.0, 0.0]
    values[0] = [0.0, 0.0, 1.5, 0.0]
    found = hill_climb(Table(values), free(2), start=[0, 0b01], patience=0)
    assert found.parents == [0b10, 0]
    assert found.history == [{"phase": "climb", "moves": 1, "score": 1.5}]


# Ways out of local optima ------------------------------------------------------------------------


def trap() -> Table:
    """3 gains from 0, 1 and 2 together and loses with every parent before the last."""
    values = np.full((4, 16), -50.0)
    values[:, 0] = 0.0
    values[3, [0b001, 0b010, 0b100]] = -1.0
    values[3, [0b011, 0b101, 0b110]] = -2.0
    values[3, 0b111] = 4.0
    return Table(values)


def test_tabu_climbs_out_of_a_local_optimum():
    assert hill_climb(trap(), free(4), patience=0).score == 0.0
    assert hill_climb(trap(), free(4), tabu=0, patience=20).score == 0.0, "it steps back"
    assert hill_climb(trap(), free(4), tabu=3, patience=1).score == 0.0, "it stops too early"
    found = hill_climb(trap(), free(4), tabu=3, patience=2)
    assert found.score == 4.0 and found.parents == [0, 0, 0, 0b111]


def test_restarts_climb_out_of_a_local_optimum():
    found = hill_climb(trap(), free(4), patience=0, restarts=20, generator=0)
    assert found.score == 4.0
    scores = [entry["score"] for entry in found.history]
    assert len(scores) == 21 and scores == sorted(scores)
    assert [entry["phase"] for entry in found.history] == ["climb"] + ["restart"] * 20


def test_patience_counts_from_the_last_best_graph():
    """Longer patience follows the same walk further."""
    score = Table.random(6, 7)
    scores = [hill_climb(score, free(6), patience=p).score for p in (0, 5, 20, 80)]
    assert scores == sorted(scores) and scores[-1] > scores[0]
    moves = [hill_climb(score, free(6), patience=p).history[0]["moves"] for p in (0, 80)]
    assert moves[1] >= moves[0] + 80


def test_same_seed_same_structure():
    score = Table.random(6, 11)
    one, two = [hill_climb(score, free(6), patience=3, restarts=5, generator=4) for _ in range(2)]
    assert one == two
    others = [
        hill_climb(score, free(6), patience=0, restarts=1, generator=seed).history[1]["moves"]
        for seed in range(8)
    ]
    assert len(set(others)) > 1


# Constraints and start ---------------------------------------------------------------------------


def test_required_forbidden_and_number_of_parents():
    score = SetScore(copies())
    without = hill_climb(score, free(4)).parents
    linked = {(u, v) for v, above in enumerate(without) for u in bits(above)}
    assert {(0, 1), (1, 0)} & linked and not {(2, 0), (0, 2)} & linked
    known = Constraints.read(
        copies().vocabulary, required=[("x2", "x0")], forbidden=[("x0", "x1"), ("x1", "x0")]
    )
    found = hill_climb(score, known, restarts=3, generator=0).parents
    assert found[0] >> 2 & 1 and not found[0] >> 1 & 1 and not found[1] & 1


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_limit_on_the_number_of_parents_binds(limit):
    found = hill_climb(Table.random(6, 2), free(6, limit)).parents
    assert max(above.bit_count() for above in found) == limit


def test_no_parents_allowed_leaves_nothing_to_do():
    found = hill_climb(Table.random(4, 0), free(4, 0), restarts=2, generator=0)
    assert found.parents == [0, 0, 0, 0]
    assert [entry["moves"] for entry in found.history] == [0, 0, 0]


def test_a_better_start_is_kept():
    score = SetScore(copies())
    best = hill_climb(score, free(4))
    again = hill_climb(score, free(4), start=best.parents)
    assert again.score == best.score


def test_families_are_the_permitted_sets():
    constraints = random_constraints(6, 3)
    for child in range(6):
        expected = {
            mask
            for mask in range(64)
            if not mask & ~constraints.allowed[child]
            and not constraints.required[child] & ~mask
            and mask.bit_count() <= constraints.max_parents
        }
        found = list(families(child, constraints))
        assert len(found) == len(expected) and set(found) == expected
        assert [mask.bit_count() for mask in found] == sorted(m.bit_count() for m in found)


@pytest.mark.parametrize("name", ["tabu", "patience", "restarts"])
def test_negative_numbers_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must not be negative, found -1"):
        hill_climb(Table.random(2, 0), free(2), **{name: -1})


def test_bad_starts_are_refused():
    score = Table.random(3, 0)
    with pytest.raises(ValueError, match="start must be acyclic, found a directed cycle"):
        hill_climb(score, free(3), start=[0b010, 0b001, 0])
    with pytest.raises(ValueError, match="start must have one mask of parents for each of the 3"):
        hill_climb(score, free(3), start=[0, 0])
    with pytest.raises(ValueError, match="at most 1 parents"):
        hill_climb(score, free(3, 1), start=[0, 0, 0b011])
    with pytest.raises(ValueError, match="constraints must have one mask for each of the 3"):
        hill_climb(score, free(4))
    with pytest.raises(ValueError, match="the required edges must be acyclic"):
        check_start(None, score, Constraints((0b010, 0b001, 0), (6, 5, 3), 2))
    with pytest.raises(ValueError, match="at least 1, found no variable"):
        hill_climb(Table(np.zeros((0, 1))), free(0))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    score = Table.random(3, 0)
    score.values[1, 0b100] = bad
    with pytest.raises(ValueError, match=r"score.local\(1, 0b100\) must be finite"):
        hill_climb(score, free(3))


# Reference data ----------------------------------------------------------------------------------


def alarm_rows(shared, n: int) -> DiscreteData:
    with np.load(shared / "data" / "alarm_100k_seed0.npz") as file:
        return DiscreteData(file["X"][:n], names=file["names"].tolist())


def test_alarm_scores(shared):
    """BIC of the first 5,000 rows: greedy search of pyAgrum 3.3.1 reaches -54,698.83."""
    rows = alarm_rows(shared, 5000)
    score, constraints = SetScore(rows), Constraints.read(rows.vocabulary)
    plain = hill_climb(score, constraints, patience=0)
    assert plain.score > -54_615
    walked = hill_climb(score, constraints)
    assert walked.score > -54_453
    for found in (plain, walked):
        assert not has_cycle(found.parents)
        assert found.score == pytest.approx(score.total(found.parents), abs=1e-7)
        assert all(not above >> v & 1 for v, above in enumerate(found.parents))
    edges = sum([len(bits(above)) for above in walked.parents])
    assert 40 < edges < 60
