"""Sigmoid belief networks against tables, enumeration, exact transition matrices, regressions."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import logsigmoid

from inference.learning.estimators import MovingAverage
from pgm.sigmoid import enumeration, gibbs, structure
from pgm.sigmoid import mean_field as mean_field_module
from pgm.sigmoid import regression as regression_module
from pgm.sigmoid.gibbs import ClampedGibbs
from pgm.sigmoid.mean_field import mean_field
from pgm.sigmoid.recognition import Batch, Network, variational_objective, wake_sleep_objective
from pgm.sigmoid.structure import Block, Parameters, softplus
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")]


def randomized(net: SigmoidBeliefNetwork, seed: int, scale: float = 1.5) -> SigmoidBeliefNetwork:
    """Random parameters, also where there is no arrow: those must not matter."""
    generator = torch.Generator().manual_seed(seed)
    for value in (net.weights, net.bias):
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        value.data.copy_(scale * noise)
    return net


def states(n: int) -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)


def naive_log_prob(net: SigmoidBeliefNetwork, row: Tensor) -> float:
    """One unit after the other, from the definition."""
    total = 0.0
    for k, name in enumerate(net.units):
        above = [net.units.index(parent) for parent, child in net.edges if child == name]
        logit = net.bias[k] + sum([net.weights[i, k] * row[i] for i in above])
        p = 1 / (1 + math.exp(-float(logit)))
        total += math.log(p if row[k] == 1 else 1 - p)
    return total


def with_gaps(net: SigmoidBeliefNetwork, n: int, seed: int, share: float = 0.4) -> Tensor:
    """Sampled rows with entries missing at random."""
    rows = net.sample(n, generator=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    return torch.where(torch.rand(rows.shape, generator=generator) < share, -1, rows)


@st.composite
def networks(draw: st.DrawFn, most: int = 6) -> SigmoidBeliefNetwork:
    names = [f"u{k}" for k in range(draw(st.integers(1, most)))]
    order = draw(st.permutations(names))
    pairs = list(itertools.combinations(order, 2))
    taken = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    edges = [pair for pair, keep in zip(pairs, taken, strict=True) if keep]
    return randomized(SigmoidBeliefNetwork(edges, names), draw(st.integers(0, 2**31)))


@pytest.fixture
def explaining_away() -> SigmoidBeliefNetwork:
    """T7: two causes with prior 1/2, weights 2 and bias -1 of their effect."""
    net = SigmoidBeliefNetwork([2, 1])
    net.bias.data[2] = -1.0
    net.weights.data[:2, 2] = 2.0
    return net


# Law ---------------------------------------------------------------------------------------------


def test_T7_explaining_away(explaining_away):
    net = explaining_away
    assert net.log_prob([[1]]).exp().item() == pytest.approx(0.6709081764, abs=5e-11)
    posterior = net.posterior([[-1, -1, 1], [-1, 1, 1]])
    assert posterior[0, 0].item() == pytest.approx(0.6273707658, abs=5e-11)
    assert posterior[0, 1].item() == pytest.approx(0.6273707658, abs=5e-11)
    assert posterior[1, 0].item() == pytest.approx(0.5657849980, abs=5e-11)
    table = net.to_bayesian_network().marginals({"1.0": 1, "0.1": 1})["0.0"]
    assert table[1].item() == pytest.approx(0.5657849980, abs=5e-11)


@settings(deadline=None, max_examples=30)
@given(networks())
def test_complete_rows_follow_the_definition(net):
    rows = states(len(net.units))
    found = net.log_prob(rows)
    expected = torch.tensor([naive_log_prob(net, row) for row in rows], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(networks(), st.integers(0, 1000))
def test_missing_units_agree_with_the_bayesian_network(net, seed):
    rows = with_gaps(net, 12, seed, share=0.5)
    tables = net.to_bayesian_network()
    torch.testing.assert_close(net.log_prob(rows).detach(), tables.log_prob(rows))
    batch = {name: rows[:, k] for k, name in enumerate(net.units)}
    marginals = tables.marginals(batch)
    expected = torch.stack([marginals[name][:, 1].expand(12) for name in net.units], 1)
    torch.testing.assert_close(net.posterior(rows), expected, rtol=1e-10, atol=1e-12)


def test_what_is_below_the_observed_costs_nothing():
    """Hundreds of missing leaves drop out; the sum runs over the one unit above what is seen."""
    net = randomized(SigmoidBeliefNetwork([3, 300]), 0)
    rows = net.sample(2, generator=1)
    rows[:, :3] = -1
    rows[:, 5:] = -1
    small = SigmoidBeliefNetwork([3, 2])
    small.weights.data.copy_(net.weights[:5, :5])
    small.bias.data.copy_(net.bias[:5])
    torch.testing.assert_close(net.log_prob(rows), small.log_prob(rows[:, :5]))
    found, expected = net.posterior(rows), small.posterior(rows[:, :5])
    torch.testing.assert_close(found[:, :5], expected)
    joint = states(3)
    full = torch.cat([joint, rows[:1, 3:5].expand(8, 2).double()], 1)
    shares = torch.softmax(small.log_prob(full), 0)
    likely = torch.sigmoid(joint @ net.weights[:3, 7] + net.bias[7])
    assert found[0, 7].item() == pytest.approx(float(shares @ likely), abs=1e-12)
    assert net.log_prob(torch.full((1, 303), -1)).item() == 0.0


def test_mixed_parents_are_summed_in_pieces(monkeypatch):
    """Small pieces give what one piece gives."""
    net = randomized(SigmoidBeliefNetwork([4, 5, 6]), 3)
    rows = with_gaps(net, 20, 4)
    whole, marginals = net.log_prob(rows), net.posterior(rows)
    monkeypatch.setattr(enumeration, "_CHUNK", 3)
    torch.testing.assert_close(net.log_prob(rows), whole)
    torch.testing.assert_close(net.posterior(rows), marginals)


def test_log_prob_has_gradients():
    net = randomized(SigmoidBeliefNetwork(DIAMOND), 5)
    assert not net.log_prob([[1, 0, 1, 1, 0]]).requires_grad, "not until it is asked for"
    net.requires_grad_()
    rows = torch.tensor([[-1, 0, -1, -1, 1], [1, 0, 1, 1, 0], [-1, -1, 1, 0, -1]])

    def value(weights: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(net, {"weights": weights, "bias": bias}, (rows,))

    net.forward = net.log_prob
    assert torch.autograd.gradcheck(value, (net.weights, net.bias))
    (gradient,) = torch.autograd.grad(net.log_prob(rows).sum(), net.weights)
    assert gradient[~net.mask].count_nonzero() == 0
    assert gradient[net.mask].count_nonzero() == len(DIAMOND)


def test_rows_of_every_kind():
    net = randomized(SigmoidBeliefNetwork(DIAMOND, visible=["e", "b"]), 6)
    wide = [[-1, 1, -1, -1, 0], [-1, 0, -1, -1, 1]]
    expected = net.log_prob(wide)
    kinds = {
        "narrow": torch.tensor([[0, 1], [1, 0]]),
        "array": np.array(wide, dtype=np.int8),
        "nan": torch.tensor(wide).float().where(torch.tensor(wide) >= 0, torch.nan),
        "frame": pd.DataFrame({"b": [1, 0], "e": [False, True]}),
        "frame with gaps": pd.DataFrame({"a": [None, np.nan], "e": [0, 1], "b": [1.0, 0.0]}),
        "none": [[None, 1, None, None, 0], [None, 0, None, None, 1]],
    }
    for kind, rows in kinds.items():
        torch.testing.assert_close(net.log_prob(rows), expected, msg=kind)
    one_by_one = torch.cat([net.log_prob(wide[:1]), net.log_prob(wide[1:])])
    torch.testing.assert_close(one_by_one, expected)
    assert net.score(wide) == pytest.approx(expected.mean().item())


# Structure ---------------------------------------------------------------------------------------


def test_layers_are_a_graph():
    net = SigmoidBeliefNetwork([2, 3, 1], dtype=torch.float32)
    assert net.layer_sizes == (2, 3, 1) and net.visible == ("2.0",)
    assert net.edges[:3] == [("0.0", "1.0"), ("0.0", "1.1"), ("0.0", "1.2")]
    assert len(net.edges) == 2 * 3 + 3
    assert net.weights.shape == (6, 6) and net.weights.dtype == torch.float32
    assert net.bias.shape == (6,)
    same = randomized(SigmoidBeliefNetwork(net.edges, net.units), 7)
    layered = randomized(SigmoidBeliefNetwork([2, 3, 1]), 7)
    assert same.layer_sizes is None and same.visible == same.units
    rows = layered.sample(20, generator=0)
    torch.testing.assert_close(same.log_prob(rows), layered.log_prob(rows))
    assert same.sample(50, generator=3).equal(layered.sample(50, generator=3))
    assert "6 units, 9 edges" in repr(net)


@settings(deadline=None, max_examples=50)
@given(networks(most=8))
def test_units_of_one_colour_are_no_moral_neighbours(net):
    graph = networkx.DiGraph(net.edges)
    graph.add_nodes_from(net.units)
    moral = networkx.moral_graph(graph)
    colours = net._graph.colours
    assert sorted(itertools.chain.from_iterable([c.tolist() for c in colours])) == list(
        range(len(net.units))
    )
    for colour in colours:
        names = [net.units[k] for k in colour]
        assert moral.subgraph(names).number_of_edges() == 0


@pytest.mark.parametrize("edges", [[2, 3], DIAMOND])
def test_round_trip_through_a_file(edges, tmp_path: Path, dtype):
    net = randomized(SigmoidBeliefNetwork(edges, visible=None, dtype=dtype), 8)
    net.save(tmp_path / "net.safetensors")
    copy = SigmoidBeliefNetwork.load(tmp_path / "net.safetensors")
    assert copy.units == net.units and copy.edges == net.edges and copy.visible == net.visible
    assert copy.layer_sizes == net.layer_sizes
    assert copy.weights.dtype == dtype
    assert copy.sample(9, generator=2).equal(net.sample(9, generator=2))
    rows = with_gaps(net, 9, 0)
    assert copy.log_prob(rows).equal(net.log_prob(rows))


def test_other_devices_and_types(device, dtype):
    net = randomized(SigmoidBeliefNetwork(DIAMOND), 9).to(device=device, dtype=dtype)
    rows = with_gaps(net.cpu(), 30, 1)
    expected = net.log_prob(rows).detach(), net.posterior(rows)
    net.to(device)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {}
    torch.testing.assert_close(net.log_prob(rows).detach().cpu(), expected[0], **tolerance or {})
    for method in ("exact", "mean-field", "gibbs"):
        found = net.posterior(rows, method, generator=0, sweeps=20, chains=2)
        assert found.device.type == device.type and found.dtype == dtype
    torch.testing.assert_close(net.posterior(rows).cpu(), expected[1], **tolerance)
    assert net.sample(3, generator=0).device.type == device.type
    for method in ("em", "wake-sleep", "variational"):
        net.fit(rows[(rows >= 0).any(1)], method, max_iterations=2, epochs=1, generator=0)
    assert net.weights.device.type == device.type and net.weights.dtype == dtype


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


def test_sampling_has_the_law_of_the_network(monkeypatch):
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
def test_gibbs_leaves_the_posterior_invariant(graph, observed, beta, monkeypatch):
    net = randomized(SigmoidBeliefNetwork(GRAPHS[graph]), 11)
    held = sorted({k % len(net.units) for k in observed})
    matrix = transition(gibbs_kernel(net, held, beta), monkeypatch)
    pi = target(net, held, beta)
    torch.testing.assert_close(matrix.sum(1), torch.ones(len(pi)).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(pi @ matrix, pi, rtol=0, atol=1e-12)


def test_neighbours_drawn_together_are_rejected(monkeypatch):
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
def test_what_the_children_say_matters(wrong, accepted):
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


def test_gibbs_sweep_holds_what_is_observed():
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


def test_beta_is_one_per_chain():
    """At beta zero every state is as likely, far from the law of the network."""
    net = randomized(SigmoidBeliefNetwork([("a", "b")]), 0)
    net.bias.data[:] = 30.0
    rows = torch.ones(2000, 2, dtype=torch.int64)
    beta = torch.cat([torch.zeros(1000), torch.ones(1000)])
    swept = net.gibbs_sweep(rows, beta=beta, generator=0)
    assert swept[1000:].equal(rows[1000:])
    # Hoeffding: a false alarm is rarer than 2 * 2 exp(-2 * 1000 * 0.09^2) < 4e-7.
    assert (swept[:1000].double().mean(0) - 0.5).abs().max() < 0.09


# Posteriors --------------------------------------------------------------------------------------


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


def elbo(net: SigmoidBeliefNetwork, row: Tensor, mean: Tensor) -> float:
    """Exact lower bound of a factorised law, by enumeration of the missing units."""
    hidden = (row < 0).nonzero().squeeze(1)
    joint = states(len(hidden))
    full = row.double().expand(len(joint), -1).clone()
    full[:, hidden] = joint
    log_q = (joint * mean[hidden].log() + (1 - joint) * (-mean[hidden]).log1p()).sum(1)
    return float((log_q.exp() * (net.log_prob(full) - log_q)).sum())


@settings(deadline=None, max_examples=30)
@given(networks(), st.integers(0, 1000))
def test_mean_field_bounds_the_log_probability(net, seed):
    rows = with_gaps(net, 6, seed, share=0.6)
    found = mean_field(net._graph, net._masked(), net._rows(rows))
    exact = net.log_prob(rows).detach()
    assert found.converged
    assert (found.bound <= exact + 1e-10).all()
    own = [elbo(net, *pair) for pair in zip(rows, found.marginals, strict=True)]
    assert (found.bound <= torch.tensor(own, dtype=torch.float64) + 1e-10).all(), (
        "xi only loosens it"
    )
    for trace in found.trace:
        steps = torch.stack(trace).diff(dim=0)
        assert (steps >= -1e-11).all(), "no sweep lowers a bound"
    complete = (rows >= 0).all(1)
    torch.testing.assert_close(found.bound[complete], exact[complete])
    assert found.marginals[rows >= 0].equal(rows[rows >= 0].double())
    torch.testing.assert_close(net.log_prob(rows, method="mean-field"), found.bound)


def test_the_plain_mean_in_place_of_xi_is_no_bound(explaining_away):
    """log(1 + exp(E a)) is below E log(1 + exp(a)): what it gives may exceed log p."""
    net, row = explaining_away, torch.tensor([[-1.0, -1.0, 1.0]])
    mean = net.posterior(row, "mean-field")[0]
    weights, bias = (value.detach() for value in net._masked())
    center = bias + mean @ weights
    entropy = -(torch.special.xlogy(mean, mean) + torch.special.xlogy(1 - mean, 1 - mean)).sum()
    plain = (mean * center - softplus(center)).sum() + entropy
    exact = net.log_prob(row).item()
    assert plain > exact + 1e-3
    assert net.log_prob(row, method="mean-field").item() < exact


def test_mean_field_ends_where_the_bound_is_flat():
    """Against the bound written out anew, with its gradient by mean and by xi."""
    net = randomized(SigmoidBeliefNetwork([3, 4]), 13, scale=1.0)
    rows = net.sample(4, generator=0).double()
    rows[:, :3] = -1
    mean = net.posterior(rows, "mean-field")
    bound = net.log_prob(rows, method="mean-field")
    weights, bias = net.weights.detach()[:3, 3:], net.bias.detach()

    def soft(mu: Tensor, xi: Tensor) -> Tensor:
        """Bound on E log(1 + exp(a)) of every unit below, for xi (..., 4)."""

        def moment(tilt: Tensor) -> Tensor:
            factors = 1 - mu[:, None] + mu[:, None] * torch.exp(tilt[..., None, :] * weights)
            return tilt * bias[3:] + factors.log().sum(-2)

        return xi * (bias[3:] + mu @ weights) + torch.logaddexp(moment(-xi), moment(1 - xi))

    def written_out(odds: Tensor, xi: Tensor, row: Tensor) -> Tensor:
        mu = torch.sigmoid(odds)
        top = mu * bias[:3] - softplus(bias[:3]) + softplus(odds) - mu * odds
        below = row[3:] * (bias[3:] + mu @ weights) - soft(mu, xi)
        return top.sum() + below.sum()

    for row, mu, value in zip(rows, mean[:, :3], bound, strict=True):
        odds = torch.logit(mu).requires_grad_()
        # The best xi by a grid that is refined around its best point: the bound is concave in xi.
        low, high = torch.zeros(4).double(), torch.ones(4).double()
        for _ in range(12):
            grid = low + (high - low) * torch.linspace(0, 1, 21).double()[:, None]
            found = soft(torch.sigmoid(odds.detach()), grid).argmin(0)
            low, high = (grid[(found + d).clamp(0, 20), torch.arange(4)] for d in (-1, 1))
        best = written_out(odds, (low + high) / 2, row)
        assert best.item() == pytest.approx(value.item(), abs=1e-8)
        (slope,) = torch.autograd.grad(best, odds)
        assert slope.abs().max() < 1e-4


@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_strong_weights_neither_overflow_nor_cancel(scale):
    """Certain units and log-odds in the thousands: still a bound, still monotone, no NaN."""
    for seed in range(10):
        net = randomized(SigmoidBeliefNetwork([3, 4]), seed, scale)
        rows = net.sample(5, generator=seed)
        rows[:, :3] = -1
        exact = net.log_prob(rows)
        assert (exact <= 0).all() and exact.isfinite().all()
        expected = net.to_bayesian_network().log_prob(rows)
        torch.testing.assert_close(exact, expected, rtol=1e-9, atol=1e-9)
        found = mean_field(net._graph, net._masked(), net._rows(rows))
        assert (found.bound <= exact + 1e-12 * scale).all()
        for trace in found.trace:
            assert (torch.stack(trace).diff(dim=0) >= -1e-11 * scale).all()
        for method in ("exact", "mean-field", "gibbs"):
            mean = net.posterior(rows, method, sweeps=5, warmup=0, generator=0)
            assert ((mean >= 0) & (mean <= 1)).all()


def test_mean_field_in_pieces(monkeypatch):
    net = randomized(SigmoidBeliefNetwork([3, 4]), 14)
    rows = with_gaps(net, 10, 0)
    whole = net.posterior(rows, "mean-field")
    monkeypatch.setattr(mean_field_module, "_CHUNK", 24)
    torch.testing.assert_close(net.posterior(rows, "mean-field"), whole, rtol=0, atol=1e-5)


def test_a_unit_with_many_parents_has_no_table():
    net = SigmoidBeliefNetwork([21, 1])
    with pytest.raises(ValueError, match=r"unit '1.0' has 21 parents"):
        net.to_bayesian_network()


# Learning from complete rows ---------------------------------------------------------------------


def regression(rows: np.ndarray, above: list[int], k: int, l2: float) -> LogisticRegression:
    strength = np.inf if l2 == 0 else 1 / l2
    model = LogisticRegression(C=strength, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    return model.fit(rows[:, above], rows[:, k])


@pytest.mark.parametrize("l2", [0.0, 2.0])
@pytest.mark.parametrize("method", ["em", "wake-sleep", "variational"])
def test_complete_rows_are_logistic_regressions(l2, method):
    truth = randomized(SigmoidBeliefNetwork(DIAMOND), 15, scale=1.0)
    rows = truth.sample(600, generator=0).numpy()
    net = SigmoidBeliefNetwork(DIAMOND).fit(rows, method, l2=l2)
    for k, name in enumerate(net.units):
        above = [net.units.index(parent) for parent, child in DIAMOND if child == name]
        if not above:
            share = rows[:, k].mean()
            assert net.bias[k].item() == pytest.approx(math.log(share / (1 - share)), abs=1e-9)
            continue
        expected = regression(rows, above, k, l2)
        np.testing.assert_allclose(
            net.weights.detach().numpy()[above, k], expected.coef_[0], atol=1e-5, rtol=0
        )
        assert net.bias[k].item() == pytest.approx(expected.intercept_[0], abs=1e-5)
    values = [entry["objective"] for entry in net.history]
    assert values == sorted(values) and len(values) < 15
    penalty = 0.5 * l2 * net.weights.detach().square().sum().item()
    assert values[-1] == pytest.approx(600 * net.score(rows) - penalty, rel=1e-12)


def test_a_layer_is_learned_as_its_units_one_by_one(monkeypatch):
    """Many targets on one design, here with the curvatures of few at a time."""
    monkeypatch.setattr(regression_module, "_CHUNK", 100)
    rows = randomized(SigmoidBeliefNetwork([4, 6]), 16, scale=0.8).sample(300, generator=1)
    net = SigmoidBeliefNetwork([4, 6]).fit(rows)
    for k in range(4, 10):
        expected = regression(rows.numpy(), [0, 1, 2, 3], k, 0.0)
        np.testing.assert_allclose(
            net.weights.detach().numpy()[:4, k], expected.coef_[0], atol=1e-5, rtol=0
        )


def test_separable_rows_stop_at_finite_weights():
    rows = np.array([[0, 0], [1, 1], [0, 0], [1, 1], [1, 1]])
    net = SigmoidBeliefNetwork([1, 1]).fit(rows)
    assert net.weights.isfinite().all() and net.weights.abs().max() < 60
    torch.testing.assert_close(
        net.posterior([[0, -1], [1, -1]])[:, 1],
        torch.tensor([0.0, 1.0]).double(),
        atol=1e-9,
        rtol=0,
    )
    with_penalty = SigmoidBeliefNetwork([1, 1]).fit(rows, l2=1.0)
    expected = regression(rows, [0], 1, 1.0)
    assert with_penalty.weights[0, 1].item() == pytest.approx(expected.coef_[0, 0], abs=1e-6)
    constant = SigmoidBeliefNetwork([1, 1]).fit(np.ones((5, 2)))
    assert constant.score(np.ones((1, 2))) > -1e-9


def test_equal_columns_share_what_one_would_have():
    rows = randomized(SigmoidBeliefNetwork([1, 1]), 17).sample(300, generator=2)
    single = SigmoidBeliefNetwork([1, 1]).fit(rows)
    twice = SigmoidBeliefNetwork([2, 1]).fit(rows[:, [0, 0, 1]])
    total = twice.weights[:2, 2].sum().item()
    assert total == pytest.approx(single.weights[0, 1].item(), abs=1e-6)


# Learning with hidden units ----------------------------------------------------------------------


def patterns(n: int, seed: int) -> Tensor:
    """Two prototypes of six pixels with noise: what independent pixels cannot describe."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0]])
    chosen = prototypes[torch.randint(2, (n,), generator=generator)]
    flipped = torch.rand(chosen.shape, generator=generator) < 0.05
    return torch.where(flipped, 1 - chosen, chosen)


def independent_score(rows: Tensor) -> float:
    share = rows.double().mean(0)
    return float(
        (torch.special.xlogy(share, share) + torch.special.xlogy(1 - share, 1 - share)).sum()
    )


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_em_climbs_to_a_point_without_slope(l2):
    rows = patterns(150, 0)
    net = SigmoidBeliefNetwork([2, 6]).fit(
        rows, l2=l2, max_iterations=3000, tolerance=1e-13, generator=1
    )
    values = [entry["objective"] for entry in net.history]
    assert all([b >= a - 1e-9 * abs(a) for a, b in itertools.pairwise(values)])
    net.requires_grad_()
    weights = torch.where(net.mask, net.weights, 0.0)
    objective = net.log_prob(rows).sum() - 0.5 * l2 * weights.square().sum()
    assert objective.item() == pytest.approx(values[-1], rel=1e-9)
    gradient = torch.cat(
        [g.flatten() for g in torch.autograd.grad(objective, [net.weights, net.bias])]
    )
    start = SigmoidBeliefNetwork([2, 6]).requires_grad_()
    before = torch.autograd.grad(start.log_prob(rows).sum(), start.bias)[0].abs().max()
    assert gradient.abs().max() < (1e-3 if l2 else 2e-2) < 1e-2 * before
    assert net.score(rows) > independent_score(rows) + 1.0


def test_em_starts_at_the_present_parameters():
    rows = patterns(80, 1)
    net = randomized(SigmoidBeliefNetwork([2, 6]), 18)
    before = net.score(rows)
    net.fit(rows, max_iterations=1)
    assert net.history[0]["objective"] == pytest.approx(80 * before, rel=1e-12)
    assert net.score(rows) > before
    several = SigmoidBeliefNetwork([2, 6]).fit(rows, n_init=3, max_iterations=5, generator=0)
    assert {entry["start"] for entry in several.history} == {0, 1, 2}


def test_em_with_entries_missing_at_random():
    """Every pattern of gaps, the posterior by tables: one exact EM step of a two-unit network."""
    net = randomized(SigmoidBeliefNetwork([("a", "b")]), 19)
    rows = torch.tensor([[0, 1], [1, -1], [-1, 1], [-1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    learned = SigmoidBeliefNetwork([("a", "b")])
    learned.load_state_dict(net.state_dict())
    learned.fit(rows, max_iterations=150, tolerance=1e-15)
    # The network of two bits can be any law of them: EM on the joint table is the oracle.
    table = net.log_prob(states(2)).exp().view(2, 2).numpy()
    for _ in range(150):
        counts = np.zeros((2, 2))
        for a, b in rows.tolist():
            fits = np.ix_([a] if a >= 0 else [0, 1], [b] if b >= 0 else [0, 1])
            counts[fits] += table[fits] / table[fits].sum()
        table = counts / counts.sum()
    found = learned.log_prob(states(2)).exp().view(2, 2)
    np.testing.assert_allclose(found.numpy(), table, rtol=0, atol=1e-7)


@pytest.mark.parametrize("method", ["wake-sleep", "variational"])
def test_sampled_learning_describes_the_patterns(method):
    rows = patterns(200, 2)
    net = SigmoidBeliefNetwork([2, 6])
    guide = net.recognition_network()
    net.fit(rows, method, epochs=40, lr=0.1, recognition=guide, n_samples=5, generator=0)
    assert net.score(rows) > independent_score(rows) + 0.7
    assert len(net.history) == 40
    assert net.history[-1]["bound"] > net.history[0]["bound"] + 0.5
    assert net.history[-1]["bound"] < net.score(rows) + 0.1
    assert guide.weights.abs().max() > 0.5, "the recognition network is trained in place"
    first, second = (
        SigmoidBeliefNetwork([2, 6]).fit(rows, method, epochs=2, generator=0) for _ in range(2)
    )
    assert first.weights.equal(second.weights)


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
def test_variational_gradient_is_unbiased(baseline, monkeypatch):
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
def test_wake_sleep_climbs_the_likelihood_if_the_guesses_are_right(right, monkeypatch):
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


def test_gaps_below_the_observed_do_not_enter_the_bound(monkeypatch):
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


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([("a", "b"), ("b", "a")],), ValueError, "directed cycle"),
        (([("a", "b")], ["a", "c"]), ValueError, r"unknown unit 'b' in \('a', 'b'\)"),
        (([("a", "b"), ("a", "b")],), ValueError, "a parent twice"),
        (([2, 0],), ValueError, "layer sizes must be at least 1, found 0 at position 1"),
        (([2, -1],), ValueError, "found -1"),
        (([2, 1], ["a"]), ValueError, "must name the 3 units of all layers, found 1"),
        (([],), ValueError, "names no unit"),
        (([2, ("a", "b")],), TypeError, "found 2"),
        (([2.0, 1.0],), TypeError, "found 2.0"),
        (("ab",), TypeError, "found 'a'"),
        (([(1, 2)],), TypeError, r"found \(1, 2\)"),
        (([("a", "b")], ["a", "b", "a"]), ValueError, "'a' twice"),
        (([("a", "b")], [1, 2]), TypeError, "units must be names, found 1"),
        (([10**7, 10**7],), ValueError, "20000000 units need a weight matrix"),
    ],
)
def test_bad_structure(arguments, error, message):
    with pytest.raises(error, match=message):
        SigmoidBeliefNetwork(*arguments)


def test_bad_options_of_the_constructor():
    with pytest.raises(ValueError, match=r"visible must name .* unknown unit 'x'"):
        SigmoidBeliefNetwork([2, 1], visible=["x"])
    with pytest.raises(ValueError, match="visible must name distinct units"):
        SigmoidBeliefNetwork([2, 1], visible=[])
    with pytest.raises(TypeError, match="dtype must be a floating-point type"):
        SigmoidBeliefNetwork([2, 1], dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n: n.log_prob([[0, 2, 1]]), ValueError, "found 2 in row 0, unit '0.1'"),
        (lambda n: n.log_prob([[0.5, 0, 1]]), ValueError, "found 0.5 in row 0, unit '0.0'"),
        (lambda n: n.log_prob([[1], [-2]]), ValueError, "found -2 in row 1, unit '1.0'"),
        (lambda n: n.log_prob([[0, 1]]), ValueError, r"\(n, 3\) for all units or \(n, 1\)"),
        (lambda n: n.log_prob([0, 1, 1]), ValueError, r"found \(3,\)"),
        (lambda n: n.log_prob([["a", "b", "c"]]), TypeError, "x must hold 0, 1 or -1"),
        (lambda n: n.log_prob([[1, 0], [1]]), ValueError, "rectangular"),
        (lambda n: n.log_prob(torch.zeros(1, 3).cfloat()), TypeError, "complex64"),
        (lambda n: n.log_prob(pd.DataFrame({"z": [1]})), ValueError, "column 'z' is no unit"),
        (lambda n: n.log_prob([[1]], method="gibbs"), ValueError, "method must be one of exact"),
        (lambda n: n.posterior([[1]], "bp"), ValueError, "found 'bp'"),
        (lambda n: n.posterior([[1]], "gibbs", sweeps=0), ValueError, "sweeps must be at least 1"),
        (lambda n: n.posterior([[1]], "gibbs", chains=0), ValueError, "chains must be at least 1"),
        (lambda n: n.sample(-1), ValueError, "n must not be negative, found -1"),
        (lambda n: n.gibbs_sweep([[0, -1, 1]]), ValueError, "row 0 without unit '0.1'"),
        (lambda n: n.gibbs_sweep([[0, 1, 1]], observed=["q"]), ValueError, "unknown unit 'q'"),
        (
            lambda n: n.gibbs_sweep([[0, 1, 1]], observed=torch.tensor([1, 0, 1])),
            TypeError,
            "boolean mask",
        ),
        (
            lambda n: n.gibbs_sweep([[0, 1, 1]], observed=np.array([True])),
            ValueError,
            r"observed must have shape \(3,\) or \(1, 3\), found \(1,\)",
        ),
        (lambda n: n.gibbs_sweep([[0, 1, 1]], beta=-1.0), ValueError, "beta must be finite"),
        (
            lambda n: n.gibbs_sweep([[0, 1, 1]], beta=torch.ones(2)),
            ValueError,
            r"beta must be \(\) or \(1,\)",
        ),
        (lambda n: n.fit([[0, 1, 1], [-1, -1, -1]]), ValueError, "nothing observed in row 1"),
        (lambda n: n.fit(np.zeros((0, 3))), ValueError, "at least one row"),
        (lambda n: n.fit([[3, 1, 1]]), ValueError, "data must hold .* found 3"),
        (lambda n: n.fit([[1]], "mcmc"), ValueError, "found 'mcmc'"),
        (lambda n: n.fit([[1]], l2=-1.0), ValueError, "l2 must be finite and not negative"),
        (
            lambda n: n.fit([[1]], max_iterations=0),
            ValueError,
            "max_iterations must be at least 1",
        ),
        (lambda n: n.fit([[1]], "wake-sleep", epochs=0), ValueError, "epochs must be at least 1"),
        (lambda n: n.fit([[1]], "wake-sleep", lr=0.0), ValueError, "lr must be positive"),
        (
            lambda n: n.fit([[1]], "variational", n_samples=1),
            ValueError,
            "'leave-one-out' needs n_samples of at least 2",
        ),
        (
            lambda n: n.fit([[1]], "variational", baseline="mean"),
            ValueError,
            "found 'mean'",
        ),
        (
            lambda n: n.fit([[1]], "variational", recognition=SigmoidBeliefNetwork([1, 2])),
            ValueError,
            "recognition must have the units of the model",
        ),
        (
            lambda n: n.fit([[1]], "wake-sleep", recognition=torch.nn.Linear(1, 1)),
            TypeError,
            "found Linear",
        ),
    ],
)
def test_bad_arguments_change_nothing(call, error, message, explaining_away):
    before = explaining_away.weights.clone(), explaining_away.bias.clone()
    with pytest.raises(error, match=message):
        call(explaining_away)
    assert explaining_away.weights.equal(before[0]) and explaining_away.bias.equal(before[1])
    assert explaining_away.history == []


def test_too_many_hidden_units_are_counted():
    net = randomized(SigmoidBeliefNetwork([21, 2]), 25)
    rows = torch.tensor([[0, 1], [1, 1]])
    for call in (net.log_prob, net.posterior, net.fit):
        with pytest.raises(ValueError, match=r"row 0 has 21 hidden units .* the limit is 20"):
            call(rows)
    assert net.posterior(rows, "mean-field").shape == (2, 23)
    wide = torch.ones(2, 23)
    wide[1, :21] = -1
    with pytest.raises(ValueError, match="row 1 has 21 hidden units"):
        net.log_prob(wide)


def test_parameters_that_are_not_finite_are_named(explaining_away):
    explaining_away.bias.data[0] = -torch.inf
    for call in (
        lambda: explaining_away.log_prob([[1]]),
        lambda: explaining_away.posterior([[1]], "mean-field"),
        lambda: explaining_away.fit([[1]]),
    ):
        with pytest.raises(ValueError, match="bias must be finite, found -inf"):
            call()


def test_learning_that_runs_off_leaves_the_parameters():
    net = SigmoidBeliefNetwork([2, 6])
    with pytest.raises(ValueError, match="ran off to parameters beyond 1e\\+06"):
        net.fit(patterns(20, 3), "variational", lr=1e308, epochs=3, generator=0)
    assert net.weights.count_nonzero() == 0
