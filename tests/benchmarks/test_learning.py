"""What judges the sections on learning, and the peers' side of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.missing import Case, check_best, deviation
from benchmarks.parameters import difference, tables_by_counting, tables_of
from benchmarks.peer_learning import Agrum, Pgmpy
from benchmarks.targets import POSTERIORS
from pgm import BayesianNetwork
from pgm.classic import asia
from pgm.discrete_data import DiscreteData
from pgm.structure import SetScore


def test_targets_cover_every_network(shared: Path) -> None:
    assert set(POSTERIORS) == {path.stem for path in (shared / "data" / "bif").glob("*.bif")}


def rows_of_asia(n: int, gaps: bool = False) -> tuple[BayesianNetwork, np.ndarray]:
    """Rows from asia with tables that have no zeros, at which pyAgrum would stop."""
    network = asia()
    network.fit(network.sample(100, generator=0), 10.0)
    codes = network.sample(n, generator=0).numpy().astype(np.int8)
    if gaps:
        codes[np.random.default_rng(0).random(codes.shape) < 0.3] = -1
    return network, codes


def test_tables_are_counted_from_the_rows_that_show_a_family() -> None:
    network = BayesianNetwork([("rain", "wet")], {"rain": 3, "wet": 2})
    codes = np.array([[0, 0], [0, 1], [0, 1], [-1, 1], [1, -1], [1, 0]])
    rain, wet = tables_by_counting(network, codes)
    np.testing.assert_allclose(rain, [3 / 5, 2 / 5, 0])
    np.testing.assert_allclose(wet, [[1 / 3, 2 / 3], [1, 0], [1 / 2, 1 / 2]])


def test_wrong_completions_are_rejected() -> None:
    network, full = rows_of_asia(2000)
    case = Case.draw(network, full, 0.3)
    best, sample = network.impute(case.rows), network.impute(case.rows, "sample", 0)
    probabilities = [p.numpy() for p in network.posterior_predictive(case.rows).values()]
    assert check_best(case, best)[0]
    assert deviation(case, sample.numpy(), probabilities) < 6
    # Draws are not the most probable values, and those are no draws.
    assert not check_best(case, sample)[0]
    assert deviation(case, best.numpy(), probabilities) > 6
    # A cell that was seen must stay.
    changed = torch.where(torch.from_numpy(case.codes >= 0), 1 - sample, sample)
    assert deviation(case, changed.numpy(), probabilities) == np.inf
    assert not check_best(case, torch.where(torch.from_numpy(case.codes >= 0), 1 - best, best))[0]


def test_pyagrum_learns_from_the_same_rows() -> None:
    gum = pytest.importorskip("pyagrum")
    network, codes = rows_of_asia(2000)
    agrum, rows = Agrum(gum, network, codes), DiscreteData(codes, network.vocabulary)
    number = {name: v for v, name in enumerate(network.variables)}
    truth = [sum(1 << number[p] for p in network.parents(name)) for name in network.variables]
    tables = agrum.tables(agrum.fit(agrum.read()))
    assert difference(tables, tables_by_counting(network, codes)) < 1e-12
    assert agrum.score(truth) == pytest.approx(SetScore(rows, "bic").total(truth), rel=1e-12)
    found = agrum.parents(agrum.search("useGreedyHillClimbing")())
    assert SetScore(rows, "bic").total(found) > SetScore(rows, "bic").total([0] * len(found))
    graph = agrum.partial(agrum.pc(0.05)())
    assert graph.adjacent[number["smoke"]] >> number["lung"] & 1


def test_pyagrum_takes_the_same_steps_of_em() -> None:
    gum = pytest.importorskip("pyagrum")
    network, codes = rows_of_asia(100, gaps=True)
    agrum = Agrum(gum, network, codes)
    tables = agrum.tables(agrum.em(agrum.read(), 3, 0.1))
    network.fit(codes, 0.1, init="current", max_iterations=3, tolerance=0.0, progress=False)
    assert difference(tables, tables_of(network)) < 1e-12


def test_pgmpy_learns_from_the_same_rows() -> None:
    pytest.importorskip("pgmpy")
    network, codes = rows_of_asia(2000)
    pgmpy, score = Pgmpy(network, codes), SetScore(DiscreteData(codes, network.vocabulary))
    number = {name: v for v, name in enumerate(network.variables)}
    truth = [sum(1 << number[p] for p in network.parents(name)) for name in network.variables]
    tables = pgmpy.tables(pgmpy.fit())
    assert difference(tables, tables_by_counting(network, codes)) < 1e-12
    assert pgmpy.score() == pytest.approx(score.total(truth), rel=1e-12)
    assert score.total(pgmpy.climb()) > score.total([0] * len(truth))
