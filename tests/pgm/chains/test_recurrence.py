"""The long run of Markov chains: classes, periods, stationary laws, absorption, hitting times."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.chains.absorbing import absorption, hitting_times
from pgm.chains.recurrence import (
    as_row,
    as_transitions,
    closed_classes,
    context_transitions,
    entropy_rate,
    period,
    stationary_distribution,
)


@st.composite
def chains(draw, most=6):
    """Random transition matrices, many of their entries exact zeros."""
    n = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.random((n, n)) * (rng.random((n, n)) < draw(st.sampled_from([0.3, 0.6, 1.0])))
    empty = ~matrix.any(1)
    matrix[empty, rng.integers(n, size=empty.sum())] = 1.0
    return matrix / matrix.sum(1, keepdims=True)


def reaches(matrix):
    """Which states can be reached from which, in any number of steps, by powers."""
    step = (matrix > 0) | np.eye(len(matrix), dtype=bool)
    return np.linalg.matrix_power(step.astype(object), len(matrix)) > 0


def exact_stationary(matrix) -> list[Fraction]:
    """Rational arithmetic on the numbers as they are, diagonals set so that rows sum to one."""
    n = len(matrix)
    a = [[Fraction(float(matrix[j][i])) for j in range(n)] for i in range(n)]
    for j in range(n):
        a[j][j] = -sum([Fraction(float(matrix[j][i])) for i in range(n) if i != j])
    a[-1] = [Fraction(1)] * n
    b = [Fraction(0)] * (n - 1) + [Fraction(1)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if a[i][k])
        a[k], a[pivot], b[k], b[pivot] = a[pivot], a[k], b[pivot], b[k]
        for i in range(n):
            if i != k and a[i][k]:
                factor = a[i][k] / a[k][k]
                a[i] = [x - factor * y for x, y in zip(a[i], a[k], strict=True)]
                b[i] -= factor * b[k]
    return [b[k] / a[k][k] for k in range(n)]


# Classes and periods -----------------------------------------------------------------------------


@settings(max_examples=150)
@given(chains())
def test_closed_classes_are_what_cannot_be_left(matrix):
    to = reaches(matrix)
    expected = {
        frozenset(np.flatnonzero(to[i]).tolist())
        for i in range(len(matrix))
        if all(to[j, i] for j in np.flatnonzero(to[i]))
    }
    found = closed_classes(matrix)
    assert {frozenset(states.tolist()) for states in found} == expected
    assert [s[0] for s in found] == sorted([min(s) for s in expected])


@settings(max_examples=150)
@given(chains())
def test_periods_are_common_divisors_of_returns(matrix):
    classes = closed_classes(matrix)
    if len(classes) > 1:
        with pytest.raises(ValueError, match="closed classes"):
            period(matrix)
        return
    state = int(classes[0][0])
    step, power, returns = (matrix > 0).astype(object), np.eye(len(matrix), dtype=object), []
    for steps in range(1, 3 * len(matrix) ** 2 + 2):
        power = (power @ step > 0).astype(object)
        returns += [steps] * bool(power[state, state])
    assert period(matrix) == math.gcd(*returns)


def test_period_of_a_ring():
    for n in (1, 2, 5):
        ring = torch.eye(n).roll(1, 1)
        assert period(ring) == n
        pi = stationary_distribution(ring)
        assert pi.tolist() == pytest.approx([1 / n] * n, rel=1e-15)


# Stationary distributions ------------------------------------------------------------------------


@settings(max_examples=150)
@given(chains())
def test_stationary_distributions_are_exact(matrix):
    classes = closed_classes(matrix)
    if len(classes) > 1:
        with pytest.raises(ValueError, match=f"{len(classes)} closed classes"):
            stationary_distribution(matrix)
        return
    pi = stationary_distribution(matrix)
    assert pi.sum().item() == pytest.approx(1, abs=1e-14)
    torch.testing.assert_close(pi @ torch.from_numpy(matrix), pi, rtol=0, atol=1e-15)
    transient = sorted(set(range(len(matrix))) - set(classes[0].tolist()))
    assert (pi[transient] == 0).all(), "hard zeros"
    assert (pi[classes[0]] > 0).all()
    exact = [float(x) for x in exact_stationary(matrix)]
    assert pi.tolist() == pytest.approx(exact, rel=1e-13, abs=0)


def test_almost_separate_parts_keep_their_precision():
    """Leaks of 1e-13 decide how the mass is shared; plain elimination has lost them."""
    leak = 1e-13
    matrix = np.array(
        [
            [0.5, 0.5 - leak, leak, 0.0],
            [0.25, 0.75, 0.0, 0.0],
            [0.0, 3 * leak, 0.6, 0.4 - 3 * leak],
            [0.0, 0.0, 0.9, 0.1],
        ]
    )
    exact = np.array([float(x) for x in exact_stationary(matrix)])
    found = stationary_distribution(matrix).numpy()
    assert np.abs(found / exact - 1).max() < 1e-14
    system = np.eye(4) - matrix.T
    system[-1] = 1.0
    by_subtraction = np.linalg.solve(system, [0.0, 0.0, 0.0, 1.0])
    assert np.abs(by_subtraction / exact - 1).max() > 1e-6


def test_birth_and_death_chain_over_many_magnitudes():
    up, down, n = 0.1, 0.4, 60
    matrix = np.diag(np.full(n - 1, up), 1) + np.diag(np.full(n - 1, down), -1)
    matrix += np.diag(1 - matrix.sum(1))
    ratio = stationary_distribution(matrix)
    ratio = ratio[1:] / ratio[:-1]
    assert ratio.tolist() == pytest.approx([up / down] * (n - 1), rel=1e-13)


def test_several_closed_classes_are_named():
    matrix = np.eye(9)[[0, 1, 2, 3, 4, 6, 5, 8, 7]]
    with pytest.raises(ValueError, match=r"7 closed classes, \{0\} and \{1\} and \{2\} and \{3\}"):
        stationary_distribution(matrix)
    with pytest.raises(ValueError, match=r"\{'a'\} and \{'b'\}"):
        stationary_distribution(np.eye(2), ["a", "b"])
    ring = np.zeros((14, 14))
    ring[:7, :7] = ring[7:, 7:] = np.roll(np.eye(7), 1, 1)
    with pytest.raises(ValueError, match=r"\{0, 1, 2, 3, 4, \.\.\.\}"):
        stationary_distribution(ring)


def test_entropy_rates():
    assert entropy_rate(np.full((8, 8), 1 / 8)).item() == pytest.approx(math.log(8))
    assert entropy_rate(torch.eye(3).roll(1, 1)).item() == 0.0
    matrix = [[0.9, 0.1], [0.4, 0.6]]
    rows = [-sum([p * math.log(p) for p in row]) for row in matrix]
    assert entropy_rate(matrix).item() == pytest.approx(0.8 * rows[0] + 0.2 * rows[1])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_contexts_move_on_by_one_symbol(order):
    n = 3
    rng = np.random.default_rng(order)
    table = torch.from_numpy(rng.dirichlet(np.ones(n), (n,) * order))
    matrix = context_transitions(table)
    contexts = list(itertools.product(range(n), repeat=order))
    for i, before in enumerate(contexts):
        for j, after in enumerate(contexts):
            moved = before[1:] == after[:-1]
            assert matrix[i, j] == (table[(*before, after[-1])] if moved else 0)


def test_context_chains_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"1,000,000 contexts.*TiB"):
        context_transitions(torch.empty(10**6, 1).expand(10**6, 1000))


# Absorption --------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.5, 0.3, 0.9])
@pytest.mark.parametrize("n", [2, 10, 40])
def test_the_gamblers_ruin(p, n):
    """A stake of i, one more with probability p, else one less, until it is 0 or n."""
    matrix = np.diag(np.full(n, p), 1) + np.diag(np.full(n, 1 - p), -1)
    matrix[0], matrix[n] = np.eye(n + 1)[[0, n]]
    game = absorption(matrix)
    stakes = range(1, n)
    assert game.transient.tolist() == list(stakes)
    assert [states.tolist() for states in game.classes] == [[0], [n]]
    r = (1 - p) / p
    won = [i / n if p == 0.5 else (1 - r**i) / (1 - r**n) for i in stakes]
    steps = [
        i * (n - i) if p == 0.5 else (i - n * w) / (1 - 2 * p)
        for i, w in zip(stakes, won, strict=True)
    ]
    assert game.probabilities[:, 1].tolist() == pytest.approx(won, rel=1e-11)
    assert game.steps.tolist() == pytest.approx(steps, rel=1e-11)
    assert game.probabilities.sum(1).sub(1).abs().max() < 1e-14
    assert hitting_times(matrix, [0, n])[1:n].tolist() == pytest.approx(steps, rel=1e-11)
    assert hitting_times(matrix, n).tolist() == [math.inf] * n + [0.0]


def grid_world() -> tuple[list[tuple[int, int]], np.ndarray]:
    """4 x 3 cells, a wall at (2, 2), ends at (4, 3) and (4, 2); moves into walls stay."""
    cells = [(x, y) for y in (1, 2, 3) for x in (1, 2, 3, 4) if (x, y) != (2, 2)]
    matrix = np.zeros((len(cells), len(cells)))
    for i, (x, y) in enumerate(cells):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            end = (x, y) in ((4, 3), (4, 2))
            target = (x, y) if end else (x + dx, y + dy)
            matrix[i, cells.index(target) if target in cells else i] += 0.25
    return cells, matrix


def test_T37_values_of_a_random_walk():
    cells, matrix = grid_world()
    walk = absorption(matrix)
    ends = [cells[int(states)] for states in walk.classes]
    rewards = torch.tensor([{(4, 3): 1.0, (4, 2): -1.0}[end] for end in ends]).double()
    values = (walk.probabilities @ rewards).tolist()
    starts = [cells[i] for i in walk.transient.tolist()]
    found = {cell: round(value, 4) for cell, value in zip(starts, values, strict=True)}
    assert found == {
        (1, 1): -0.2911, (2, 1): -0.4177, (3, 1): -0.5443, (4, 1): -0.7722,
        (1, 2): -0.1646, (3, 2): -0.4430,
        (1, 3): -0.0380, (2, 3): 0.0886, (3, 3): 0.2152,
    }  # fmt: skip


@settings(max_examples=150)
@given(chains())
def test_absorption_solves_its_equations(matrix):
    ends = absorption(matrix)
    inside = ends.transient.numpy()
    q = matrix[np.ix_(inside, inside)]
    r = np.stack([matrix[np.ix_(inside, s.numpy())].sum(1) for s in ends.classes], 1)
    identity = np.eye(len(inside))
    expected = np.linalg.solve(identity - q, np.concatenate([identity, r], 1))
    np.testing.assert_allclose(ends.visits, expected[:, : len(inside)], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        ends.probabilities, expected[:, len(inside) :], rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(ends.steps, expected[:, : len(inside)].sum(1), rtol=1e-10)
    to = reaches(matrix)
    possible = np.stack([to[np.ix_(inside, s.numpy()[:1])][:, 0] for s in ends.classes], 1)
    assert ((ends.probabilities.numpy() > 0) == possible).all(), "impossible ends are exact zeros"
    assert ((ends.visits.numpy() > 0) == to[np.ix_(inside, inside)]).all()
    classes = np.concatenate([s.numpy() for s in ends.classes])
    assert sorted([*inside, *classes]) == list(range(len(matrix)))


def test_rare_absorption_keeps_its_precision():
    """Two ends, reached with 1e-14 and 3e-14 per round: 1/4 and 3/4, after 5e13 rounds."""
    a, b = 1e-14, 3e-14
    matrix = np.array([[0.0, 1.0, 0, 0], [1 - a - b, 0.0, a, b], [0, 0, 1, 0], [0, 0, 0, 1]])
    ends = absorption(matrix)
    assert ends.probabilities[1].tolist() == pytest.approx([0.25, 0.75], rel=1e-14)
    assert ends.steps[0].item() == pytest.approx(2 / (a + b), rel=1e-13)
    q = matrix[:2, :2]
    by_subtraction = np.linalg.solve(np.eye(2) - q, matrix[:2, 2:])
    assert abs(by_subtraction[1, 0] / 0.25 - 1) > 1e-4


@settings(max_examples=100)
@given(chains(), st.data())
def test_hitting_times_solve_their_equations(matrix, data):
    n = len(matrix)
    numbers = st.lists(st.integers(0, n - 1), min_size=1, unique=True)
    targets = data.draw(numbers)
    h = hitting_times(matrix, targets).numpy()
    assert (h[targets] == 0).all()
    stopped = matrix.copy()
    stopped[targets] = np.eye(n)[targets]
    to = reaches(stopped)
    # Sure to arrive: from everywhere the chain may get to, it can still get to a target.
    sure = [all(to[j, targets].any() for j in np.flatnonzero(to[i])) for i in range(n)]
    assert (np.isfinite(h) == sure).all()
    for i in sorted(set(np.flatnonzero(sure)) - set(targets)):
        on = matrix[i] > 0
        assert h[i] == pytest.approx(1 + matrix[i, on] @ h[on], rel=1e-10)


def test_a_chain_that_never_ends_has_nothing_transient():
    ends = absorption([[0.5, 0.5], [1.0, 0.0]])
    assert ends.transient.numel() == 0 and ends.probabilities.shape == (0, 1)
    assert [s.tolist() for s in ends.classes] == [[0, 1]]
    assert hitting_times([[0.5, 0.5], [1.0, 0.0]], 1).tolist() == [2.0, 0.0]


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "error", "named"),
    [
        ([[0.5, 0.4], [0, 1]], ValueError, "sum"),
        ([[1.5, -0.5], [0, 1]], ValueError, "probabilities"),
        ([[0.5, 0.5]], ValueError, "square"),
        ([1.0], ValueError, "square"),
        (np.zeros((0, 0)), ValueError, "square"),
        ([[math.nan]], ValueError, "NaN"),
        ([[math.inf]], ValueError, "finite"),
        ([["a"]], TypeError, "real numbers"),
    ],
)
@pytest.mark.parametrize(
    "function", [as_transitions, closed_classes, period, stationary_distribution, absorption]
)
def test_bad_matrices_are_named(function, matrix, error, named):
    with pytest.raises(error, match=f"transitions.*{named}"):
        function(matrix)


def test_rows_are_normalised_once():
    matrix = as_transitions([[1 / 3, 1 / 3, 0.3333333], [0, 1, 0], [0.1, 0.2, 0.7]])
    assert matrix.sum(1).sub(1).abs().max() < 1e-15
    assert as_transitions(matrix).equal(matrix)
    assert matrix[2].tolist() == [0.1, 0.2, 0.7], "within rounding nothing changes"
    assert as_row("p", torch.tensor([0.5, 0.5]), 2).dtype == torch.float64
    with pytest.raises(ValueError, match=r"p must have shape \(3,\)"):
        as_row("p", [0.5, 0.5], 3)


@pytest.mark.parametrize(
    ("targets", "error"),
    [
        ([], ValueError),
        ([2], ValueError),
        ([-1], ValueError),
        ([0.5], TypeError),
        (True, TypeError),
    ],
)
def test_bad_targets_are_named(targets, error):
    with pytest.raises(error, match="targets"):
        hitting_times(np.eye(2), targets)
