"""Learning: steps follow the exact gradient, likelihoods rise, constant features stay finite."""

from __future__ import annotations

import pytest
import torch

from energy.rbm.learning import Settings, Step, first_numbers
from energy.rbm.units import BernoulliUnits
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine


def bars(n: int = 400) -> torch.Tensor:
    """Rows of three pixels that agree, two of them, with some noise."""
    generator = torch.Generator().manual_seed(0)
    on = torch.randint(0, 2, (n, 2), generator=generator)
    rows = on.repeat_interleave(3, 1).float()
    noise = torch.rand(rows.shape, generator=generator) < 0.05
    return torch.where(noise, 1 - rows, rows)


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
    kinds = BernoulliUnits() if visible == "bernoulli" else None
    step = Step(Settings(chains=200, k=2), kinds, made.layers().hidden)
    steps = []
    for part in state.visible.split(200):
        numbers = made._numbers()
        step(numbers, part, data, 1.0, 0, generator)
        steps.append([new - old for new, old in zip(numbers, made._numbers(), strict=True)])
    for place, gradient in enumerate(exact):
        found = torch.stack([one[place] for one in steps])
        error = found.std(0) / len(steps) ** 0.5
        assert ((found.mean(0) - gradient).abs() < 7 * error + 1e-12).all()


@pytest.mark.parametrize("method", ["cd", "pcd", "pt"])
def test_learning_nears_the_entropy_of_the_data(method):
    rows = bars()
    made = RestrictedBoltzmannMachine(6, 4, generator=0)
    before = made.score(rows)
    made.fit(rows, method, epochs=500, lr=0.3, generator=0, progress=False)
    _, counts = rows.unique(dim=0, return_counts=True)
    shares = counts / len(rows)
    best = float((shares * shares.log()).sum())
    assert before < best - 1.0
    assert made.score(rows) > best - 0.15
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


def test_the_same_seed_learns_the_same(machine):
    runs = []
    for _ in range(2):
        made = RestrictedBoltzmannMachine(6, 3, generator=0)
        runs.append(made.fit(bars(), epochs=3, generator=5, progress=False).weights.data)
    assert torch.equal(*runs)


def test_constant_features_stay_finite():
    rows = bars()
    rows[:, 0], rows[:, 1] = 0.0, 1.0
    made = RestrictedBoltzmannMachine(6, 3, generator=0)
    made.fit(rows, epochs=20, generator=0, progress=False)
    assert all(bool(p.isfinite().all()) for p in made.parameters())
    real = RestrictedBoltzmannMachine(6, 3, "gaussian", generator=0)
    real.fit(rows, epochs=5, lr=0.01, generator=0, progress=False)
    assert all(bool(p.isfinite().all()) for p in real.parameters())


def test_first_numbers_are_log_odds(machine):
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    numbers = first_numbers(machine(2, 2)._numbers(), rows, real=False)
    expected = torch.tensor([3.5 / 4, 1.5 / 4]).double().logit()
    torch.testing.assert_close(numbers.visible_bias, expected)


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
    ],
)
def test_bad_settings_are_refused(arguments, message):
    made = RestrictedBoltzmannMachine(6, 3)
    before = made.weights.data.clone()
    with pytest.raises(ValueError, match=message):
        made.fit(bars(), **arguments)
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
