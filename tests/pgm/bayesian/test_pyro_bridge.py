"""Pyro's enumeration of the bridged model agrees with the library's own exact inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from pyro import poutine
from pyro.infer import Predictive, TraceEnum_ELBO, infer_discrete

from inference.random import as_generator
from pgm.bayesian.pyro_bridge import pyro_model
from pgm.bayesian_network import BayesianNetwork
from pgm.classic import asia, medical_test, sprinkler

TOLERANCE = 1e-12


def no_guide(evidence: Mapping[str, Any] | None = None) -> None:
    """Everything is enumerated in the model."""


def random_network(seed: int, n: int = 6) -> BayesianNetwork:
    """Up to three parents each, two to four states, a quarter of the entries hard zeros."""
    generator = as_generator(seed)

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    # Names in an order that is not topological.
    names = [f"v{(3 * i + seed) % n if n % 3 else i}" for i in range(n)]
    cards = {name: integer(2, 5) for name in names}
    edges, tables = [], {}
    order = sorted(names)
    for i, name in enumerate(order):
        chosen = torch.randperm(i, generator=generator)[: integer(0, 4)].tolist()
        edges += [(order[j], name) for j in chosen]
        table = torch.rand(
            [*(cards[order[j]] for j in chosen), cards[name]],
            generator=generator,
            dtype=torch.float64,
        )
        zero = torch.rand(table.shape, generator=generator) < 0.25
        zero[..., 0] = False
        table = table.masked_fill(zero, 0.0)
        tables[name] = table / table.sum(-1, keepdim=True)
    return BayesianNetwork(edges, cards, tables)


def some_evidence(network: BayesianNetwork, seed: int) -> dict[str, int]:
    """A third of the variables, in states that occur together."""
    draw = network.sample(1, generator=seed)[0].tolist()
    return {
        name: state
        for i, (name, state) in enumerate(zip(network.variables, draw, strict=True))
        if i % 3 == 1
    }


def assert_agrees(network: BayesianNetwork, evidence: Mapping[str, Any] | None) -> None:
    model, elbo = pyro_model(network), TraceEnum_ELBO(max_plate_nesting=0)
    log_evidence = network.log_evidence(evidence).item()
    assert -elbo.loss(model, no_guide, evidence) == pytest.approx(log_evidence, abs=TOLERANCE)
    found = elbo.compute_marginals(model, no_guide, evidence)
    expected = network.marginals(evidence)
    hard = network.vocabulary.evidence(evidence).states
    assert set(found) == {n for i, n in enumerate(network.variables) if i not in hard}
    for name, law in found.items():
        torch.testing.assert_close(law.probs, expected[name], rtol=0.0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        {},
        {"dysp": "yes"},
        {"asia": "yes", "xray": 1, "smoke": torch.tensor(0)},
        {"either": "yes", "lung": "no"},
        {"bronc": -1, "dysp": None, "xray": "yes"},
        {"xray": [0.3, 0.9], "dysp": "yes"},
    ],
)
def test_asia(evidence: Mapping[str, Any] | None) -> None:
    assert_agrees(asia(), evidence)


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_with_hard_zeros(seed: int) -> None:
    network = random_network(seed)
    assert_agrees(network, None)
    assert_agrees(network, some_evidence(network, seed))


@pytest.mark.parametrize("name", ["alarm", "child"])
def test_published_networks(name: str, shared: Any) -> None:
    network = BayesianNetwork.load(shared / "data" / "bif" / f"{name}.bif")
    assert_agrees(network, None)
    assert_agrees(network, some_evidence(network, 0))


def test_impossible_evidence_has_infinite_loss() -> None:
    loss = TraceEnum_ELBO(max_plate_nesting=0).loss
    assert loss(pyro_model(asia()), no_guide, {"tub": "yes", "either": "no"}) == float("inf")


def test_infer_discrete_draws_from_the_posterior() -> None:
    network = sprinkler()
    draw = infer_discrete(pyro_model(network), first_available_dim=-1)
    n = 150
    rain = sum([int(draw({"wet_grass": "yes"})["rain"]) == 0 for _ in range(n)])
    expected = network.marginals({"wet_grass": "yes"})["rain"][0].item()
    # Six standard deviations: one run in a thousand million fails by chance.
    assert abs(rain / n - expected) < 6 * (expected * (1 - expected) / n) ** 0.5


def test_infer_discrete_at_temperature_zero_is_the_most_probable_state() -> None:
    network = asia()
    best, _ = network.most_probable({"xray": "yes", "asia": "yes"})
    model = infer_discrete(pyro_model(network), first_available_dim=-1, temperature=0)
    found = model({"xray": "yes", "asia": "yes"})
    assert {name: network.states[name][int(code)] for name, code in found.items()} == best


def test_forward_draws_respect_hard_zeros() -> None:
    draws = Predictive(pyro_model(asia()), num_samples=60)({"tub": "yes"})
    assert (draws["either"] == 0).all() and (draws["tub"] == 0).all()


def test_present_tables_are_used() -> None:
    network = medical_test()
    model = pyro_model(network)
    with torch.no_grad():
        network.table("disease").copy_(torch.tensor([0.5, 0.5]))
    found = TraceEnum_ELBO(max_plate_nesting=0).compute_marginals(
        model, no_guide, {"test": "positive"}
    )
    assert found["disease"].probs[0].item() == pytest.approx(0.99, abs=1e-12)


def test_loss_carries_gradients_to_the_tables() -> None:
    network = sprinkler().requires_grad_()
    evidence = {"wet_grass": "yes"}
    elbo = TraceEnum_ELBO(max_plate_nesting=0)
    loss = elbo.differentiable_loss(pyro_model(network), no_guide, evidence)
    (found,) = torch.autograd.grad(loss, [network.values])
    (expected,) = torch.autograd.grad(-network.log_evidence(evidence), [network.values])
    # Pyro normalises rows, so the two agree along every direction that keeps the rows' sums.
    for gradient in (found, expected):
        gradient.sub_(gradient.view(-1, 2).mean(-1, keepdim=True).expand(-1, 2).reshape(-1))
    zero = network.values.detach().view(-1, 2).min(-1, keepdim=True).values.expand(-1, 2) == 0
    keep = ~zero.reshape(-1)
    torch.testing.assert_close(found[keep], expected[keep], rtol=0.0, atol=1e-12)
    assert torch.isfinite(found).all()


def test_to_pyro_is_the_bridge() -> None:
    trace = poutine.trace(medical_test().to_pyro()).get_trace({"disease": "yes", "test": 1})
    values = {name: trace.nodes[name]["value"] for name in ("disease", "test")}
    assert {name: int(code) for name, code in values.items()} == {"disease": 0, "test": 1}


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"rain": ["yes", "no"]}, "one query, found a batch of 2"),
        ({"snow": "yes"}, "unknown variable 'snow'"),
        ({"rain": "maybe"}, "unknown state 'maybe'"),
    ],
)
def test_bad_evidence(evidence: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pyro_model(sprinkler())(evidence)
