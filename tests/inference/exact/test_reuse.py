"""One object asked many things: nothing remembered may leak from one answer to the next."""

from __future__ import annotations

import copy
import math
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.exact.enumerate import enumerate_law
from pgm import BayesianNetwork

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9, equal_nan=True)


class Conversation:
    """Asks an object in turn and compares every answer, also long after it was given."""

    def __init__(self, cards: dict[str, int], factors: list[Factor], asked: Any) -> None:
        self.cards, self.factors, self.asked = cards, factors, asked
        self.answers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def _hear(self, found: torch.Tensor, expected: torch.Tensor) -> None:
        same(found, expected)
        self.answers.append((found, found.clone()))

    def ask(self, kind: str, evidence: dict[str, Any], variables: list[str]) -> None:
        law = enumerate_law(self.cards, self.factors, evidence)
        possible = law.log_partition > -math.inf
        if kind == "log":
            log_z = getattr(self.asked, "log_partition", None) or self.asked.log_evidence
            self._hear(log_z(evidence), law.log_partition)
            return
        query = {
            "all": lambda: self.asked.marginals(evidence),
            "some": lambda: self.asked.marginals(evidence, variables=variables),
            "best": lambda: self.asked.most_probable(evidence),
            "draw": lambda: self.asked.sample(5, evidence, generator=1),
        }[kind]
        if not possible:
            with pytest.raises(ValueError, match="probability zero"):
                query()
            return
        answer = query()
        if kind in ("all", "some"):
            assert list(answer) == (list(self.cards) if kind == "all" else variables)
            for name, table in answer.items():
                self._hear(table, law.marginals[name])
        elif kind == "best":
            self._hear(answer[1], law.most_probable[1])
        else:
            index = np.ravel_multi_index(tuple(answer.numpy().T), tuple(self.cards.values()))
            assert (law.probabilities[index] > 0).all()
            self.answers.append((answer, answer.clone()))

    def ask_rows(self, batch: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        laws = [enumerate_law(self.cards, self.factors, row) for row in rows]
        log_z = getattr(self.asked, "log_partition", None) or self.asked.log_evidence
        self._hear(log_z(batch), torch.stack([law.log_partition for law in laws]))
        for name, table in self.asked.marginals(batch).items():
            self._hear(table, torch.stack([law.marginals[name] for law in laws]))

    def check_earlier_answers(self) -> None:
        for found, kept in self.answers:
            torch.testing.assert_close(found, kept, rtol=0, atol=0, equal_nan=True)


def converse(data: st.DataObject, conversation: Conversation, evidence, batches) -> None:
    """A random sequence of questions; a few evidence sets come back again and again."""
    cards = conversation.cards
    pool = [{}] + [data.draw(evidence(cards, kinds="hs--")) for _ in range(3)]
    for _ in range(data.draw(st.integers(3, 9))):
        kind = data.draw(st.sampled_from(["log", "all", "all", "some", "best", "draw", "rows"]))
        if kind == "rows":
            conversation.ask_rows(*data.draw(batches(cards)))
            continue
        chosen = data.draw(st.sampled_from(pool))
        # The same observed variables with other values.
        if data.draw(st.booleans()):
            seed = data.draw(st.integers(0, 99))
            rng = np.random.default_rng(seed)
            chosen = {
                name: rng.random(cards[name]) if np.ndim(value) else int(rng.integers(cards[name]))
                for name, value in chosen.items()
            }
        variables = data.draw(st.lists(st.sampled_from(list(cards)), unique=True))
        conversation.ask(kind, chosen, variables)
    conversation.check_earlier_answers()


@settings(max_examples=60, **QUIET)
@given(data=st.data())
def test_a_graph_answers_any_sequence_of_questions(data, graphs, evidence, batches, each_path):
    cards, factors = data.draw(graphs(states=200, spreads=(1, 3, 3, 300), zeros=(0, 0, 0.15)))
    conversation = Conversation(cards, factors, FactorGraph(cards, factors))
    converse(data, conversation, evidence, batches)
    if data.draw(st.booleans()) and factors:
        # New numbers, other zeros: the same object goes on answering.
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        for factor in factors:
            values = torch.from_numpy(np.asarray(rng.normal(size=tuple(factor.log_values.shape))))
            values[
                torch.from_numpy(np.asarray(rng.random(tuple(values.shape)) < 0.1))
            ] = -torch.inf
            factor.log_values.copy_(values)
        converse(data, conversation, evidence, batches)


@settings(max_examples=60, **QUIET)
@given(data=st.data())
def test_a_network_answers_any_sequence_of_questions(data, networks, evidence, batches, each_path):
    edges, cards, tables = data.draw(networks(states=200))
    net = BayesianNetwork(edges, cards, tables)

    def factors() -> list[Factor]:
        return [
            Factor.from_potential([*net.parents(name), name], net.table(name).clone())
            for name in cards
        ]

    converse(data, Conversation(cards, factors(), net), evidence, batches)
    with torch.no_grad():
        for name in cards:
            table = net.table(name)
            table.copy_(table.flip(-1))
    converse(data, Conversation(cards, factors(), net), evidence, batches)


def chain(count: int = 6, card: int = 4, seed: int = 0) -> BayesianNetwork:
    """Large enough for a tree of its own, small enough to be enumerated by rows."""
    rng = np.random.default_rng(seed)
    names = [f"v{i}" for i in range(count)]
    tables = {names[0]: rng.dirichlet(np.ones(card))}
    tables |= {name: rng.dirichlet(np.ones(card), card) for name in names[1:]}
    edges = [(names[i], names[i + 1]) for i in range(count - 1)]
    return BayesianNetwork(edges, dict.fromkeys(names, card), tables)


def everything(net: BayesianNetwork, evidence: dict[str, Any]) -> list[torch.Tensor]:
    batch = {"v0": [0, 1, -1], "v3": [[0.1, 0.2, 0.3, 0.4]] * 3}
    return [
        *net.marginals(evidence).values(),
        *net.marginals(evidence, variables=["v2", "v0"]).values(),
        net.log_evidence(evidence),
        net.query(["v4", "v1"], evidence).log_values,
        net.most_probable(evidence)[1],
        net.sample(20, evidence, generator=3),
        *net.marginals(batch).values(),
        net.log_evidence(batch),
        net.log_prob([[0, 1, 2, 3, 0, 1], [-1, 1, -1, 3, 0, 1]]),
    ]


EVIDENCE = [{}, {"v5": 1}, {"v5": 2}, {"v2": [0.5, 0.1, 0.0, 2.0]}, {"v0": 0, "v5": 3}]


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> None:
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)


def test_the_order_of_questions_does_not_matter(each_path):
    fresh = [everything(chain(), evidence) for evidence in EVIDENCE]
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 1, 3, 0, 3, 1, 4, 2, 2, 0]):
        net = chain()
        for i in order:
            equal(everything(net, EVIDENCE[i]), fresh[i])


def test_writing_to_answers_does_no_harm(each_path):
    net = chain()
    expected = [everything(chain(), evidence) for evidence in EVIDENCE]
    for _ in range(3):
        for evidence, right in zip(EVIDENCE, expected, strict=True):
            answers = everything(net, evidence)
            equal(answers, right)
            for answer in answers:
                answer.fill_(7)
    assert net.table("v0").sum().item() == pytest.approx(1.0)


def test_writing_to_one_answer_leaves_the_others(each_path):
    answers = chain().marginals({"v5": 1})
    kept = {name: table.clone() for name, table in answers.items()}
    answers["v2"].fill_(9.0)
    for name in answers.keys() - {"v2"}:
        assert answers[name].equal(kept[name])


def test_evidence_is_not_changed():
    net = chain()
    soft = np.array([0.5, 0.25, 0.0, 8.0])
    column = np.array([0, -1, 2])
    evidence = {"v2": soft, "v5": 1}
    for _ in range(2):
        everything(net, evidence)
        net.marginals({"v2": np.stack([soft] * 3), "v5": column})
    assert soft.tolist() == [0.5, 0.25, 0.0, 8.0] and column.tolist() == [0, -1, 2]
    assert evidence == {"v2": soft, "v5": 1}


# Other numbers -----------------------------------------------------------------------------------


def changed_in_place(net: BayesianNetwork, table: torch.Tensor) -> None:
    with torch.no_grad():
        net.table("v3").copy_(table)


def changed_by_state_dict(net: BayesianNetwork, table: torch.Tensor) -> None:
    other = copy.deepcopy(net)
    changed_in_place(other, table)
    net.load_state_dict(other.state_dict())


def changed_as_a_parameter(net: BayesianNetwork, table: torch.Tensor) -> None:
    other = copy.deepcopy(net)
    changed_in_place(other, table)
    net.values = torch.nn.Parameter(other.values.detach().clone(), requires_grad=False)


@pytest.mark.parametrize(
    "change", [changed_in_place, changed_by_state_dict, changed_as_a_parameter]
)
def test_new_numbers_are_seen_by_every_method(change, each_path):
    net = chain()
    before = [everything(net, evidence) for evidence in EVIDENCE]
    table = torch.from_numpy(np.random.default_rng(9).dirichlet(np.ones(4), 4))
    change(net, table)
    tables = {name: net.table(name).detach() for name in net.variables}
    same(tables["v3"], table)
    other = BayesianNetwork(net.edges, dict.fromkeys(net.variables, 4), tables)
    for evidence, old in zip(EVIDENCE, before, strict=True):
        answers = everything(net, evidence)
        equal(answers, everything(other, evidence))
        # The third table sits between v2 and v4, so that nothing below stays what it was.
        assert not torch.allclose(answers[4], old[4])
    assert not net.log_prob([[0] * 6]).equal(before[0][-1][:1])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused_when_they_come_later(value):
    """A NaN is no hard zero, nor is a graph of them impossible."""
    graph = FactorGraph({"a": 2}, [Factor(["a"], torch.zeros(2))])
    assert graph.marginals()["a"].tolist() == [0.5, 0.5]
    graph.factors[0].log_values[0] = value
    for query in (graph.marginals, graph.log_partition, graph.most_probable):
        with pytest.raises(ValueError, match=r"log_values of the factor over \('a',\).*NaN"):
            query()
    graph.factors[0].log_values[0] = 0.0
    assert graph.marginals()["a"].tolist() == [0.5, 0.5]


def test_rounding_to_float32_and_back_is_seen():
    """The memory and its version may be the same again; the numbers are not."""
    net = chain()
    net.marginals()
    net.float()
    net.double()
    tables = {name: net.table(name) for name in net.variables}
    rounded = BayesianNetwork(net.edges, dict.fromkeys(net.variables, 4), tables)
    found, expected = net.marginals()["v5"], rounded.marginals()["v5"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_float32_networks_work():
    net, single = chain(), chain().float()
    assert single.table("v0").dtype == torch.float32
    for evidence in EVIDENCE:
        for name, table in single.marginals(evidence).items():
            torch.testing.assert_close(table.double(), net.marginals(evidence)[name], rtol=1e-5, atol=1e-6)  # fmt: skip # noqa: E501
        rows = [[0, 1, 2, 3, 0, 1], [-1, 1, -1, 3, 0, 1]]
        torch.testing.assert_close(single.log_prob(rows).double(), net.log_prob(rows), rtol=1e-5, atol=1e-5)  # fmt: skip # noqa: E501


BAD_ROWS = {
    "too much": ([0.5, 0.3, 0.2, 0.1], "sum"),
    "too little": ([0.5, 0.3, 0.1, 0.05], "sum"),
    "negative": ([0.5, 0.7, -0.2, 0.0], "negative"),
    "NaN": ([0.5, math.nan, 0.2, 0.3], "NaN"),
    "zeros": ([0.0] * 4, "sum"),
}
METHODS = {
    "marginals": lambda net: net.marginals(),
    "some": lambda net: net.marginals(variables=["v5"]),
    "query": lambda net: net.query(["v4"]),
    "log_evidence": lambda net: net.log_evidence({"v5": 1}),
    "batch": lambda net: net.log_evidence({"v5": [1, 0]}),
    "most_probable": lambda net: net.most_probable(),
    "sample": lambda net: net.sample(3),
    "log_prob": lambda net: net.log_prob([[0, 1, 2, 3, 0, -1]]),
    "complete": lambda net: net.log_prob([[0, 1, 2, 3, 0, 1]]),
}


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("method", METHODS)
def test_rows_that_are_no_distributions_are_refused(method, bad):
    row, problem = BAD_ROWS[bad]
    net = chain()
    METHODS[method](net)
    with torch.no_grad():
        net.table("v3")[2] = torch.tensor(row, dtype=torch.float64)
    for _ in range(2):
        with pytest.raises(ValueError, match=problem) as refusal:
            METHODS[method](net)
        assert "v3" in str(refusal.value) and "v2" in str(refusal.value), "names the row"
    with torch.no_grad():
        net.table("v3")[2] = 0.25
    METHODS[method](net)


# Copies and threads ------------------------------------------------------------------------------


def test_copies_are_independent(each_path):
    net = chain()
    expected = everything(net, EVIDENCE[1])
    twin = copy.deepcopy(net)
    equal(everything(twin, EVIDENCE[1]), expected)
    with torch.no_grad():
        twin.table("v0").copy_(torch.tensor([0.0, 0.0, 0.5, 0.5]))
    equal(everything(net, EVIDENCE[1]), expected)
    assert twin.marginals()["v0"].tolist() == pytest.approx([0.0, 0.0, 0.5, 0.5])
    graph = net.to_factor_graph()
    value = graph.log_partition({"v5": 1})
    twin_graph = copy.deepcopy(graph)
    same(twin_graph.log_partition({"v5": 1}), value)
    twin_graph.factors[0].log_values.fill_(-3.0)
    same(graph.log_partition({"v5": 1}), value)
    assert not torch.allclose(twin_graph.log_partition({"v5": 1}), value)


def test_copies_of_empty_models_work():
    """No numbers at all is what a fresh copy looks like as well."""
    graph = FactorGraph({"a": 3}, [])
    graph.log_partition()
    assert copy.deepcopy(graph).log_partition().item() == pytest.approx(math.log(3))
    net = BayesianNetwork([], {})
    net.log_evidence()
    assert copy.deepcopy(net).log_evidence().item() == 0.0


def test_saved_and_loaded_after_queries(tmp_path):
    net = chain()
    everything(net, EVIDENCE[1])
    net.save(tmp_path / "net.safetensors")
    loaded = BayesianNetwork.load(tmp_path / "net.safetensors")
    assert loaded.values.equal(net.values)
    fresh = chain()
    for evidence in EVIDENCE:
        answers = zip(everything(loaded, evidence), everything(fresh, evidence), strict=True)
        for one, other in answers:
            assert one.equal(other), "the same questions in the same order, bit for bit"


@pytest.mark.parametrize("kind", ["network", "graph"])
def test_four_threads_share_one_object(kind, each_path):
    net = chain()
    asked = net if kind == "network" else net.to_factor_graph()

    def answers(who: Any, evidence: dict[str, Any]) -> list[torch.Tensor]:
        if kind == "network":
            return everything(who, evidence)
        return [
            *who.marginals(evidence).values(),
            who.log_partition(evidence),
            who.most_probable(evidence)[1],
            who.sample(20, evidence, generator=3),
            *who.marginals({"v0": [0, 1, -1], "v4": [3, -1, 2]}).values(),
        ]

    fresh = [answers(copy.deepcopy(asked), evidence) for evidence in EVIDENCE]
    failures: list[BaseException] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            start.wait()
            for _ in range(12):
                i = int(rng.integers(len(EVIDENCE)))
                equal(answers(asked, EVIDENCE[i]), fresh[i])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
