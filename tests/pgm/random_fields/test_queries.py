"""Queries against enumeration, the transfer matrix and stored references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inference.exact.factor import Factor
from pgm import BayesianNetwork
from pgm.formats import read_uai_evidence, read_uai_partition
from pgm.markov_random_field import MarkovRandomField
from tests.pgm.random_fields.enumeration import all_rows


@pytest.mark.parametrize("zeros", [0.0, 0.25])
def test_everything_agrees_with_enumeration(random_field, law_of, zeros):
    for seed in range(4):
        field = random_field(seed, zeros)
        law = law_of(field)
        torch.testing.assert_close(field.log_partition(), law.log_partition)
        for name, found in field.marginals().items():
            torch.testing.assert_close(found, law.marginals[name])
        rows = all_rows(field)
        logs = field.log_prob(rows)
        torch.testing.assert_close(logs.logsumexp(0), torch.zeros(()).double())
        torch.testing.assert_close(-field.energy(rows) - field.log_partition(), logs)
        state, weight = field.most_probable()
        torch.testing.assert_close(weight, -field.energy(rows).min())
        codes = [[field.vocabulary.code(v, s) for v, s in enumerate(state.values())]]
        torch.testing.assert_close(-field.energy(codes)[0], weight)


def test_evidence_in_every_spelling(random_field, law_of):
    field = random_field(1)
    for given, coded in (
        ({"b": "mid", "e": 1}, {"b": 1, "e": 1}),
        ({"d": [0.1, 0.0, 0.9]}, {"d": [0.1, 0.0, 0.9]}),
    ):
        law = law_of(field, coded)
        torch.testing.assert_close(field.log_partition(given), law.log_partition)
        for name, found in field.marginals(given).items():
            torch.testing.assert_close(found, law.marginals[name])
    batch = field.marginals({"b": ["low", None, "high"], "e": [1, 0, -1]}, ["a"])["a"]
    for row, given in zip(batch, ({"b": 0, "e": 1}, {"e": 0}, {"b": 2}), strict=True):
        torch.testing.assert_close(row, law_of(field, given).marginals["a"])
    assert field.most_probable({"b": "mid"})[0]["b"] == "mid"


def test_rows_with_gaps_are_summed_exactly(random_field):
    field = random_field(2)
    rows = all_rows(field)
    logs = field.log_prob(rows)
    for hidden in ([1], [0, 3], [0, 1, 2, 3, 4]):
        holes = rows.clone()
        holes[:, hidden] = -1
        kept = [v for v in range(5) if v not in hidden]
        same = (rows[:, None, kept] == rows[None, :, kept]).all(-1)
        expected = torch.where(same, logs, -torch.inf).logsumexp(1)
        torch.testing.assert_close(field.log_prob(holes), expected)
    mixed = rows.clone()
    mixed[::2, 1] = -1
    torch.testing.assert_close(field.log_prob(mixed)[1::2], logs[1::2])
    torch.testing.assert_close(field.score(rows), logs.mean())


def test_gradients_are_observed_minus_expected(random_field):
    field = random_field(3)
    field.weights.requires_grad_()
    rows = torch.tensor([[0, 1, 1, 2, 0], [1, 2, 0, 0, 1]])
    field.log_prob(rows).mean().backward()
    expected = field.empirical_expectations(rows) - field.feature_expectations()
    torch.testing.assert_close(field.weights.grad, expected)
    holes = torch.tensor([[0, -1, 1, -1, 0], [1, 2, -1, 0, 1]])
    given = field.weights.detach().clone()
    field.weights.grad = None
    field.log_prob(holes).sum().backward()
    gradient = field.weights.grad.clone()
    direction = torch.randn(len(given), generator=torch.Generator().manual_seed(0)).double()
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            field.weights.copy_(given + step * direction)
            values.append(field.log_prob(holes).sum())
    torch.testing.assert_close(
        (values[0] - values[1]) / 2e-5, gradient @ direction, rtol=1e-7, atol=1e-8
    )


def test_gradients_at_hard_zeros_are_finite():
    field = MarkovRandomField({"a": 2, "b": 2}, [Factor(["a", "b"], [[0.0, -np.inf], [1.0, 0.5]])])
    field.weights.requires_grad_()
    field.log_prob([[0, 0], [1, -1]]).sum().backward()
    assert field.weights.grad.isfinite().all()
    assert field.weights.grad[1] == 0


def test_new_weights_are_what_methods_speak_of(random_field):
    field, other = random_field(0), random_field(1)
    before = field.log_partition()
    with torch.no_grad():
        field.weights.copy_(other.weights)
    assert field.log_partition() != before
    torch.testing.assert_close(field.log_partition(), other.log_partition())
    with torch.no_grad():
        field.weights[0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        field.log_partition()


def test_facts_t21_ising_four_cycle():
    assert abs(MarkovRandomField.ising(1.0, shape=(2, 2)).log_partition() - 4.7977137475) < 5e-11
    for b in (0.2, 1.0, 2.5):
        field = MarkovRandomField.ising(b, shape=(2, 2))
        exact = math.log((2 * math.cosh(b)) ** 4 + (2 * math.sinh(b)) ** 4)
        assert abs(field.log_partition().item() - exact) < 1e-12


def test_facts_t21_chain():
    pair, unary = np.log([[0.7, 0.3], [0.4, 0.6]]), np.log([[0.5, 0.5], [0.9, 0.2], [0.2, 0.9]])
    field = MarkovRandomField.grid((1, 4), unary[[0, 1, 2, 1]][None], pair)
    total = field.log_partition()
    assert abs(total.item() + 1.9642217884) < 5e-11
    found = torch.stack([table[1] for table in field.marginals().values()])
    expected = torch.tensor([0.424767, 0.201732, 0.623677, 0.188643], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-7)
    state, weight = field.most_probable()
    assert list(state.values()) == [0, 0, 1, 0]
    assert abs((weight - total).exp().item() - 0.2182868142) < 5e-11


def test_ising_grid_against_the_transfer_matrix(transfer_matrix):
    rng = np.random.default_rng(0)
    down, right = rng.normal(size=(9, 10)), rng.normal(size=(10, 9))
    h = rng.normal(size=(10, 10))
    couplings = np.concatenate([down.reshape(-1), right.reshape(-1)])
    field = MarkovRandomField.ising(couplings, h, shape=(10, 10))
    assert abs(field.log_partition().item() - transfer_matrix(right, down, h)) < 1e-9
    spins = 2 * field.marginals()["4,7"][1].item() - 1  # d log Z / d h
    ends = []
    for step in (1e-4, -1e-4):
        moved = h.copy()
        moved[4, 7] += step
        ends.append(transfer_matrix(right, down, moved))
    assert abs((ends[0] - ends[1]) / 2e-4 - spins) < 1e-6


def test_stored_grid(references):
    (stored,) = references["mrf"]
    names = [f"{r},{c}" for r in range(3) for c in range(3)]
    unary = np.array(stored["unary"]).reshape(9, 3)
    factors = [Factor([name], table) for name, table in zip(names, unary, strict=True)]
    for (first, second), table in zip(stored["edges"], stored["pairwise"], strict=True):
        scope = [",".join(map(str, first)), ",".join(map(str, second))]
        factors.append(Factor(scope, table))
    field = MarkovRandomField(dict.fromkeys(names, 3), factors)
    assert abs(field.log_partition().item() - stored["logZ"]) < 1e-9
    for name, expected in zip(names, stored["unary_marginals"], strict=True):
        torch.testing.assert_close(
            field.marginals()[name], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9
        )
    scopes = [factor.scope for factor in factors[9:]]
    for scope, expected in zip(scopes, stored["pairwise_marginals"], strict=True):
        found = field.query(scope).values
        torch.testing.assert_close(
            found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9
        )
    state, weight = field.most_probable()
    assert list(state.values()) == stored["map_state"]
    assert abs(weight.item() - stored["map_score"]) < 1e-9


@pytest.mark.parametrize("problem", ["DBN_11", "Promedus_24"])
def test_uai_problems(shared, problem):
    folder = shared / "data/uai"
    field = MarkovRandomField.load(folder / f"{problem}.uai")
    evidence = {str(v): s for v, s in read_uai_evidence(folder / f"{problem}.uai.evid").items()}
    log10 = field.log_partition(evidence).item() / math.log(10)
    assert abs(log10 - read_uai_partition(folder / f"{problem}.uai.PR")) < 1e-3


def test_exact_samples_follow_the_law(random_field):
    """Chi-square over all joint states; false alarms: one in 1e7."""
    from scipy.stats import chi2

    field = random_field(4, 0.2)
    n = 100_000
    rows = field.sample(n, generator=0)
    strides = torch.tensor([36, 12, 6, 2, 1])
    counts = torch.bincount(rows @ strides, minlength=72).numpy()
    expected = n * field.log_prob(all_rows(field)).exp().numpy()
    assert (counts[expected == 0] == 0).all()
    kept = expected > 0
    value = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    assert value < chi2.isf(1e-7, kept.sum() - 1)
    assert (field.sample(50, {"b": "high"}, 1)[:, 1] == 2).all()


# Approximate methods -----------------------------------------------------------------------------


def chain(seed: int) -> MarkovRandomField:
    rng = np.random.default_rng(seed)
    return MarkovRandomField.grid((1, 6), rng.normal(size=(1, 6, 3)), rng.normal(size=(3, 3)))


@pytest.mark.parametrize("evidence", [None, {"0,2": 1}, {"0,5": [0.5, 0.1, 0.4]}])
def test_messages_are_exact_on_trees(evidence):
    for seed in range(3):
        field = chain(seed)
        exact = field.marginals(evidence)
        for name, found in field.marginals(evidence, method="belief-propagation").items():
            torch.testing.assert_close(found, exact[name], rtol=0, atol=1e-9)
        bethe = field.log_partition(evidence, method="bethe")
        torch.testing.assert_close(bethe, field.log_partition(evidence))
        best = field.most_probable(evidence)
        passed = field.most_probable(evidence, method="belief-propagation")
        assert passed[0] == best[0]
        torch.testing.assert_close(passed[1], best[1])


def test_bounds_hold_around_the_exact_value():
    rng = np.random.default_rng(1)
    field = MarkovRandomField.ising(rng.normal(size=12), rng.normal(size=9), shape=(3, 3))
    exact = field.log_partition().item()
    assert field.log_partition(method="mean-field").item() <= exact + 1e-9
    assert field.log_partition(method="tree-reweighted").item() >= exact - 1e-9
    estimate = field.log_partition(method="ais", generator=0)
    assert abs(float(estimate) - exact) < 6 * estimate.standard_error  # false alarms: 2e-9
    for method in ("mean-field", "tree-reweighted"):
        for table in field.marginals(method=method).values():
            torch.testing.assert_close(table.sum(), torch.ones(()).double())


def test_factors_of_any_arity_pass_messages(random_field):
    """A tree of three factors, one of them over three variables, and a constant."""
    whole = random_field(5)
    tree = MarkovRandomField(whole.vocabulary.states, [*whole.factors[:4], whole.factors[5]])
    torch.testing.assert_close(tree.log_partition(method="bethe"), tree.log_partition())
    found = tree.marginals({"b": "low"}, ["e"], method="belief-propagation")
    torch.testing.assert_close(found["e"], tree.marginals({"b": "low"})["e"])
    batch = {"b": ["low", "high"]}
    found = tree.marginals(batch, ["e"], method="belief-propagation")
    torch.testing.assert_close(found["e"], tree.marginals(batch)["e"])
    assert tree.most_probable({"b": "mid"}, method="belief-propagation")[0]["b"] == "mid"


def test_gibbs_chains_that_find_no_possible_state_are_refused():
    apart = Factor.from_potential(["a", "b"], [[0.0, 1.0], [1.0, 0.0]])
    field = MarkovRandomField({"a": 2, "b": 2}, [apart])
    for evidence in ({"a": 1, "b": 1}, {"a": [0.0, 0.0]}):
        for call in (
            lambda e: field.sample(3, e, 0, method="gibbs"),
            lambda e: field.marginals(e, method="gibbs", generator=0),
        ):
            with pytest.raises(ValueError, match="Gibbs chains ended in states of probability"):
                call(evidence)
    rows = field.sample(50, {"a": 1}, 0, method="gibbs")
    assert rows.tolist() == [[1, 0]] * 50


def test_gibbs_draws_no_row_and_refuses_fewer(random_field):
    field = MarkovRandomField.ising(1.0, shape=(1, 2))
    for made in (field, random_field(6)):
        assert made.sample(0, method="gibbs").shape == (0, len(made.variables))
    with pytest.raises(ValueError, match="n must be at least 0, found -1"):
        field.sample(-1, method="gibbs")
    with pytest.raises(TypeError, match="n must be a whole number"):
        field.sample(1.5, method="gibbs")


def test_gibbs_marginals_and_samples(random_field):
    """Loose by the chains' own errors: independent ends of 20 000 chains, |z| < 6."""
    field = random_field(6)
    exact = field.marginals({"c": 1})
    n = 20_000
    rows = field.sample(n, {"c": 1}, 0, method="gibbs", sweeps=60)
    assert rows.dtype == torch.int64 and (rows[:, 2] == 1).all()
    for v, name in enumerate(field.variables):
        for code, p in enumerate(exact[name].tolist()):
            share = (rows[:, v] == code).double().mean().item()
            assert abs(share - p) < 6 * math.sqrt(p * (1 - p) / n) + 1e-12
    shares = field.marginals({"c": 1}, ["d", "a"], "gibbs", sweeps=400, chains=64, generator=1)
    assert list(shares) == ["d", "a"]
    for name, found in shares.items():
        torch.testing.assert_close(found.sum(), torch.ones(()).double())
        assert (found - exact[name]).abs().max() < 0.05  # many standard errors


def test_annealing_finds_the_best_state(random_field):
    for seed in range(3):
        field = random_field(seed, 0.2)
        found, weight = field.most_probable(method="annealing", sweeps=50, generator=0)
        best = field.most_probable()
        torch.testing.assert_close(weight, best[1])
        assert found == best[0]


def test_unknown_methods_are_refused_with_the_known_ones(random_field):
    field = random_field()
    for call in (
        lambda: field.log_partition(method="guess"),
        lambda: field.marginals(method="guess"),
        lambda: field.most_probable(method="guess"),
        lambda: field.sample(3, method="guess"),
    ):
        with pytest.raises(ValueError, match="'guess'"):
            call()


def test_a_network_and_its_field_agree():
    net = BayesianNetwork(
        [("x", "y")], {"x": ["no", "yes"], "y": 2}, {"x": [0.3, 0.7], "y": [[0.9, 0.1], [0, 1]]}
    )
    field = MarkovRandomField.from_bayesian_network(net)
    torch.testing.assert_close(field.log_partition(), torch.zeros(()).double())
    torch.testing.assert_close(field.marginals({"y": 1})["x"], net.marginals({"y": 1})["x"])
