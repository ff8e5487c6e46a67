"""Gradients of log Z: right to second order, equal to marginals, zero at hard zeros."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.exact.enumerate import enumerate_law
from pgm import BayesianNetwork

CARDS = {"a": 2, "b": 3, "c": 2, "d": 2}
SCOPES = (("a", "b"), ("b", "c"), ("c", "a"), ("d",), ("a", "b"))


def tables(seed: int, zeros: float = 0.0) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    found = []
    for scope in SCOPES:
        values = np.asarray(rng.normal(size=[CARDS[v] for v in scope]))
        values[rng.random(values.shape) < zeros] = -np.inf
        found.append(torch.from_numpy(values))
    return found


def with_finite_leaves(values: list[torch.Tensor]) -> tuple[list[torch.Tensor], list]:
    """The finite entries as leaves, and functions that put them back among the -inf."""
    leaves, rebuild = [], []
    for table in values:
        mask = table.isfinite()
        leaves.append(table[mask].clone().requires_grad_())
        rebuild.append(
            lambda leaf, mask=mask: torch.full(
                mask.shape, -torch.inf, dtype=leaf.dtype
            ).masked_scatter(mask, leaf)
        )
    return leaves, rebuild


EVIDENCE = [
    {},
    {"a": 1},
    {"c": [0.2, 0.0]},
    {"a": [0, -1, 1], "c": [[1.0, 2.0], [0.5, 0.0], [0.0, 3.0]]},
]


@pytest.mark.parametrize("evidence", EVIDENCE)
@pytest.mark.parametrize("zeros", [0.0, 0.2])
def test_first_and_second_derivatives(zeros, evidence):
    leaves, rebuild = with_finite_leaves(tables(30, zeros))

    def log_partition(*values: torch.Tensor) -> torch.Tensor:
        full = [put(value) for put, value in zip(rebuild, values, strict=True)]
        factors = [Factor(scope, table) for scope, table in zip(SCOPES, full, strict=True)]
        return FactorGraph(CARDS, factors).log_partition(evidence)

    assert log_partition(*leaves).isfinite().all(), "pick another seed"
    assert torch.autograd.gradcheck(log_partition, leaves)
    assert torch.autograd.gradgradcheck(log_partition, leaves)


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_the_gradient_is_the_factor_marginal(data, graphs, evidence, each_path):
    """Also for impossible evidence and any range of numbers: then zero, and never NaN."""
    cards, factors = data.draw(graphs(states=150))
    given_ = data.draw(evidence(cards))
    leaves = [Factor(f.scope, f.log_values.clone().requires_grad_()) for f in factors]
    if not leaves:
        return
    total = FactorGraph(cards, leaves).log_partition(given_)
    gradients = torch.autograd.grad(
        total, [f.log_values for f in leaves], allow_unused=True, materialize_grads=True
    )
    law = enumerate_law(cards, factors, given_)
    for factor, gradient in zip(factors, gradients, strict=True):
        assert gradient.isfinite().all()
        assert (gradient[factor.log_values.isneginf()] == 0).all()
        if law.log_partition == -math.inf:
            assert (gradient == 0).all()
        else:
            torch.testing.assert_close(gradient, law.joint(factor.scope), rtol=1e-8, atol=1e-10)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_second_derivatives_are_covariances(data, graphs):
    """With hard zeros; the covariance of two indicator functions needs no finite differences."""
    cards, factors = data.draw(graphs(most=4, states=30, spreads=(1, 3), zeros=(0, 0.3)))
    factors = [f for f in factors if f.scope]
    leaves = [f.log_values.clone().requires_grad_() for f in factors]
    law = enumerate_law(cards, factors)
    if not leaves or law.log_partition == -math.inf:
        return
    graph = FactorGraph(cards, [Factor(f.scope, x) for f, x in zip(factors, leaves, strict=True)])
    first = torch.autograd.grad(graph.log_partition(), leaves, create_graph=True)
    rng = np.random.default_rng(0)
    directions = [torch.from_numpy(rng.normal(size=tuple(x.shape))) for x in leaves]
    slope = sum((g * d).sum() for g, d in zip(first, directions, strict=True))
    if not slope.requires_grad:
        return
    second = torch.autograd.grad(slope, leaves, allow_unused=True, materialize_grads=True)
    states = np.array(np.unravel_index(np.arange(len(law.log_weights)), tuple(cards.values()))).T
    place = {name: i for i, name in enumerate(cards)}
    p = law.probabilities.numpy()
    values = np.zeros(len(p))
    indices = []
    for factor, direction in zip(factors, directions, strict=True):
        index = tuple([states[:, place[v]] for v in factor.scope])
        values += direction.numpy()[index]
        indices.append(index)
    centred = p * (values - p @ values)
    for factor, index, found in zip(factors, indices, second, strict=True):
        expected = np.zeros(tuple(factor.log_values.shape))
        np.add.at(expected, index, centred)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8, atol=1e-10)


def test_hard_zeros_everywhere_give_zero_gradients():
    table = torch.full((2, 2), -torch.inf, dtype=torch.float64, requires_grad=True)
    total = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], table)]).log_partition()
    total.backward()
    assert total.item() == -math.inf
    assert table.grad is not None and (table.grad == 0).all()


def test_a_constant_factor_shifts_log_z():
    constant = torch.tensor(-3.0, dtype=torch.float64, requires_grad=True)
    leaf = torch.tensor([0.0, -torch.inf], dtype=torch.float64, requires_grad=True)
    graph = FactorGraph({"a": 2, "b": 3}, [Factor([], constant), Factor(["a"], leaf)])
    total = graph.log_partition()
    assert total.item() == pytest.approx(math.log(3) - 3)
    gradients = torch.autograd.grad(total, [constant, leaf])
    assert gradients[0].item() == 1.0 and gradients[1].tolist() == [1.0, 0.0]
    with torch.no_grad():
        constant.fill_(-torch.inf)
    total = graph.log_partition()
    assert total.item() == -math.inf
    assert torch.autograd.grad(total, constant)[0].item() == 0.0


def test_backward_passes_may_come_late_and_in_any_order():
    """Each belongs to its own evidence and numbers, whatever was asked in between."""
    leaf = torch.tensor([[0.0, 1.0], [2.0, -1.0]], dtype=torch.float64, requires_grad=True)
    graph = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], leaf)])
    queries = [{}, {"a": 0}, {"b": [0.5, 3.0]}, {"a": 1, "b": [2.0, 1.0]}]
    totals = [graph.log_partition(query) for query in queries]
    graph.marginals({"a": 1})
    laws = [enumerate_law(graph.cardinalities, graph.factors, query) for query in queries]
    for i in (2, 0, 3, 1, 2):
        gradient = torch.autograd.grad(totals[i], leaf, retain_graph=True)[0]
        torch.testing.assert_close(gradient, laws[i].joint(["a", "b"]).detach())


def test_backward_after_the_numbers_changed_is_refused_or_right():
    """Autograd's own rule: a tensor needed for the gradient was modified in place."""
    leaf = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    graph = FactorGraph({"a": 2}, [Factor(["a"], leaf)])
    total = graph.log_partition()
    before = torch.softmax(leaf.detach(), 0)
    with torch.no_grad():
        leaf.copy_(torch.tensor([3.0, -3.0]))
    graph.marginals()
    try:
        (gradient,) = torch.autograd.grad(total, leaf)
    except RuntimeError as error:
        assert "inplace" in str(error)
    else:
        torch.testing.assert_close(gradient, before)


def test_gradients_of_gradients_by_one_backward():
    """The sum of a total and of its own gradient, as a penalty has it."""
    values = tables(1)

    def penalised(*leaves: torch.Tensor) -> torch.Tensor:
        factors = [Factor(scope, leaf) for scope, leaf in zip(SCOPES, leaves, strict=True)]
        total = FactorGraph(CARDS, factors).log_partition({"d": 0})
        first = torch.autograd.grad(total, leaves, create_graph=True)
        return total + sum((g**2).sum() for g in first)

    leaves = [table.requires_grad_() for table in values]
    assert torch.autograd.gradcheck(penalised, leaves)


def test_shared_and_transformed_leaves():
    """One parameter in two factors; the gradient adds up through whatever built the tables."""
    leaf = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def log_partition(coupling: torch.Tensor) -> torch.Tensor:
        spins = torch.tensor([-1.0, 1.0], dtype=torch.float64)
        table = coupling * torch.outer(spins, spins)
        factors = [Factor(list(pair), table) for pair in ("ab", "bc", "cd", "da")]
        return FactorGraph(dict.fromkeys("abcd", 2), factors).log_partition()

    total = log_partition(leaf)
    expected = math.log((2 * math.cosh(0.7)) ** 4 + (2 * math.sinh(0.7)) ** 4)
    assert total.item() == pytest.approx(expected, rel=1e-14)
    assert torch.autograd.gradcheck(log_partition, leaf)
    assert torch.autograd.gradgradcheck(log_partition, leaf)


def test_float32_leaves_get_float32_gradients():
    leaf = torch.tensor([[0.0, 1.0], [2.0, -1.0]], requires_grad=True)
    graph = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], leaf), Factor(["b"], [0.5, 0.0])])
    total = graph.log_partition({"a": 1})
    assert total.dtype == torch.float64
    total.backward()
    assert leaf.grad is not None and leaf.grad.dtype == torch.float32
    law = enumerate_law(graph.cardinalities, graph.factors, {"a": 1})
    torch.testing.assert_close(leaf.grad.double(), law.joint(["a", "b"]).detach())


def test_no_grad_is_respected_and_agrees():
    leaves = [table.requires_grad_() for table in tables(0)]
    graph = FactorGraph(CARDS, [Factor(s, x) for s, x in zip(SCOPES, leaves, strict=True)])
    recorded = graph.log_partition({"a": 1})
    with torch.no_grad():
        plain = graph.log_partition({"a": 1})
    assert recorded.requires_grad and not plain.requires_grad
    assert recorded.item() == pytest.approx(plain.item(), rel=1e-14)


def test_a_gradient_step_is_seen():
    leaf = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    graph = FactorGraph({"a": 2}, [Factor(["a"], leaf)])
    assert graph.marginals()["a"].tolist() == [0.5, 0.5]
    optimizer = torch.optim.SGD([leaf], lr=1.0)
    (graph.log_partition() - 2 * leaf[1]).backward()
    optimizer.step()
    assert leaf.tolist() == [-0.5, 1.5]
    expected = torch.softmax(leaf.detach(), 0).tolist()
    assert graph.marginals()["a"].tolist() == pytest.approx(expected, rel=1e-14)


# Batches of graphs -------------------------------------------------------------------------------


def batch_of_graphs(rng, cards, factors, size):
    """Some factors become batches; returns the batch and the graphs it stands for."""
    mixed, rows = [], [[] for _ in range(size)]
    for factor in factors:
        if rng.random() < 0.6:
            values = torch.from_numpy(
                np.asarray(rng.normal(size=(size, *factor.log_values.shape)))
            ).masked_fill(factor.log_values.isneginf(), -torch.inf)
            mixed.append(Factor(factor.scope, values))
            for row, value in zip(rows, values, strict=True):
                row.append(Factor(factor.scope, value))
        else:
            mixed.append(factor)
            for row in rows:
                row.append(factor)
    if not any(factor.batched for factor in mixed):
        values = torch.from_numpy(rng.normal(size=(size, cards["a"])))
        mixed.append(Factor(["a"], values))
        for row, value in zip(rows, values, strict=True):
            row.append(Factor(["a"], value))
    return mixed, rows


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_batch_of_graphs_equals_a_loop(data, graphs, evidence):
    cards, factors = data.draw(graphs(states=100, spreads=(1, 3), zeros=(0, 0.2)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    size = data.draw(st.sampled_from([1, 2, 5]))
    mixed, rows = batch_of_graphs(rng, cards, factors, size)
    given_ = data.draw(evidence(cards))
    if data.draw(st.booleans()):
        given_["a"] = rng.integers(-1, cards["a"], size)
    graph = FactorGraph(cards, mixed)
    totals, found = graph.log_partition(given_), graph.marginals(given_)
    assert totals.shape == (size,)
    for i, row in enumerate(rows):
        own = {k: v[i] if k == "a" and np.ndim(v) == 1 and len(v) == size and
               np.asarray(v).dtype.kind == "i" else v for k, v in given_.items()}  # fmt: skip
        own = {k: int(v) if np.ndim(v) == 0 else v for k, v in own.items()}
        law = enumerate_law(cards, row, {k: v for k, v in own.items() if np.ndim(v) or v >= 0})
        torch.testing.assert_close(totals[i], law.log_partition, rtol=1e-12, atol=1e-10)
        for name, table in law.marginals.items():
            assert found[name].shape == (size, cards[name])
            torch.testing.assert_close(
                found[name][i], table, rtol=1e-9, atol=1e-10, equal_nan=True
            )


def test_batched_factors_carry_gradients():
    rng = np.random.default_rng(5)
    values = torch.from_numpy(rng.normal(size=(4, 2, 3))).requires_grad_()
    shared = torch.from_numpy(rng.normal(size=3)).requires_grad_()

    def log_partition(values: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
        factors = [Factor(["a", "b"], values), Factor(["b"], shared)]
        return FactorGraph({"a": 2, "b": 3}, factors).log_partition({"a": [0.5, 2.0]})

    assert torch.autograd.gradcheck(log_partition, (values, shared))
    assert torch.autograd.gradgradcheck(log_partition, (values, shared))
    rows, _ = torch.autograd.grad(log_partition(values, shared).sum(), [values, shared])
    torch.testing.assert_close(rows.sum((1, 2)), torch.ones(4, dtype=torch.float64))


def test_results_of_a_batch_of_graphs_may_be_written_to():
    graph = FactorGraph({"a": 2, "b": 2}, [Factor(["a"], torch.zeros(3, 2).double())])
    for result in (*graph.marginals({"b": 1}).values(), graph.log_partition({"b": 1})):
        kept = result.clone()
        result[0] = 7.0
        assert result[1:].equal(kept[1:])


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_batches_of_different_sizes_are_refused(rows):
    graph = FactorGraph({"a": 2}, [Factor(["a"], torch.zeros(3, 2))])
    for query in (graph.log_partition, graph.marginals):
        with pytest.raises(ValueError, match="3"):
            query({"a": [0] * rows})
    with pytest.raises(ValueError, match="batch"):
        FactorGraph({"a": 2}, [Factor(["a"], torch.zeros(n, 2)) for n in (2, 3)])
    one = FactorGraph({"a": 2}, [Factor(["a"], torch.zeros(1, 2))])
    if rows > 1:
        with pytest.raises(ValueError, match="1"):
            one.log_partition({"a": [0] * rows})


@pytest.mark.parametrize("evidence", [{"a": np.zeros(0, int)}, {"b": np.zeros((0, 3))}])
def test_no_rows_have_no_log_partition(evidence):
    values = torch.zeros(2, 3, requires_grad=True)
    found = FactorGraph({"a": 2, "b": 3}, [Factor(["a", "b"], values)]).log_partition(evidence)
    assert found.shape == (0,)
    found.sum().backward()
    assert values.grad is not None and not values.grad.any()


def test_what_a_batch_of_graphs_can_be_asked():
    """Its plan, which needs no numbers; not for one state of all graphs at once."""
    graph = FactorGraph({"a": 2, "b": 3}, [Factor(["a", "b"], torch.zeros(4, 2, 3))])
    assert graph.plan().largest_table == 6
    assert graph.plan({"a": 1}).largest_table == 3
    for query in (graph.most_probable, lambda: graph.sample(2)):
        with pytest.raises(ValueError, match="batch"):
            query()


# Bayesian networks -------------------------------------------------------------------------------


def network() -> BayesianNetwork:
    rng = np.random.default_rng(2)
    cards = {"a": 2, "b": 3, "c": 2, "d": 2}
    parents = {"a": (), "b": ("a",), "c": ("b", "a"), "d": ("c",)}
    found = {}
    for name, above in parents.items():
        table = rng.dirichlet(np.ones(cards[name]), [cards[p] for p in above] or None)
        found[name] = np.asarray(table)
    found["b"] = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    found["d"] = np.array([[1.0, 0.0], [0.3, 0.7]])
    edges = [(p, name) for name, above in parents.items() for p in above]
    return BayesianNetwork(edges, cards, found)


MISSING = np.array([[0, -1, 1, 1], [-1, 2, -1, 0], [1, 1, 1, 1], [-1, -1, -1, -1], [0, 2, 0, 0]])


def functions(net: BayesianNetwork) -> dict[str, torch.Tensor]:
    return {
        "single": net.log_evidence({"d": 1, "a": [0.3, 0.9]}),
        "batch": net.log_evidence({"d": [0, 1, -1], "b": [2, -1, 0]})[:2].sum(),
        "rows": net.log_prob(MISSING[:4]).sum(),
    }


@pytest.mark.parametrize("name", ["single", "batch", "rows"])
def test_network_gradients_along_the_simplex(name):
    """Directions that keep every row a distribution and every structural zero a zero."""
    net = network()
    for parameter in net.parameters():
        assert not parameter.requires_grad, "gradients are asked for with requires_grad_()"
    net.requires_grad_()
    functions(net)[name].backward()
    assert net.values.grad is not None
    gradient = {v: net.values.grad.new_zeros(net.table(v).shape) for v in net.variables}
    start = 0
    for v in net.variables:
        size = net.table(v).numel()
        gradient[v] = net.values.grad[start : start + size].view(net.table(v).shape)
        start += size
        assert (gradient[v][net.table(v) == 0] == 0).all(), "structural zeros get none"
    rng = np.random.default_rng(0)
    for v in net.variables:
        table = net.table(v).detach().numpy()
        direction = np.where(table > 0, rng.normal(size=table.shape), 0.0)
        inside = table > 0
        mean = direction.sum(-1, keepdims=True) / inside.sum(-1, keepdims=True)
        direction = np.where(inside, direction - mean, 0.0)
        values = []
        for step in (1e-6, -1e-6):
            moved = {u: net.table(u).detach().numpy() for u in net.variables}
            moved[v] = table + step * direction
            values.append(functions(BayesianNetwork(net.edges, dict(zip(net.variables, (2, 3, 2, 2), strict=True)), moved))[name].item())  # fmt: skip # noqa: E501
        slope = (values[0] - values[1]) / 2e-6
        assert (gradient[v].numpy() * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_network_gradient_of_complete_rows_is_counts_over_probabilities():
    net = network().requires_grad_()
    rows = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]])
    net.log_prob(rows).sum().backward()
    counts = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    table = net.table("b").detach().numpy()
    expected = np.divide(counts, table, out=np.zeros_like(counts), where=table > 0)
    assert net.values.grad is not None
    np.testing.assert_allclose(net.values.grad[2:8].view(2, 3).numpy(), expected, rtol=1e-12)


def test_impossible_rows_have_no_gradient():
    net = network().requires_grad_()
    # d = 1 needs c = 1, and b = 2 needs a = 1.
    total = net.log_prob([[0, 2, 0, 0], [-1, -1, 0, 1], [0, -1, -1, -1]])
    assert total.isneginf().tolist() == [True, True, False]
    total[2].backward(retain_graph=True)
    assert net.values.grad is not None and net.values.grad.isfinite().all()
    net.values.grad = None
    single = net.log_evidence({"c": 0, "d": 1})
    assert single.item() == -math.inf
    single.backward()
    assert net.values.grad is None or (net.values.grad == 0).all()


def test_network_values_agree_with_and_without_gradients():
    net = network()
    plain = {name: value.item() for name, value in functions(net).items()}
    net.requires_grad_()
    for name, value in functions(net).items():
        assert value.requires_grad
        assert value.item() == pytest.approx(plain[name], rel=1e-13)
    with torch.no_grad():
        for value in functions(net).values():
            assert not value.requires_grad
    assert not net.marginals({"d": 1})["a"].requires_grad


def test_a_batch_of_graphs_is_asked_without_gradients():
    graph = FactorGraph({"a": 2}, [Factor(["a"], torch.tensor([[0.0, 1.0], [2.0, 0.0]]))])
    expected = graph.factors[0].log_values.double().softmax(1)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(graph.marginals()["a"], expected)
    with torch.inference_mode():
        graph = FactorGraph({"a": 2}, [Factor(["a"], graph.factors[0].log_values.double())])
        torch.testing.assert_close(graph.marginals()["a"], expected)
    torch.testing.assert_close(graph.marginals()["a"], expected)
