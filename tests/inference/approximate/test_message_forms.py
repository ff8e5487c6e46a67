"""Odds and plain probabilities make the same messages as logarithms, where they may run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from inference import Factor, FactorGraph
from inference.approximate import IsingGrid, PairwiseArrays, belief_propagation
from inference.approximate.belief_propagation import fastest_messages
from inference.approximate.linear_messages import LinearMessages
from inference.approximate.log_messages import LogMessages, Mode
from inference.approximate.odds import EdgeList, GridPlanes, OddsMessages
from inference.approximate.pairwise import ArrayProblem, pose

SOME = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def random_edges(n: int, count: int, draws: torch.Generator) -> Tensor:
    """Distinct pairs in any order and orientation."""
    pairs = torch.combinations(torch.arange(n))
    chosen = pairs[torch.randperm(len(pairs), generator=draws)[:count]]
    flip = torch.rand(len(chosen), generator=draws) < 0.5
    return torch.where(flip[:, None], chosen.flip(1), chosen)


def arrays(seed: int, q: int, rows: tuple[int, ...], dtype: torch.dtype) -> PairwiseArrays:
    """A random pairwise model, unary or tables or both with a batch."""
    draws = torch.Generator().manual_seed(seed)
    n = 5
    edges = random_edges(n, 6, draws)
    unary = torch.randn((*rows[:1], n, q), generator=draws, dtype=dtype)
    tables = torch.randn((*rows[1:], len(edges), q, q), generator=draws, dtype=dtype)
    return PairwiseArrays(unary, edges, tables)


def rounds(kernel: Any, count: int, start: Tensor | None = None) -> Tensor:
    """Logarithms of the messages after some rounds."""
    state = kernel.start() if start is None else start
    for _ in range(count):
        state = kernel.step(state)
    return kernel.log_messages(state)


def same_answers(general: LogMessages, found: Tensor, expected: Tensor, atol: float) -> None:
    """Beliefs and values do not depend on how messages are normalised."""
    model = general.model
    laws = [model.by_variable(general.beliefs(m)).softmax(-1) for m in (found, expected)]
    torch.testing.assert_close(*laws, rtol=0, atol=atol)
    if general.mode == "sum":
        values = [general.log_partition(m) for m in (found, expected)]
        torch.testing.assert_close(*values, rtol=atol, atol=atol)


@pytest.mark.parametrize("mode", ["sum", "max"])
@pytest.mark.parametrize("rows", [(), (3,), (3, 3)])
@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("q", [2, 3])
def test_every_round_is_the_same(mode: Mode, rows, count, q):
    problem = ArrayProblem(arrays(count, q, rows, torch.float64))
    general = LogMessages(problem.model, mode)
    forms: list[Any] = [LinearMessages(problem.model, mode, torch.float64)]
    if q == 2:
        edges = EdgeList(problem.model.groups[0].scopes)
        forms.append(OddsMessages(problem.model, mode, torch.float64, edges))
    for form in forms:
        # Odds start from what the tables say of single variables, which is not nothing.
        expected = rounds(general, count, rounds(form, 0).clone())
        found = rounds(form, count)
        assert found.shape == expected.shape
        same_answers(general, found, expected, 1e-12)


@SOME
@given(
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    rows=st.sampled_from([None, 1, 2]),
    seed=st.integers(0, 99),
)
def test_planes_of_a_grid_are_its_edges(unsettled, height, width, rows, seed):
    draws = torch.Generator().manual_seed(seed)
    lead = () if rows is None else (rows,)
    grid = IsingGrid(
        torch.randn((*lead, height, width), generator=draws, dtype=torch.float64),
        torch.randn((height, width - 1), generator=draws, dtype=torch.float64),
        torch.randn((*lead, height - 1, width), generator=draws, dtype=torch.float64),
    )
    problem = ArrayProblem(grid)
    if not problem.model.groups:
        lonely = belief_propagation(grid).marginals
        torch.testing.assert_close(lonely[..., 1], torch.sigmoid(2 * grid.field))
        return
    expected = rounds(LogMessages(problem.model), 5)
    planes = OddsMessages(problem.model, "sum", torch.float64, GridPlanes(height, width))
    same_answers(LogMessages(problem.model), rounds(planes, 5), expected, 1e-12)
    with unsettled():
        found = belief_propagation(grid, max_iterations=20)
        pairs = belief_propagation(grid.pairwise(), max_iterations=20)
    torch.testing.assert_close(found.marginals.flatten(-3, -2), pairs.marginals)
    torch.testing.assert_close(found.log_partition, pairs.log_partition)
    assert found.marginals.shape == (*lead, height, width, 2)


def test_a_wrong_sign_would_be_seen(monkeypatch):
    problem = ArrayProblem(arrays(1, 2, (), torch.float64))
    general = LogMessages(problem.model)
    kernel = OddsMessages(
        problem.model, "sum", torch.float64, EdgeList(problem.model.groups[0].scopes)
    )
    start = rounds(kernel, 0).clone()
    same_answers(general, rounds(kernel, 3), rounds(general, 3, start), 1e-12)
    monkeypatch.setattr(kernel, "_factor", 1 / kernel._factor)
    with pytest.raises(AssertionError):
        same_answers(general, rounds(kernel, 3), rounds(general, 3, start), 1e-12)


@pytest.mark.parametrize("q", [2, 4])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_single_precision_agrees_with_double(q, damping):
    exact = belief_propagation(arrays(5, q, (), torch.float64), damping=0.5)
    found = belief_propagation(arrays(5, q, (), torch.float64), damping=damping)
    torch.testing.assert_close(found.marginals, exact.marginals, rtol=0, atol=1e-7)
    model = arrays(5, q, (), torch.float64)
    single = PairwiseArrays(model.log_unary.float(), model.edges, model.log_tables.float())
    rough = belief_propagation(single, damping=damping)
    assert rough.marginals.dtype == torch.float32
    assert rough.log_partition.dtype == torch.float64
    torch.testing.assert_close(rough.marginals.double(), exact.marginals, rtol=0, atol=1e-5)
    assert float(rough.log_partition - exact.log_partition) == pytest.approx(0, abs=1e-4)


def path(coupling: float, q: int, n: int = 4, dtype: torch.dtype = torch.float64) -> Any:
    """A chain that likes its neighbours to agree, and its first variable in the last state."""
    unary = torch.zeros(n, q, dtype=dtype)
    unary[0, -1] = 1.0
    edges = torch.stack([torch.arange(n - 1), torch.arange(1, n)], 1)
    return PairwiseArrays(unary, edges, coupling * torch.eye(q, dtype=dtype))


@pytest.mark.parametrize(("dtype", "reach"), [(torch.float32, 80.0), (torch.float64, 700.0)])
@pytest.mark.parametrize("q", [2, 3])
def test_the_range_decides_which_form_runs(dtype, reach, q):
    form = OddsMessages if q == 2 else LinearMessages
    # A middle variable has two edges; a coupling of c is J = c / 2 and a range of c.
    for share, expected in ((0.95, form), (1.05, LogMessages)):
        model = path(share * (reach - 2 * math.log(q) * (q > 2)) / 2, q, dtype=dtype)
        problem = pose(model, None)
        kernel = fastest_messages(problem, problem.model, LogMessages(problem.model))
        assert type(kernel) is expected
        found = belief_propagation(model)
        last = found.marginals[-1].double()
        exact = math.e / (math.e + q - 1)
        assert float(last[-1]) == pytest.approx(exact, abs=1e-5)
        assert bool(found.marginals.isfinite().all())


@pytest.mark.parametrize("q", [2, 3])
def test_hard_zeros_run_on_logarithms(q):
    model = path(1.0, q)
    tables = model.log_tables.masked_fill(~torch.eye(q, dtype=torch.bool), -torch.inf)
    forced = PairwiseArrays(model.log_unary, model.edges, tables)
    problem = pose(forced, None)
    kernel = fastest_messages(problem, problem.model, LogMessages(problem.model))
    assert isinstance(kernel, LogMessages)
    found = belief_propagation(forced).marginals
    torch.testing.assert_close(found, found[:1].expand(4, q))
    unary = forced.log_unary.clone()
    unary[2, 0] = -torch.inf
    found = belief_propagation(PairwiseArrays(unary, model.edges, model.log_tables)).marginals
    assert float(found[2, 0]) == 0.0


def test_mixed_cardinalities_run_on_logarithms():
    graph = FactorGraph({"a": 2, "b": 3}, [Factor(["a", "b"], torch.randn(2, 3))])
    problem = pose(graph, None)
    kernel = fastest_messages(problem, problem.model, LogMessages(problem.model))
    assert isinstance(kernel, LogMessages)


@SOME
@given(seed=st.integers(0, 999), q=st.sampled_from([2, 3]))
def test_arrays_equal_the_same_named_factors(unsettled, seed, q):
    model = arrays(seed, q, (), torch.float64)
    scaled = PairwiseArrays(model.log_unary, model.edges, 0.4 * model.log_tables)
    names = [f"x{i}" for i in range(len(model.log_unary))]
    factors = [Factor([n], u) for n, u in zip(names, scaled.log_unary, strict=True)]
    factors += [
        Factor([names[i], names[j]], t)
        for (i, j), t in zip(scaled.edges.tolist(), scaled.log_tables, strict=True)
    ]
    graph = FactorGraph(dict.fromkeys(names, q), factors)
    with unsettled():
        found, named = belief_propagation(scaled), belief_propagation(graph)
        best, other = [belief_propagation(model, mode="max") for model in (scaled, graph)]
    assert bool(found.converged) == bool(named.converged)
    assume(found.converged)
    expected = torch.stack([named.marginals[name] for name in names])
    torch.testing.assert_close(found.marginals, expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(found.log_partition, named.log_partition, rtol=0, atol=1e-7)
    assume(best.converged and other.converged)
    assert best.most_probable is not None and other.most_probable is not None
    assert best.most_probable.tolist() == list(other.most_probable.values())
    assert float(best.log_partition) == pytest.approx(float(other.log_partition), abs=1e-9)


def test_a_large_grid_is_built_and_runs(ising):
    field, right, down = [torch.from_numpy(x).float() for x in ising(100, 0.3, 1)]
    found = belief_propagation(IsingGrid(field, right, down))
    assert bool(found.converged)
    total = found.marginals.sum(-1)
    np.testing.assert_allclose(total.numpy(), 1.0, atol=1e-6)
