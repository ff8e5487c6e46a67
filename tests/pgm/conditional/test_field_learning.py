"""Learning conditional random fields: moments match, methods agree where they must."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference.convergence import ConvergenceWarning
from pgm.conditional.templates import GridTemplate
from pgm.conditional_random_field import ConditionalRandomField


def images(n: int, shape: tuple[int, int], *, coupling: float = 0.6) -> tuple[Tensor, Tensor]:
    """Labels drawn exactly from a field given smooth inputs."""
    truth = ConditionalRandomField(GridTemplate(4), 2, nn.Conv2d(1, 2, 1)).double()
    with torch.no_grad():
        truth.unary.weight.copy_(torch.tensor([-0.5, 0.5]).view(2, 1, 1, 1))
        truth.unary.bias.copy_(torch.tensor([0.1, -0.1]))
        truth.pairwise.coupling.fill_(coupling)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(n, 1, *shape)))
    return x, truth.sample(x, 1, generator=0)[0]


def field(seed: int = 0) -> ConditionalRandomField:
    """A field to be learned."""
    made = ConditionalRandomField(GridTemplate(4), 2, nn.Conv2d(1, 2, 1)).double()
    draws = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.1, generator=draws)
    return made


def log_odds(model: ConditionalRandomField) -> list[float]:
    """The numbers that the law depends on: slope, level, and both couplings."""
    weight = model.unary.weight.flatten()
    bias, coupling = model.unary.bias, model.pairwise.coupling
    return [(weight[1] - weight[0]).item(), (bias[1] - bias[0]).item(), *coupling.tolist()]


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    return images(40, (4, 4))


@pytest.fixture(scope="module")
def learned(data) -> ConditionalRandomField:
    return field().fit(*data, epochs=200, batch_size=40, optimizer="lbfgs")


def test_expected_features_equal_the_empirical_ones_at_the_optimum(data, learned):
    x, y = data
    layout, flat = learned.template.layout((4, 4)), y.flatten(1)
    first, second = layout.edges.unbind(1)
    same = (flat[:, first] == flat[:, second]).double().sum(0)
    seen = torch.zeros(2).double().index_add(0, layout.kinds, same)
    # The derivative of log Z by a coupling is the expected number of edges that agree.
    total = learned.log_partition(x).sum()
    (expected,) = torch.autograd.grad(total, learned.pairwise.coupling)
    torch.testing.assert_close(expected, seen, rtol=1e-6, atol=1e-6)
    p = learned.marginals(x)[:, 1]
    assert (p.sum() - y.sum()).abs().item() < 1e-5
    assert ((p - y) * x[:, 0]).sum().abs().item() < 1e-5


def test_the_history_falls_to_the_log_likelihood(data, learned):
    losses = [step["loss"] for step in learned.history]
    assert all(b <= a + 1e-12 for a, b in pairwise(losses))
    assert losses[-1] == pytest.approx(-learned.score(*data) / 16, abs=1e-9)
    assert {step["converged"] for step in learned.history} == {1.0}


@pytest.mark.parametrize(
    ("method", "distance"),
    [("pseudo-likelihood", 0.15), ("belief-propagation", 0.05), ("tree-reweighted", 0.2)],
)
def test_other_methods_come_near_the_exact_optimum(data, learned, method, distance):
    model = field().fit(*data, method, epochs=200, batch_size=40, optimizer="lbfgs", l2=0.0)
    gap = np.abs(np.array(log_odds(model)) - log_odds(learned)).max()
    assert 0 < gap < distance
    # Judged by the exact likelihood it loses little, and cannot win.
    assert 0 <= learned.score(*data) - model.score(*data) < 0.5 * distance


def test_steps_over_batches_come_to_the_same_optimum(data, learned):
    model = field(1).fit(*data, epochs=150, batch_size=20, learning_rate=0.03, generator=0)
    assert learned.score(*data) - model.score(*data) < 0.05
    assert not model.training
    assert model.history[0].keys() == {"epoch", "loss", "converged"}
    assert model.history[-1]["loss"] < model.history[0]["loss"]


def test_the_same_seed_gives_the_same_fit(data):
    fits = [field().fit(*data, epochs=3, batch_size=8, generator=seed) for seed in (3, 3, 4)]
    values = [log_odds(model) for model in fits]
    assert values[0] == values[1] != values[2]


def test_missing_labels_are_summed_out(data):
    x, y = data
    gaps = y.masked_fill(torch.rand(y.shape, generator=torch.Generator().manual_seed(0)) < 0.3, -1)
    model = field().fit(x, gaps, epochs=100, batch_size=40, optimizer="lbfgs")
    # The score of the observed labels is stationary: no direction improves it.
    value = model.log_prob(x, gaps).sum()
    for gradient in torch.autograd.grad(value, list(model.parameters())):
        assert gradient.abs().max() < 1e-4
    assert model.history[-1]["loss"] == pytest.approx(
        -model.log_prob(x, gaps).sum().item() / int((gaps >= 0).sum()), abs=1e-9
    )


def test_the_penalty_shrinks_the_parameters(data, learned):
    strength = 50.0
    model = field().fit(*data, epochs=100, optimizer="lbfgs", l2=strength)
    value = model.log_prob(*data).sum()
    for parameter, gradient in zip(
        model.parameters(), torch.autograd.grad(value, list(model.parameters())), strict=True
    ):
        torch.testing.assert_close(gradient, strength * parameter, rtol=1e-4, atol=1e-4)
    assert abs(log_odds(model)[2]) < abs(log_odds(learned)[2])


def test_an_optimiser_may_be_handed_in(data):
    def descend(parameters):
        return torch.optim.SGD(parameters, lr=0.5)

    model = field().fit(*data, epochs=5, optimizer=descend, generator=0)
    assert model.history[-1]["loss"] < model.history[0]["loss"]


def test_a_network_learns_through_the_sums():
    """A threshold at which the label flips needs a hidden layer."""
    x = torch.linspace(-2, 2, 32).reshape(2, 1, 4, 4)
    y = (x[:, 0].abs() < 1).long()
    draws = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Tanh(), nn.Conv2d(8, 2, 1))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=1.0, generator=draws)
    model = ConditionalRandomField(GridTemplate(4), 2, network)
    model.fit(x, y, epochs=100, learning_rate=0.05, generator=0)
    assert torch.equal(model.most_probable(x)[0], y)
    assert model.unary[0].weight.dtype == torch.float32


def test_inference_that_does_not_converge_is_said():
    frustrated = ConditionalRandomField(
        GridTemplate(offsets=[(0, 1), (1, 0), (1, 1)]), 2, nn.Conv2d(1, 2, 1)
    ).double()
    with torch.no_grad():
        frustrated.pairwise.coupling.copy_(torch.tensor([9.0, 9.0, -9.0]))
    x, y = torch.zeros(1, 1, 3, 3), torch.zeros(1, 3, 3, dtype=torch.int64)
    with pytest.warns(ConvergenceWarning, match="0% of the last epoch"):
        frustrated.fit(x, y, "belief-propagation", epochs=1, learning_rate=1e-6)
    assert frustrated.history[-1]["converged"] == 0.0


def test_learning_that_runs_off_changes_nothing(data):
    model = field()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(FloatingPointError, match="finite"):
        model.fit(*data, learning_rate=1e300, epochs=2)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert model.history == []


def test_impossible_labellings_are_named_and_nothing_is_learned():
    model = field()
    with torch.no_grad():
        model.unary.weight.abs_()
    x, y = torch.zeros(3, 1, 2, 2), torch.zeros(3, 2, 2, dtype=torch.int64)
    x[1, 0, 0, 0] = -math.inf
    before = log_odds(model)
    for optimizer in ("adam", "lbfgs"):
        with pytest.raises(ValueError, match=r"Y\[1\] has log-probability -inf: a hard zero"):
            model.fit(x, y, optimizer=optimizer)
        assert not model.training and model.history == [] and log_odds(model) == before
