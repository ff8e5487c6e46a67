"""Learning: the start above, exact gradients of both phases, likelihoods that rise, files."""

from __future__ import annotations

import torch

from energy.deep_belief.stacking import start_turned
from energy.deep_belief.wake_sleep import Dreams, StackLearner, delta_rule
from energy.deep_belief_network import DeepBeliefNetwork
from energy.rbm.chains import Chains, Phases
from energy.rbm.learning import MachineLearner
from energy.rbm.settings import Settings
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.exact.enumerate import enumerate_states


def turned(n_hidden: int, *, scale: float = 1.0) -> tuple[DeepBeliefNetwork, torch.Tensor]:
    """A network that starts at a machine, turned around, and the law of that machine."""
    generator = torch.Generator().manual_seed(5)
    below = RestrictedBoltzmannMachine(5, 3, generator=0).double()
    made = DeepBeliefNetwork([5, 3, n_hidden], generator=0).double()
    with torch.no_grad():
        for parameter in below.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        made.layers[0].tie(below.weights, below.visible_bias, below.hidden_bias)
        states = enumerate_states([2] * 5).double()
        means = below.log_prob(states).exp() @ states
        start_turned(made.top.layers(), below.layers(), means[None], generator)
    return made, below.log_prob(states)


def test_a_turned_machine_leaves_the_law_as_it_is(monkeypatch):
    """Every single guess then has the weight p(v): to rounding, however many are made."""
    made, expected = turned(5)
    states = enumerate_states([2] * 5).double()
    torch.testing.assert_close(made.log_prob(states), expected)
    torch.testing.assert_close(made.log_prob_bound(states, n_samples=1, generator=0), expected)
    monkeypatch.setattr("energy.deep_belief.bound.GUESSED", 500)
    for importance in (False, True):
        bound = made.log_prob_bound(states, n_samples=7, importance=importance, generator=0)
        torch.testing.assert_close(bound, expected)
    with torch.no_grad():
        made.top.hidden_bias.zero_()
    bound = made.log_prob_bound(states, n_samples=1, generator=0)
    assert bool(((bound - expected).abs() > 0.01).any())


def test_machines_of_other_sizes_start_near():
    """Further units say next to nothing; what units that are left out say is nearly kept."""
    wide, expected = turned(8)
    states = enumerate_states([2] * 5).double()
    torch.testing.assert_close(wide.log_prob(states), expected, atol=0.05, rtol=0)
    narrow, expected = turned(2, scale=0.5)

    def divergence() -> float:
        return float((expected.exp() * (expected - narrow.log_prob(states))).sum())

    assert divergence() < 1e-4
    with torch.no_grad():
        narrow.top.visible_bias.copy_(narrow.layers[0].recognition_bias)
    assert divergence() > 1e-3


def test_the_delta_rule_is_the_gradient():
    """Guesses weighted by q: the exact slope of E_q log p(v | h)."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(4, 3, generator=generator).double().requires_grad_()
    bias = torch.randn(4, generator=generator).double().requires_grad_()
    v = torch.tensor([1.0, 0.0, 1.0, 1.0]).double()
    hidden = enumerate_states([2] * 3).double()
    q = torch.rand(8, generator=generator).double().softmax(0)
    mean = torch.sigmoid(bias + hidden @ weights.T)
    log_prob = torch.where(v == 1, mean, 1 - mean).log().sum(1)
    (q @ log_prob).backward()
    steps = [torch.zeros(4, 3).double(), torch.zeros(4).double()]
    for share, h, m in zip(q.tolist(), hidden, mean.detach(), strict=True):
        delta_rule(steps[0].T, steps[1], h[None], v[None], m[None], share)
    torch.testing.assert_close(steps, [weights.grad, bias.grad])


class ExactDreams(Chains):
    """Independent draws of the law of two layers, in place of chains."""

    def phases(self, layers, batch, taken, generator) -> Phases:
        states = enumerate_states([2] * len(layers.visible_bias)).double()
        law = (-layers.free_energy(states)).softmax(0)
        rows = states[torch.multinomial(law, 300, replacement=True, generator=generator)]
        both = torch.cat([batch, rows])
        return Phases(both, layers.hidden_mean(both))


def test_a_step_follows_the_exact_slopes_on_average(network, joint):
    """Wake: of E_q log p(v, h). Sleep: of E_p log q(h | v). 400 steps, |z| < 7."""
    made = network((3, 3, 2, 2), scale=0.7)
    table = joint(made)
    v = torch.tensor([1.0, 0.0, 1.0]).double()
    here = (table.units[0] == v).all(1)
    made.requires_grad_()
    again = joint(made)
    # The last layer, which changes fastest, has four states, and log q does not depend on it.
    q = table.log_guess[here].exp()[::4]
    wake = (q * again.log_prob[here].view(-1, 4).logsumexp(1)).sum()
    names = [name for name, _ in made.named_parameters()]
    slopes = dict(
        zip(names, torch.autograd.grad(wake, made.parameters(), allow_unused=True), strict=True)
    )
    sleep = (table.log_prob.detach().exp() * again.log_guess).sum()
    parts = torch.autograd.grad(sleep, made.parameters(), allow_unused=True)
    for name, part in zip(names, parts, strict=True):
        if "recognition" in name:
            slopes[name] = part
    made.requires_grad_(False)

    generator, steps = torch.Generator().manual_seed(0), []
    before = {name: x.clone() for name, x in made.state_dict().items()}
    layers, rows, rate = list(made.layers), v.expand(300, 3), 1e-6
    # The rate is small since the two phases and the layers move one after the other.
    for _ in range(400):
        made.load_state_dict(before)
        top = made.top.layers()
        dreams = Dreams(ExactDreams(), 2)
        machine = MachineLearner(top, Settings(), dreams, torch.zeros(1, 2).double())
        StackLearner(layers, machine, dreams).step(rows, rate, 0, generator)
        steps.append({name: (made.state_dict()[name] - before[name]) / rate for name in names})
    for name in names:
        found = torch.stack([step[name] for step in steps])
        error = found.std(0) / len(steps) ** 0.5
        room = 7 * error + 1e-12
        wrong = (found.mean(0) - slopes[name]).abs() > room
        assert not bool(wrong.any()), name
        assert bool(((found.mean(0) + slopes[name]).abs() > room).any()), name
