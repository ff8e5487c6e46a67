"""Coloured Gibbs sampling: exact transition matrices, exact starts, hubs, zeros, evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.evidence import Evidence
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.sampling.density import DiscreteDensity
from inference.sampling.factor_arrays import FactorArrays
from inference.sampling.gibbs import ColoredGibbs


def swept(
    density: DiscreteDensity, start: torch.Tensor, sweeps: int, generator: torch.Generator
) -> torch.Tensor:
    """Joint states after some sweeps."""
    law = ColoredGibbs(density)
    return law.run(law.init(start), [1.0] * sweeps, generator).codes


@pytest.mark.parametrize("zeros", [0.0, 0.25])
@pytest.mark.parametrize("beta", [0.0, 0.7, 1.0, 3.0])
def test_a_sweep_leaves_the_law_invariant(make, law, transitions, zeros, beta):
    for seed in range(5):
        density = make(seed, zeros)
        states, probs = law(density, beta)
        matrix = transitions(density, states, beta)
        assert (probs @ matrix - probs).abs().max() < 1e-12
        assert (matrix.sum(1) - 1).abs().max() < 1e-12


def test_updating_neighbours_together_is_rejected(make, law, transitions):
    wrong = make(0, colors=np.zeros(5, dtype=np.int64))
    states, probs = law(wrong)
    assert (probs @ transitions(wrong, states) - probs).abs().max() > 1e-3


def test_a_wrong_temperature_is_rejected(make, law, transitions):
    density = make(0)
    states, probs = law(density, 1.0)
    assert (probs @ transitions(density, states, 1.05) - probs).abs().max() > 1e-4


@settings(max_examples=25)
@given(st.data())
def test_random_models_are_left_invariant(make, law, transitions, data):
    n = data.draw(st.integers(1, 5))
    cards = data.draw(st.lists(st.integers(1, 3), min_size=n, max_size=n))
    scope = st.lists(st.integers(0, n - 1), min_size=0, max_size=3, unique=True)
    scopes = data.draw(st.lists(scope, min_size=1, max_size=6))
    density = make(data.draw(st.integers(0, 1000)), 0.2, cards, scopes)
    states, probs = law(density)
    assert (probs @ transitions(density, states) - probs).abs().max() < 1e-12


def chi_square(counts: np.ndarray, probs: np.ndarray, n: int) -> tuple[float, int]:
    expected = n * probs
    assert (counts[probs == 0] == 0).all()
    kept = expected > 0
    return float(((counts - expected)[kept] ** 2 / expected[kept]).sum()), int(kept.sum()) - 1


@pytest.mark.parametrize("rule", ["heat-bath", "metropolis"])
@pytest.mark.parametrize("zeros", [0.0, 0.2])
@pytest.mark.parametrize("wrong", [False, True])
def test_one_step_from_exact_draws(make, law, rule, zeros, wrong):
    """Exact starts, one sweep, chi-square over all joint states; false alarms: one in 1e7."""
    from scipy.stats import chi2

    density = make(3, zeros)
    states, probs = law(density)
    n = 200_000
    generator = torch.Generator().manual_seed(1)
    start = states[torch.multinomial(probs, n, True, generator=generator)]
    kernel = ColoredGibbs(density, rule).at(1.1 if wrong else 1.0)
    codes = kernel.step(kernel.init(start), generator).codes.long()
    strides = torch.tensor([36, 12, 6, 2, 1])
    counts = torch.bincount(codes @ strides, minlength=len(states)).numpy()
    value, degrees = chi_square(counts, probs.numpy(), n)
    assert (value > chi2.isf(1e-7, degrees)) == wrong


def test_many_chains_reach_the_marginals(make, law):
    """Independent chains from exact starts after 5 sweeps: |z| < 6, 24 tests, 5e-8 in all."""
    density = make(5, scale=1.5)
    states, probs = law(density)
    generator = torch.Generator().manual_seed(2)
    n = 50_000
    start = states[torch.multinomial(probs, n, True, generator=generator)]
    codes = swept(density, start, 5, generator)
    for v, card in enumerate(density.arrays.cards.tolist()):
        for code in range(card):
            p = float(probs[states[:, v] == code].sum())
            share = float((codes[:, v] == code).double().mean())
            assert abs(share - p) < 6 * math.sqrt(p * (1 - p) / n) + 1e-12


def test_a_hub_and_a_shared_table(law, transitions):
    """A star: variables of a block with different numbers of factors, all with one table."""
    leaves = 9
    scopes = [[0, v] for v in range(1, leaves + 1)]
    arrays = FactorArrays([2] * (leaves + 1), [scopes, [[0]]], [[0] * leaves, [4]])
    logs = torch.tensor([0.3, -0.2, 0.1, 0.4, 0.0, 0.2]).double()
    density = DiscreteDensity(arrays, logs)
    states, probs = law(density)
    assert (probs @ transitions(density, states) - probs).abs().max() < 1e-12


def test_conditionals_are_those_of_the_joint_law(make, law):
    density = make(7)
    states, probs = law(density)
    for block in density.blocks:
        found = density.conditionals(block, states.int()).softmax(0)
        for place, v in enumerate(block.variables.tolist()):
            rest = [u for u in range(5) if u != v]
            same = (states[:, None, rest] == states[None, :, rest]).all(-1).double()
            for code in range(block.card):
                joint = same @ (probs * (states[:, v] == code))
                torch.testing.assert_close(found[code, place], joint / (same @ probs))


def test_pull_back_is_the_adjoint_of_the_conditionals(make):
    density = make(1)
    generator = torch.Generator().manual_seed(0)
    codes = density.uniform(7, generator)
    for block in density.blocks:
        gradient = torch.randn(
            block.card, len(block.variables), 7, dtype=torch.float64, generator=generator
        )
        gradient -= gradient.mean(0)
        direction = torch.randn(density.arrays.size, dtype=torch.float64, generator=generator)
        moved = density.with_logs(direction).conditionals(block, codes)
        pulled = density.pull_back(block, codes, gradient)
        torch.testing.assert_close((moved * gradient).sum(), pulled @ direction)


def test_evidence_is_clamped_and_likelihoods_count(make, law):
    density = make(2)
    states, _ = law(density)
    soft = np.array([0.2, 0.0, 0.8])
    observed = make(2, evidence=Evidence({0: 1}, {3: soft}))
    weights = density.log_weight(states) + torch.from_numpy(soft).log()[states[:, 3]]
    weights = weights.masked_fill(states[:, 0] != 1, -torch.inf)
    torch.testing.assert_close(observed.log_weight(states), weights)
    generator = torch.Generator().manual_seed(0)
    n = 40_000
    start = states[torch.multinomial(weights.softmax(0), n, True, generator=generator)]
    codes = swept(observed, start, 2, generator)
    assert (codes[:, 0] == 1).all()
    assert (codes[:, 3] != 1).all()
    p = float(weights.softmax(0)[states[:, 3] == 2].sum())
    share = float((codes[:, 3] == 2).double().mean())
    assert abs(share - p) < 6 * math.sqrt(p * (1 - p) / n)  # false alarms: 2e-9


def test_a_chain_leaves_impossible_states():
    """Equality everywhere: two possible states; from any start a few sweeps find one."""
    n = 6
    arrays = FactorArrays([3] * n, [[[v, v + 1] for v in range(n - 1)]], [[0] * (n - 1)])
    logs = torch.eye(3).double().log().reshape(-1)
    density = DiscreteDensity(arrays, logs)
    generator = torch.Generator().manual_seed(0)
    start = density.uniform(64, generator)
    codes = swept(density, start, 200, generator)
    assert density.log_weight(codes).isfinite().all()


def test_the_same_seed_gives_the_same_chain_and_steps_are_pure(make):
    density = make()
    kernel = ColoredGibbs(density).at()
    state = kernel.init(density.uniform(5, torch.Generator().manual_seed(0)))
    before = state.codes.clone()
    first = kernel.step(state, torch.Generator().manual_seed(3)).codes
    second = kernel.step(state, torch.Generator().manual_seed(3)).codes
    assert torch.equal(first, second)
    assert torch.equal(state.codes, before)


def test_uniform_starts_cover_all_states(make):
    codes = make(0, evidence=Evidence({1: 2})).uniform(20_000, torch.Generator().manual_seed(0))
    assert (codes[:, 1] == 2).all()
    for v, card in ((0, 2), (3, 3)):
        shares = torch.bincount(codes[:, v], minlength=card) / 20_000
        assert (shares - 1 / card).abs().max() < 6 * 0.5 / math.sqrt(20_000)


def test_more_chains_than_fit_in_memory_are_refused(make):
    with pytest.raises(ValueError, match="run fewer"):
        make().uniform(10**13, torch.Generator())


def test_a_batch_of_evidence_is_refused(make):
    with pytest.raises(ValueError, match="single query"):
        make(0, evidence=Evidence({0: np.array([0, 1])}, {}, 2))
    density = make(0)
    with pytest.raises(ValueError, match="NaN"):
        DiscreteDensity(density.arrays, density.logs * torch.nan)


def test_a_factor_graph_is_compiled(law):
    graph = FactorGraph(
        {"a": 2, "b": 3}, [Factor(["b", "a"], [[0.1, 0.2], [0.3, -0.4], [0.5, 0.0]])]
    )
    density = DiscreteDensity.from_graph(graph)
    states, probs = law(density)
    torch.testing.assert_close(probs[states[:, 0] == 1].sum(), graph.marginals()["a"][1])
    batch = FactorGraph({"a": 2}, [Factor(["a"], [[0.1, 0.2], [0.3, 0.4]])])
    with pytest.raises(ValueError, match="batch"):
        DiscreteDensity.from_graph(batch)


@pytest.mark.parametrize(
    ("position", "kind", "message"),
    [
        (torch.tensor([[0.0, 1.7]]), TypeError, "integer codes, found torch.float32"),
        (
            torch.tensor([[0, 2], [1, -1]]),
            ValueError,
            r"0\.\.2 for variable 1, found -1 at chain 1",
        ),
        (torch.tensor([[2, 0]]), ValueError, r"0\.\.1 for variable 0, found 2"),
        (torch.tensor([[2**32 + 1, 0]]), ValueError, "found 4294967297"),
        (torch.tensor([[0, 1, 0]]), ValueError, r"\(chain, 2\), .* found \(1, 3\)"),
        (torch.tensor([0, 1]), ValueError, r"found \(2,\)"),
    ],
)
def test_starts_are_checked(make, position, kind, message):
    with pytest.raises(kind, match=message):
        ColoredGibbs(make(cards=(2, 3), scopes=[(0, 1)])).init(position)


def test_what_evidence_fills_in_needs_no_code(make):
    law = ColoredGibbs(make(cards=(2, 3), scopes=[(0, 1)], evidence=Evidence({1: 2})))
    assert law.init(torch.tensor([[1, -1]])).codes.tolist() == [[1, 2]]
    assert law.init(torch.zeros((0, 2), dtype=torch.int64)).codes.shape == (0, 2)


def test_rules_and_temperatures_are_checked(make):
    with pytest.raises(ValueError, match="rule must be one of heat-bath, metropolis"):
        ColoredGibbs(make(), "Metropolis")
    for beta in (math.nan, -1.0, torch.tensor([1.0, math.nan])):
        with pytest.raises(ValueError, match="beta must be at least 0"):
            ColoredGibbs(make()).at(beta)
    with pytest.raises(ValueError, match="finite in a tensor, found inf"):
        ColoredGibbs(make()).at(torch.tensor([1.0, math.inf]))
