"""The law of a stack: enumeration, transition matrices, exact draws, paths."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chi2

from inference.exact.enumerate import enumerate_states
from inference.sampling.annealed_importance import annealed_importance_sampling

SIZES = [(4, 3, 2), (3, 2, 2, 2), (3, 2, 1, 2, 2), (5, 3)]


@pytest.mark.parametrize("sizes", SIZES)
def test_laws_are_those_of_enumeration(stack, enumerated, sizes):
    machine = stack(*sizes)
    law = enumerated(machine)
    torch.testing.assert_close(-machine.energy(law.states), law.logs)
    apart = law.states.split(list(sizes), 1)
    torch.testing.assert_close(-machine.energy(*apart), law.logs)
    exact = machine.log_partition()
    torch.testing.assert_close(exact, law.log_partition, rtol=0, atol=1e-11)
    graph = machine.to_factor_graph()
    torch.testing.assert_close(graph.log_partition(), law.log_partition, rtol=0, atol=1e-11)
    visible = enumerate_states([2] * sizes[0]).double()
    found = machine.log_prob(visible)
    torch.testing.assert_close(found, law.log_visible, rtol=0, atol=1e-11)
    assert float(found.exp().sum()) == pytest.approx(1.0, abs=1e-11)


def test_energies_broadcast(stack):
    machine = stack(3, 2, 2)
    v, h1, h2 = (enumerate_states([2] * n).double() for n in (3, 2, 2))
    table = machine.energy(v[:, None, None], h1[:, None], h2)
    assert table.shape == (8, 4, 4)
    one = machine.energy(v[5], h1[2], h2[3])
    torch.testing.assert_close(table[5, 2, 3], one)
    torch.testing.assert_close(machine.free_energy(v[5]), -(-table[5]).logsumexp((0, 1)))


def test_gradients_of_exact_likelihoods(stack):
    """By finite differences, through the sums over both sides."""
    machine = stack(3, 2, 2).requires_grad_()
    rows = torch.tensor([[1, 0, 1], [0, 1, 1]]).double()

    def mean(*numbers: torch.Tensor) -> torch.Tensor:
        names = [name for name, _ in machine.named_parameters()]
        values = dict(zip(names, numbers, strict=True))
        return torch.func.functional_call(
            _Score(machine), {f"of.{k}": v for k, v in values.items()}, rows
        )

    numbers = tuple(p.detach().clone().requires_grad_() for p in machine.parameters())
    assert torch.autograd.gradcheck(mean, numbers)


class _Score(torch.nn.Module):
    """The mean log-probability as a module, whose parameters can be replaced."""

    def __init__(self, of: torch.nn.Module) -> None:
        super().__init__()
        self.of = of

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.of.log_prob(rows).mean()


def transitions(machine, beta: float, together: bool = False) -> torch.Tensor:
    """Matrix of a sweep: both halves by their conditional means, one after the other.

    ``together`` moves both at once, each given the old other one.
    """
    layers, sizes = machine.layers(), list(machine.layer_sizes)
    states = enumerate_states([2] * sum(sizes)).double()
    parts = states.split(sizes, 1)
    even, odd = torch.cat(parts[0::2], 1), torch.cat(parts[1::2], 1)
    even_means = (beta * (layers.visible_bias + odd @ layers.weights.T)).sigmoid()
    odd_means = (beta * layers.hidden_fields(even)).sigmoid()

    def chance(means: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        return torch.where(units.bool(), means[:, None], 1 - means[:, None]).prod(-1)

    to_even, to_odd = chance(even_means, even), chance(odd_means, odd)
    if together:
        return to_even * to_odd
    # The odd units of the next state are drawn given its own even ones.
    return to_even * to_odd.diagonal()


@pytest.mark.parametrize("sizes", [(3, 2, 2), (2, 2, 2, 2)])
@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_a_sweep_leaves_the_law_invariant(stack, enumerated, sizes, beta):
    machine = stack(*sizes)
    probs = (beta * enumerated(machine).logs).softmax(0)
    matrix = transitions(machine, beta)
    torch.testing.assert_close(matrix.sum(1), torch.ones_like(probs), rtol=0, atol=1e-12)
    torch.testing.assert_close(probs @ matrix, probs, rtol=0, atol=1e-12)
    wrong = probs @ transitions(machine, beta, together=True)
    assert float((wrong - probs).abs().max()) > 1e-3


def rejected(counts: torch.Tensor, probs: torch.Tensor) -> bool:
    """Chi-square; false alarms 1e-7."""
    expected = counts.sum() * probs
    value = float(((counts - expected) ** 2 / expected).sum())
    return value > chi2.isf(1e-7, len(probs) - 1)


def counted(units: torch.Tensor) -> torch.Tensor:
    """How often each joint state is there, in the order of enumeration."""
    powers = 2 ** torch.arange(units.shape[1] - 1, -1, -1)
    return torch.bincount(units.long() @ powers, minlength=2 ** units.shape[1]).double()


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_sweeps_from_exact_draws(stack, enumerated, beta):
    machine = stack(3, 2, 1, 1, scale=0.8)
    law = enumerated(machine)
    probs, generator = (beta * law.logs).softmax(0), torch.Generator().manual_seed(0)
    start = law.states[torch.multinomial(probs, 200_000, True, generator=generator)]
    assert not rejected(counted(machine.gibbs_sweep(start, beta, generator)), probs)
    assert rejected(counted(machine.gibbs_sweep(start, 1.15 * beta, generator)), probs)


@pytest.mark.parametrize("method", ["gibbs", "exact"])
def test_samples_of_all_layers(stack, enumerated, method):
    machine = stack(3, 2, 2, scale=0.5)
    law = enumerated(machine)
    layers = machine.sample_layers(100_000, sweeps=40, method=method, generator=0)
    assert [layer.shape[1] for layer in layers] == [3, 2, 2]
    counts = counted(torch.cat(layers, 1))
    assert not rejected(counts, law.logs.softmax(0))
    assert rejected(counts, (1.1 * law.logs).softmax(0))
    visible = machine.sample(100_000, sweeps=40, method=method, generator=0)
    assert torch.equal(visible, layers[0])


def test_paths_sum_to_the_exact_value(stack):
    """Six standard errors: a false alarm in 5e8 each."""
    machine = stack(6, 5, 4, 3, scale=0.6)
    exact = float(machine.log_partition())
    assert machine.tempered_law().log_base == pytest.approx(18 * math.log(2))
    machine.base_bias.copy_(0.5 * machine.biases[0].data)
    for reverse in (False, True):
        found = annealed_importance_sampling(machine, reverse=reverse, generator=0)
        assert abs(float(found) - exact) < 6 * found.standard_error + 0.05 * reverse
    estimate = machine.log_partition("ais", generator=1)
    assert abs(float(estimate) - exact) < 6 * estimate.standard_error


def test_bad_units_are_refused(stack):
    machine = stack(3, 2, 2)
    for arguments, message in (
        (([1, 0, 1],), "x must have 7 units"),
        (([1, 0, 1], [1, 0]), "hidden must be 2 layers or none, found 1"),
        (([1, 0, 1], [1, 0], [1]), "h2 must have 2 units"),
        (([1, 0, 2], [1, 0], [1, 1]), "x must be 0 and 1"),
        (([1, 0, 1], [1, 0], [1, float("nan")]), "h2 must not hold NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            machine.energy(*arguments)
    with pytest.raises(ValueError, match="7 units"):
        machine.gibbs_sweep(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="v must have 3 units"):
        machine.free_energy([[1, 0]])
    with pytest.raises(ValueError, match="method"):
        machine.sample(3, method="guess")
