"""Published networks and competition problems against reference numbers in ../shared."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import Factor, FactorGraph
from pgm import BayesianNetwork
from pgm.formats import (
    read_markov,
    read_uai_assignment,
    read_uai_evidence,
    read_uai_marginals,
    read_uai_partition,
)

#: Free parameters, from the description of the networks at bnlearn.com/bnrepository.
PARAMETERS = {
    "alarm": 509, "andes": 1157, "asia": 18, "barley": 114005, "cancer": 10, "child": 230,
    "diabetes": 429409, "earthquake": 10, "hailfinder": 2656, "hepar2": 1453, "insurance": 1008,
    "link": 14211, "mildew": 540150, "munin": 80592, "munin1": 15622, "munin2": 69431,
    "munin3": 71059, "munin4": 80352, "pathfinder": 72079, "pigs": 5618, "sachs": 178,
    "survey": 21, "water": 10083, "win95pts": 574,
}  # fmt: skip
NETWORKS = sorted(PARAMETERS)
#: Their most probable state takes a table of gigabytes, or has no reference.
SLOW = {"munin1"}
PROBLEMS = [
    "Alchemy_11", "CSP_12", "DBN_11", "Grids_12", "Promedus_13", "Promedus_21", "Promedus_24",
    "Promedus_30", "Promedus_32", "Segmentation_11",
]  # fmt: skip


@functools.cache
def references(folder: Path, name: str) -> dict:
    return json.loads((folder / "references" / name).read_text(encoding="utf-8"))


# An object remembers tables of up to half a gigabyte, so that only a few are kept.
@functools.lru_cache(maxsize=2)
def network(folder: Path, name: str) -> BayesianNetwork:
    return BayesianNetwork.load(folder / "data" / "bif" / f"{name}.bif")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_load_as_described(name, shared):
    net = network(shared, name)
    known = references(shared, "posteriors.json")[name]
    assert len(net.variables) == known["n"]
    assert net.n_parameters == PARAMETERS[name]
    for variable, labels in known.get("states", {}).items():
        assert list(net.states[variable]) == labels
    sums = torch.cat([net.table(v).sum(-1).flatten() for v in net.variables])
    assert (sums - 1).abs().max() < 1e-14


@pytest.mark.parametrize("evidence", ["none", "e1"])
@pytest.mark.parametrize("name", NETWORKS)
def test_posteriors(name, evidence, shared):
    net = network(shared, name)
    known = references(shared, "posteriors.json")[name]["evidence"][evidence]
    # Of the larger networks a selection of the variables.
    assert len(known["posterior"]) >= min(20, len(net.variables) - len(known["given"]))
    for _ in range(2):
        # The second time the plan made for these observed variables is used.
        found = net.marginals(known["given"])
        assert list(found) == list(net.variables)
        for variable, p in known["posterior"].items():
            np.testing.assert_allclose(found[variable].numpy(), p, rtol=0, atol=1e-9)
    for variable, state in known["given"].items():
        code = net.states[variable].index(state)
        assert found[variable][code].item() == pytest.approx(1.0, abs=1e-12)
    if known["logpe"] is not None:
        assert net.log_evidence(known["given"]).item() == pytest.approx(known["logpe"], abs=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_of_evidence_gives_the_same_posteriors(name, shared):
    """Rows with and without the evidence, and one with a part of it."""
    net = network(shared, name)
    known = references(shared, "posteriors.json")[name]["evidence"]
    given = known["e1"]["given"]
    first = next(iter(given))
    batch = {v: [state, None, state if v == first else None] for v, state in given.items()}
    asked = [v for v in known["e1"]["posterior"] if v in known["none"]["posterior"]][:40]
    assert asked
    found = net.marginals(batch, variables=asked)
    part = net.marginals({first: given[first]}, variables=asked)
    for v in asked:
        np.testing.assert_allclose(found[v][0].numpy(), known["e1"]["posterior"][v], atol=1e-9)
        np.testing.assert_allclose(found[v][1].numpy(), known["none"]["posterior"][v], atol=1e-9)
        np.testing.assert_allclose(found[v][2].numpy(), part[v].numpy(), atol=1e-9)
    if known["e1"]["logpe"] is not None:
        log_p = net.log_evidence(batch)
        assert log_p[0].item() == pytest.approx(known["e1"]["logpe"], abs=1e-9)
        assert log_p[1].item() == pytest.approx(0.0, abs=1e-9)


def check_most_probable(net: BayesianNetwork, known: dict) -> None:
    state, value = net.most_probable(known["given"])
    if "log_mpe" in known:
        assert value.item() == pytest.approx(known["log_mpe"], abs=1e-9)
    for variable, label in known["given"].items():
        assert state[variable] == label
    codes = [net.states[v].index(label) for v, label in state.items()]
    assert net.log_prob([codes]).item() == pytest.approx(value.item(), abs=1e-9)


@pytest.mark.parametrize("evidence", ["none", "e1"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NETWORKS]
)
def test_most_probable_states(name, evidence, shared):
    known = references(shared, "posteriors.json")[name]["evidence"][evidence]
    check_most_probable(network(shared, name), known)


@pytest.mark.parametrize("name", ["alarm", "hailfinder", "pathfinder", "pigs", "water"])
def test_samples_given_evidence_have_the_reference_frequencies(name, shared):
    """Seven standard deviations of 20,000 rows: no false alarm in some hundred numbers."""
    net = network(shared, name)
    known = references(shared, "posteriors.json")[name]["evidence"]
    for evidence in ("none", "e1"):
        rows = net.sample(20_000, known[evidence]["given"], generator=1)
        for i, v in enumerate(net.variables):
            found = torch.bincount(rows[:, i], minlength=len(net.states[v])).double() / 20_000
            if v in known[evidence]["given"]:
                code = net.states[v].index(known[evidence]["given"][v])
                assert found[code] == 1.0
            if v not in known[evidence]["posterior"]:
                continue
            p = torch.tensor(known[evidence]["posterior"][v], dtype=torch.float64)
            # The second term is for counts of rare states, which are Poisson and not normal.
            bound = 7 * (p * (1 - p).clamp(min=0) / 20_000).sqrt() + 15 / 20_000 * (p > 1e-12)
            assert ((found - p).abs() <= bound + 1e-9).all()


@functools.lru_cache(maxsize=2)
def problem(folder: Path, name: str) -> tuple[FactorGraph, dict[str, int]]:
    path = folder / "data" / "uai" / f"{name}.uai"
    tables = read_markov(path)
    cards = {str(v): card for v, card in enumerate(tables.cardinalities)}
    factors = [
        Factor.from_potential([str(v) for v in scope], table)
        for scope, table in zip(tables.scopes, tables.tables, strict=True)
    ]
    evidence = read_uai_evidence(f"{path}.evid")
    return FactorGraph(cards, factors), {str(v): state for v, state in evidence.items()}


@pytest.mark.parametrize("name", PROBLEMS)
def test_partition_functions_of_competition_problems(name, shared):
    graph, evidence = problem(shared, name)
    found = graph.log_partition(evidence).item() / math.log(10)
    known = references(shared, "uai.json").get(f"{name}.uai")
    if known is not None:
        assert found == pytest.approx(known["log10Z"], abs=1e-6)
    # The file has six digits.
    published = read_uai_partition(shared / "data" / "uai" / f"{name}.uai.PR")
    assert found == pytest.approx(published, rel=5.1e-6)


@pytest.mark.parametrize("name", PROBLEMS)
def test_marginals_of_competition_problems(name, shared):
    graph, evidence = problem(shared, name)
    found = graph.marginals(evidence)
    published = read_uai_marginals(shared / "data" / "uai" / f"{name}.uai.MAR")
    assert len(published) == len(found)
    for table, p in zip(found.values(), published, strict=True):
        np.testing.assert_allclose(table.numpy(), p, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PROBLEMS)
def test_most_probable_states_of_competition_problems(name, shared):
    """At least as good as the published state, and as good as it claims to be."""
    graph, evidence = problem(shared, name)
    state, value = graph.most_probable(evidence)

    def weight(codes: dict[str, int]) -> float:
        parts = [f.log_values[tuple([codes[v] for v in f.scope])] for f in graph.factors]
        return float(torch.stack(parts).sum())

    assert weight(state) == pytest.approx(value.item(), rel=1e-12)
    assert all(state[v] == code for v, code in evidence.items())
    published = read_uai_assignment(shared / "data" / "uai" / f"{name}.uai.MAP")
    known = weight(dict(zip(graph.cardinalities, published, strict=True)))
    assert value.item() >= known - 1e-9
