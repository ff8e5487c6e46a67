"""Learning: steps follow the exact gradient, likelihoods rise, constant features stay finite."""

from __future__ import annotations

import pytest
import torch

from energy.rbm.chains import PersistentChains
from energy.rbm.learning import MachineLearner
from energy.rbm.settings import Settings
from energy.rbm.starting_point import fit_independent
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [("bernoulli", "bernoulli"), ("bernoulli", "gaussian"), ("gaussian", "bernoulli")],
)
def test_a_step_follows_the_gradient_on_average(machine, visible, hidden):
    """From exact draws of the model, the mean step is the exact gradient: |z| < 6."""
    made = machine(4, 3, visible, hidden, scale=0.5)
    generator = torch.Generator().manual_seed(1)
    if visible == "bernoulli":
        data = torch.randint(0, 2, (40, 4), generator=generator).double()
    else:
        data = torch.randn(40, 4, generator=generator, dtype=torch.float64)
    made.requires_grad_()
    made.log_prob(data).mean().backward()
    exact = [p.grad for p in (made.weights, made.visible_bias, made.hidden_bias)]
    if made.log_precision is not None:
        exact.append(made.log_precision.grad)
    made.requires_grad_(False)
    law = made.tempered_law()
    state = law.run(law.start(4000, generator), [1.0] * 100, generator)
    steps = []
    for part in state.visible.split(200):
        layers = made.layers(detached=True)
        chains = PersistentChains(layers.draw_hidden(part, generator), 2)
        learner = MachineLearner(layers, Settings(), chains, data)
        learner.step(data, 1.0, 0, generator)
        before = dict(made.named_parameters())
        steps.append([new - before[name] for name, new in learner.parameters.items()])
    for place, gradient in enumerate(exact):
        found = torch.stack([one[place] for one in steps])
        error = found.std(0) / len(steps) ** 0.5
        assert ((found.mean(0) - gradient).abs() < 7 * error + 1e-12).all()


@pytest.mark.parametrize("method", ["cd", "pcd", "pt"])
def test_learning_nears_the_entropy_of_the_data(bars, method):
    made = RestrictedBoltzmannMachine(6, 4, generator=0)
    before = made.score(bars)
    made.fit(bars, method, epochs=500, lr=0.3, generator=0, progress=False)
    _, counts = bars.unique(dim=0, return_counts=True)
    shares = counts / len(bars)
    best = float((shares * shares.log()).sum())
    assert before < best - 1.0
    assert made.score(bars) > best - 0.15
    assert [row["epoch"] for row in made.history] == list(range(1, 501))


def test_real_rows_are_learned():
    """Two normal clusters: better than one normal law per column."""
    generator = torch.Generator().manual_seed(0)
    sign = 2.0 * torch.randint(0, 2, (500, 1), generator=generator) - 1
    rows = 2.0 * sign + 0.5 * torch.randn(500, 3, generator=generator)
    made = RestrictedBoltzmannMachine(3, 2, "gaussian", generator=0)
    made.fit(rows, epochs=60, lr=0.02, generator=0, progress=False)
    normal = torch.distributions.Normal(rows.mean(0), rows.std(0)).log_prob(rows).sum(1).mean()
    assert made.score(rows) > float(normal) + 1.0


def test_the_same_seed_learns_the_same(bars, machine):
    runs = []
    for _ in range(2):
        made = RestrictedBoltzmannMachine(6, 3, generator=0)
        runs.append(made.fit(bars, epochs=3, generator=5, progress=False).weights.data)
    assert torch.equal(*runs)


def test_constant_features_stay_finite(bars):
    bars[:, 0], bars[:, 1] = 0.0, 1.0
    made = RestrictedBoltzmannMachine(6, 3, generator=0)
    made.fit(bars, epochs=20, generator=0, progress=False)
    assert all(bool(p.isfinite().all()) for p in made.parameters())
    real = RestrictedBoltzmannMachine(6, 3, "gaussian", generator=0)
    real.fit(bars, epochs=5, lr=0.01, generator=0, progress=False)
    assert all(bool(p.isfinite().all()) for p in real.parameters())


def test_first_numbers_are_log_odds(machine):
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    layers = machine(2, 2).layers(detached=True)
    fit_independent(layers, rows)
    expected = torch.tensor([3.5 / 4, 1.5 / 4]).double().logit()
    torch.testing.assert_close(layers.visible_bias, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "sml"}, "method"),
        ({"k": 0}, "k must"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"chains": 0}, "chains"),
        ({"temperatures": 1}, "temperatures"),
        ({"lr": -1.0}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"l2": float("inf")}, "l2"),
        ({"l1": -1.0}, "l1"),
        ({"momentum": 1.0}, "momentum"),
        ({"sparsity": 0.0}, "sparsity"),
        ({"chain_dtype": torch.float16}, "chain_dtype"),
        ({"chain_dtype": torch.bfloat16, "method": "cd"}, "chain_dtype"),
        ({"validation": torch.zeros(2, 5)}, "validation"),
    ],
)
def test_bad_settings_are_refused(bars, arguments, message):
    made = RestrictedBoltzmannMachine(6, 3)
    before = made.weights.data.clone()
    with pytest.raises(ValueError, match=message):
        made.fit(bars, **arguments)
    assert torch.equal(made.weights.data, before)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.full((3, 6), 2.0), "0 and 1"),
        (torch.full((3, 6), torch.nan), "NaN"),
        (torch.zeros(3, 5), "6 units"),
        (torch.zeros(6), "rows"),
        (torch.zeros(0, 6), "rows"),
    ],
)
def test_bad_data_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        RestrictedBoltzmannMachine(6, 3).fit(data)


@pytest.mark.parametrize(
    "options",
    [
        {"centered": True},
        {"momentum": 0.9, "lr": 0.03},
        {"l1": 1e-4},
        {"chain_dtype": torch.bfloat16},
        {"draw_data": True},
    ],
)
def test_every_variant_nears_the_entropy_of_the_data(bars, options):
    made = RestrictedBoltzmannMachine(6, 4, generator=0)
    made.fit(bars, generator=0, progress=False, **{"epochs": 500, "lr": 0.3} | options)
    _, counts = bars.unique(dim=0, return_counts=True)
    shares = counts / len(bars)
    assert made.score(bars) > float((shares * shares.log()).sum()) - 0.15


def test_a_centred_step_is_the_same_gradient_in_another_metric(machine):
    """Centred products are those of units less their means, written out."""
    made = machine(4, 3)
    data = torch.randint(0, 2, (30, 4), generator=torch.Generator().manual_seed(3)).double()
    layers = made.layers(detached=True)
    chains = PersistentChains(torch.ones(20, 3).double(), 1)
    learner = MachineLearner(layers, Settings(centered=True), chains, data)
    learner.step(data, 1.0, 0, torch.Generator().manual_seed(5))
    before = made.layers()
    v = before.draw_visible(torch.ones(20, 3).double(), torch.Generator().manual_seed(5))
    h = [before.hidden_mean(part) for part in (data, v)]
    mu, nu = data.mean(0), 0.95 * 0.5 + 0.05 * h[0].mean(0)
    step = (data - mu).T @ (h[0] - nu) / 30 - (v - mu).T @ (h[1] - nu) / 20
    torch.testing.assert_close(layers.weights - before.weights, step)
    ahead = data.mean(0) - v.mean(0) - step @ nu
    torch.testing.assert_close(layers.visible_bias - before.visible_bias, ahead)
    behind = h[0].mean(0) - h[1].mean(0) - step.T @ mu
    torch.testing.assert_close(layers.hidden_bias - before.hidden_bias, behind)


def test_hidden_units_are_as_sparse_as_is_wanted(bars):
    free, sparse = (RestrictedBoltzmannMachine(6, 8, generator=0) for _ in range(2))
    free.fit(bars, epochs=100, generator=0, progress=False)
    sparse.fit(bars, epochs=100, sparsity=0.1, sparsity_cost=1.0, generator=0, progress=False)
    distance = [abs(float(m.transform(bars).mean()) - 0.1) for m in (free, sparse)]
    assert distance[1] < 0.05 < distance[0]


def test_weights_decay_without_a_gradient():
    """At rate 1 with decay alone: W falls by l2 W + l1 sign W."""
    rows = torch.full((10, 2), 0.5)
    made = RestrictedBoltzmannMachine(2, 1, generator=0)
    layers = made.layers(detached=True)
    layers.weights.copy_(torch.tensor([[2.0], [-3.0]]))
    chains = PersistentChains(torch.ones(4, 1), 1)
    learner = MachineLearner(layers, Settings(l2=0.1, l1=0.5), chains, rows)
    plain = MachineLearner(made.layers(detached=True), Settings(), chains, rows)
    for one in (learner, plain):
        one._gradients["weights"].zero_()
        one._regularize()
    assert learner._gradients["weights"].flatten().tolist() == pytest.approx([-0.7, 0.8])
    assert plain._gradients["weights"].flatten().tolist() == [0.0, 0.0]


def test_rows_that_are_means_are_drawn(machine):
    """Means of one half at a machine without weights: the same law as drawn rows."""
    made = RestrictedBoltzmannMachine(3, 2, generator=0)
    means = torch.tensor([[0.0, 1.0, 0.3]]).repeat(200, 1)
    made.fit(means, draw_data=True, epochs=50, generator=0, progress=False)
    drawn = made.sample(4000, sweeps=20, generator=1).mean(0)
    assert drawn[0] < 0.02
    assert drawn[1] > 0.98
    assert abs(float(drawn[2]) - 0.3) < 0.05


def test_the_gap_of_free_energies_shows_what_is_learned_by_heart():
    generator = torch.Generator().manual_seed(0)
    rows, others = torch.randint(0, 2, (2, 40, 20), generator=generator).float()
    made = RestrictedBoltzmannMachine(20, 60, generator=0)
    made.fit(
        rows, epochs=400, batch_size=5, lr=0.2, validation=others, generator=0, progress=False
    )
    gaps = [row["free_energy_gap"] for row in made.history]
    assert gaps[-1] > gaps[0] + 3.0
    expected = made.free_energy(others).mean() - made.free_energy(rows).mean()
    assert gaps[-1] == pytest.approx(float(expected), rel=0.2)  # before averaging


def test_constant_real_features_get_precision_one():
    """The mean of some numbers that are all the same is not always that number."""
    rows = torch.full((333, 1), 1234.567)
    assert rows.var(0, correction=0) > 0
    layers = RestrictedBoltzmannMachine(1, 1, "gaussian").layers(detached=True)
    fit_independent(layers, rows)
    assert layers.visible.log_precision.item() == 0.0
