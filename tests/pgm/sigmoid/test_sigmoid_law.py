"""Sigmoid belief networks: the law against tables and enumeration; structure and files."""

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
from torch import Tensor

from pgm.sigmoid import enumeration
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")]


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
@given(st.data())
def test_complete_rows_follow_the_definition(networks, data):
    net = data.draw(networks())
    rows = states(len(net.units))
    found = net.log_prob(rows)
    expected = torch.tensor([naive_log_prob(net, row) for row in rows], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.data(), st.integers(0, 1000))
def test_missing_units_agree_with_the_bayesian_network(with_gaps, networks, data, seed):
    net = data.draw(networks())
    rows = with_gaps(net, 12, seed, share=0.5)
    tables = net.to_bayesian_network()
    torch.testing.assert_close(net.log_prob(rows).detach(), tables.log_prob(rows))
    batch = {name: rows[:, k] for k, name in enumerate(net.units)}
    marginals = tables.marginals(batch)
    expected = torch.stack([marginals[name][:, 1].expand(12) for name in net.units], 1)
    torch.testing.assert_close(net.posterior(rows), expected, rtol=1e-10, atol=1e-12)


def test_what_is_below_the_observed_costs_nothing(randomized):
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


def test_mixed_parents_are_summed_in_pieces(randomized, with_gaps, monkeypatch):
    """Small pieces give what one piece gives."""
    net = randomized(SigmoidBeliefNetwork([4, 5, 6]), 3)
    rows = with_gaps(net, 20, 4)
    whole, marginals = net.log_prob(rows), net.posterior(rows)
    monkeypatch.setattr(enumeration, "_CHUNK", 3)
    torch.testing.assert_close(net.log_prob(rows), whole)
    torch.testing.assert_close(net.posterior(rows), marginals)


def test_log_prob_has_gradients(randomized):
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


def test_rows_of_every_kind(randomized):
    net = randomized(SigmoidBeliefNetwork(DIAMOND, visible=["e", "b"]), 6)
    wide = [[-1, 1, -1, -1, 0], [-1, 0, -1, -1, 1]]
    expected = net.log_prob(wide)
    kinds = {
        "narrow": torch.tensor([[0, 1], [1, 0]]),
        "array": np.array(wide, dtype=np.int8),
        "nan": torch.tensor(wide).float().where(torch.tensor(wide) >= 0, torch.nan),
        "frame": pd.DataFrame({"b": [1, 0], "e": [False, True]}),
        "frame with gaps": pd.DataFrame({"a": [None, np.nan], "e": [0, 1], "b": [1.0, 0.0]}),
        "masked": np.ma.masked_less(np.array(wide), 0),
        "none": [[None, 1, None, None, 0], [None, 0, None, None, 1]],
    }
    for kind, rows in kinds.items():
        torch.testing.assert_close(net.log_prob(rows), expected, msg=kind)
    one_by_one = torch.cat([net.log_prob(wide[:1]), net.log_prob(wide[1:])])
    torch.testing.assert_close(one_by_one, expected)
    assert net.score(wide) == pytest.approx(expected.mean().item())


# Structure ---------------------------------------------------------------------------------------


def test_layers_are_a_graph(randomized):
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
@given(st.data())
def test_units_of_one_colour_are_no_moral_neighbours(networks, data):
    net = data.draw(networks(most=8))
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
def test_round_trip_through_a_file(randomized, with_gaps, edges, tmp_path: Path, dtype):
    net = randomized(SigmoidBeliefNetwork(edges, visible=None, dtype=dtype), 8)
    net.save(tmp_path / "net.safetensors")
    copy = SigmoidBeliefNetwork.load(tmp_path / "net.safetensors")
    assert copy.units == net.units and copy.edges == net.edges and copy.visible == net.visible
    assert copy.layer_sizes == net.layer_sizes
    assert copy.weights.dtype == dtype
    assert copy.sample(9, generator=2).equal(net.sample(9, generator=2))
    rows = with_gaps(net, 9, 0)
    assert copy.log_prob(rows).equal(net.log_prob(rows))


def test_other_devices_and_types(randomized, with_gaps, device, dtype):
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
        net.fit(
            rows[(rows >= 0).any(1)],
            method,
            max_iterations=2,
            tolerance=0.0,
            epochs=1,
            generator=0,
        )
    assert net.weights.device.type == device.type and net.weights.dtype == dtype
