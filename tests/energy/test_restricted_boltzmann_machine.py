"""The restricted Boltzmann machine: stored and worked numbers, exact sums, conversions, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.exact.enumerate import enumerate_states


def filled(weights, visible_bias, hidden_bias) -> RestrictedBoltzmannMachine:
    w = torch.tensor(weights, dtype=torch.float64)
    made = RestrictedBoltzmannMachine(*w.shape).double()
    with torch.no_grad():
        made.weights.copy_(w)
        made.visible_bias.copy_(torch.tensor(visible_bias, dtype=torch.float64))
        made.hidden_bias.copy_(torch.tensor(hidden_bias, dtype=torch.float64))
    return made


@pytest.fixture
def small() -> RestrictedBoltzmannMachine:
    return filled([[0.5, -1.0], [1.0, 0.25], [-0.75, 0.8]], [0.1, -0.2, 0.3], [-0.1, 0.4])


def test_worked_numbers(small):
    assert float(small.log_partition()) == pytest.approx(4.1069523129, abs=1e-10)
    states = enumerate_states([2] * 3).double()
    probs = small.log_prob(states).exp()
    expected = [0.078118, 0.136996, 0.135913, 0.206951, 0.070197, 0.092974, 0.128330, 0.150522]
    np.testing.assert_allclose(probs, expected, atol=5e-7)
    found = small.hidden_probabilities([[1, 0, 1]])[0]
    np.testing.assert_allclose(found, [0.413382, 0.549834], atol=5e-7)
    found = small.visible_mean([[1, 0]])[0]
    np.testing.assert_allclose(found, [0.645656, 0.689974, 0.389361], atol=5e-7)
    np.testing.assert_allclose(probs @ states, [0.442023, 0.621715, 0.587443], atol=5e-7)
    hidden = small.hidden_probabilities(states)
    np.testing.assert_allclose(probs @ hidden, [0.568276, 0.629937], atol=5e-7)
    moments = states.T @ (probs[:, None] * hidden)
    expected = [[0.282298, 0.220958], [0.409687, 0.401890], [0.289571, 0.415950]]
    np.testing.assert_allclose(moments, expected, atol=5e-7)


def test_worked_likelihood_and_gradient(small):
    data = torch.tensor([[1, 0, 1], [1, 1, 0]]).double()
    assert small.score(data) == pytest.approx(-2.2142920179, abs=1e-10)
    small.requires_grad_()
    small.log_prob(data).mean().backward()
    expected = [[0.325485, 0.260650], [-0.008595, -0.195199], [-0.082880, -0.141033]]
    np.testing.assert_allclose(small.weights.grad, expected, atol=5e-7)


def test_stored_references(shared):
    stored = json.loads((shared / "references" / "energy.json").read_text())["rbm_10x8"]
    made = filled(stored["W"], stored["b"], stored["c"])
    assert float(made.log_partition()) == pytest.approx(stored["logZ"], abs=1e-9)
    v = torch.tensor(stored["test_v"]).double()
    np.testing.assert_allclose(made.free_energy(v), stored["test_free_energy"], atol=1e-9)
    np.testing.assert_allclose(made.log_prob(v), stored["test_log_prob"], atol=1e-9)
    data = torch.tensor(stored["data"]).double()
    assert made.score(data) == pytest.approx(stored["data_mean_log_prob"], abs=1e-9)
    pseudo = float(made.pseudo_log_likelihood(data).mean())
    assert pseudo == pytest.approx(stored["pseudo_log_likelihood_data_mean"], abs=1e-9)
    states = enumerate_states([2] * 10).double()
    probs = made.log_prob(states).exp()
    hidden = made.hidden_probabilities(states)
    np.testing.assert_allclose(probs @ states, stored["v_mean"], atol=1e-9)
    np.testing.assert_allclose(probs @ hidden, stored["h_mean"], atol=1e-9)
    moment = states.T @ (probs[:, None] * hidden)
    np.testing.assert_allclose(moment, stored["vh_moment"], atol=1e-9)
    made.requires_grad_()
    made.log_prob(data).mean().backward()
    for name, parameter in (
        ("W", made.weights),
        ("b", made.visible_bias),
        ("c", made.hidden_bias),
    ):
        expected = stored[f"exact_loglik_grad_{name}"]
        np.testing.assert_allclose(parameter.grad, expected, atol=1e-9)
    made.requires_grad_(False)
    for beta, value in stored["logZ_beta"].items():
        colder = filled(
            (float(beta) * made.weights).tolist(),
            (float(beta) * made.visible_bias).tolist(),
            (float(beta) * made.hidden_bias).tolist(),
        )
        assert float(colder.log_partition()) == pytest.approx(value, abs=1e-9)


def test_either_layer_may_be_the_one_that_is_summed(small):
    turned = filled(
        small.weights.T.tolist(), small.hidden_bias.tolist(), small.visible_bias.tolist()
    )
    assert float(turned.log_partition()) == pytest.approx(float(small.log_partition()), abs=1e-12)
    graph = small.to_factor_graph()
    torch.testing.assert_close(graph.log_partition(), small.log_partition())


def test_real_visible_units_by_quadrature():
    made = RestrictedBoltzmannMachine(1, 2, "gaussian").double()
    with torch.no_grad():
        made.weights.copy_(torch.tensor([[0.7, -1.1]]))
        made.visible_bias.fill_(0.3)
        made.hidden_bias.copy_(torch.tensor([0.2, -0.4]))
        made.log_precision.fill_(0.5)
    grid = torch.linspace(-15, 15, 60_001, dtype=torch.float64)[:, None]
    step = float(grid[1] - grid[0])
    integral = float(made.log_prob(grid).exp().sum()) * step
    assert integral == pytest.approx(1.0, abs=1e-9)
    with pytest.raises(ValueError, match="real"):
        made.pseudo_log_likelihood(grid[:2])
    with pytest.raises(ValueError, match="real"):
        made.to_factor_graph()


def test_pseudo_likelihood_is_a_sum_of_conditionals(small):
    rows = enumerate_states([2] * 3).double()
    expected = torch.zeros(8, dtype=torch.float64)
    for i in range(3):
        other = rows.clone()
        other[:, i] = 1 - other[:, i]
        both = torch.stack([small.log_prob(rows), small.log_prob(other)])
        expected += both[0] - both.logsumexp(0)
    torch.testing.assert_close(small.pseudo_log_likelihood(rows), expected)


@pytest.mark.parametrize("method", ["gibbs", "exact"])
def test_samples_have_the_exact_means(small, method):
    """|z| < 6 for three means: false alarms 6e-9."""
    states = enumerate_states([2] * 3).double()
    means = small.log_prob(states).exp() @ states
    found = small.sample(20_000, sweeps=60, method=method, generator=0).double()
    error = (means * (1 - means) / len(found)).sqrt()
    assert ((found.mean(0) - means).abs() < 6 * error).all()
    swept = small.gibbs_sweep(found, generator=1)
    assert ((swept.mean(0) - means).abs() < 6 * error).all()


def test_completions_follow_the_conditional_law(small):
    """Chi-square over the two missing units of many chains; false alarms 1e-7."""
    from scipy.stats import chi2

    n = 40_000
    rows = torch.tensor([[torch.nan, 1.0, torch.nan]]).expand(n, 3)
    found = small.complete(rows, sweeps=30, generator=0)
    assert (found[:, 1] == 1).all()
    states = torch.tensor([[a, 1, b] for a in (0, 1) for b in (0, 1)]).double()
    expected = n * small.log_prob(states).softmax(0)
    counts = torch.bincount((2 * found[:, 0] + found[:, 2]).long(), minlength=4)
    assert float(((counts - expected) ** 2 / expected).sum()) < chi2.isf(1e-7, 3)
    assert torch.equal(small.complete([[1, 0, 1]]), torch.tensor([[1.0, 0.0, 1.0]]).double())
    for wrong, message in (([[torch.nan, 2.0, 0.0]], "0 and 1"), ([1.0, 0.0, 1.0], "rows")):
        with pytest.raises(ValueError, match=message):
            small.complete(wrong)


def test_features_and_reconstructions(small):
    rows = [[1, 0, 1], [0, 1, 1]]
    assert torch.equal(small.transform(rows), small.hidden_probabilities(rows))
    back = small.reconstruct(rows)
    torch.testing.assert_close(back, small.visible_mean(small.hidden_probabilities(rows)))
    assert float(small.energy([1, 0, 1])) == pytest.approx(float(small.free_energy([1, 0, 1])))


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [("bernoulli", "bernoulli"), ("gaussian", "bernoulli"), ("bernoulli", "gaussian")],
)
def test_a_file_holds_the_machine(tmp_path, visible, hidden):
    made = RestrictedBoltzmannMachine(5, 3, visible, hidden, generator=0)
    made.save(tmp_path / "machine.safetensors")
    loaded = RestrictedBoltzmannMachine.load(tmp_path / "machine.safetensors")
    assert loaded.config() == made.config()
    rows = torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0]])
    assert torch.equal(loaded.free_energy(rows), made.free_energy(rows))


def test_large_machines_are_refused_and_estimated():
    made = RestrictedBoltzmannMachine(40, 30, generator=0)
    with pytest.raises(ValueError, match=r'2\^25.*method="ais"'):
        made.log_partition()
    estimate = made.log_partition("ais", generator=0)
    assert float(estimate) == pytest.approx(70 * np.log(2), abs=0.5)
    with pytest.raises(ValueError, match="method"):
        made.log_partition("guess")


def test_bad_machines_and_units_are_refused(small):
    with pytest.raises(ValueError, match="n_hidden"):
        RestrictedBoltzmannMachine(3, 0)
    with pytest.raises(TypeError, match="n_visible"):
        RestrictedBoltzmannMachine(2.5, 3)
    with pytest.raises(ValueError, match="hidden must be"):
        RestrictedBoltzmannMachine(3, 2, hidden="softmax")
    with pytest.raises(ValueError, match="both"):
        RestrictedBoltzmannMachine(3, 2, "gaussian", "gaussian")
    with pytest.raises(ValueError, match="v must have 3 units"):
        small.free_energy([[1, 0]])
    with pytest.raises(ValueError, match="v must be 0 and 1"):
        small.hidden_probabilities([[1, 0, -1]])
    with pytest.raises(ValueError, match="h must have 2 units"):
        small.visible_mean([[1, 0, 1]])
    with pytest.raises(ValueError, match="NaN"):
        small.free_energy([[1, 0, np.nan]])


def test_a_pipeline_of_scikit_learn_learns_features():
    """Two classes that no plane tells apart: pairs that agree, and pairs that do not."""
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(0, 2, (600, 2), generator=generator)
    rows = bits.repeat_interleave(6, 1).float().numpy()
    labels = (bits[:, 0] == bits[:, 1]).numpy()
    machine = RestrictedBoltzmannMachine(12, 12, generator=0)
    pipeline = Pipeline([("rbm", machine), ("classifier", LogisticRegression(C=100.0))])
    copied = clone(pipeline)
    copied.fit(rows, labels, rbm__epochs=100, rbm__generator=0, rbm__progress=False)
    assert copied.score(rows, labels) == 1.0
    assert LogisticRegression().fit(rows, labels).score(rows, labels) < 0.8
    assert not machine.history
    assert len(copied.named_steps["rbm"].history) == 100


def test_a_log_partition_that_is_known_is_not_summed_again():
    machine = RestrictedBoltzmannMachine(40, 40, generator=0)
    rows = torch.zeros(2, 40)
    with pytest.raises(ValueError, match="2\\^40"):
        machine.log_prob(rows)
    estimate = machine.log_partition("ais", betas=20, chains=10, generator=0)
    expected = machine.log_weight(rows).double() - float(estimate)
    torch.testing.assert_close(machine.log_prob(rows, log_partition=estimate), expected)
    assert machine.score(rows, log_partition=estimate) == pytest.approx(float(expected.mean()))
    small = RestrictedBoltzmannMachine(3, 2, generator=0)
    known = small.log_prob(rows[:, :3], log_partition=small.log_partition())
    torch.testing.assert_close(known, small.log_prob(rows[:, :3]))


def test_real_units_that_the_type_cannot_hold_are_refused():
    machine = RestrictedBoltzmannMachine(2, 2, "gaussian")
    with pytest.raises(ValueError, match=r"v must be finite in the machine's torch.float32"):
        machine.free_energy([[1e300, 0.0]])
    assert machine.double().free_energy([[1e150, 0.0]]).isfinite().all()


@pytest.mark.parametrize("v", [[[1.0, None, 1.0]], [["a", "b", "c"]]])
def test_rows_to_complete_are_numbers(v):
    with pytest.raises(TypeError, match="v must hold real numbers"):
        RestrictedBoltzmannMachine(3, 2).complete(v)
