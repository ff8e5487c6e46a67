"""Samples, Gibbs sweeps and sampled gradients, over every outcome of every draw."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from inference.learning.estimators import MovingAverage
from pgm.sigmoid import gibbs, structure
from pgm.sigmoid.gibbs import ClampedGibbs
from pgm.sigmoid.recognition import Batch, Network, variational_objective, wake_sleep_objective
from pgm.sigmoid.structure import Block, Parameters, softplus
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")]


def states(n: int) -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)


# Draws, replayed: every outcome of every draw is visited, with its probability -------------------


class Replay:
    """Stands in for the random draws: plays back bits and multiplies their probabilities up.

    ``runs`` scripts are visited by the caller; ``probability`` belongs to the draws since `start`.
    """

    def start(self, bits: tuple[int, ...]) -> None:
        self.bits, self.used = bits, 0
        self.probability: Tensor | float = 1.0

    def by_unit(self, probs: Tensor, *, generator: object) -> Tensor:
        """For draws (units, chains): one bit per unit, the same in all chains."""
        bits = torch.tensor(self.bits[self.used : self.used + len(probs)]).to(probs)[:, None]
        self.used += len(probs)
        self.probability = self.probability * torch.where(bits == 1, probs, 1 - probs).prod(0)
        return bits.expand_as(probs)

    def by_entry(self, probs: Tensor, *, generator: object) -> Tensor:
        """For draws (rows, units): one bit per entry."""
        bits = torch.tensor(self.bits[self.used : self.used + probs.numel()]).to(probs)
        self.used += probs.numel()
        bits = bits.view(probs.shape)
        self.probability = self.probability * torch.where(bits == 1, probs, 1 - probs).prod()
        return bits


def test_sampling_has_the_law_of_the_network(randomized, monkeypatch):
    net = randomized(SigmoidBeliefNetwork(DIAMOND), 10)
    replay = Replay()
    monkeypatch.setattr(structure, "bernoulli", replay.by_entry)
    found = {}
    for bits in itertools.product([0, 1], repeat=5):
        replay.start(bits)
        row = tuple(net.sample(1)[0].tolist())
        found[row] = float(replay.probability)
    assert len(found) == 32
    for row, probability in found.items():
        assert probability == pytest.approx(net.log_prob([list(row)]).exp().item(), rel=1e-12)


def transition(kernel: ClampedGibbs, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Exact transition matrix of a sweep over all states, of the code that users run."""
    n = len(kernel.graph.units)
    every, replay = states(n), Replay()
    places = 2.0 ** torch.arange(n - 1, -1, -1, dtype=torch.float64)
    matrix = torch.zeros((2**n, 2**n), dtype=torch.float64)
    drawn = sum([len(block.units) for block in kernel.blocks])
    monkeypatch.setattr(gibbs, "bernoulli", replay.by_unit)
    for bits in itertools.product([0, 1], repeat=drawn):
        replay.start(bits)
        state, _ = kernel.step(kernel.init(every), torch.Generator())
        assert replay.used == drawn
        goal = (state.position @ places).long()
        matrix[torch.arange(2**n), goal] += replay.probability
    return matrix


def target(net: SigmoidBeliefNetwork, observed: list[int], beta: float) -> Tensor:
    """p(h | v)^beta over all joint states, normalised for every v."""
    n = len(net.units)
    log_p = beta * net.log_prob(states(n)).detach()
    others = tuple([k for k in range(n) if k not in observed])
    table = log_p.view([2] * n)
    if others:
        table = table - table.logsumexp(others, keepdim=True)
    return table.reshape(-1).exp()


def gibbs_kernel(net: SigmoidBeliefNetwork, observed: list[int], beta: float) -> ClampedGibbs:
    held = torch.zeros((2 ** len(net.units), len(net.units)), dtype=torch.bool)
    held[:, observed] = True
    parameters = Parameters(*[value.detach() for value in net._masked()])
    return ClampedGibbs(net._graph, parameters, held, beta)


GRAPHS = {
    "diamond": DIAMOND,
    "v": [("a", "c"), ("b", "c")],
    "layers": [2, 2, 1],
    "dense": [(a, b) for a, b in itertools.combinations("abcd", 2)],
    "none": [1],
}


@pytest.mark.parametrize("beta", [1.0, 0.6])
@pytest.mark.parametrize("observed", [[], [-1], [0, -1]])
@pytest.mark.parametrize("graph", GRAPHS)
def test_gibbs_leaves_the_posterior_invariant(randomized, graph, observed, beta, monkeypatch):
    net = randomized(SigmoidBeliefNetwork(GRAPHS[graph]), 11)
    held = sorted({k % len(net.units) for k in observed})
    matrix = transition(gibbs_kernel(net, held, beta), monkeypatch)
    pi = target(net, held, beta)
    torch.testing.assert_close(matrix.sum(1), torch.ones(len(pi)).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(pi @ matrix, pi, rtol=0, atol=1e-12)


def test_neighbours_drawn_together_are_rejected(randomized, monkeypatch):
    """Both causes of a seen effect at once: each looks at the other's old state."""
    net = randomized(SigmoidBeliefNetwork([("a", "c"), ("b", "c")]), 11)
    kernel = gibbs_kernel(net, [1], 1.0)
    assert [block.units.tolist() for block in kernel.blocks] == [[0], [2]]
    together = Block(torch.tensor([0, 2]), torch.tensor([0, 1]), torch.tensor([1, 1]))
    object.__setattr__(kernel, "blocks", [together])
    pi = target(net, [1], 1.0)
    assert (pi @ transition(kernel, monkeypatch) - pi).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("wrong", "accepted"), [("nothing", True), ("co-parents", False), ("children", False)]
)
def test_what_the_children_say_matters(randomized, wrong, accepted):
    """A plain sweep, unit by unit; without the co-parents nothing is explained away."""
    net = randomized(SigmoidBeliefNetwork(DIAMOND), 11)
    weights, bias = net._masked()
    every, n = states(5), 5
    numbers, matrix = torch.arange(2**n), torch.eye(2**n, dtype=torch.float64)
    for k in range(4):  # the last unit is observed
        odds = bias[k] + every @ weights[:, k]
        for j in net.mask[k].nonzero().squeeze(1).tolist():
            others = weights[:, j].clone()
            others[k] = 0.0
            off = bias[j] + (0 if wrong == "co-parents" else every @ others)
            sign = 2 * every[:, j] - 1
            said = logsigmoid(sign * (off + weights[k, j])) - logsigmoid(sign * off)
            odds = odds + (0 if wrong == "children" else said)
        move = torch.zeros_like(matrix)
        bit = 2 ** (n - 1 - k)
        move[numbers, numbers | bit] = torch.sigmoid(odds)
        move[numbers, numbers & ~bit] = torch.sigmoid(-odds)
        matrix = matrix @ move
    pi = target(net, [4], 1.0)
    error = (pi @ matrix - pi).abs().max()
    assert (error < 1e-12) if accepted else (error > 1e-3)


def test_gibbs_sweep_holds_what_is_observed(randomized):
    net = randomized(SigmoidBeliefNetwork(DIAMOND), 12)
    rows = net.sample(40, generator=0)
    swept = net.gibbs_sweep(rows, observed=["b", "e"], generator=1)
    assert swept.dtype == torch.int64
    assert swept[:, [1, 4]].equal(rows[:, [1, 4]])
    assert not swept.equal(rows)
    mask = torch.zeros(40, 5, dtype=torch.bool)
    mask[:20] = True
    half = net.gibbs_sweep(rows, observed=mask, generator=1)
    assert half[:20].equal(rows[:20]) and not half[20:].equal(rows[20:])
    assert net.gibbs_sweep(rows, observed=torch.ones(5, dtype=torch.bool)).equal(rows)
    assert net.gibbs_sweep(rows, generator=5).equal(net.gibbs_sweep(rows, generator=5))


def test_beta_is_one_per_chain(randomized):
    """At beta zero every state is as likely, far from the law of the network."""
    net = randomized(SigmoidBeliefNetwork([("a", "b")]), 0)
    net.bias.data[:] = 30.0
    rows = torch.ones(2000, 2, dtype=torch.int64)
    beta = torch.cat([torch.zeros(1000), torch.ones(1000)])
    swept = net.gibbs_sweep(rows, beta=beta, generator=0)
    assert swept[1000:].equal(rows[1000:])
    # Hoeffding: a false alarm is rarer than 2 * 2 exp(-2 * 1000 * 0.09^2) < 4e-7.
    assert (swept[:1000].double().mean(0) - 0.5).abs().max() < 0.09


def test_gibbs_posterior():
    """Means of independent chains: Hoeffding gives 2 * 3 * exp(-2 * 4000 * 0.05^2) < 2e-8."""
    net = SigmoidBeliefNetwork([3, 2])
    net.weights.data[:3, 3:] = torch.tensor([[2.0, -1.0], [2.0, 0.5], [-1.5, 1.0]])
    net.bias.data[:] = torch.tensor([-1.0, -0.5, 0.5, -1.0, 0.0])
    exact = net.posterior([[1, 0]])
    found = net.posterior([[1, 0]], "gibbs", sweeps=10, warmup=30, chains=4000, generator=0)
    assert (found - exact).abs().max() < 0.05
    prior = torch.sigmoid(net.bias[:3]).detach()
    assert (prior - exact[0, :3]).abs().max() > 0.1, "the test sees whether children count"
    again = net.posterior([[1, 0]], "gibbs", sweeps=10, warmup=30, chains=4000, generator=0)
    assert again.equal(found)


# Gradients of sampled objectives -----------------------------------------------------------------


def replayed(
    net: SigmoidBeliefNetwork,
    guide: SigmoidBeliefNetwork,
    objective,
    draws: int,
    monkeypatch: pytest.MonkeyPatch,
) -> list[Tensor]:
    """Expected gradient of an objective by all four parameters, over all outcomes of its draws."""
    replay = Replay()
    monkeypatch.setattr(structure, "bernoulli", replay.by_entry)
    parameters = [*net.requires_grad_().parameters(), *guide.requires_grad_().parameters()]
    total = [torch.zeros_like(value) for value in parameters]
    for bits in itertools.product([0, 1], repeat=draws):
        replay.start(bits)
        value, _ = objective(Network(net._graph, net._raw()), Network(guide._graph, guide._raw()))
        assert replay.used == draws
        found = torch.autograd.grad(value, parameters, allow_unused=True)
        for sum_, one in zip(total, found, strict=True):
            sum_ += float(replay.probability) * (torch.zeros_like(sum_) if one is None else one)
    return total


def exact_elbo(net: SigmoidBeliefNetwork, guide: SigmoidBeliefNetwork, row: Tensor) -> Tensor:
    hidden = (row < 0).nonzero().squeeze(1)
    joint = states(len(hidden))
    full = row.double().expand(len(joint), -1).clone()
    full[:, hidden] = joint
    counted = (row < 0).expand_as(full)
    log_q = guide._graph.log_prob(full, guide._raw(), counted)
    return (log_q.exp() * (net.log_prob(full) - log_q)).sum()


BASELINES = {
    "none": None,
    "moving-average": MovingAverage().update(torch.tensor([-1.3])).value,
    "leave-one-out": "leave-one-out",
}


@pytest.mark.parametrize("baseline", BASELINES)
def test_variational_gradient_is_unbiased(randomized, baseline, monkeypatch):
    net = randomized(SigmoidBeliefNetwork([("h", "g"), ("h", "v"), ("g", "v")]), 20)
    guide = randomized(net.recognition_network(), 21)
    row = torch.tensor([[-1.0, -1.0, 1.0]], dtype=torch.float64)
    found = replayed(
        net,
        guide,
        lambda p, q: variational_objective(
            p, q, Batch.of(p.graph, row), 2, BASELINES[baseline], torch.Generator()
        ),
        6,
        monkeypatch,
    )
    parameters = [net.weights, net.bias, guide.weights, guide.bias]
    exact = torch.autograd.grad(exact_elbo(net, guide, row[0]), parameters)
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    assert exact[2].abs().max() > 1e-3


@pytest.mark.parametrize("right", [True, False])
def test_wake_sleep_climbs_the_likelihood_if_the_guesses_are_right(randomized, right, monkeypatch):
    """With one hidden unit the posterior is a logistic function: recognition can be exact."""
    net = randomized(SigmoidBeliefNetwork([1, 2]), 22)
    guide = net.recognition_network()
    with torch.no_grad():
        guide.weights[1:, 0] = net.weights[0, 1:]
        off, on = net.bias[1:], net.bias[1:] + net.weights[0, 1:]
        guide.bias[0] = net.bias[0] - (softplus(on) - softplus(off)).sum()
        guide.bias[0] += 0.0 if right else 0.5
    row = torch.tensor([[-1.0, 1.0, 0.0]], dtype=torch.float64)
    found = replayed(
        net,
        guide,
        lambda p, q: wake_sleep_objective(p, q, Batch.of(p.graph, row), torch.Generator()),
        6,
        monkeypatch,
    )
    exact = torch.autograd.grad(net.log_prob(row).sum(), [net.weights, net.bias])
    wake = max(
        [float((one - other).abs().max()) for one, other in zip(found, exact, strict=False)]
    )
    asleep = float(max(found[2].abs().max(), found[3].abs().max()))
    if right:
        assert wake < 1e-12 and asleep < 1e-12
    else:
        assert wake > 1e-3 and asleep > 1e-3


def test_gaps_below_the_observed_do_not_enter_the_bound(randomized, monkeypatch):
    """A missing leaf is neither guessed nor counted: the bound is that of the seen part."""
    net = randomized(SigmoidBeliefNetwork([1, 2]), 23)
    guide = randomized(net.recognition_network(), 24)
    row = torch.tensor([[-1.0, 1.0, -1.0]], dtype=torch.float64)
    found = replayed(
        net,
        guide,
        lambda p, q: variational_objective(
            p, q, Batch.of(p.graph, row), 1, None, torch.Generator()
        ),
        3,
        monkeypatch,
    )
    on = torch.sigmoid(guide.bias[0] + guide.weights[1, 0])
    terms = []
    for h, share in ((0.0, 1 - on), (1.0, on)):
        seen = torch.tensor([[h, 1.0, -1.0]], dtype=torch.float64)
        terms.append(share * (net.log_prob(seen)[0] - share.log()))
    exact = torch.autograd.grad(
        sum(terms), [net.weights, net.bias, guide.weights, guide.bias], allow_unused=True
    )
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
