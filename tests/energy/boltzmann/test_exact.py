"""Exact sums against enumeration of single states."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from energy.boltzmann.exact import clamped_log_sums, clamped_moments, heaviest_state
from energy.boltzmann.learning import mean_field


def numbers(n, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    noise = scale * torch.randn(n, n + 1, dtype=torch.float64, generator=generator)
    upper = noise[:, :n].triu(1)
    return upper + upper.T, noise[:, n]


def spelled_out(weights, bias, row):
    """Log sum, means and pair means, one state at a time."""
    agree = [
        state
        for state in itertools.product([0.0, 1.0], repeat=len(bias))
        if all(known in (-1, unit) for known, unit in zip(row, state, strict=True))
    ]
    states = torch.tensor(agree, dtype=torch.float64)
    logs = []
    for x in states:
        pairs = sum(weights[i, j] * x[i] * x[j] for i in range(len(x)) for j in range(i))
        logs.append(pairs + bias @ x)
    logs = torch.stack(logs)
    probs = logs.softmax(0)
    return logs.logsumexp(0), probs @ states, states.T @ (probs[:, None] * states)


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.sampled_from([-1, 0, 1]), min_size=n, max_size=n), min_size=1, max_size=4
        )
    ),
    st.integers(0, 99),
)
def test_sums_equal_enumeration(rows, seed):
    weights, bias = numbers(len(rows[0]), seed)
    given_rows = torch.tensor(rows)
    counts = torch.arange(1, len(rows) + 1)
    found = clamped_moments(weights, bias, given_rows, counts)
    expected = [spelled_out(weights, bias, row) for row in rows]
    sums = torch.stack([one[0] for one in expected])
    torch.testing.assert_close(found.log_sums, sums)
    torch.testing.assert_close(clamped_log_sums(weights, bias, given_rows), sums)
    torch.testing.assert_close(found.means, torch.stack([one[1] for one in expected]))
    pairs = sum(count * one[2] for count, one in zip(counts, expected, strict=True))
    torch.testing.assert_close(found.pairs, pairs / counts.sum())


def test_moments_are_derivatives_of_log_sums():
    """Chunks of rows too: 40 rows of 17 free units do not fit one table."""
    weights, bias = numbers(18, 1, 0.3)
    rows = torch.full((40, 18), -1)
    rows[:, 0] = torch.arange(40) % 2
    w, b = weights.clone().requires_grad_(), bias.clone().requires_grad_()
    clamped_log_sums(w, b, rows).mean().backward()
    found = clamped_moments(weights, bias, rows)
    torch.testing.assert_close(b.grad, found.means.mean(0))
    off = ~torch.eye(18, dtype=torch.bool)
    torch.testing.assert_close((w.grad + w.grad.T)[off], found.pairs[off])
    torch.testing.assert_close(b.grad, found.pairs.diagonal())


@given(st.integers(1, 8), st.integers(0, 99))
def test_the_heaviest_state(n, seed):
    weights, bias = numbers(n, seed)
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=n))).double()
    logs = (states * (0.5 * states @ weights + bias)).sum(1)
    assert torch.equal(heaviest_state(weights, bias), states[logs.argmax()])


@pytest.mark.parametrize("rows", [torch.full((2, 23), -1)])
def test_too_many_states_are_refused(rows):
    weights, bias = numbers(23, 0)
    for summed in (clamped_log_sums, clamped_moments):
        with pytest.raises(ValueError, match="at most 22 unknown units"):
            summed(weights, bias, rows)
    assert len(clamped_log_sums(weights, bias, rows[:0])) == 0


def test_the_mean_field_bounds_the_sums_and_solves_its_equations():
    weights, bias = numbers(6, 3, 0.4)
    rows = torch.tensor([[1, 0, -1, -1, -1, -1], [0, 1, 1, -1, -1, 0]])
    found, exact = mean_field(weights, bias, rows), clamped_moments(weights, bias, rows)
    gap = exact.log_sums - found.log_sums
    assert bool((gap > 0).all()) and float(gap.max()) < 0.1
    again = (found.means @ weights + bias).sigmoid()
    torch.testing.assert_close(again[rows < 0], found.means[rows < 0], atol=1e-6, rtol=0)
    assert torch.equal(found.means[rows >= 0], rows[rows >= 0].double())
    torch.testing.assert_close(found.pairs.diagonal(), found.means.mean(0))
