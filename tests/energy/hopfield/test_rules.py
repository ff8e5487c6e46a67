"""Storage rules against their formulas, written out, and against reference weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from energy.hopfield.rules import hebbian, is_hebbian, pseudo_inverse, storkey


def random_patterns(n_patterns: int, n_units: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randint(2, (n_patterns, n_units), generator=generator).double() - 1


def storkey_as_printed(patterns: Tensor) -> Tensor:
    """Entry by entry."""
    n = patterns.shape[1]
    weights = torch.zeros(n, n, dtype=torch.float64)
    for x in patterns:
        before = weights.clone()
        field = torch.empty(n, n, dtype=torch.float64)
        for i in range(n):
            for j in range(n):
                field[i, j] = before[i] @ x - before[i, i] * x[i] - before[i, j] * x[j]
        for i in range(n):
            for j in range(n):
                added = x[i] * x[j] - x[i] * field[j, i] - field[i, j] * x[j]
                weights[i, j] = before[i, j] + added / n
    return weights


@pytest.fixture
def six(shared: Path) -> dict:
    """The network of six units."""
    return json.loads((shared / "references" / "energy.json").read_text())["hopfield_6"]


def test_reference_weights(six: dict) -> None:
    patterns = torch.tensor(six["patterns"])
    made = hebbian(patterns)
    made.diagonal().zero_()
    found = [
        (made, six["W"]),
        (storkey(torch.zeros(6, 6).double(), patterns), six["W_storkey_with_diagonal"]),
        (pseudo_inverse(patterns), six["W_pseudoinverse_with_diagonal"]),
    ]
    for weights, expected in found:
        assert (weights - torch.tensor(expected, dtype=torch.float64)).abs().max() < 1e-15


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 10**6))
def test_storkey_is_what_is_printed(n_patterns: int, n_units: int, seed: int) -> None:
    patterns = random_patterns(n_patterns, n_units, seed)
    found = storkey(torch.zeros(n_units, n_units).double(), patterns)
    assert torch.allclose(found, storkey_as_printed(patterns), atol=1e-13, rtol=0)
    assert torch.equal(found, found.T)


def test_storkey_goes_on_where_it_stopped_and_the_order_matters() -> None:
    patterns = random_patterns(4, 9, 0)
    nothing = torch.zeros(9, 9).double()
    at_once = storkey(nothing, patterns)
    in_two = storkey(storkey(nothing, patterns[:2]), patterns[2:])
    assert torch.equal(at_once, in_two)
    assert not torch.allclose(at_once, storkey(nothing, patterns.flip(0)))


@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 10**6))
def test_hebbian_is_the_sum_of_products(n_patterns: int, n_units: int, seed: int) -> None:
    patterns = random_patterns(n_patterns, n_units, seed)
    found = hebbian(patterns)
    expected = sum([torch.outer(x, x) for x in patterns]) / n_units
    assert torch.equal(found, expected)
    assert is_hebbian(found, patterns, False)
    assert is_hebbian(found.float(), patterns.to(torch.int8), False)
    bare = found - torch.diag(found.diagonal())
    assert is_hebbian(bare, patterns, True) and not is_hebbian(bare, patterns, False)
    found[0, -1] += 1e-12
    assert not is_hebbian(found, patterns, False)


def test_is_hebbian_looks_at_every_row() -> None:
    patterns = random_patterns(2, 1100, 0)
    weights = hebbian(patterns)
    weights.diagonal().zero_()
    assert is_hebbian(weights, patterns, True)
    weights[1099, 3] = 5
    assert not is_hebbian(weights, patterns, True)


@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 10**6))
def test_pseudo_inverse_is_the_projection(n_patterns: int, n_units: int, seed: int) -> None:
    patterns = random_patterns(n_patterns, n_units, seed)
    if torch.linalg.matrix_rank(patterns) == n_units:
        with pytest.raises(ValueError, match="patterns span all"):
            pseudo_inverse(patterns)
        return
    found = pseudo_inverse(patterns)
    assert torch.allclose(found, torch.linalg.pinv(patterns) @ patterns, atol=1e-12, rtol=0)
    assert torch.allclose(patterns @ found, patterns, atol=1e-12, rtol=0)
    assert torch.equal(found, found.T)


def test_pseudo_inverse_of_dependent_patterns() -> None:
    patterns = random_patterns(3, 12, 0)
    again = torch.cat([patterns, -patterns, patterns])
    assert torch.allclose(pseudo_inverse(again), pseudo_inverse(patterns), atol=1e-14, rtol=0)
