"""The oracle itself, by hand and by itertools, and its refusals."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference import Factor
from inference.exact.enumerate import EnumeratedLaw, enumerate_law, enumerate_states


@given(st.lists(st.integers(1, 4), max_size=6))
def test_states_come_in_the_order_of_itertools(cards):
    states = enumerate_states(cards)
    assert states.dtype == torch.int64
    assert states.shape == (math.prod(cards), len(cards))
    expected = [list(x) for x in itertools.product(*[range(card) for card in cards])]
    assert states.tolist() == expected
    named = {f"v{i}": card for i, card in enumerate(cards)}
    assert enumerate_states(named).equal(states)


def test_states_of_many_single_valued_variables():
    states = enumerate_states([1] * 100 + [2])
    assert states.shape == (2, 101) and states[:, -1].tolist() == [0, 1]


@pytest.mark.parametrize("cards", [[2] * 60, {f"x{i}": 3 for i in range(50)}, [2] * 5000])
def test_absurd_sizes_are_refused_before_allocation(cards):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="joint states") as refusal:
            enumerate_states(cards)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    assert "bytes" in str(refusal.value) or "iB" in str(refusal.value)
    with pytest.raises(ValueError, match="joint states"):
        enumerate_law({str(i): 2 for i in range(60)}, [])


def test_the_refusal_names_count_and_bytes():
    with pytest.raises(ValueError, match=r"1,048,576 joint states, 160\.0 MiB") as refusal:
        enumerate_states([2] * 20, memory_limit=2**20)
    assert "1.0 MiB" in str(refusal.value)
    assert len(enumerate_states([2] * 4, memory_limit=8 * 16 * 4)) == 16
    with pytest.raises(ValueError, match="10\\^18 joint states"):
        enumerate_states([2] * 60)


@pytest.mark.parametrize(
    ("cards", "error"),
    [([2, 0], ValueError), ([-1], ValueError), ([2.0], TypeError), ([True], TypeError),
     ("ab", TypeError), ({"a": "2"}, TypeError)],
)  # fmt: skip
def test_cardinalities_are_checked(cards, error):
    with pytest.raises(error, match="cardinalities"):
        enumerate_states(cards)


def brute(cards, factors, evidence):
    """Dictionary of probabilities, in plain Python."""
    weights = {}
    for state in itertools.product(*[range(card) for card in cards.values()]):
        named = dict(zip(cards, state, strict=True))
        weight = 1.0
        for scope, table in factors:
            weight *= table[tuple([named[v] for v in scope])]
        for name, value in evidence.items():
            weight *= value[named[name]] if np.ndim(value) else float(named[name] == value)
        weights[state] = weight
    return weights


@pytest.mark.parametrize("evidence", [{}, {"b": 2}, {"a": [0.0, 2.5]}, {"a": 1, "c": [3.0, 0.5]}])
def test_the_law_is_the_product_of_the_factors(evidence):
    rng = np.random.default_rng(0)
    cards = {"a": 2, "b": 3, "c": 2}
    factors = [
        (scope, rng.random([cards[v] for v in scope]))
        for scope in (["b", "a"], ["c"], ["a", "c"], ["b", "a"], [])
    ]
    factors[0][1][1, 0] = 0.0
    law = enumerate_law(cards, [Factor.from_potential(s, t) for s, t in factors], evidence)
    weights = brute(cards, factors, evidence)
    total = sum(weights.values())
    assert law.log_partition.item() == pytest.approx(math.log(total))
    expected = [weight / total for weight in weights.values()]
    assert law.probabilities.tolist() == pytest.approx(expected)
    assert law.log_probabilities.exp().tolist() == pytest.approx(expected)
    best = max(weights, key=weights.__getitem__)
    state, value = law.most_probable
    assert tuple(state.values()) == best and value.item() == pytest.approx(math.log(weights[best]))
    for i, name in enumerate(cards):
        own = [sum(p for x, p in weights.items() if x[i] == s) / total for s in range(cards[name])]
        assert law.marginals[name].tolist() == pytest.approx(own)
    joint = law.joint(["c", "b"])
    assert joint.shape == (2, 3)
    for c, b in itertools.product(range(2), range(3)):
        own = sum(p for x, p in weights.items() if x[2] == c and x[1] == b) / total
        assert joint[c, b].item() == pytest.approx(own)
    assert law.joint([]).item() == pytest.approx(1.0)


def test_hard_zeros_everywhere():
    law = enumerate_law({"a": 2}, [Factor(["a"], [-math.inf, -math.inf])])
    assert law.log_partition == -math.inf
    assert law.probabilities.isnan().all() and law.marginals["a"].isnan().all()
    assert law.most_probable[1] == -math.inf


def test_any_range_of_numbers():
    factors = [Factor(["a"], [0.0, -800.0]), Factor(["a"], [-800.0, 0.0]), Factor([], 5000.0)]
    law = enumerate_law({"a": 2, "b": 3}, factors)
    assert law.log_partition.item() == pytest.approx(4200 + math.log(6), rel=1e-15)
    assert law.marginals["a"].tolist() == pytest.approx([0.5, 0.5], rel=1e-14)


def test_gradients_pass_through():
    leaf = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaf.requires_grad_()

    def log_partition(table: torch.Tensor) -> torch.Tensor:
        law = enumerate_law({"a": 2, "b": 3}, [Factor(["a", "b"], table)], {"a": [0.3, 2.0]})
        return law.log_partition

    assert torch.autograd.gradcheck(log_partition, leaf)


def test_a_law_from_energies():
    """T18b of the course notes: a Boltzmann machine of three units."""
    couplings = {(0, 1): 1.0, (0, 2): -2.0, (1, 2): 0.5}
    bias = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64)
    states = enumerate_states([2, 2, 2]).double()
    energy = -states @ bias
    for (i, j), value in couplings.items():
        energy -= value * states[:, i] * states[:, j]
    law = EnumeratedLaw([2, 2, 2], -energy)
    assert law.log_partition.item() == pytest.approx(2.3608778764, abs=1e-9)
    marginals = [law.marginals[name][1].item() for name in "012"]
    assert marginals == pytest.approx([0.579817, 0.609193, 0.367029], abs=1e-6)
    found = [round(1e6 * p) for p in law.probabilities.tolist()]
    assert found == [94337, 115224, 69887, 140735, 155536, 25710, 313211, 85360]
    assert law.joint(["0", "2"])[1, 1].item() == pytest.approx(0.111070, abs=1e-6)


def test_wrong_input_is_named():
    good = Factor(["a"], [0.0, 1.0])
    with pytest.raises(ValueError, match="log_weights"):
        EnumeratedLaw([2, 2], torch.zeros(3))
    with pytest.raises(ValueError, match="log_weights"):
        EnumeratedLaw([2], torch.tensor([0.0, math.nan]))
    with pytest.raises(ValueError, match="batch"):
        enumerate_law({"a": 2}, [Factor(["a"], torch.zeros(3, 2))])
    with pytest.raises(ValueError, match="batch"):
        enumerate_law({"a": 2}, [good], {"a": [0, 1]})
    with pytest.raises(ValueError, match="cardinalities"):
        enumerate_law({"a": 3}, [good])
    with pytest.raises(ValueError, match="'b'"):
        enumerate_law({"b": 3}, [good])
    with pytest.raises(ValueError, match="'q'"):
        enumerate_law({"a": 2}, [good]).joint("q")
