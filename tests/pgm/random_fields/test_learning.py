"""Learning: moment matching, gradients at the truth, gaps, penalties, margins, sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.exact.factor import Factor
from pgm import DiscreteData
from pgm.markov_random_field import MarkovRandomField
from pgm.random_fields.likelihood import Likelihood
from pgm.random_fields.proportional import perfect_order, proportional_fit
from pgm.random_fields.pseudo_likelihood import PseudoLikelihood
from pgm.random_fields.stochastic import ContrastiveGradient
from tests.pgm.random_fields.enumeration import all_rows


def blank(field: MarkovRandomField) -> MarkovRandomField:
    """The same factors with log tables of zeros, hard zeros kept."""
    tables = [factor.log_values.isneginf() for factor in field.factors]
    logs = [torch.where(zero, -torch.inf, 0.0).double() for zero in tables]
    factors = [Factor(f.scope, table) for f, table in zip(field.factors, logs, strict=True)]
    return MarkovRandomField(field.vocabulary.states, factors)


@pytest.mark.parametrize("zeros", [0.0, 0.2])
def test_at_the_optimum_features_have_the_means_of_the_data(random_field, zeros):
    true = random_field(0, zeros, 0.7)
    rows = true.sample(2000, generator=0)
    weights = torch.rand(2000, generator=torch.Generator().manual_seed(1)).double()
    fitted = blank(true)
    assert fitted.fit(rows, sample_weight=weights, tolerance=1e-9) is fitted
    found, wanted = fitted.feature_expectations(), fitted.empirical_expectations(rows, weights)
    assert (found - wanted).abs().max() < 1e-6
    objectives = [step["objective"] for step in fitted.history]
    assert (np.diff(objectives) > -1e-9).all()
    mean = (weights * fitted.log_prob(rows)).sum() / weights.sum()
    torch.testing.assert_close(mean.item(), objectives[-1])
    assert torch.equal(fitted.weights.isneginf(), true.weights.isneginf())


@pytest.mark.parametrize("hidden", [0.0, 0.3])
def test_likelihood_gradients_are_those_of_autograd(random_field, hidden):
    field = random_field(1, 0.1, 0.8)
    rows = field.sample(300, generator=0)
    holes = torch.rand(rows.shape, generator=torch.Generator().manual_seed(0)) < hidden
    rows = rows.masked_fill(holes, -1)
    data = DiscreteData(rows, field.vocabulary)
    value, gradient = Likelihood(field.arrays, field.variables, data, None)(field.log_tables())
    field.weights.requires_grad_()
    total = field.log_prob(rows).mean()
    total.backward()
    torch.testing.assert_close(value, total.item())
    torch.testing.assert_close(gradient, field.weights.grad)


def test_missing_cells_are_learned_from(random_field):
    """With gaps the gradient vanishes at the fit, and the law is found.

    Without gaps 2 n KL is nearly chi-square of 30 degrees: beyond 180 less than once in 1e22.
    """
    true = random_field(2, 0.0, 0.7)
    rows = true.sample(3000, generator=0)
    holes = rows.masked_fill(
        torch.rand(rows.shape, generator=torch.Generator().manual_seed(0)) < 0.2, -1
    )
    start = random_field(3, 0.0, 0.1)
    fitted = start.fit(holes, tolerance=1e-8)
    fitted.weights.requires_grad_()
    fitted.log_prob(holes).mean().backward()
    assert fitted.weights.grad.norm() < 1e-6
    complete = blank(true).fit(rows)
    everything = all_rows(true)
    law = true.log_prob(everything)
    for field, most in ((fitted, 0.05), (complete, 0.03)):
        with torch.no_grad():
            assert (law.exp() * (law - field.log_prob(everything))).sum() < most


def test_pseudo_likelihood_against_the_definition_and_differences(random_field):
    field = random_field(4, 0.0, 0.8)
    rows = field.sample(40, generator=0)
    weights = torch.rand(40, generator=torch.Generator().manual_seed(0)).double()
    objective = PseudoLikelihood(field.arrays, DiscreteData(rows, field.vocabulary, weights))
    logs = field.log_tables().detach()
    value, gradient = objective(logs)
    expected = 0.0
    for v, card in enumerate(field.vocabulary.cards):
        others = torch.stack([-field.energy(_with(rows, v, code)) for code in range(card)])
        seen = others.log_softmax(0).gather(0, rows[None, :, v])[0]
        expected += float((seen * weights).sum() / weights.sum())
    assert abs(value - expected) < 1e-12
    for k in range(0, len(logs), 5):
        step = torch.zeros_like(logs)
        step[k] = 1e-6
        slope = (objective(logs + step)[0] - objective(logs - step)[0]) / 2e-6
        assert abs(slope - gradient[k].item()) < 1e-8


def _with(rows: torch.Tensor, v: int, code: int) -> torch.Tensor:
    rows = rows.clone()
    rows[:, v] = code
    return rows


@pytest.mark.parametrize("zeros", [0.0, 0.2])
def test_pseudo_likelihood_is_stationary_at_the_truth(random_field, zeros):
    """Over the exact law as weights of all states; a wrong law is not stationary."""
    for seed in range(3):
        field = random_field(seed, zeros)
        rows = all_rows(field)
        probs = field.log_prob(rows).exp()
        seen = probs > 0
        data = DiscreteData(rows[seen], field.vocabulary, probs[seen])
        objective = PseudoLikelihood(field.arrays, data)
        logs = field.log_tables()
        assert objective(logs)[1].abs().max() < 1e-12
        assert objective(1.1 * logs)[1].abs().max() > 1e-3


def test_pseudo_likelihood_chunks_change_nothing(random_field, monkeypatch):
    field = random_field(4)
    data = DiscreteData(field.sample(50, generator=0), field.vocabulary)
    logs = field.log_tables()
    whole = PseudoLikelihood(field.arrays, data)(logs)
    monkeypatch.setattr("pgm.random_fields.pseudo_likelihood.CHUNK", 40)
    parts = PseudoLikelihood(field.arrays, data)(logs)
    assert abs(whole[0] - parts[0]) < 1e-12
    torch.testing.assert_close(whole[1], parts[1])


def test_pseudo_likelihood_recovers_an_ising_model():
    """The mean of five fits is within six of its standard errors, found from the fits' spread."""
    rng = np.random.default_rng(0)
    true = MarkovRandomField.ising(
        0.5 * rng.normal(size=12), 0.3 * rng.normal(size=9), shape=(3, 3)
    )
    found = []
    for seed in range(5):
        fitted = MarkovRandomField.ising(np.zeros(12), np.zeros(9), shape=(3, 3))
        fitted.fit(true.sample(4000, generator=seed), "pseudo-likelihood")
        found.append(fitted.weights.detach())
    error = torch.stack(found).mean(0) - true.weights
    spread = torch.stack(found).var(0).mean().sqrt()
    assert error.abs().max() < 6 * spread / 5**0.5
    assert spread < 0.1


def test_ties_and_penalties():
    true = MarkovRandomField.ising(0.4, 0.2, shape=(3, 3))
    rows = true.sample(4000, generator=0)
    tied = MarkovRandomField.ising(0.0, 0.0, shape=(3, 3)).fit(rows)
    assert tied.n_parameters == 2
    assert (tied.weights - true.weights).abs().max() < 0.05
    loose = MarkovRandomField.ising(np.zeros(12), np.zeros(9), shape=(3, 3))
    plain, ridge = loose.fit(rows).weights.detach().clone(), loose.fit(rows, l2=0.5).weights
    assert ridge.norm() < 0.8 * plain.norm()
    gap = loose.empirical_expectations(rows) - loose.feature_expectations()
    torch.testing.assert_close(gap, 0.5 * ridge.detach(), rtol=0, atol=1e-6)
    rows = MarkovRandomField.ising(0.4, shape=(3, 3)).sample(4000, generator=1)
    sparse = loose.fit(rows, l1=0.2, tolerance=1e-8).weights.detach()
    gap = loose.empirical_expectations(rows) - loose.feature_expectations()
    zero = sparse == 0
    assert zero.any() and not zero.all()
    assert (gap[zero].abs() <= 0.2 + 1e-6).all()
    torch.testing.assert_close(gap[~zero], 0.2 * sparse[~zero].sign(), rtol=0, atol=1e-6)


def test_shared_grid_tables_are_learned_as_one():
    true = MarkovRandomField.grid((3, 3), [0.3, 0.0, -0.2], 0.6 * np.eye(3))
    rows = true.sample(3000, generator=0)
    fitted = MarkovRandomField.grid((3, 3), np.zeros(3), np.zeros((3, 3))).fit(
        rows, tolerance=1e-9
    )
    gap = fitted.empirical_expectations(rows) - fitted.feature_expectations()
    assert gap.abs().max() < 1e-6
    assert len(fitted.weights) == 12


# Proportional fitting ----------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [0.0, 0.2])
def test_proportional_fitting_agrees_with_likelihood(random_field, zeros):
    true = random_field(5, zeros, 0.7)
    rows = true.sample(3000, generator=0)
    fitted = blank(true).fit(rows, "proportional", tolerance=1e-9)
    gap = fitted.empirical_expectations(rows) - fitted.feature_expectations()
    assert gap.abs().max() < 1e-8
    other = blank(true).fit(rows, tolerance=1e-9)
    torch.testing.assert_close(fitted.log_prob(rows), other.log_prob(rows), rtol=0, atol=1e-5)
    objectives = [step["objective"] for step in fitted.history]
    assert (np.diff(objectives) > -1e-12).all()


def test_one_sweep_is_enough_for_a_decomposable_model():
    """Cliques of a chordal graph, given in an order that is not perfect."""
    states = dict.fromkeys("abcdef", 2)
    scopes = [("a", "b"), ("e", "f"), ("b", "c", "d"), ("d", "e")]
    field = MarkovRandomField(states, [Factor(s, np.zeros((2,) * len(s))) for s in scopes])
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, size=(200, 6)) | rng.integers(0, 2, size=(200, 1))
    field.fit(rows, "proportional", tolerance=1e-12)
    assert len(field.history) == 2  # one sweep, and the look that finds nothing left
    gap = field.empirical_expectations(rows) - field.feature_expectations()
    assert gap.abs().max() < 1e-12
    assert perfect_order(field.arrays.structure, 4) == [0, 2, 3, 1]


def test_a_margin_without_counts_becomes_zero():
    field = MarkovRandomField({"a": 2, "b": 2}, [Factor(["a", "b"], np.zeros((2, 2)))])
    field.fit([[0, 0], [1, 1], [1, 1]], "proportional")
    torch.testing.assert_close(
        field.query(["a", "b"]).values,
        torch.diag(torch.tensor([1 / 3, 2 / 3])).double(),
        rtol=0,
        atol=1e-7,
    )
    assert field.weights[1] == -torch.inf


# Sampling methods --------------------------------------------------------------------------------


def test_contrastive_gradient_is_the_expected_one(random_field, law_of):
    """E of CD-1 over the chains' draws: data minus data moved by one exact sweep.

    |z| < 6 for 37 entries: false alarms 1e-7.
    """
    field = random_field(1, 0.0, 0.7)
    model = random_field(2, 0.0, 0.7)
    rows = all_rows(field)
    probs = field.log_prob(rows).exp()
    logs = model.log_tables()
    density = model.density()
    matrix = torch.eye(72, dtype=torch.float64)
    for block in density.blocks:
        part = density.conditionals(block, rows.int()).softmax(0)
        members = block.variables.tolist()
        step = torch.ones(72, 72, dtype=torch.float64)
        for place, v in enumerate(members):
            step = step * part[:, place].T[:, rows[:, v]]
        rest = [v for v in range(5) if v not in members]
        matrix = matrix @ (step * (rows[:, None, rest] == rows[None, :, rest]).all(-1))
    moved = probs @ matrix
    exact = field.arrays.counts(rows, probs) - field.arrays.counts(rows, moved)
    n = 200_000
    drawn = rows[torch.multinomial(probs, n, True, generator=torch.Generator().manual_seed(0))]
    data = DiscreteData(drawn, field.vocabulary)
    generator = torch.Generator().manual_seed(1)
    noisy = ContrastiveGradient(field.arrays, data, logs, "contrastive", 1, 1, generator)(logs)
    errors = (2 * 0.25 / n) ** 0.5
    assert ((noisy - exact).abs() < 6 * errors + 1e-12).all()
    direct = field.arrays.counts(rows, probs - model.log_prob(rows).exp())
    assert noisy @ direct > 0  # it climbs the likelihood


def test_persistent_chains_reach_the_optimum():
    true = MarkovRandomField.ising(
        np.linspace(-0.6, 0.8, 12), np.linspace(-0.4, 0.4, 9), shape=(3, 3)
    )
    rows = true.sample(2000, generator=0)
    best = MarkovRandomField.ising(np.zeros(12), np.zeros(9), shape=(3, 3)).fit(rows)
    field = MarkovRandomField.ising(np.zeros(12), np.zeros(9), shape=(3, 3))
    start = field.score(rows)
    field.fit(rows, "persistent", max_iterations=600, chains=300, generator=1)
    lost, gained = best.score(rows) - field.score(rows), best.score(rows) - start
    assert 0 <= lost < 0.005 * gained
    assert len(field.history) == 600
    contrastive = MarkovRandomField.ising(np.zeros(12), np.zeros(9), shape=(3, 3))
    contrastive.fit(rows, "contrastive", max_iterations=150, generator=1)
    assert best.score(rows) - contrastive.score(rows) < 0.05 * gained


def test_a_seed_repeats_a_noisy_fit():
    rows = MarkovRandomField.ising(0.4, shape=(2, 3)).sample(100, generator=0)
    found = []
    for _ in range(2):
        field = MarkovRandomField.ising(0.0, shape=(2, 3))
        field.fit(rows, "persistent", max_iterations=20, chains=10, generator=5)
        found.append(field.weights.item())
    assert found[0] == found[1]


# Maximum entropy ---------------------------------------------------------------------------------


def test_the_die_of_jaynes():
    """Mean 4.5: the maximum-entropy die has probabilities proportional to a power of the face."""
    die = MarkovRandomField.log_linear({"die": 6}, [(["die"], lambda code: code + 1.0)])
    die.fit([[3], [4]], tolerance=1e-10)
    probs = die.marginals()["die"]
    assert abs((probs @ torch.arange(1, 7).double()).item() - 4.5) < 1e-8
    expected = [0.05435, 0.07877, 0.11416, 0.16545, 0.23977, 0.34749]  # Jaynes 1983
    assert (probs - torch.tensor(expected, dtype=torch.float64)).abs().max() < 5e-6


def test_features_over_cliques_with_labels_and_fixed_factors():
    states = {"w": ["dry", "wet"], "s": ["on", "off"], "k": 3}
    never = Factor.from_potential(["s", "k"], [[1, 1, 0], [1, 2, 1]])
    features = [
        (["w", "s"], lambda w, s: float(w == "wet" and s == "on")),
        (["k", "w"], [[0.0, 1.0], [0.5, 0.0], [0.0, -1.0]]),
        (["w"], lambda w: w == "wet"),
    ]
    field = MarkovRandomField.log_linear(states, features, [0.5, -1.0, 0.2], [never])
    rows = all_rows(field)
    for row, energy in zip(rows.tolist(), field.energy(rows).tolist(), strict=True):
        w, s, k = row
        total = 0.5 * (w == 1 and s == 0) - features[1][1][k][w] + 0.2 * (w == 1)
        potential = [[1, 1, 0], [1, 2, 1]][s][k]
        expected = total + np.log(potential) if potential else -np.inf
        assert energy == pytest.approx(-expected)
    data = field.sample(500, generator=0)
    field.fit(data, tolerance=1e-10)
    gap = field.empirical_expectations(data) - field.feature_expectations()
    assert gap.abs().max() < 1e-8
    assert field.log_prob([[1, 0, 2]]).item() == -np.inf


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "guess"}, "method must be"),
        ({"l1": -1.0}, "l1"),
        ({"l2": float("nan")}, "l2"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"method": "persistent", "l1": 1.0}, "l1 needs"),
        ({"method": "proportional", "l2": 1.0}, "no penalty"),
        ({"method": "persistent", "chains": 0}, "chains"),
        ({"method": "persistent", "learning_rate": -1.0}, "learning_rate"),
        ({"method": "contrastive", "learning_rate": float("inf")}, "learning_rate"),
        ({"sample_weight": [1.0]}, "sample_weight"),
    ],
)
def test_bad_arguments_change_nothing(random_field, arguments, message):
    field = random_field(0)
    before = field.weights.clone()
    with pytest.raises(ValueError, match=message):
        field.fit([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], **arguments)
    assert torch.equal(field.weights, before)


def test_bad_data_are_refused(random_field):
    field = random_field(0)
    for method in ("pseudo-likelihood", "persistent", "contrastive", "proportional"):
        with pytest.raises(ValueError, match="missing"):
            field.fit([[0, -1, 0, 0, 0]], method)
    with pytest.raises(ValueError, match="no rows"):
        field.fit(torch.zeros(0, 5, dtype=torch.int64))
    hard = MarkovRandomField({"a": 2, "b": 2}, [Factor(["a", "b"], [[0.0, -np.inf], [0.0, 0.0]])])
    with pytest.raises(ValueError, match="row 1 is impossible"):
        hard.fit([[0, 0], [0, 1]])
    both = Factor(["a", "b"], [[-np.inf, -np.inf], [0.0, 0.0]])
    with pytest.raises(ValueError, match="impossible"):
        MarkovRandomField({"a": 2, "b": 2}, [both]).fit([[0, -1]])
    with pytest.raises(ValueError, match="table of its own"):
        MarkovRandomField.ising(0.1, shape=(2, 2)).fit([[0, 0, 1, 1]], "proportional")


def test_proportional_fit_reports_every_sweep(random_field):
    field = random_field(0, 0.0, 0.5)
    rows = DiscreteData(field.sample(500, generator=0), field.vocabulary)
    _, history = proportional_fit(
        field.arrays,
        field.variables,
        rows,
        torch.zeros(field.arrays.size).double(),
        tolerance=0.0,
        max_iterations=4,
        memory_limit=None,
        progress=False,
    )
    gaps = [step["largest_difference"] for step in history]
    assert len(gaps) == 4 and gaps[-1] < gaps[0]
